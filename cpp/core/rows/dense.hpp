// Rows one after the other: the caller's own array if it is in Real, otherwise a copy.
#pragma once

#include "../blocks/tiles.hpp"
#include "../pages.hpp"
#include "../products.hpp"
#include "../steps/row_products.hpp"
#include "rows.hpp"

namespace localgd {

template <class Real>
class DenseRows final : public Rows<Real> {
 public:
  // Of the caller's rows, which must outlive them. signs: one for each row, or empty.
  explicit DenseRows(const RowsView<Real>& rows,
                     const VectorView<double>& signs = VectorView<double>(nullptr, 0))
      : signs_(signs.template cast<Real>()), view_(rows) {}
  template <class Stored>
  DenseRows(const RowsView<Stored>& rows, const VectorView<double>& signs)
      : signs_(signs.template cast<Real>()),
        copy_(rows.size()),
        view_(copy_.data(), rows.rows(), rows.cols()) {
    Eigen::Map<RowMatrix<Real>>(copy_.data(), rows.rows(), rows.cols()) =
        rows.template cast<Real>();
  }

  Index count() const override { return view_.rows(); }
  Index features() const override { return view_.cols(); }
  DenseBlock<Real> dense(Range i) const override { return {view(i), signs(i)}; }

  void copy(Range i, RowsOut<Real> out) const override {
    out = view(i);
    if (const Real* own = signs(i)) out.array().colwise() *= Signs(own, i.count);
  }
  void gram(Range i, Range j, RowsOut<Real> out) const override {
    multiply_by_rows(view(i), view(j), out);
    if (!signs(i)) return;
    out.array().colwise() *= Signs(signs(i), i.count);
    out.array().rowwise() *= Signs(signs(j), j.count).transpose();
  }

  void dots(Range i, const double* w, Index outputs, double* m) const override {
    unsigned_dots(i, w, outputs, m);
    turn(i, outputs, m);
  }
  void rounded_dots(Range i, const double* w, Index outputs, Real* m) const override {
    if constexpr (std::is_same_v<Real, double>)
      unsigned_dots(i, w, outputs, m);
    else
      dots_by_columns(i, w, outputs, m);
    turn(i, outputs, m);
  }

  void multiply(Range i, const Real* x, Index outputs, Real* m) const override {
    const auto a = view(i);
    multiply_rows(a.data(), a.rows(), a.cols(), outputs, x, m, a.rows());
    turn(i, outputs, m);
  }
  void add(Range i, const Real* e, Index outputs, Real* g) const override {
    const auto a = view(i);
    if (!signs(i)) return add_weighted_rows(a.data(), a.rows(), a.cols(), outputs, e, a.rows(), g);
    constexpr Index at_once = 256;  // whole groups of the product
    Real turned[at_once];
    for (Index c = 0; c < outputs; ++c, e += a.rows(), g += a.cols())
      for (Index first = 0; first < a.rows(); first += at_once) {
        const Index rows = std::min(at_once, a.rows() - first);
        for (Index j = 0; j < rows; ++j) turned[j] = signs(i)[first + j] * e[first + j];
        add_weighted_rows(a.data() + first * a.cols(), rows, a.cols(), 1, turned, rows, g);
      }
  }

 private:
  using Signs = Eigen::Map<const Eigen::Array<Real, Eigen::Dynamic, 1>>;

  RowsView<Real> view(Range i) const {
    return RowsView<Real>(view_.data() + i.first * view_.cols(), i.count, view_.cols());
  }
  const Real* signs(Range i) const { return signs_.size() ? signs_.data() + i.first : nullptr; }
  template <class Number>
  void turn(Range i, Index outputs, Number* m) const {
    const Real* own = signs(i);
    if (!own) return;
    for (Index c = 0; c < outputs; ++c, m += i.count)
      for (Index j = 0; j < i.count; ++j) m[j] *= static_cast<Number>(own[j]);
  }

  void unsigned_dots(Range i, const double* w, Index outputs, double* m) const {
    if (outputs < several_columns) return dots_by_columns(i, w, outputs, m);
    const auto a = view(i);
    if constexpr (!std::is_same_v<Real, double> && registers >= 32)
      return multiply_rows(a.data(), a.rows(), a.cols(), outputs, w, m, a.rows());
    std::fill_n(m, a.rows() * outputs, 0.0);
    add_product_by_tiles(a.data(), a.rows(), a.cols(), a.cols(), w, outputs, a.cols(), 1.0, m,
                         a.rows());
  }
  template <class Number>
  void dots_by_columns(Range i, const double* w, Index outputs, Number* m) const {
    const auto a = view(i);
    for (Index c = 0; c < outputs; ++c, w += a.cols(), m += a.rows())
      in_pieces<most_wide_rows, 2, 1>(a.rows(), [&](Index j, auto R) {
        double dots[R];
        wide_dots<R>(a.data() + j * a.cols(), w, a.cols(), dots);
        for (int r = 0; r < R; ++r) m[j + r] = static_cast<Number>(dots[r]);
      });
  }

  const Vector<Real> signs_;  // or empty
  LargeArray<Real> copy_;
  RowsView<Real> view_;
};

}  // namespace localgd
