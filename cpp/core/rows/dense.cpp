#include "dense.hpp"

namespace localgd {

namespace {

template <class Stored>
class DenseSource final : public RowSource {
 public:
  DenseSource(const RowsView<Stored>& rows, const VectorView<double>& signs)
      : rows_(rows), signs_(signs) {
    if (signs.size() && signs.size() != rows.rows())
      throw std::invalid_argument("signs: want one for each row");
  }

  Index count() const override { return rows_.rows(); }
  Index features() const override { return rows_.cols(); }
  Index entries_before(Index j) const override { return j * features(); }
  bool sparse() const override { return false; }

  void dots(Range i, const double* w, Index outputs, double* m) const override {
    for (Index c = 0; c < outputs; ++c, w += features(), m += i.count) {
      in_pieces<most_wide_rows, 2, 1>(
          i.count, [&](Index j, auto R) { wide_dots<R>(row(i.first + j), w, features(), m + j); });
      for (Index j = 0; signs_.size() && j < i.count; ++j) m[j] *= signs_[i.first + j];
    }
  }

  Matrix<double> combine(Range i, const ColumnsRef<double>& x) const override {
    if (!signs_.size()) return unsigned_combine(i, x);
    const auto signs = signs_.segment(i.first, i.count);
    return unsigned_combine(i, (x.array().colwise() * signs.array()).matrix());
  }

  void gram(Range i, RowMatrix<double>& out) const override {
    const auto a = in_double(i);
    out.resize(i.count, i.count);
    multiply_by_rows(a, a, out);
    if (!signs_.size()) return;
    const auto signs = signs_.segment(i.first, i.count);
    out = signs.asDiagonal() * out * signs.asDiagonal();
  }

  double norm(Index j) const override { return norm_of(row(j), features()); }

  void make(std::unique_ptr<const Rows<float>>& rows, const std::vector<Index>&) const override {
    make_dense(rows);
  }
  void make(std::unique_ptr<const Rows<double>>& rows, const std::vector<Index>&) const override {
    make_dense(rows);
  }

 private:
  const Stored* row(Index j) const { return rows_.data() + j * features(); }

  // The caller's own, or a copy.
  auto in_double(Range i) const {
    const RowsView<Stored> own(row(i.first), i.count, features());
    if constexpr (std::is_same_v<Stored, double>)
      return own;
    else
      return RowMatrix<double>(own.template cast<double>());
  }

  Matrix<double> unsigned_combine(Range i, const ColumnsRef<double>& x) const {
    if (i.count == 1) {
      Matrix<double> out(features(), x.cols());
      for (Index c = 0; c < x.cols(); ++c)
        scale(x(0, c), row(i.first), features(), out.col(c).data());
      return out;
    }
    if constexpr (std::is_same_v<Stored, double>) {
      return weighted_rows(in_double(i), x);
    } else {  // some rows at a time, so that no copy of all of them is made
      const Index at_once = std::max<Index>(64, (Index{1} << 18) / std::max<Index>(1, features()));
      Matrix<double> out = Matrix<double>::Zero(features(), x.cols());
      for (Index first = 0; first < i.count; first += at_once) {
        const Index rows = std::min(at_once, i.count - first);
        out += weighted_rows(in_double({i.first + first, rows}), x.middleRows(first, rows));
      }
      return out;
    }
  }

  template <class Real>
  void make_dense(std::unique_ptr<const Rows<Real>>& rows) const {
    rows = std::make_unique<DenseRows<Real>>(rows_, signs_);
  }

  const RowsView<Stored> rows_;
  const VectorView<double> signs_;
};

}  // namespace

std::shared_ptr<const RowSource> dense_rows(const RowsView<double>& rows,
                                            const VectorView<double>& signs) {
  return std::make_shared<DenseSource<double>>(rows, signs);
}
std::shared_ptr<const RowSource> dense_rows(const RowsView<float>& rows,
                                            const VectorView<double>& signs) {
  return std::make_shared<DenseSource<float>>(rows, signs);
}

void products_of_rows(const RowSource& rows, const Matrix<double>& w, Matrix<double>& m) {
  m.resize(rows.count(), w.cols());
  rows.dots(rows.all(), w.data(), w.cols(), m.data());
}

}  // namespace localgd
