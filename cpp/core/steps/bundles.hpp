// Clients of few rows side by side, each in a lane of its own: a step of one would be all latency,
// and its rows would leave most of a register empty. Row by row, with the numbers of each client in
// its lane and as in span_steps.hpp:
//
//   m = A_i w_k + delta,   s <- keep s + e,   delta <- keep delta + step K_ii e
//
// A bundle has two registers of clients, so that one's latency is the other's time. The rows of its
// clients are filled up to those of the largest with rows of zeros.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "../pages.hpp"
#include "span_steps.hpp"

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
        sums(base),
        e(base),
        step(bundle_width<Real>),
        share(step.size()),
        change(step.size()),
        weight(step.size()) {}

  Vector<double> margins;       // A_i w_k
  Vector<Real> base, at_start;  // of the margins, see after_move()
  Vector<Real> delta, sums, e;
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
  Real keep;  // 1 - eta mu
  BundleSpace<Real>& at;
  Fetch next{};  // what the thread needs after these clients
};

namespace detail {

// Where a row begins in the lower triangle of K_ii, row by row.
constexpr Index triangle(Index rows) { return rows * (rows + 1) / 2; }

// What the lower triangle of R rows and columns of K_ii makes of e; `entry` has entries with column
// <= row.
template <int R, class Real, class EntryAt>
LOCALGD_IN_PLACE void multiply_triangle(EntryAt&& entry, const Register<Real> (&e)[R],
                                        Register<Real> (&sums)[R]) {
  unrolled<R>([&](auto r) { sums[r] = entry(r, r) * e[r]; });
  unrolled<R>([&](auto r) {
    unrolled<r>([&](auto c) {
      const Register<Real> both = entry(r, c);
      sums[r] += both * e[c];
      sums[c] += both * e[r];
    });
  });
}

// delta <- keep delta + step sums, in rows `stride` apart. Returns the largest |delta|.
template <int R, class Real>
LOCALGD_IN_PLACE Register<Real> move_rows(const Register<Real> (&sums)[R], Register<Real> step,
                                          Real keep, Real* delta) {
  Register<Real> most{};
  unrolled<R>([&](auto r) {
    Real* to = delta + r * bundle_width<Real>;
    const Register<Real> moved = multiply_add(step, sums[r], keep * load(to)), turned = -moved;
    store(to, moved);
    const Register<Real> size = moved > turned ? moved : turned;
    most = size > most ? size : most;
  });
  return most;
}

// R rows of half of the lanes move by step K_ii e, from `row` on: a number, or a type. Returns the
// largest |delta|.
template <int R, class Row, class Real>
LOCALGD_IN_PLACE Register<Real> move_bundle_rows(const Real* gram, Row row, Index n, const Real* e,
                                                 Register<Real> step, Real keep, Real* delta) {
  constexpr Index width = bundle_width<Real>;
  // j <= i
  const auto entry = [=](Index i, Index j) { return load(gram + (triangle(i) + j) * width); };
  Register<Real> own[R], sums[R];
  unrolled<R>([&](auto r) { own[r] = load(e + (row + r) * width); });
  multiply_triangle<R, Real>([&](auto r, auto c) { return entry(row + r, row + c); }, own, sums);
  for (Index j = 0; j < row; ++j) {
    const Register<Real> other = load(e + j * width);
    unrolled<R>([&](auto r) { sums[r] += entry(row + r, j) * other; });
  }
  for (Index j = row + R; j < n; ++j) {
    const Register<Real> other = load(e + j * width);
    unrolled<R>([&](auto r) { sums[r] += entry(j, row + r) * other; });
  }
  return move_rows<R, Real>(sums, step, keep, delta + row * width);
}

}  // namespace detail

// delta <- keep delta + step K_ii e; the largest |delta|.
template <class Real>
LOCALGD_ONE_COPY Real move_bundle(const BundleClients<Real>& c) {
  Register<Real> most{};
  const auto move = [&](auto row, auto R) {
    for (Index l = 0; l < bundle_width<Real>; l += lanes<Real>) {
      const Register<Real> size =
          detail::move_bundle_rows<R>(c.gram + l, row, c.n, c.at.e.data() + l,
                                      load(c.at.step.data() + l), c.keep, c.at.delta.data() + l);
      most = size > most ? size : most;
    }
  };
  // Where the compiler knows the row it knows all places in the triangle.
  in_pieces<5, 4, 3, 2, 1>(c.n, [&](Index row, auto R) {
    if (row == 0) return move(std::integral_constant<Index, 0>{}, R);
    if (row == 5) return move(std::integral_constant<Index, 5>{}, R);
    move(row, R);
  });
  return largest_lane<Real>(most);
}

// bundle_steps() of clients with n rows: e and K_ii e stay in registers.
template <int n, class Loss, class Real>
void small_bundle_steps(BundleClients<Real>& c, std::int64_t steps, bool last) {
  constexpr Index width = bundle_width<Real>;
  const Real *base = c.at.base.data(), *at_start = c.at.at_start.data(), keep = c.keep;
  Real *sums = c.at.sums.data(), *delta = c.at.delta.data();
  Real spread = largest(delta, n * width);
  const Index lines = (c.next.lines() + steps - 1) / steps;  // in each step
  for (std::int64_t l = 0; l < steps; ++l) {
    c.next.some(lines);
    Register<Real> most{};
    const auto step = [&](auto derivative) {
      for (Index h = 0; h < width; h += lanes<Real>) {
        Register<Real> e[n], moved[n];
        unrolled<n>([&](auto r) {
          const Index at = r * width + h;
          e[r] = derivative(at);
          store(sums + at, keep * load(sums + at) + e[r]);
        });
        if (last && l + 1 == steps) continue;
        detail::multiply_triangle<n, Real>(
            [&](auto r, auto k) { return load(c.gram + (detail::triangle(r) + k) * width + h); }, e,
            moved);
        const Register<Real> size =
            detail::move_rows<n, Real>(moved, load(c.at.step.data() + h), keep, delta + h);
        most = size > most ? size : most;
      }
    };
    by_largest_move<Loss>(
        spread,
        [&](auto power) {
          step([&](Index at) {
            return Loss::after_move(load(at_start + at), load(delta + at), power);
          });
        },
        [&](auto loss) {
          step([&](Index at) {
            return loss.negative_derivative(load(base + at) + load(delta + at));
          });
        });
    spread = largest_lane<Real>(most);
  }
}

// Full batches, as span_steps().
template <class Real, class Loss>
void bundle_steps(BundleClients<Real>& c, std::int64_t steps, bool last) {
  if constexpr (!Loss::multiclass) {
    constexpr int few = 5;
    if (c.n <= few)
      return with_size<few>(c.n,
                            [&](auto n) { small_bundle_steps<n.value, Loss>(c, steps, last); });
    const Index size = c.n * bundle_width<Real>;
    const MovedRows<Real> rows{
        c.at.base.data(), c.at.at_start.data(), c.at.delta.data(), size, nullptr, size, 1};
    Real *sums = c.at.sums.data(), *e = c.at.e.data();
    Real spread = largest(c.at.delta.data(), size);
    const Index lines = (c.next.lines() + steps - 1) / steps;  // in each step
    for (std::int64_t l = 0; l < steps; ++l) {
      c.next.some(lines);
      derivatives_after_move<Loss>(rows, spread, e);
      for (Index t = 0; t < size; t += lanes<Real>)
        store(sums + t, c.keep * load(sums + t) + load(e + t));
      if (last && l + 1 == steps) return;
      spread = move_bundle(c);
    }
  }
}

// The K_ii, lower triangles, and targets of all bundles, one after the other; zeros for what a
// client does not have.
template <class Real>
class Bundles {
 public:
  static constexpr Index width = bundle_width<Real>;

  // Of all clients in their order, `width` in a bundle.
  explicit Bundles(const std::vector<Index>& sizes) {
    for (std::size_t i = 0; i < sizes.size(); i += static_cast<std::size_t>(width)) {
      const auto end = std::min(sizes.size(), i + static_cast<std::size_t>(width));
      rows_.push_back(*std::max_element(sizes.begin() + static_cast<std::ptrdiff_t>(i),
                                        sizes.begin() + static_cast<std::ptrdiff_t>(end)));
      begins_.push_back(begins_.back() + detail::triangle(rows_.back()) * width);
      begins_of_rows_.push_back(begins_of_rows_.back() + rows_.back() * width);
      most_rows_ = std::max(most_rows_, rows_.back());
    }
  }

  // Whether they are worth it: many small clients of about the same size.
  static bool suit(const std::vector<Index>& sizes) {
    constexpr Index most_rows = 16, fewest = 3;  // bundles
    if (static_cast<Index>(sizes.size()) < fewest * width) return false;
    double entries = 0;
    for (const Index n : sizes) {
      if (n > most_rows) return false;
      entries += static_cast<double>(detail::triangle(n));
    }
    return static_cast<double>(Bundles(sizes).begins_.back()) <= 2 * entries;
  }

  void make() {
    numbers_ = LargeArray<Real>(begins_.back());
    targets_ = LargeArray<double>(begin_of_targets(count()));
    std::fill_n(numbers_.data(), numbers_.size(), Real(0));
    std::fill_n(targets_.data(), targets_.size(), 0.0);
  }

  void put(Index client, const RowMatrix<Real>& gram, const double* targets) {
    Real* to = numbers_.data() + begin(client / width) + client % width;
    double* own = targets_.data() + begin_of_targets(client / width) + client % width;
    *own = static_cast<double>(gram.rows());
    for (Index i = 0; i < gram.rows(); ++i) {
      own[(i + 1) * width] = targets[i];
      for (Index j = 0; j <= i; ++j) to[(detail::triangle(i) + j) * width] = gram(i, j);
    }
  }

  BundleClients<Real> of(Index bundle, Real keep, BundleSpace<Real>& space) const {
    return {numbers_.data() + begin(bundle), sizes(bundle) + width, rows(bundle), keep, space};
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
};

}  // namespace localgd
