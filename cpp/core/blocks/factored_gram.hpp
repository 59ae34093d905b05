// K_ii = A_i A_i^T of a client's sparse rows by its factors: K_ii e = A_i (A_i^T e) is 4 flops for
// each entry of A_i, whatever n_i is. A_i has the columns that occur in it alone, renumbered by how
// often they do.
#pragma once

#include <algorithm>
#include <numeric>

#include "../rows/source.hpp"
#include "sliced_rows.hpp"

namespace localgd {

// One client at a time is at work on a block: what it keeps meanwhile is in the block.
template <class Real>
class FactoredGram {
 public:
  using Place = typename SlicedRows<Real>::Place;

  // Of rows first to first + n - 1. signs: of all rows, or null. local: for each feature a number
  // that is -1, and is again.
  template <class Number>
  FactoredGram(const SparseView<Number>& rows, Index first, Index n, const double* signs,
               std::vector<Place>& local);

  Index size() const { return n_; }
  Index columns() const { return static_cast<Index>(columns_.size()); }  // that occur

  // x += scale K e for some columns of n reals, padded<Real>(n) apart. Returns the largest |x| (or
  // less where there is a NaN).
  Real add_product(const Real* e, Index columns, Real scale, Real* x) const;

  // m = A_i w, w of all features.
  void multiply(const Real* w, Real* m) const;

  // g += A_i^T e, g of all features.
  template <class Number>
  void add_transposed(const Real* e, Number* g) const;

 private:
  // factors e, as the columns take it
  void weigh(const Real* e) const {
    if (factors_.size())
      for (Index j = 0; j < n_; ++j) weighed_[j] = factors_[j] * e[j];
    else
      std::copy_n(e, n_, weighed_.data());
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
FactoredGram<Real>::FactoredGram(const SparseView<Number>& rows, Index first, Index n,
                                 const double* signs, std::vector<Place>& local)
    : n_(n) {
  const Index begin = rows.begin(first), entries = rows.begin(first + n) - begin;
  const std::int32_t* columns = rows.columns + begin;
  const Number* values = rows.values + begin;
  // Columns in the order in which they are found, then by how often.
  std::vector<Index> counts;
  for (Index t = 0; t < entries; ++t) {
    Place& own = local[static_cast<std::size_t>(columns[t])];
    if (own < 0) {
      own = static_cast<Place>(columns_.size());
      columns_.push_back(columns[t]);
      counts.push_back(0);
    }
    ++counts[static_cast<std::size_t>(own)];
  }
  const auto sorted = [](const std::vector<Index>& lengths) {
    std::vector<Place> order(lengths.size());
    std::iota(order.begin(), order.end(), Place{0});
    std::stable_sort(order.begin(), order.end(), [&](Place a, Place b) {
      return lengths[static_cast<std::size_t>(a)] > lengths[static_cast<std::size_t>(b)];
    });
    return order;
  };
  {
    const std::vector<Place> by_count = sorted(counts);
    std::vector<Place> found(by_count.size());
    std::vector<Index> of(by_count.size());
    for (std::size_t p = 0; p < by_count.size(); ++p) {
      const auto before = static_cast<std::size_t>(by_count[p]);
      found[p] = columns_[before];
      of[p] = counts[before];
      local[static_cast<std::size_t>(found[p])] = static_cast<Place>(p);
    }
    columns_.swap(found);
    counts.swap(of);
  }

  bool even = true;  // each row has but one value
  for (Index j = 0; even && j < n; ++j) {
    const Number* own = rows.values + rows.begin(first + j);
    for (Index t = 1; even && t < rows.length(first + j); ++t) even = own[t] == own[0];
  }
  if (signs || even) {
    factors_ = Vector<Real>::Ones(n);
    for (Index j = 0; j < n; ++j) {
      if (signs) factors_[j] = static_cast<Real>(signs[first + j]);
      if (even && rows.length(first + j))
        factors_[j] *= static_cast<Real>(rows.values[rows.begin(first + j)]);
    }
    if ((factors_.array() == Real(1)).all()) factors_.resize(0);
  }

  std::vector<Index> lengths(static_cast<std::size_t>(n)), begins{0};
  for (Index j = 0; j < n; ++j) {
    lengths[static_cast<std::size_t>(j)] = rows.length(first + j);
    begins.push_back(begins.back() + rows.length(first + j));
  }
  std::vector<Place> places(static_cast<std::size_t>(entries));
  std::vector<Real> in_real(static_cast<std::size_t>(even ? 0 : entries));
  for (Index t = 0; t < entries; ++t) {
    const auto at = static_cast<std::size_t>(t);
    places[at] = local[static_cast<std::size_t>(columns[t])];
    if (!even) in_real[at] = static_cast<Real>(values[t]);
  }
  order_ = sorted(lengths);
  const Index zero = padded<Real>(this->columns());
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
      Real products[lanes<Real>];
      store(products, scale * sums);
      const Index rows = std::min(lanes<Real>, n_ - place);
      const Place* own = order_.data() + place;
      for (Index l = 0; l < rows; ++l) {
        const Index j = own[l];
        x[j] = factors ? x[j] + factors[j] * products[l] : x[j] + products[l];
      }
    });
    for (Index j = 0; j < n_; ++j) most = std::max(most, std::abs(x[j]));
  }
  return most;
}

template <class Real>
void FactoredGram<Real>::multiply(const Real* w, Real* m) const {
  for (Index k = 0; k < columns(); ++k) image_[k] = w[columns_[static_cast<std::size_t>(k)]];
  by_row_.multiply(image_.data(), [&](Index place, Register<Real> sums) LOCALGD_LAMBDA_IN_PLACE {
    Real products[lanes<Real>];
    store(products, sums);
    const Index rows = std::min(lanes<Real>, n_ - place);
    const Place* own = order_.data() + place;
    for (Index l = 0; l < rows; ++l)
      m[own[l]] = factors_.size() ? factors_[own[l]] * products[l] : products[l];
  });
}

template <class Real>
template <class Number>
void FactoredGram<Real>::add_transposed(const Real* e, Number* g) const {
  weigh(e);
  by_column_.multiply(weighed_.data(),
                      [&](Index place, Register<Real> sums) LOCALGD_LAMBDA_IN_PLACE {
                        Real changes[lanes<Real>];
                        store(changes, sums);
                        const Index some = std::min(lanes<Real>, this->columns() - place);
                        const Place* own = columns_.data() + place;
                        for (Index l = 0; l < some; ++l)
                          g[own[l]] += static_cast<Number>(changes[l]);
                      });
}

// Compiled in rows/sparse.cpp alone.
extern template class FactoredGram<float>;
extern template class FactoredGram<double>;

}  // namespace localgd
