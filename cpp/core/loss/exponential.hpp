// l(m) = exp(-m).
#pragma once

#include <cmath>

#include "../exp.hpp"
#include "facts.hpp"

namespace localgd {

struct Exponential {
  static constexpr std::string_view name = "exponential";
  static constexpr LossFacts facts{
      .tasks = {"binary"}, .curvature = 1, .tail = {.rate = 1}, .overflows = -1};
  static constexpr bool signed_rows = true;
  static constexpr bool exact = false;
  static constexpr bool multiclass = false;

  // -l'(m) = exp(-m). Overflows to inf for m < -709 (float: -88); the engine then reports
  // divergence.
  template <class V>
  static V negative_derivative(V m) {
    return exp_lane(-m);
  }
  template <class Real>
  static Real negative_derivative(Real m, Real /*y*/) {
    return negative_derivative(m);
  }
  // -l'(m_0 + delta) from -l'(m_0) (at_start) and an exp of small arguments (see exp.hpp).
  static double at_start(double m, double /*y*/) { return exp_lane(-m); }
  template <class V, class Exp>
  static V after_move(V at_start, V delta, Exp power) {
    return at_start * power(-delta);
  }
  // What -l' changes by on the way; less_one(x) = exp(x) - 1.
  template <class V, class Less>
  static V change(V at_start, V delta, Less less_one) {
    return at_start * less_one(-delta);
  }
  static double value(double m, double /*y*/) { return std::exp(-m); }
};

}  // namespace localgd
