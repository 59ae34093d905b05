// Compressed sparse rows: the caller's arrays, and in Real the rows of each client by their
// factors; or, where there is no memory for these, the caller's arrays alone.
#include <algorithm>

#include "../blocks/factored_gram.hpp"
#include "../products.hpp"
#include "rows.hpp"

namespace localgd {

namespace {

// row . w in the type of w, in four running sums.
template <class Number, class Real>
Real sparse_dot(const SparseView<Number>& rows, Index j, const Real* w) {
  const Index begin = rows.begin(j), n = rows.length(j);
  const Number* values = rows.values + begin;
  const std::int32_t* columns = rows.columns + begin;
  Real sums[4] = {};
  Index t = 0;
  for (; t + 4 <= n; t += 4)
    for (int s = 0; s < 4; ++s) sums[s] += static_cast<Real>(values[t + s]) * w[columns[t + s]];
  for (; t < n; ++t) sums[t % 4] += static_cast<Real>(values[t]) * w[columns[t]];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// m = A_i w, rounded to Number. signs: of all rows, or null.
template <class Stored, class Number>
void sparse_dots(const SparseView<Stored>& rows, const double* signs, Range i, const double* w,
                 Index outputs, Number* m) {
  for (Index c = 0; c < outputs; ++c, w += rows.features)
    for (Index j = i.first; j < i.first + i.count; ++j) {
      const double dot = sparse_dot(rows, j, w);
      *m++ = static_cast<Number>(signs ? signs[j] * dot : dot);
    }
}

// g += x row
template <class Number, class Real>
void add_row(const SparseView<Number>& rows, Index j, Real x, Real* g) {
  for (Index t = rows.begin(j); t < rows.begin(j + 1); ++t)
    g[rows.columns[t]] += x * static_cast<Real>(rows.values[t]);
}

// v = 0 where one of the rows is not.
template <class Number, class Real>
void clear_columns(const SparseView<Number>& rows, Range i, Real* v) {
  for (Index t = rows.begin(i.first); t < rows.begin(i.first + i.count); ++t)
    v[rows.columns[t]] = 0;
}

// out = A_i A_j^T: each row of A_i is made dense once.
template <class Number, class Real, class Out>
void sparse_gram(const SparseView<Number>& rows, const double* signs, Range i, Range j, Out& out) {
  std::vector<Real> row(static_cast<std::size_t>(rows.features), Real(0));
  for (Index a = 0; a < i.count; ++a) {
    const Index first = i.first + a;
    for (Index t = rows.begin(first); t < rows.begin(first + 1); ++t)
      row[static_cast<std::size_t>(rows.columns[t])] = static_cast<Real>(rows.values[t]);
    for (Index b = 0; b < j.count; ++b) {
      const Index second = j.first + b;
      Real sum = 0;
      for (Index t = rows.begin(second); t < rows.begin(second + 1); ++t)
        sum += static_cast<Real>(rows.values[t]) * row[static_cast<std::size_t>(rows.columns[t])];
      out(a, b) = signs ? static_cast<Real>(signs[first] * signs[second]) * sum : sum;
    }
    clear_columns(rows, {first, 1}, row.data());
  }
}

// K_ii of a client's rows as the caller has them: A_i^T e is scattered to all features.
template <class Stored, class Real>
class GramInPlace final : public SparseGram<Real> {
 public:
  GramInPlace(const SparseView<Stored>& rows, Index first, Index n, const double* signs)
      : rows_(rows), first_(first), n_(n), signs_(signs) {}

  Real add_product(const Real* e, Index columns, Real scale, Real* x) const override {
    thread_local std::vector<Real> image;  // A_i^T e; 0 between the calls
    if (image.size() < static_cast<std::size_t>(rows_.features))
      image.resize(static_cast<std::size_t>(rows_.features));
    Real most = 0;
    for (Index c = 0; c < columns; ++c, e += padded<Real>(n_), x += padded<Real>(n_)) {
      for (Index j = 0; j < n_; ++j) add_row(rows_, first_ + j, sign(j) * e[j], image.data());
      for (Index j = 0; j < n_; ++j) {
        x[j] += scale * sign(j) * sparse_dot(rows_, first_ + j, image.data());
        most = std::max(most, std::abs(x[j]));
      }
      clear_columns(rows_, {first_, n_}, image.data());
    }
    return most;
  }

 private:
  Real sign(Index j) const { return signs_ ? static_cast<Real>(signs_[first_ + j]) : Real(1); }

  const SparseView<Stored> rows_;
  Index first_, n_;
  const double* signs_;  // of all rows, or null
};

template <class Stored, class Real>
class SparseRows final : public Rows<Real> {
 public:
  SparseRows(const SparseView<Stored>& rows, const double* signs, const std::vector<Index>& offsets,
             bool in_place)
      : rows_(rows), signs_(signs), offsets_(offsets) {
    if (in_place) {
      for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
        in_place_.emplace_back(rows, offsets[i], offsets[i + 1] - offsets[i], signs);
      return;
    }
    std::vector<std::int32_t> local(static_cast<std::size_t>(rows.features), -1);
    blocks_.reserve(offsets.size() - 1);
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
      blocks_.emplace_back(rows, offsets[i], offsets[i + 1] - offsets[i], signs, local);
  }

  Index count() const override { return rows_.count; }
  Index features() const override { return rows_.features; }
  const SparseGram<Real>* factored(Range i) const override {
    if (const SparseGram<Real>* block = of_client(blocks_, i)) return block;
    return of_client(in_place_, i);
  }

  void copy(Range i, RowsOut<Real> out) const override {
    out.setZero();
    for (Index j = 0; j < i.count; ++j)
      for (Index t = rows_.begin(i.first + j); t < rows_.begin(i.first + j + 1); ++t)
        out(j, rows_.columns[t]) = sign(i.first + j) * static_cast<Real>(rows_.values[t]);
  }
  void entries(Index row, std::int32_t* columns, Real* values) const override {
    for (Index t = rows_.begin(row); t < rows_.begin(row + 1); ++t) {
      *columns++ = rows_.columns[t];
      *values++ = sign(row) * static_cast<Real>(rows_.values[t]);
    }
  }
  void gram(Range i, Range j, RowsOut<Real> out) const override {
    sparse_gram<Stored, Real>(rows_, signs_, i, j, out);
  }

  void dots(Range i, const double* w, Index outputs, double* m) const override {
    if (const FactoredGram<Real>* block = i.count > few ? of_client(blocks_, i) : nullptr) {
      for (Index c = 0; c < outputs; ++c) block->multiply(w + c * features(), m + c * i.count);
      return;
    }
    sparse_dots(rows_, signs_, i, w, outputs, m);
  }
  void rounded_dots(Range i, const double* w, Index outputs, Real* m) const override {
    sparse_dots(rows_, signs_, i, w, outputs, m);
  }
  void multiply(Range i, const Real* x, Index outputs, Real* m) const override {
    for (Index c = 0; c < outputs; ++c, x += features())
      for (Index j = i.first; j < i.first + i.count; ++j) {
        Real sum = 0;
        for (Index t = rows_.begin(j); t < rows_.begin(j + 1); ++t)
          sum += static_cast<Real>(rows_.values[t]) * x[rows_.columns[t]];
        *m++ = sign(j) * sum;
      }
  }
  void add(Range i, const Real* e, Index outputs, Real* g) const override {
    accumulate(i, e, outputs, g);
  }
  void clear(Index row, Index outputs, Real* v) const override {
    for (Index c = 0; c < outputs; ++c, v += features()) clear_columns(rows_, {row, 1}, v);
  }
  void add_in_double(Range i, const Real* e, Index outputs, double* g) const override {
    accumulate(i, e, outputs, g);
  }

 private:
  Real sign(Index j) const { return signs_ ? static_cast<Real>(signs_[j]) : Real(1); }

  // What there is for the client that has these rows; null if they are not those of one.
  template <class Block>
  const Block* of_client(const std::vector<Block>& blocks, Range i) const {
    const auto at = std::lower_bound(offsets_.begin(), offsets_.end(), i.first);
    const bool whole = at + 1 < offsets_.end() && *at == i.first && at[1] == i.first + i.count;
    return whole && !blocks.empty() ? &blocks[static_cast<std::size_t>(at - offsets_.begin())]
                                    : nullptr;
  }

  static constexpr Index few = 8;  // rows of a client, those of batches, are taken one by one

  template <class Number>
  void accumulate(Range i, const Real* e, Index outputs, Number* g) const {
    const FactoredGram<Real>* block = i.count > few ? of_client(blocks_, i) : nullptr;
    for (Index c = 0; c < outputs; ++c, e += i.count, g += features()) {
      if (block && 4 * std::count(e, e + i.count, Real(0)) < i.count) {
        block->add_transposed(e, g);
        continue;
      }
      for (Index j = 0; j < i.count; ++j)
        if (e[j] != Real(0))
          add_row(rows_, i.first + j, static_cast<Number>(sign(i.first + j) * e[j]), g);
    }
  }

  const SparseView<Stored> rows_;
  const double* signs_;  // or null
  const std::vector<Index> offsets_;
  // Of each client, one of them.
  std::vector<FactoredGram<Real>> blocks_;
  std::vector<GramInPlace<Stored, Real>> in_place_;
};

template <class Stored>
class SparseSource final : public RowSource {
 public:
  SparseSource(const SparseView<Stored>& rows, const VectorView<double>& signs, bool in_place)
      : rows_(rows), signs_(signs.size() ? signs.data() : nullptr), in_place_(in_place) {
    if (signs.size() && signs.size() != rows.count)
      throw std::invalid_argument("signs: want one for each row");
    if (rows.begin(0) != 0) throw std::invalid_argument("rows: want entries from 0 on");
    for (Index j = 0; j < rows.count; ++j)
      if (rows.length(j) < 0) throw std::invalid_argument("rows: want increasing begins");
    const Index entries = rows.begin(rows.count);
    for (Index t = 0; t < entries; ++t)
      if (rows.columns[t] < 0 || rows.columns[t] >= rows.features)
        throw std::invalid_argument("rows: an entry beyond the features");
  }

  Index count() const override { return rows_.count; }
  Index features() const override { return rows_.features; }
  Index entries_before(Index j) const override { return rows_.begin(j); }
  bool sparse() const override { return true; }

  void dots(Range i, const double* w, Index outputs, double* m) const override {
    sparse_dots(rows_, signs_, i, w, outputs, m);
  }
  Matrix<double> combine(Range i, const ColumnsRef<double>& x) const override {
    Matrix<double> out = Matrix<double>::Zero(features(), x.cols());
    for (Index c = 0; c < x.cols(); ++c)
      for (Index j = 0; j < i.count; ++j)
        add_row(rows_, i.first + j, sign(i.first + j) * x(j, c), out.col(c).data());
    return out;
  }
  void gram(Range i, RowMatrix<double>& out) const override {
    out.resize(i.count, i.count);
    sparse_gram<Stored, double>(rows_, signs_, i, i, out);
  }
  double norm(Index j) const override {
    return norm_of(rows_.values + rows_.begin(j), rows_.length(j));
  }

  void make(std::unique_ptr<const Rows<float>>& rows,
            const std::vector<Index>& offsets) const override {
    rows = std::make_unique<SparseRows<Stored, float>>(rows_, signs_, offsets, in_place_);
  }
  void make(std::unique_ptr<const Rows<double>>& rows,
            const std::vector<Index>& offsets) const override {
    rows = std::make_unique<SparseRows<Stored, double>>(rows_, signs_, offsets, in_place_);
  }

 private:
  double sign(Index j) const { return signs_ ? signs_[j] : 1; }

  const SparseView<Stored> rows_;
  const double* signs_;  // or null
  const bool in_place_;
};

}  // namespace

std::shared_ptr<const RowSource> sparse_rows(const SparseView<double>& rows,
                                             const VectorView<double>& signs, bool in_place) {
  return std::make_shared<SparseSource<double>>(rows, signs, in_place);
}
std::shared_ptr<const RowSource> sparse_rows(const SparseView<float>& rows,
                                             const VectorView<double>& signs, bool in_place) {
  return std::make_shared<SparseSource<float>>(rows, signs, in_place);
}

template class FactoredGram<float>;
template class FactoredGram<double>;

}  // namespace localgd
