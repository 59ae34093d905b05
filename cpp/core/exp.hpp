// exp over arrays, written so that the compiler turns the loop into vector code.
#pragma once

#include <bit>
#include <cstdint>

#include "types.hpp"

namespace localgd {

namespace detail {

template <class Real>
struct ExpTraits;

template <>
struct ExpTraits<double> {
  using Bits = std::uint64_t;
  static constexpr double lowest = -746.0, highest = 710.0;  // exp is 0 below and inf above
  static constexpr double magic = 6755399441055744.0;        // 1.5 * 2^52: adding it rounds to an integer
  static constexpr double ln2_high = 6.93147180369123816490e-01;
  static constexpr double ln2_low = 1.90821492927058770002e-10;
  static constexpr int mantissa = 52;
  static constexpr Bits bias = Bits{1023} << 52;
  static double polynomial(double r) {  // Taylor, |r| <= ln2 / 2: remainder 4e-18
    double p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    return p * r + 1.0;
  }
};

template <>
struct ExpTraits<float> {
  using Bits = std::uint32_t;
  static constexpr float lowest = -104.0f, highest = 89.0f;
  static constexpr float magic = 12582912.0f;  // 1.5 * 2^23
  static constexpr float ln2_high = 0.693359375f;
  static constexpr float ln2_low = -2.12194440e-4f;
  static constexpr int mantissa = 23;
  static constexpr Bits bias = Bits{127} << 23;
  static float polynomial(float r) {  // remainder 5e-9
    float p = 1.0f / 5040.0f;
    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    return p * r + 1.0f;
  }
};

}  // namespace detail

// exp(x) = 2^n exp(r), n = round(x / ln 2). Branch-free; overflows to inf, keeps NaN, and denormal
// results are right because 2^n is applied in two halves. Accuracy: tests/test_exp.cpp (2 ulp).
template <class Real>
inline Real exp_lane(Real x) {
  using T = detail::ExpTraits<Real>;
  constexpr Real log2_e = static_cast<Real>(1.4426950408889634074);
  x = x < T::lowest ? T::lowest : x;
  x = x > T::highest ? T::highest : x;
  const Real n = (x * log2_e + T::magic) - T::magic;
  const Real r = (x - n * T::ln2_high) - n * T::ln2_low;
  const Real first = n * Real(0.5) + T::magic;
  const Real second = (n - (first - T::magic)) + T::magic;
  const auto power = [](Real shifted) {  // 2^k from magic + k: k sits in the low bits
    return std::bit_cast<Real>((std::bit_cast<typename T::Bits>(shifted) << T::mantissa) + T::bias);
  };
  return T::polynomial(r) * power(first) * power(second);
}

}  // namespace localgd
