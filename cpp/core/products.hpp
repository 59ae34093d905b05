// Products that do not depend on where the caller's arrays start in memory.
#pragma once

#include "lanes.hpp"

namespace localgd {

// row . w in float64 whatever the row's type, in sixteen running sums whose order is fixed: the same
// bits on every thread and for every alignment.
template <class Real>
double wide_dot(const Real* row, const double* w, Index d) {
  constexpr Index at_once = 16, width = lanes<double>, registers_at_once = at_once / width;
  Register<double> sums[registers_at_once];
  for (auto& sum : sums) sum = Register<double>{};
  Index j = 0;
  for (; j + at_once <= d; j += at_once)
    for (Index r = 0; r < registers_at_once; ++r) {
      double wide[width];
      for (Index l = 0; l < width; ++l) wide[l] = static_cast<double>(row[j + r * width + l]);
      sums[r] += load(wide) * load(w + j + r * width);
    }
  for (Index half = registers_at_once / 2; half > 0; half /= 2)
    for (Index r = 0; r < half; ++r) sums[r] += sums[r + half];
  double sum = sum_of_lanes<double>(sums[0]);
  for (; j < d; ++j) sum += static_cast<double>(row[j]) * w[j];
  return sum;
}

}  // namespace localgd
