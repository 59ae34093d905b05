// Sums of some of a few numbers, of which a permutation picks those of many places at once: two
// registers of 2^(bits - 1) numbers hold all sums of `bits` of them.
#pragma once

#include <cstdint>

#include "../lanes.hpp"

namespace localgd {

#if defined(__AVX512F__) && defined(__GNUC__)
template <class Real>
inline constexpr int mask_bits = sizeof(Real) == sizeof(float) ? 5 : 4;

namespace detail {
template <class Real>
struct ChoicesOf {
  using Number = std::conditional_t<sizeof(Real) == 4, std::int32_t, std::int64_t>;
  typedef Number type __attribute__((vector_size(64), aligned(sizeof(Real)), may_alias));
};
}  // namespace detail
template <class Real>
using Choices = typename detail::ChoicesOf<Real>::type;

// The sums of a few numbers: those with the last of them in the second register.
template <class Real>
struct MaskTable {
  Register<Real> without, with;
};

// Of each lane the sum of those numbers whose bits are 1; higher bits do not count.
LOCALGD_IN_PLACE Register<float> pick(const MaskTable<float>& table, Choices<float> choices) {
  return (Register<float>)_mm512_permutex2var_ps((__m512)table.without, (__m512i)choices,
                                                 (__m512)table.with);
}
LOCALGD_IN_PLACE Register<double> pick(const MaskTable<double>& table, Choices<double> choices) {
  return (Register<double>)_mm512_permutex2var_pd((__m512d)table.without, (__m512i)choices,
                                                  (__m512d)table.with);
}

// x_0 to x_(bits - 1), added in this order.
LOCALGD_IN_PLACE MaskTable<float> mask_table(const float* x) {
  __m512 sums = _mm512_maskz_mov_ps(0xaaaa, _mm512_set1_ps(x[0]));
  sums = _mm512_mask_add_ps(sums, 0xcccc, sums, _mm512_set1_ps(x[1]));
  sums = _mm512_mask_add_ps(sums, 0xf0f0, sums, _mm512_set1_ps(x[2]));
  sums = _mm512_mask_add_ps(sums, 0xff00, sums, _mm512_set1_ps(x[3]));
  return {(Register<float>)sums, (Register<float>)_mm512_add_ps(sums, _mm512_set1_ps(x[4]))};
}
LOCALGD_IN_PLACE MaskTable<double> mask_table(const double* x) {
  __m512d sums = _mm512_maskz_mov_pd(0xaa, _mm512_set1_pd(x[0]));
  sums = _mm512_mask_add_pd(sums, 0xcc, sums, _mm512_set1_pd(x[1]));
  sums = _mm512_mask_add_pd(sums, 0xf0, sums, _mm512_set1_pd(x[2]));
  return {(Register<double>)sums, (Register<double>)_mm512_add_pd(sums, _mm512_set1_pd(x[3]))};
}
#endif

}  // namespace localgd
