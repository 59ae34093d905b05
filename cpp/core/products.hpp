// Products that do not depend on where the caller's arrays start in memory.
#pragma once

#include "lanes.hpp"

namespace localgd {

namespace detail {

// lanes<double> reals from x on, in float64.
template <class Real>
Register<double> wide(const Real* x) {
  if constexpr (std::is_same_v<Real, double>) {
    return load(x);
  } else {
    double values[lanes<double>];
    for (Index l = 0; l < lanes<double>; ++l) values[l] = static_cast<double>(x[l]);
    return load(values);
  }
}

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

// row . w in float64 whatever the row's type, in sixteen running sums whose order is fixed: the same
// bits on every thread and for every alignment.
template <class Real>
double wide_dot(const Real* row, const double* w, Index d) {
  constexpr Index at_once = 16, width = lanes<double>;
  constexpr int count = static_cast<int>(at_once / width);
  Register<double> sums[count];
  for (int r = 0; r < count; ++r) sums[r] = Register<double>{};
  Index j = 0;
  for (; j + at_once <= d; j += at_once)
    for (int r = 0; r < count; ++r) sums[r] += detail::wide(row + j + r * width) * load(w + j + r * width);
  double sum = sum_of_lanes<double>(detail::pairwise<count>(sums));
  for (; j < d; ++j) sum += static_cast<double>(row[j]) * w[j];
  return sum;
}

}  // namespace localgd
