// K_ii = A_i A_i^T of a client's sparse rows by its factors: K_ii e = A_i (A_i^T e) is 4 flops for
// each entry of A_i, whatever n_i is. A_i has the columns that occur in it alone, renumbered by how
// often they do.
#pragma once

#include <algorithm>
#include <numeric>

#include "../rows/source.hpp"
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

  // m = A_i w, w of all features.
  void multiply(const Real* w, Real* m) const;

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

  // The longest first.
  static std::vector<Place> in_order(const std::vector<Index>& lengths) {
    std::vector<Place> order(lengths.size());
    std::iota(order.begin(), order.end(), Place{0});
    std::stable_sort(order.begin(), order.end(), [&](Place a, Place b) {
      return lengths[static_cast<std::size_t>(a)] > lengths[static_cast<std::size_t>(b)];
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
  template <class Take>
  LOCALGD_IN_PLACE static void for_lanes(const std::vector<Place>& places, Index p,
                                         Register<Real> x, Take&& take) {
    Real numbers[lanes<Real>];
    store(numbers, x);
    const Index some = std::min(lanes<Real>, static_cast<Index>(places.size()) - p);
    for (Index l = 0; l < some; ++l) take(places[static_cast<std::size_t>(p + l)], numbers[l]);
  }

  Index n_;
  std::vector<Place> columns_;  // which features they are
  SlicedRows<Real> by_row_, by_column_;
  std::vector<Place> order_;  // the row at each place of by_row_
  // Signs of the rows, times the value of each row's entries where it has but one; empty if all are
  // 1.
  Vector<Real> factors_;
  mutable Vector<Real> weighed_;  // factors e, and a 0
  mutable Vector<Real> image_;    // A_i^T e, in whole registers, and a 0
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
  factors_ = Vector<Real>::Ones(n_);
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
    : n_(n) {
  const std::vector<Index> counts = renumber(rows, first, local);
  const bool even = take_factors(rows, first, signs);

  const Index begin = rows.begin(first), entries = rows.begin(first + n) - begin;
  std::vector<Index> lengths(static_cast<std::size_t>(n)), begins{0};
  for (Index j = 0; j < n; ++j) {
    lengths[static_cast<std::size_t>(j)] = rows.length(first + j);
    begins.push_back(begins.back() + rows.length(first + j));
  }
  std::vector<Place> places(static_cast<std::size_t>(entries));
  std::vector<Real> in_real(static_cast<std::size_t>(even ? 0 : entries));
  for (Index t = 0; t < entries; ++t) {
    const auto at = static_cast<std::size_t>(t);
    places[at] = local[static_cast<std::size_t>(rows.columns[begin + t])];
    if (!even) in_real[at] = static_cast<Real>(rows.values[begin + t]);
  }
  order_ = in_order(lengths);
  const Index zero = padded<Real>(columns());
  by_row_ = SlicedRows<Real>(begins, places, even ? nullptr : in_real.data(), order_, zero);

  // The same column by column.
  std::vector<Index> ends{0};
  for (const Index count : counts) ends.push_back(ends.back() + count);
  std::vector<Index> next(ends.begin(), ends.end() - 1);
  std::vector<Place> rows_of(static_cast<std::size_t>(entries));
  std::vector<Real> transposed(in_real.size());
  for (Index j = 0; j < n; ++j)
    for (Index t = begins[static_cast<std::size_t>(j)]; t < begins[static_cast<std::size_t>(j) + 1];
         ++t) {
      const auto at = static_cast<std::size_t>(t);
      const auto to = static_cast<std::size_t>(next[static_cast<std::size_t>(places[at])]++);
      rows_of[to] = static_cast<Place>(j);
      if (!even) transposed[to] = in_real[at];
    }
  std::vector<Place> in_turn(columns_.size());
  std::iota(in_turn.begin(), in_turn.end(), Place{0});
  by_column_ = SlicedRows<Real>(ends, rows_of, even ? nullptr : transposed.data(), in_turn, n);

  weighed_ = Vector<Real>::Zero(n + 1);
  image_ = Vector<Real>::Zero(zero + 1);
  for (const Place column : columns_) local[static_cast<std::size_t>(column)] = -1;
}

template <class Real>
Real FactoredGram<Real>::add_product(const Real* e, Index columns, Real scale, Real* x) const {
  const Index stride = padded<Real>(n_);
  const Real* factors = factors_.size() ? factors_.data() : nullptr;
  Real most = 0;
  for (Index c = 0; c < columns; ++c, e += stride, x += stride) {
    weigh(e);
    by_column_.multiply(weighed_.data(),
                        [&](Index place, Register<Real> sums)
                            LOCALGD_LAMBDA_IN_PLACE { store(image_.data() + place, sums); });
    by_row_.multiply(image_.data(), [&](Index place, Register<Real> sums) LOCALGD_LAMBDA_IN_PLACE {
      for_lanes(order_, place, scale * sums, [&](Place j, Real product) {
        x[j] = factors ? x[j] + factors[j] * product : x[j] + product;
      });
    });
    for (Index j = 0; j < n_; ++j) most = std::max(most, std::abs(x[j]));
  }
  return most;
}

template <class Real>
void FactoredGram<Real>::multiply(const Real* w, Real* m) const {
  for (Index k = 0; k < columns(); ++k) image_[k] = w[columns_[static_cast<std::size_t>(k)]];
  by_row_.multiply(image_.data(), [&](Index place, Register<Real> sums) LOCALGD_LAMBDA_IN_PLACE {
    for_lanes(order_, place, sums, [&](Place j, Real product) {
      m[j] = factors_.size() ? factors_[j] * product : product;
    });
  });
}

template <class Real>
template <class Number>
void FactoredGram<Real>::add_transposed(const Real* e, Number* g) const {
  weigh(e);
  by_column_.multiply(
      weighed_.data(), [&](Index place, Register<Real> sums) LOCALGD_LAMBDA_IN_PLACE {
        for_lanes(columns_, place, sums,
                  [&](Place k, Real change) { g[k] += static_cast<Number>(change); });
      });
}

// Compiled in rows/sparse.cpp alone.
extern template class FactoredGram<float>;
extern template class FactoredGram<double>;

}  // namespace localgd
