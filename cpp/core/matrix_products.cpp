#include "matrix_products.hpp"

namespace localgd {

void multiply_by_rows(const RowsRef<double>& a, const RowsRef<double>& b, RowsOut<double> out) {
  out.noalias() = a * b.transpose();
}
void multiply_by_rows(const RowsRef<float>& a, const RowsRef<float>& b, RowsOut<float> out) {
  out.noalias() = a * b.transpose();
}

Matrix<double> weighted_rows(const RowsRef<double>& a, const ColumnsRef<double>& x) {
  return a.transpose() * x;
}

}  // namespace localgd
