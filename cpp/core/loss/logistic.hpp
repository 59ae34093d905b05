// l(m) = log(1 + exp(-m)), stable in both tails.
#pragma once

#include <cmath>

#include "../exp.hpp"
#include "facts.hpp"

namespace localgd {

struct Logistic {
  static constexpr std::string_view name = "logistic";
  static constexpr LossFacts facts{
      .tasks = {"binary"}, .curvature = 0.25, .tail = {.rate = 1}, .bounded = true};
  static constexpr bool signed_rows = true;
  static constexpr bool exact = false;
  static constexpr bool multiclass = false;

  // -l'(m) = 1 / (1 + exp(m)): 1 for m -> -inf, exp(-m) with full relative accuracy for m -> inf.
  template <class V>
  static V negative_derivative(V m) {
    return 1 / (1 + exp_lane(m));
  }
  template <class Real>
  static Real negative_derivative(Real m, Real /*y*/) {
    return negative_derivative(m);
  }
  static double at_start(double m, double /*y*/) { return exp_lane(m); }
  template <class V, class Exp>
  static V after_move(V at_start, V delta, Exp power) {
    return 1 / (1 + at_start * power(delta));
  }
  // What -l' changes by on the way; less_one(x) = exp(x) - 1.
  template <class V, class Less>
  static V change(V at_start, V delta, Less less_one) {
    const V moved = less_one(delta), before = 1 / (1 + at_start),
            after = 1 / (1 + at_start * (moved + 1));
    return (before - 1) * after * moved;
  }
  // l and -l' of all lanes, by exp(-|m|) and log(1 + x) = 2 artanh(x / (2 + x)): a series that
  // keeps the digits of small x, and needs no logarithm.
  template <class V>
  struct ValueAndSlope {
    V value, slope;
  };
  template <class V>
  static ValueAndSlope<V> value_and_slope(V m) {
    using Real = typename detail::ExpTraits<V>::Real;
    constexpr int terms = sizeof(Real) == 8 ? 17 : 8;
    const V turned = -m, size = m > turned ? m : turned, x = exp_lane(-size);
    const V z = x / (2 + x), q = z * z;
    V series = V{} + static_cast<Real>(1.0 / (2 * terms + 1));
    for (int k = terms - 1; k >= 0; --k) series = series * q + static_cast<Real>(1.0 / (2 * k + 1));
    return {2 * z * series + (turned > V{} ? turned : V{}), (m > V{} ? x : V{} + 1) / (1 + x)};
  }
  static double value(double m, double /*y*/) {
    return m > 0 ? std::log1p(std::exp(-m)) : std::log1p(std::exp(m)) - m;
  }
};

}  // namespace localgd
