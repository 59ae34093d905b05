// Products that do not depend on where the caller's arrays start in memory.
#pragma once

#include "lanes.hpp"

namespace localgd {

namespace detail {

// The sum of `count` registers, in pairs.
template <int count>
Register<double> pairwise(const Register<double>* x) {
  if constexpr (count == 1) {
    return *x;
  } else {
    return pairwise<count / 2>(x) + pairwise<count / 2>(x + count / 2);
  }
}

}  // namespace detail

// Whether none is inf or NaN: 0 times one of these is NaN, and so is the sum.
inline bool all_finite(const double* x, Index count) {
  constexpr Index width = lanes<double>;
  Register<double> sums[2]{};
  Index j = 0;
  for (; j + 2 * width <= count; j += 2 * width)
    for (int v = 0; v < 2; ++v) sums[v] += Register<double>{} * load(x + j + v * width);
  double sum = sum_of_lanes<double>(sums[0] + sums[1]);
  for (; j < count; ++j) sum += 0.0 * x[j];
  return sum == 0;
}

// R rows times w, each as wide_dot() has it: what is read of w serves all of them.
template <int R, class Real>
void wide_dots(const Real* rows, const double* w, Index d, double* out) {
  constexpr Index at_once = 16, width = lanes<double>;
  constexpr int count = static_cast<int>(at_once / width);
  Register<double> sums[R][count];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < count; ++v) sums[r][v] = Register<double>{};
  Index j = 0;
  for (; j + at_once <= d; j += at_once)
    for (int v = 0; v < count; ++v) {
      const Register<double> entries = load(w + j + v * width);
      for (int r = 0; r < R; ++r)
        sums[r][v] += load_as<double>(rows + r * d + j + v * width) * entries;
    }
  for (int r = 0; r < R; ++r) out[r] = sum_of_lanes<double>(detail::pairwise<count>(sums[r]));
  for (; j < d; ++j)
    for (int r = 0; r < R; ++r) out[r] += static_cast<double>(rows[r * d + j]) * w[j];
}

// row . w in float64 whatever the row's type, in sixteen running sums whose order is fixed: the
// same bits on every thread and for every alignment.
template <class Real>
double wide_dot(const Real* row, const double* w, Index d) {
  double sum;
  wide_dots<1>(row, w, d, &sum);
  return sum;
}

}  // namespace localgd
