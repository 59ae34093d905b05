// K_ii = A_i A_i^T of a client's sparse rows by its factors: K_ii e = A_i (A_i^T e) is 4 flops for
// each entry of A_i, whatever n_i is. A_i has the columns that occur in it alone, renumbered by how
// often they do. The first of them, which many rows have, are common columns where that is less
// work (common_columns.hpp); the others are entries in slices.
#pragma once

#include <algorithm>
#include <numeric>

#include "../rows/source.hpp"
#include "common_columns.hpp"
#include "sliced_rows.hpp"
#include "sparse_gram.hpp"

namespace localgd {

// One client at a time is at work on a block: what it keeps meanwhile is in the block.
template <class Real>
class FactoredGram final : public SparseGram<Real> {
 public:
  using Place = typename SlicedRows<Real>::Place;

  // Of rows first to first + n - 1. signs: of all rows, or null. local: for each feature a number
  // that is -1, and is again.
  template <class Number>
  FactoredGram(const SparseView<Number>& rows, Index first, Index n, const double* signs,
               std::vector<Place>& local);

  Real add_product(const Real* e, Index columns, Real scale, Real* x) const override;

  // m = A_i w in float64, w of all features.
  void multiply(const double* w, double* m) const;

  // g += A_i^T e, g of all features.
  template <class Number>
  void add_transposed(const Real* e, Number* g) const;

 private:
  // The columns that occur, by how often they do, which is returned; local: their numbers.
  template <class Number>
  std::vector<Index> renumber(const SparseView<Number>& rows, Index first,
                              std::vector<Place>& local);
  // The factors of the rows; whether they have their values in them.
  template <class Number>
  bool take_factors(const SparseView<Number>& rows, Index first, const double* signs);

  Index columns() const { return static_cast<Index>(columns_.size()); }
  bool common() const { return common_.count() > 0; }
  bool sliced() const { return !common() || common_.count() < columns(); }

  // The longest first.
  static std::vector<Place> in_order(const std::vector<Index>& lengths) {
    std::vector<Place> order(lengths.size());
    std::iota(order.begin(), order.end(), Place{0});
    // Not std::stable_sort: Clang warns of what GCC 12's header does in it.
    std::sort(order.begin(), order.end(), [&](Place a, Place b) {
      const Index x = lengths[static_cast<std::size_t>(a)],
                  y = lengths[static_cast<std::size_t>(b)];
      return x > y || (x == y && a < b);
    });
    return order;
  }

  // factors e, as the columns take it
  void weigh(const Real* e) const {
    if (factors_.size())
      for (Index j = 0; j < n_; ++j) weighed_[j] = factors_[j] * e[j];
    else
      std::copy_n(e, n_, weighed_.data());
  }

  // Calls take(places[p], x) for a register of numbers x of the places from p on.
  template <class Number, class Numbers, class Take>
  LOCALGD_IN_PLACE static void for_lanes(const std::vector<Place>& places, Index p, Numbers x,
                                         Take&& take) {
    constexpr Index width = lanes<Number>;
    Number numbers[width];
    store(numbers, x);
    const Index some = std::min(width, static_cast<Index>(places.size()) - p);
    for (Index l = 0; l < some; ++l) take(places[static_cast<std::size_t>(p + l)], numbers[l]);
  }

  // Calls take(first column, sums) for registers of A_i^T e, in the order of the columns.
  template <class Take>
  LOCALGD_IN_PLACE void multiply_transposed(const Real* e, Take&& take) const {
    weigh(e);
    common_.multiply_transposed(weighed_.data(), take);
    if (sliced())
      by_column_.multiply(weighed_.data(),
                          [&](Index place, Register<Real> sums)
                              LOCALGD_LAMBDA_IN_PLACE { take(common_.count() + place, sums); });
  }

  Index n_, features_;
  std::vector<Place> columns_;  // which features they are
  CommonColumns<Real> common_;
  SlicedRows<Real> by_row_, by_column_;  // of the other columns
  std::vector<Place> order_;             // the row at each place of by_row_
  // The place of each row in products_, and of those that fill up a register.
  std::vector<Place> places_;
  // Signs of the rows, times the value of each row's entries where it has but one; empty if all are
  // 1.
  Vector<Real> factors_;
  mutable Vector<Real> weighed_;   // factors e, and at least one 0
  mutable Vector<Real> image_;     // A_i^T e, in whole registers, and at least one 0
  mutable Vector<Real> products_;  // of by_row_, in its order, and a 0
};

template <class Real>
template <class Number>
std::vector<Index> FactoredGram<Real>::renumber(const SparseView<Number>& rows, Index first,
                                                std::vector<Place>& local) {
  // In the order in which they are found.
  std::vector<Place> found;
  std::vector<Index> of_found;
  for (Index t = rows.begin(first); t < rows.begin(first + n_); ++t) {
    Place& own = local[static_cast<std::size_t>(rows.columns[t])];
    if (own < 0) {
      own = static_cast<Place>(found.size());
      found.push_back(rows.columns[t]);
      of_found.push_back(0);
    }
    ++of_found[static_cast<std::size_t>(own)];
  }
  std::vector<Index> counts;
  for (const Place p : in_order(of_found)) {
    const auto before = static_cast<std::size_t>(p);
    local[static_cast<std::size_t>(found[before])] = static_cast<Place>(columns_.size());
    columns_.push_back(found[before]);
    counts.push_back(of_found[before]);
  }
  return counts;
}

template <class Real>
template <class Number>
bool FactoredGram<Real>::take_factors(const SparseView<Number>& rows, Index first,
                                      const double* signs) {
  bool even = true;  // each row has but one value
  for (Index j = 0; even && j < n_; ++j) {
    const Number* own = rows.values + rows.begin(first + j);
    even = std::all_of(own, own + rows.length(first + j), [&](Number x) { return x == own[0]; });
  }
  if (!signs && !even) return even;
  factors_ = Vector<Real>::Ones(padded<Real>(n_));
  for (Index j = 0; j < n_; ++j) {
    if (signs) factors_[j] = static_cast<Real>(signs[first + j]);
    if (even && rows.length(first + j))
      factors_[j] *= static_cast<Real>(rows.values[rows.begin(first + j)]);
  }
  if ((factors_.array() == Real(1)).all()) factors_.resize(0);
  return even;
}

template <class Real>
template <class Number>
FactoredGram<Real>::FactoredGram(const SparseView<Number>& rows, Index first, Index n,
                                 const double* signs, std::vector<Place>& local)
    : n_(n), features_(rows.features) {
  std::vector<Index> counts = renumber(rows, first, local);
  const bool even = take_factors(rows, first, signs);
  common_ = CommonColumns<Real>(n, counts, even);
  const Index taken = common_.count();

  // The entries in slices.
  std::vector<Index> lengths, begins{0};
  std::vector<Place> places;
  std::vector<Real> in_real;
  const auto rest =
      static_cast<std::size_t>(std::accumulate(counts.begin() + taken, counts.end(), Index{0}));
  places.reserve(rest);
  if (!even) in_real.reserve(rest);
  for (Index j = 0; j < n; ++j) {
    for (Index t = rows.begin(first + j); t < rows.begin(first + j + 1); ++t) {
      const Place own = local[static_cast<std::size_t>(rows.columns[t])];
      const auto value = static_cast<Real>(rows.values[t]);
      if (own < taken) {
        common_.put(j, own, value);
        continue;
      }
      places.push_back(own);
      if (!even) in_real.push_back(value);
    }
    lengths.push_back(static_cast<Index>(places.size()) - begins.back());
    begins.push_back(static_cast<Index>(places.size()));
  }
  order_ = in_order(lengths);
  const Index zero = padded<Real>(columns());
  by_row_ = SlicedRows<Real>(begins, places, even ? nullptr : in_real.data(), order_, zero);
  places_.assign(static_cast<std::size_t>(padded<Real>(n)), static_cast<Place>(padded<Real>(n)));
  for (Index p = 0; p < n; ++p)
    places_[static_cast<std::size_t>(order_[static_cast<std::size_t>(p)])] = static_cast<Place>(p);

  // The same column by column.
  std::vector<Index> ends{0};
  counts.erase(counts.begin(), counts.begin() + taken);
  for (const Index count : counts) ends.push_back(ends.back() + count);
  std::vector<Index> next(ends.begin(), ends.end() - 1);
  std::vector<Place> rows_of(places.size());
  std::vector<Real> transposed(in_real.size());
  for (Index j = 0; j < n; ++j)
    for (Index t = begins[static_cast<std::size_t>(j)]; t < begins[static_cast<std::size_t>(j) + 1];
         ++t) {
      const auto at = static_cast<std::size_t>(t);
      const auto to =
          static_cast<std::size_t>(next[static_cast<std::size_t>(places[at] - taken)]++);
      rows_of[to] = static_cast<Place>(j);
      if (!even) transposed[to] = in_real[at];
    }
  std::vector<Place> in_turn(counts.size());
  std::iota(in_turn.begin(), in_turn.end(), Place{0});
  by_column_ = SlicedRows<Real>(ends, rows_of, even ? nullptr : transposed.data(), in_turn, n);

  weighed_ = Vector<Real>::Zero(padded<Real>(n) + 1 + common_.beyond);
  image_ = Vector<Real>::Zero(zero + 1 + common_.beyond);
  products_ = Vector<Real>::Zero(padded<Real>(n) + 1);
  for (const Place column : columns_) local[static_cast<std::size_t>(column)] = -1;
}

template <class Real>
Real FactoredGram<Real>::add_product(const Real* e, Index columns, Real scale, Real* x) const {
  const Index stride = padded<Real>(n_);
  const Real* factors = factors_.size() ? factors_.data() : nullptr;
  Real most = 0;
  for (Index c = 0; c < columns; ++c, e += stride, x += stride) {
    multiply_transposed(e, [&](Index first, Register<Real> sums)
                               LOCALGD_LAMBDA_IN_PLACE { store(image_.data() + first, sums); });
    if (sliced())
      by_row_.multiply(image_.data(),
                       [&](Index place, Register<Real> sums) LOCALGD_LAMBDA_IN_PLACE {
                         store(products_.data() + place, scale * sums);
                       });
    Register<Real> largest{};
    const auto move = [&](Index j, Register<Real> product) LOCALGD_LAMBDA_IN_PLACE {
      const Register<Real> moved =
          factors ? multiply_add(load(factors + j), product, load(x + j)) : load(x + j) + product;
      store(x + j, moved);
      const Register<Real> turned = -moved, size = moved > turned ? moved : turned;
      largest = size > largest ? size : largest;
    };
    const auto sliced_product = [&](Index j) LOCALGD_LAMBDA_IN_PLACE {
      return pick(products_.data(), places_.data() + j);
    };
    if (!common())
      for (Index j = 0; j < n_; j += lanes<Real>) move(j, sliced_product(j));
    else if (sliced())
      common_.multiply(image_.data(), [&](Index j, Register<Real> sums) LOCALGD_LAMBDA_IN_PLACE {
        move(j, multiply_add(all_lanes(scale), sums, sliced_product(j)));
      });
    else
      common_.multiply(image_.data(), [&](Index j, Register<Real> sums)
                                          LOCALGD_LAMBDA_IN_PLACE { move(j, scale * sums); });
    most = std::max(most, largest_lane<Real>(largest));
  }
  return most;
}

template <class Real>
void FactoredGram<Real>::multiply(const double* w, double* m) const {
  double* image;  // w in the columns that occur, up to the zero of by_row_
  const Index zero = padded<Real>(columns());
  if constexpr (std::is_same_v<Real, double>) {
    image = image_.data();
  } else {
    thread_local std::vector<double> wide_image;  // of any client, so that it is made but once
    const auto most = static_cast<std::size_t>(padded<Real>(features_) + 1 + common_.beyond);
    if (wide_image.size() < most) wide_image.resize(most);
    image = wide_image.data();
    std::fill(image + columns(), image + zero + 1, 0.0);
  }
  for (Index k = 0; k < columns(); ++k) image[k] = w[columns_[static_cast<std::size_t>(k)]];
  common_.multiply(image, [&](Index j, auto sums) LOCALGD_LAMBDA_IN_PLACE {
    double numbers[lanes<double>];
    store(numbers, sums);
    std::copy_n(numbers, std::clamp(n_ - j, Index{0}, lanes<double>), m + j);
  });
  if (sliced())
    by_row_.multiply(image, [&](Index place, auto sums) LOCALGD_LAMBDA_IN_PLACE {
      for_lanes<double>(order_, place, sums, [&](Place j, double product) {
        m[j] = common() ? m[j] + product : product;
      });
    });
  if (factors_.size())
    for (Index j = 0; j < n_; ++j) m[j] *= static_cast<double>(factors_[j]);
}

template <class Real>
template <class Number>
void FactoredGram<Real>::add_transposed(const Real* e, Number* g) const {
  multiply_transposed(e, [&](Index first, Register<Real> sums) LOCALGD_LAMBDA_IN_PLACE {
    for_lanes<Real>(columns_, first, sums,
                    [&](Place k, Real change) { g[k] += static_cast<Number>(change); });
  });
}

// Compiled in rows/sparse.cpp alone.
extern template class FactoredGram<float>;
extern template class FactoredGram<double>;

}  // namespace localgd
