// Products that do not depend on where the caller's arrays start in memory.
#pragma once

#include "types.hpp"

namespace localgd {

// row . w in float64 whatever the row's type, in sixteen running sums whose order is fixed: the same
// bits on every thread and for every alignment.
template <class Real>
double wide_dot(const Real* row, const double* w, Index d) {
  constexpr Index lanes = 16;
  double sums[lanes] = {};
  Index j = 0;
  for (; j + lanes <= d; j += lanes)
    for (Index l = 0; l < lanes; ++l) sums[l] += static_cast<double>(row[j + l]) * w[j + l];
  for (Index l = 0; j < d; ++j, ++l) sums[l] += static_cast<double>(row[j]) * w[j];
  for (Index half = lanes / 2; half > 0; half /= 2)
    for (Index l = 0; l < half; ++l) sums[l] += sums[l + half];
  return sums[0];
}

}  // namespace localgd
