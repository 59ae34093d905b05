// l(m) = exp(-m).
#pragma once

#include <cmath>

#include "../exp.hpp"

namespace localgd {

struct Exponential {
  static constexpr bool signed_rows = true;
  static constexpr bool multiclass = false;

  // -l'(m) = exp(-m). Overflows to inf for m < -709 (float: -88); the engine then reports divergence.
  template <class Real>
  static Real negative_derivative(Real m, Real /*y*/) {
    return exp_lane(-m);
  }
  static double value(double m, double /*y*/) { return std::exp(-m); }
};

}  // namespace localgd
