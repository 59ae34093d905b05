// l(m) = log(1 + exp(4 (1 - m))) / 4, the smoothed hinge of Lee and Mangasarian (2001).
#pragma once

#include <cmath>

#include "../exp.hpp"
#include "facts.hpp"

namespace localgd {

struct SmoothHinge {
  static constexpr std::string_view name = "smooth_hinge";
  static constexpr LossFacts facts{.tasks = {"binary"},
                                   .curvature = 1,
                                   .tail = {.rate = 4, .factor = 54.598150033144236},
                                   .bounded = true};
  static constexpr bool signed_rows = true;
  static constexpr bool exact = false;
  static constexpr bool multiclass = false;

  // -l'(m) = 1 / (1 + exp(4 (m - 1))).
  template <class V>
  static V negative_derivative(V m) {
    return 1 / (1 + exp_lane(4 * (m - 1)));
  }
  template <class Real>
  static Real negative_derivative(Real m, Real /*y*/) {
    return negative_derivative(m);
  }
  static double at_start(double m, double /*y*/) { return exp_lane(4 * (m - 1)); }
  template <class V, class Exp>
  static V after_move(V at_start, V delta, Exp power) {
    const V once = power(delta), twice = once * once;
    return 1 / (1 + at_start * (twice * twice));
  }
  template <class V, class Less>
  static V change(V at_start, V delta, Less less_one) {
    const V once = less_one(delta), twice = once * (once + 2), moved = twice * (twice + 2);
    const V before = 1 / (1 + at_start), after = 1 / (1 + at_start * (moved + 1));
    return (before - 1) * after * moved;
  }
  static double value(double m, double /*y*/) {
    const double u = 4 * (m - 1);
    return (u > 0 ? std::log1p(std::exp(-u)) : std::log1p(std::exp(u)) - u) / 4;
  }
};

}  // namespace localgd
