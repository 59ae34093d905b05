// Clients of few rows side by side, each in a lane of its own: a step of one would be all latency,
// and its rows would leave most of a register empty. Row by row, with the numbers of each client in
// its lane and as in span_steps.hpp:
//
//   m = A_i w_k + delta,   s <- keep s + e,   delta <- keep delta + step K_ii e + shift
//
// A bundle has two registers of clients, so that one's latency is the other's time. The rows of its
// clients are filled up to those of the largest with rows of zeros.
#pragma once

#include <algorithm>
#include <vector>

#include "../lanes.hpp"
#include "../pages.hpp"

namespace localgd {

template <class Real>
inline constexpr Index bundle_width = 2 * lanes<Real>;

// What a thread needs for the bundle that it has: up to `rows` x bundle_width numbers each.
template <class Real>
struct BundleSpace {
  explicit BundleSpace(Index rows)
      : margins(rows * bundle_width<Real>),
        base(margins.size()),
        at_start(base),
        delta(base),
        shift(base),
        sums(base),
        e(base),
        step(bundle_width<Real>),
        share(step.size()),
        change(step.size()),
        weight(step.size()) {}

  Vector<double> margins;       // A_i w_k
  Vector<Real> base, at_start;  // of the margins, see after_move()
  Vector<Real> delta, shift, sums, e;
  // Of each lane: eta / n_i, what one of its sums is in the server's mean and in b_i, and u_i; 0 of
  // who is not in the round.
  Vector<Real> step, share;
  Vector<double> change, weight;
};

// Memory that is read into the second-level cache beside other work, a few lines at a time.
struct Fetch {
  const char *at = nullptr, *end = nullptr;

  LOCALGD_IN_PLACE void some([[maybe_unused]] Index lines) {
#if defined(__GNUC__)
    for (; lines > 0 && at < end; --lines, at += line) __builtin_prefetch(at, 0, 2);
#endif
  }
  template <class Number>
  static Fetch of(const Number* first, const Number* end) {
    return {reinterpret_cast<const char*>(first), reinterpret_cast<const char*>(end)};
  }
  void all() { some(lines()); }
  Index lines() const { return (end - at + line - 1) / line; }

 private:
  static constexpr Index line = 64;
};

template <class Real>
struct BundleClients {
  const Real* gram;  // K_ii: the lower triangle, bundle_width of each entry
  const double* targets;
  Index n;
  Real keep;  // 1 - eta (lambda + mu)
  BundleSpace<Real>& at;
  const Real* row_weights;  // omega, or null
  bool shifted;             // by at.shift in every step
  Fetch next{};             // what the thread needs after these clients
};

namespace detail {

// Where a row begins in the lower triangle of K_ii, row by row.
constexpr Index triangle(Index rows) { return rows * (rows + 1) / 2; }

}  // namespace detail

// The K_ii, lower triangles, and targets of all bundles, one after the other; zeros for what a
// client does not have.
template <class Real>
class Bundles {
 public:
  static constexpr Index width = bundle_width<Real>;

  // Of all clients in their order, `width` in a bundle.
  explicit Bundles(const std::vector<Index>& sizes) : rows_(rows_of_bundles(sizes, width)) {
    for (const Index rows : rows_) {
      begins_.push_back(begins_.back() + detail::triangle(rows) * width);
      begins_of_rows_.push_back(begins_of_rows_.back() + rows * width);
      most_rows_ = std::max(most_rows_, rows);
    }
  }

  // The rows of the largest client in each bundle of so many.
  static std::vector<Index> rows_of_bundles(const std::vector<Index>& sizes, Index of_bundle) {
    std::vector<Index> rows;
    for (std::size_t i = 0; i < sizes.size(); i += static_cast<std::size_t>(of_bundle)) {
      const auto end = std::min(sizes.size(), i + static_cast<std::size_t>(of_bundle));
      rows.push_back(*std::max_element(sizes.begin() + static_cast<std::ptrdiff_t>(i),
                                       sizes.begin() + static_cast<std::ptrdiff_t>(end)));
    }
    return rows;
  }

  // Whether bundles of so many are worth it: many small clients of about the same size.
  static bool suit(const std::vector<Index>& sizes, Index of_bundle) {
    constexpr Index most_rows = 16, fewest = 3;  // bundles
    if (static_cast<Index>(sizes.size()) < fewest * of_bundle) return false;
    double entries = 0, in_bundles = 0;
    for (const Index n : sizes) {
      if (n > most_rows) return false;
      entries += static_cast<double>(detail::triangle(n));
    }
    for (const Index n : rows_of_bundles(sizes, of_bundle))
      in_bundles += static_cast<double>(detail::triangle(n) * of_bundle);
    return in_bundles <= 2 * entries;
  }

  // weighted: rows have weights.
  void make(bool weighted) {
    numbers_ = LargeArray<Real>(begins_.back());
    targets_ = LargeArray<double>(begin_of_targets(count()));
    std::fill_n(numbers_.data(), numbers_.size(), Real(0));
    std::fill_n(targets_.data(), targets_.size(), 0.0);
    if (!weighted) return;
    weights_ = LargeArray<Real>(begin_of_rows(count()));
    std::fill_n(weights_.data(), weights_.size(), Real(0));
  }

  void put(Index client, const RowMatrix<Real>& gram, const double* targets,
           const Real* row_weights) {
    Real* to = numbers_.data() + begin(client / width) + client % width;
    double* own = targets_.data() + begin_of_targets(client / width) + client % width;
    *own = static_cast<double>(gram.rows());
    for (Index i = 0; i < gram.rows(); ++i) {
      own[(i + 1) * width] = targets[i];
      if (row_weights)
        weights_.data()[begin_of_rows(client / width) + i * width + client % width] =
            row_weights[i];
      for (Index j = 0; j <= i; ++j) to[(detail::triangle(i) + j) * width] = gram(i, j);
    }
  }

  BundleClients<Real> of(Index bundle, Real keep, bool shifted, BundleSpace<Real>& space) const {
    return {numbers_.data() + begin(bundle),
            sizes(bundle) + width,
            rows(bundle),
            keep,
            space,
            weights_.size() ? weights_.data() + begin_of_rows(bundle) : nullptr,
            shifted};
  }
  // n_i in each lane; 0 where no client is
  const double* sizes(Index bundle) const { return targets_.data() + begin_of_targets(bundle); }

  Fetch fetch(Index bundle) const {  // its K_ii
    return Fetch::of(numbers_.data() + begin(bundle), numbers_.data() + begin(bundle + 1));
  }
  Fetch fetch_targets(Index bundle) const {  // and sizes
    return Fetch::of(sizes(bundle), sizes(bundle + 1));
  }
  Index count() const { return static_cast<Index>(rows_.size()); }
  Index rows(Index bundle) const { return rows_[static_cast<std::size_t>(bundle)]; }
  Index most_rows() const { return most_rows_; }
  // Of what has `width` numbers for each row.
  Index begin_of_rows(Index bundle) const {
    return begins_of_rows_[static_cast<std::size_t>(bundle)];
  }

 private:
  Index begin(Index bundle) const { return begins_[static_cast<std::size_t>(bundle)]; }
  Index begin_of_targets(Index bundle) const { return begin_of_rows(bundle) + bundle * width; }

  std::vector<Index> rows_, begins_{0}, begins_of_rows_{0};  // of a bundle
  Index most_rows_ = 0;
  LargeArray<Real> numbers_;
  LargeArray<double> targets_;  // of each bundle below the sizes
  LargeArray<Real> weights_;    // omega of the rows, or none
};

}  // namespace localgd
