// exp of a real, or of all lanes of a register: written so that loops of either become vector code.
#pragma once

#include <bit>
#include <cstdint>

#include "lanes.hpp"

namespace localgd {

namespace detail {

#if defined(__GNUC__)
template <class V>
struct ExpTraits : ExpTraits<std::remove_cvref_t<decltype(V{}[0])>> {  // of a register
  using Real = std::remove_cvref_t<decltype(V{}[0])>;
  typedef typename ExpTraits<Real>::Bits Bits __attribute__((vector_size(sizeof(V))));
};
#else
template <class V>
struct ExpTraits;
#endif

template <>
struct ExpTraits<double> {
  using Real = double;
  using Bits = std::uint64_t;
  static constexpr double lowest = -746.0, highest = 710.0;  // exp is 0 below and inf above
  // 1.5 * 2^52: adding it rounds to an integer
  static constexpr double magic = 6755399441055744.0;
  static constexpr double ln2_high = 6.93147180369123816490e-01;
  static constexpr double ln2_low = 1.90821492927058770002e-10;
  static constexpr int mantissa = 52;
  // Takes the bits of magic + n to n + twice the bias of exponents.
  static constexpr Bits bias = 1023, offset = std::bit_cast<Bits>(magic) - 2 * bias;
  template <class V>
  static V polynomial(V r) {  // minimax, |r| <= ln2 / 2: relative error 3e-18
    const V q = r * r;        // even and odd terms side by side, for the latency
    V even = 0x1.28b311c4abb3bp-22 * q + 0x1.a01992d102296p-16;
    V odd = 0x1.ad661d8a99f75p-26 * q + 0x1.71df4520100a1p-19;
    even = even * q + 0x1.6c16c18781105p-10;
    odd = odd * q + 0x1.a01a0110576fcp-13;
    even = even * q + 0x1.555555554f370p-5;
    odd = odd * q + 0x1.1111111130dd5p-7;
    even = even * q + 0x1.0000000000010p-1;
    odd = odd * q + 0x1.55555555554a2p-3;
    const V rest = odd * r + even;
    return (rest * q + r) + 1.0;
  }
};

template <>
struct ExpTraits<float> {
  using Real = float;
  using Bits = std::uint32_t;
  static constexpr float lowest = -104.0f, highest = 89.0f;
  static constexpr float magic = 12582912.0f;  // 1.5 * 2^23
  static constexpr float ln2_high = 0.693359375f;
  static constexpr float ln2_low = -2.12194440e-4f;
  static constexpr int mantissa = 23;
  static constexpr Bits bias = 127, offset = std::bit_cast<Bits>(magic) - 2 * bias;
  template <class V>
  static V polynomial(V r) {  // minimax: relative error 2e-9
    const V q = r * r;
    V even = 0.0013836846134577057f * q + 0.04166822556692284f;
    const V odd = 0.008374815798301793f * q + 0.16666420169946367f;
    even = even * q + 0.4999999207982802f;
    const V rest = odd * r + even;
    return (rest * q + r) + 1.0f;
  }
};

// x = n ln 2 + r with n = round(x / ln 2); the bits of magic + n.
template <class V>
struct Reduced {
  V r;
  typename ExpTraits<V>::Bits bits;
};
template <class V>
inline Reduced<V> reduce(V x) {
  using T = ExpTraits<V>;
  constexpr auto log2_e = static_cast<typename T::Real>(1.4426950408889634074);
  const V shifted = x * log2_e + T::magic;  // n sits in its low bits
  const V n = shifted - T::magic;
  return {(x - n * T::ln2_high) - n * T::ln2_low, std::bit_cast<typename T::Bits>(shifted)};
}

}  // namespace detail

// exp(x) = 2^n exp(r), n = round(x / ln 2). Branch-free; overflows to inf, keeps NaN, and denormal
// results are right because 2^n is applied in two halves. Accuracy: tests/test_exp.cpp (2 ulp).
template <class V>
inline V exp_lane(V x) {
  using T = detail::ExpTraits<V>;
  using Bits = typename T::Bits;
  const V low = V{} + T::lowest, high = V{} + T::highest;
  x = low > x ? low : x;
  x = high < x ? high : x;
  const auto [r, bits] = detail::reduce(x);
  const Bits both = bits - T::offset;
  const Bits first = both >> 1, second = both - first;  // biased exponents, first + second = n
  return T::polynomial(r) * std::bit_cast<V>(first << T::mantissa) *
         std::bit_cast<V>(second << T::mantissa);
}

// exp(x) for |x| <= 16: neither clamps nor halves, which is half of the time. NaN stays.
template <class V>
inline V exp_bounded(V x) {
  using T = detail::ExpTraits<V>;
  const auto [r, bits] = detail::reduce(x);
  return T::polynomial(r) * std::bit_cast<V>((bits - (T::offset + T::bias)) << T::mantissa);
}

// exp(x) for |x| < ln 2 / 2: exp_bounded() has nothing to reduce there.
template <class V>
inline V exp_unreduced(V x) {
  return detail::ExpTraits<V>::polynomial(x);
}

// (exp(x) - 1) / x close to 0: the first terms of Taylor's series.
template <int terms, class V>
inline V exp_slope(V x) {
  using Real = typename detail::ExpTraits<V>::Real;
  constexpr auto factorial = [](int k) {
    double product = 1;
    for (int i = 2; i <= k; ++i) product *= i;
    return product;
  };
  V p = V{} + static_cast<Real>(1 / factorial(terms));
  for (int k = terms - 1; k > 0; --k) p = p * x + static_cast<Real>(1 / factorial(k));
  return p;
}

// How far exp's argument may be from 0 for how many terms: exp is right to half an ulp, exp - 1 as
// well with one or two more. Up to `unreduced` and `bounded` the exps of that name are right.
template <class Real>
struct ShortExp {
  static constexpr bool wide = sizeof(Real) == 8;
  static constexpr Real moderate = Real(0x1p-3), small = Real(0x1p-6), tiny = Real(0x1p-10);
  static constexpr Real unreduced = Real(0.34), bounded = 16;
  static constexpr int of_small = wide ? 6 : 3, of_tiny = wide ? 4 : 2;
  static constexpr int less_of_moderate = wide ? 11 : 6, less_of_small = wide ? 7 : 4,
                       less_of_tiny = wide ? 5 : 3;
};

// Calls use(exp) with the shortest exp that is right for arguments up to `spread`; false if there
// is none.
template <class Real, class Use>
LOCALGD_IN_PLACE bool with_short_exp(Real spread, Use&& use) {
  using Short = ShortExp<Real>;
  if (spread <= Short::tiny)
    use([](auto x) { return exp_slope<Short::of_tiny>(x) * x + Real(1); });
  else if (spread <= Short::small)
    use([](auto x) { return exp_slope<Short::of_small>(x) * x + Real(1); });
  else if (spread <= Short::unreduced)
    use([](auto x) { return exp_unreduced(x); });
  else if (spread <= Short::bounded)
    use([](auto x) { return exp_bounded(x); });
  else
    return false;
  return true;
}

}  // namespace localgd
