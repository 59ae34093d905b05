// Vector registers of reals, for loops that must be vector code whatever the compiler thinks of
// them.
//
// GCC's and Clang's vector types; the width follows the instruction set that the file is compiled
// for. Without them a register is one real.
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>

#if defined(__GNUC__) && (defined(__AVX512F__) || defined(__FMA__))
#include <immintrin.h>
#elif defined(__GNUC__) && defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "types.hpp"

// For kernels that do not depend on the loss: one copy of each, or the build takes twice as long.
// And one that is part of each caller, or what its lambdas capture goes through memory.
#if defined(__clang__)
#define LOCALGD_ONE_COPY __attribute__((noinline))
#elif defined(__GNUC__)
#define LOCALGD_ONE_COPY __attribute__((noinline, noclone))
#else
#define LOCALGD_ONE_COPY
#endif
#if defined(__GNUC__)
#define LOCALGD_IN_PLACE __attribute__((always_inline)) inline
#define LOCALGD_LAMBDA_IN_PLACE __attribute__((always_inline))
#else
#define LOCALGD_LAMBDA_IN_PLACE
#define LOCALGD_IN_PLACE inline
#endif

namespace localgd {

#if defined(__GNUC__)
#if defined(__AVX512F__)
inline constexpr int register_bytes = 64;
inline constexpr int registers = 32;
#elif defined(__AVX__)
inline constexpr int register_bytes = 32;
inline constexpr int registers = 16;
#else
inline constexpr int register_bytes = 16;
inline constexpr int registers = 16;
#endif

namespace detail {
template <class Real>
struct RegisterOf {
  typedef Real type __attribute__((vector_size(register_bytes), aligned(sizeof(Real)), may_alias));
};
}  // namespace detail

template <class Real>
using Register = typename detail::RegisterOf<Real>::type;

namespace detail {
// The two halves of x, one with the other.
template <class Real, class V, class Join>
auto join_halves(V x, Join&& join) {
  typedef Real Half __attribute__((vector_size(sizeof(V) / 2)));
  constexpr std::size_t half = sizeof(Half) / sizeof(Real);
  return [&]<std::size_t... l>(std::index_sequence<l...>) -> Half {
    return join(Half{x[l]...}, Half{x[half + l]...});
  }(std::make_index_sequence<half>{});
}

// The lanes of x brought together in pairs, halves of halves, so that few wait for each other.
template <class Real, class V, class Join>
Real join_lanes(V x, Join&& join) {
  if constexpr (sizeof(V) <= 16) {
    Real all = x[0];
    for (std::size_t l = 1; l < sizeof(V) / sizeof(Real); ++l) all = join(all, x[l]);
    return all;
  } else {
    return join_lanes<Real>(join_halves<Real>(x, join), join);
  }
}

// As many floats as a register has doubles.
typedef float Floats
    __attribute__((vector_size(register_bytes / 2), aligned(sizeof(float)), may_alias));

inline Register<double> in_doubles(Floats x) {
#if defined(__AVX512F__)
  // GCC 12 makes four instructions of what is below
  return (Register<double>)_mm512_cvtps_pd((__m256)x);
#else
  return __builtin_convertvector(x, Register<double>);
#endif
}
}  // namespace detail

template <class Real, class V>
Real largest_lane(V x) {
  return detail::join_lanes<Real>(x, [](auto a, auto b) { return b > a ? b : a; });
}
template <class Real, class V>
Real lane(V x, std::size_t l) {
  return x[l];
}
template <class Real>
Real sum_of_lanes(Register<Real> x) {
  return detail::join_lanes<Real>(x, [](auto a, auto b) { return a + b; });
}

namespace detail {
// The sums of neighbours in a, and then of those in b.
template <class V>
LOCALGD_IN_PLACE V sums_of_pairs(V a, V b) {
  constexpr std::size_t width = sizeof(V) / sizeof(a[0]);
  return [&]<std::size_t... l>(std::index_sequence<l...>) LOCALGD_LAMBDA_IN_PLACE {
    const auto from = [&](std::size_t i)
                          LOCALGD_LAMBDA_IN_PLACE { return i < width ? a[i] : b[i - width]; };
    return V{from(2 * l)...} + V{from(2 * l + 1)...};
  }(std::make_index_sequence<width>{});
}

// Until each sum is in one lane: that of x_i in the i-th, from x_0 on.
template <int parts, int count, class Real>
LOCALGD_IN_PLACE void sum_lanes(Register<Real>* x) {
  if constexpr (parts > 1) {
    for (int i = 0; i < count / 2; ++i) x[i] = sums_of_pairs(x[2 * i], x[2 * i + 1]);
    if constexpr (count == 1) x[0] = sums_of_pairs(x[0], x[0]);
    sum_lanes<parts / 2, std::max(count / 2, 1), Real>(x);
  }
}
}  // namespace detail

// y_i += the sum of the lanes of x_i, of a power of two of them at once. The x are used up.
template <class Real, int count>
LOCALGD_IN_PLACE void add_sums_of_lanes(Register<Real> (&x)[count], Real* y) {
  constexpr int width = static_cast<int>(sizeof(Register<Real>) / sizeof(Real));
  detail::sum_lanes<width, count, Real>(x);
  for (int i = 0; i < count; ++i) y[i] += x[i / width][i % width];
}
#else
inline constexpr int registers = 16;

template <class Real>
using Register = Real;

template <class Real>
Real largest_lane(Real x) {
  return x;
}
template <class Real>
Real lane(Real x, std::size_t) {
  return x;
}
template <class Real>
Real sum_of_lanes(Real x) {
  return x;
}
template <class Real, int count>
void add_sums_of_lanes(const Real (&x)[count], Real* y) {
  for (int i = 0; i < count; ++i) y[i] += x[i];
}
#endif

// x y + z, rounded once where the processor has an instruction for it and twice elsewhere, for one
// number and for every lane of a register alike. What a compiler makes of `x * y + z` depends on
// what is around it; where a result must not, it is written so.
template <class Real>
LOCALGD_IN_PLACE Real multiply_add(Real x, Real y, Real z)
  requires std::is_floating_point_v<Real>
{
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  return std::fma(x, y, z);
#else
  return x * y + z;
#endif
}
#if defined(__GNUC__)
LOCALGD_IN_PLACE Register<double> multiply_add(Register<double> x, Register<double> y,
                                               Register<double> z) {
#if defined(__AVX512F__)
  return (Register<double>)_mm512_fmadd_pd((__m512d)x, (__m512d)y, (__m512d)z);
#elif defined(__FMA__)
  return (Register<double>)_mm256_fmadd_pd((__m256d)x, (__m256d)y, (__m256d)z);
#elif defined(__aarch64__)
  return (Register<double>)vfmaq_f64((float64x2_t)z, (float64x2_t)x, (float64x2_t)y);
#else
  return x * y + z;
#endif
}
LOCALGD_IN_PLACE Register<float> multiply_add(Register<float> x, Register<float> y,
                                              Register<float> z) {
#if defined(__AVX512F__)
  return (Register<float>)_mm512_fmadd_ps((__m512)x, (__m512)y, (__m512)z);
#elif defined(__FMA__)
  return (Register<float>)_mm256_fmadd_ps((__m256)x, (__m256)y, (__m256)z);
#elif defined(__aarch64__)
  return (Register<float>)vfmaq_f32((float32x4_t)z, (float32x4_t)x, (float32x4_t)y);
#else
  return x * y + z;
#endif
}
#endif

template <class Real>
inline constexpr Index lanes = static_cast<Index>(sizeof(Register<Real>) / sizeof(Real));

// n rounded up to whole registers.
template <class Real>
constexpr Index padded(Index n) {
  return (n + lanes<Real> - 1) / lanes<Real> * lanes<Real>;
}

template <class Real>
Register<Real> load(const Real* x) {
  return *reinterpret_cast<const Register<Real>*>(x);
}
template <class Real>
void store(Real* x, Register<Real> value) {
  *reinterpret_cast<Register<Real>*>(x) = value;
}

// lanes<To> numbers from x on, as To: their own type, or float64.
template <class To, class From>
Register<To> load_as(const From* x) {
  if constexpr (std::is_same_v<To, From>)
    return load(x);
  else
#if defined(__GNUC__)
    return detail::in_doubles(*reinterpret_cast<const detail::Floats*>(x));
#else
    return static_cast<To>(*x);
#endif
}

// x in float64: of twice as many lanes each is the sum of one from each half.
template <class Real>
Register<double> in_wide_lanes(Register<Real> x) {
#if defined(__GNUC__)
  if constexpr (std::is_same_v<Real, float>)
    return detail::in_doubles(detail::join_halves<float>(x, [](auto a, auto b) { return a + b; }));
  else
#endif
    return x;
}

// x in every lane: x - 0 is x, also for -0, and no compiler takes it.
template <class Real>
Register<Real> all_lanes(Real x) {
  return x - Register<Real>{};
}

// Few reals, a power of two of them and no more than a register has, in as little of one as there
// is.
#if defined(__GNUC__)
namespace detail {
template <class Real, int count>
struct FewOf {
  static constexpr std::size_t bytes = std::max<std::size_t>(count * sizeof(Real), 16);
  typedef Real type __attribute__((vector_size(bytes), aligned(sizeof(Real)), may_alias));
};
}  // namespace detail
template <class Real, int count>
using Few = typename detail::FewOf<Real, count>::type;
#else
template <class Real, int>
using Few = Real;
#endif

// x at some positions; lanes beyond repeat them.
template <int count, class Real, class Position>
Few<Real, count> gather(const Real* x, const Position* positions) {
  if constexpr (count == 1) {
    return x[positions[0]] - Few<Real, 1>{};
  } else {
    return [&]<std::size_t... l>(std::index_sequence<l...>) {
      return Few<Real, count>{x[positions[l % count]]...};
    }(std::make_index_sequence<sizeof(Few<Real, count>) / sizeof(Real)>{});
  }
}

// The largest |x|.
template <int count, class Real, class V>
LOCALGD_IN_PLACE Real largest_of_few(V x) {
  if constexpr (count == 1) {
    return std::abs(lane<Real>(x, 0));
  } else {
    const V turned = -x;
    return largest_lane<Real>(x > turned ? x : turned);
  }
}

// The first lanes.
template <int count, class Real, class V>
LOCALGD_IN_PLACE void store_few(Real* x, V value) {
  if constexpr (count == 1)
    *x = lane<Real>(value, 0);
  else if constexpr (count * sizeof(Real) == sizeof(V))
    *reinterpret_cast<Few<Real, count>*>(x) = value;
  else
    for (int l = 0; l < count; ++l) x[l] = value[l];
}

// body(i) for i < count, which is a type: what a body keeps in arrays stays in registers, where the
// compiler unrolls a loop too late for that.
template <int count, class Body>
LOCALGD_IN_PLACE void unrolled([[maybe_unused]] Body&& body) {
  [&]<int... i>(std::integer_sequence<int, i...>) {
    (body(std::integral_constant<int, i>{}), ...);
  }(std::make_integer_sequence<int, count>{});
}

// body(size) for a size of 1 to `most`; a size is a type.
template <int most, class Body>
LOCALGD_IN_PLACE void with_size(Index n, Body&& body) {
  if constexpr (most > 1)
    if (n < most) return with_size<most - 1>(n, body);
  body(std::integral_constant<int, most>{});
}

// Calls body(first, size) for pieces of the given sizes, the largest first; a size is a type.
template <int... sizes, class Body>
LOCALGD_IN_PLACE void in_pieces(Index n, Body&& body) {
  Index first = 0;
  const auto pieces_of = [&](auto size) {
    for (; first + size.value <= n; first += size.value) body(first, size);
  };
  (pieces_of(std::integral_constant<int, sizes>{}), ...);
}

// In pieces of as many as Few has room for.
template <class Real, class Body>
LOCALGD_IN_PLACE void in_few_pieces(Index n, Body&& body) {
  if constexpr (lanes<Real> >= 8)
    in_pieces<8, 4, 2, 1>(n, body);
  else if constexpr (lanes<Real> == 4)
    in_pieces<4, 2, 1>(n, body);
  else if constexpr (lanes<Real> == 2)
    in_pieces<2, 1>(n, body);
  else
    in_pieces<1>(n, body);
}

}  // namespace localgd
