// Rows one after the other: the caller's own array in float64, a copy in float32.
#pragma once

#include "../blocks/tiles.hpp"
#include "../data.hpp"
#include "../pages.hpp"
#include "../products.hpp"
#include "../steps/row_products.hpp"
#include "rows.hpp"

namespace localgd {

template <class Real>
class DenseRows final : public Rows<Real> {
 public:
  explicit DenseRows(const Data& data)
      : copy_(in_real(data.rows)),
        view_(copy_.size() ? copy_.data() : source(data.rows), data.samples(), data.features()) {}

  // Of the caller's rows, which must outlive them.
  explicit DenseRows(const RowsView<Real>& rows) : view_(rows) {}

  Index count() const override { return view_.rows(); }
  Index features() const override { return view_.cols(); }
  const DenseRows* dense() const override { return this; }
  RowsView<Real> view(Range i) const {
    return RowsView<Real>(view_.data() + i.first * view_.cols(), i.count, view_.cols());
  }

  void copy(Range i, RowsOut<Real> out) const override { out = view(i); }
  void gram(Range i, Range j, RowsOut<Real> out) const override {
    multiply_by_rows(view(i), view(j), out);
  }

  void dots(Range i, const double* w, Index outputs, double* m) const override {
    if (outputs < several_columns) return dots_by_columns(i, w, outputs, m);
    const auto a = view(i);
    if constexpr (!std::is_same_v<Real, double> && registers >= 32)
      return multiply_rows(a.data(), a.rows(), a.cols(), outputs, w, m, a.rows());
    std::fill_n(m, a.rows() * outputs, 0.0);
    add_product_by_tiles(a.data(), a.rows(), a.cols(), a.cols(), w, outputs, a.cols(), 1.0, m,
                         a.rows());
  }
  void rounded_dots(Range i, const double* w, Index outputs, Real* m) const override {
    if constexpr (std::is_same_v<Real, double>)
      dots(i, w, outputs, m);
    else
      dots_by_columns(i, w, outputs, m);
  }

  void multiply(Range i, const Real* x, Index outputs, Real* m) const override {
    const auto a = view(i);
    multiply_rows(a.data(), a.rows(), a.cols(), outputs, x, m, a.rows());
  }
  void add(Range i, const Real* e, Index outputs, Real* g) const override {
    const auto a = view(i);
    add_weighted_rows(a.data(), a.rows(), a.cols(), outputs, e, a.rows(), g);
  }

 private:
  template <class Number>
  void dots_by_columns(Range i, const double* w, Index outputs, Number* m) const {
    const auto a = view(i);
    for (Index c = 0; c < outputs; ++c, w += a.cols(), m += a.rows())
      in_pieces<2, 1>(a.rows(), [&](Index j, auto R) {
        double dots[R];
        wide_dots<R>(a.data() + j * a.cols(), w, a.cols(), dots);
        for (int r = 0; r < R; ++r) m[j + r] = static_cast<Number>(dots[r]);
      });
  }

  static LargeArray<Real> in_real(const RowsView<double>& rows) {
    if constexpr (std::is_same_v<Real, double>) {
      return {};
    } else {
      LargeArray<Real> copy(rows.size());
      Eigen::Map<RowMatrix<Real>>(copy.data(), rows.rows(), rows.cols()) =
          rows.template cast<Real>();
      return copy;
    }
  }
  static const Real* source(const RowsView<double>& rows) {
    if constexpr (std::is_same_v<Real, double>) return rows.data();
    return nullptr;
  }
  LargeArray<Real> copy_;
  RowsView<Real> view_;
};

template <class Real>
std::unique_ptr<const Rows<Real>> make_rows(const Data& data) {
  return std::make_unique<DenseRows<Real>>(data);
}

}  // namespace localgd
