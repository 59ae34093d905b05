#include "matrix_products.hpp"

namespace localgd {

namespace {
// Eigen cuts its products by the sizes of the caches that it finds, and with them its sums. The
// same sizes everywhere: bits must not depend on the machine.
[[maybe_unused]] const bool same_everywhere = [] {
  Eigen::setCpuCacheSizes(32 << 10, 1 << 20, 8 << 20);
  return true;
}();
}  // namespace

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
