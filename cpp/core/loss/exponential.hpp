// l(m) = exp(-m).
#pragma once

#include <cmath>

#include "../exp.hpp"

namespace localgd {

struct Exponential {
  static constexpr bool signed_rows = true;
  static constexpr bool uses_target = false;  // in near() and beside it
  static constexpr bool multiclass = false;

  // -l'(m) = exp(-m). Overflows to inf for m < -709 (float: -88); the engine then reports divergence.
  template <class V>
  static V negative_derivative(V m) {
    return exp_lane(-m);
  }
  template <class Real>
  static Real negative_derivative(Real m, Real /*y*/) {
    return negative_derivative(m);
  }
  // Near m_0: -l'(m_0 + delta) from the origin of m_0 and a power of e that is had cheaply.
  static double origin(double m, double /*y*/) { return exp_lane(-m); }
  template <class V, class Exp>
  static V near(V origin, V delta, Exp power) {
    return origin * power(-delta);
  }
  // What -l' changes by on the way; less_one(x) = exp(x) - 1.
  template <class V, class Less>
  static V change(V origin, V delta, Less less_one) {
    return origin * less_one(-delta);
  }
  static double value(double m, double /*y*/) { return std::exp(-m); }
};

}  // namespace localgd
