// Products that do not depend on where the caller's arrays start in memory.
#pragma once

#include "lanes.hpp"
#include "types.hpp"

namespace localgd {

// Whether none is inf or NaN.
bool all_finite(const double* x, Index count);

// How many rows wide_dots() takes at once: those whose sums stay in registers.
inline constexpr int most_wide_rows = lanes<double> >= 8 ? 4 : 2;

// R rows (most_wide_rows, 2 or 1) times w, each as wide_dot() has it: what is read of w serves all
// of them.
template <int R, class Real>
void wide_dots(const Real* rows, const double* w, Index d, double* out);

// row . w in float64 whatever the row's type, in sixteen running sums whose order is fixed: the
// same bits on every thread and for every alignment.
template <class Real>
double wide_dot(const Real* row, const double* w, Index d) {
  double sum;
  wide_dots<1>(row, w, d, &sum);
  return sum;
}

// |row|, which neither under- nor overflows.
template <class Real>
double norm_of(const Real* row, Index d);

// Element by element, each product and each sum rounded by itself: out = a x, out += a x.
template <class Real>
void scale(double a, const Real* x, Index count, double* out);
template <class Real>
void add_scaled(double a, const Real* x, Index count, double* out);

}  // namespace localgd
