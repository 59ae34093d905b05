#include "products.hpp"

namespace localgd {

namespace {

// The sum of `count` registers, in pairs.
template <int count>
Register<double> pairwise(const Register<double>* x) {
  if constexpr (count == 1) {
    return *x;
  } else {
    return pairwise<count / 2>(x) + pairwise<count / 2>(x + count / 2);
  }
}

}  // namespace

// 0 times inf or NaN is NaN, and so is the sum.
bool all_finite(const double* x, Index count) {
  constexpr Index width = lanes<double>;
  Register<double> sums[2]{};
  Index j = 0;
  for (; j + 2 * width <= count; j += 2 * width)
    for (int v = 0; v < 2; ++v) sums[v] += Register<double>{} * load(x + j + v * width);
  double sum = sum_of_lanes<double>(sums[0] + sums[1]);
  for (; j < count; ++j) sum += 0.0 * x[j];
  return sum == 0;
}

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
        sums[r][v] =
            multiply_add(load_as<double>(rows + r * d + j + v * width), entries, sums[r][v]);
    }
  for (int r = 0; r < R; ++r) out[r] = sum_of_lanes<double>(pairwise<count>(sums[r]));
  for (; j < d; ++j)
    for (int r = 0; r < R; ++r)
      out[r] = multiply_add(static_cast<double>(rows[r * d + j]), w[j], out[r]);
}

template <class Real>
double norm_of(const Real* row, Index d) {
  constexpr double least = 1e-280, most = 1e280;  // of squares that have lost nothing
  const auto entries = VectorView<Real>(row, d).template cast<double>();
  const double squares = entries.squaredNorm();
  return squares > least && squares < most ? std::sqrt(squares) : entries.stableNorm();
}

template <class Real>
void scale(double a, const Real* x, Index count, double* out) {
  for (Index j = 0; j < count; ++j) out[j] = a * static_cast<double>(x[j]);
}

template <class Real>
void add_scaled(double a, const Real* x, Index count, double* out) {
  for (Index j = 0; j < count; ++j) out[j] += a * static_cast<double>(x[j]);
}

template double norm_of(const double*, Index);
template double norm_of(const float*, Index);
template void wide_dots<1>(const double*, const double*, Index, double*);
template void wide_dots<2>(const double*, const double*, Index, double*);
template void wide_dots<1>(const float*, const double*, Index, double*);
template void wide_dots<2>(const float*, const double*, Index, double*);
template void wide_dots<4>(const double*, const double*, Index, double*);
template void wide_dots<4>(const float*, const double*, Index, double*);
template void scale(double, const double*, Index, double*);
template void scale(double, const float*, Index, double*);
template void add_scaled(double, const double*, Index, double*);
template void add_scaled(double, const float*, Index, double*);

}  // namespace localgd
