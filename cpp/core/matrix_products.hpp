// Products of large matrices, which are Eigen's. They are compiled in one file: each that
// instantiates them takes ten seconds more.
#pragma once

#include "types.hpp"

namespace localgd {

template <class Real>
using RowsRef = Eigen::Ref<const RowMatrix<Real>, 0, Eigen::OuterStride<>>;
template <class Real>
using RowsOut = Eigen::Ref<RowMatrix<Real>, 0, Eigen::OuterStride<>>;
template <class Real>
using ColumnsRef = Eigen::Ref<const Matrix<Real>, 0, Eigen::OuterStride<>>;

// out = a b^T
void multiply_by_rows(const RowsRef<double>& a, const RowsRef<double>& b, RowsOut<double> out);
void multiply_by_rows(const RowsRef<float>& a, const RowsRef<float>& b, RowsOut<float> out);

// a^T x
Matrix<double> weighted_rows(const RowsRef<double>& a, const ColumnsRef<double>& x);

}  // namespace localgd
