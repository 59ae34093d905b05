// l(m) = log(1 + exp(-m)), stable in both tails.
#pragma once

#include <cmath>

#include "../exp.hpp"

namespace localgd {

struct Logistic {
  static constexpr bool signed_rows = true;
  static constexpr bool multiclass = false;

  // -l'(m) = 1 / (1 + exp(m)): 1 for m -> -inf, exp(-m) with full relative accuracy for m -> inf.
  template <class Real>
  static Real negative_derivative(Real m, Real /*y*/) {
    return Real(1) / (Real(1) + exp_lane(m));
  }
  static double value(double m, double /*y*/) {
    return m > 0 ? std::log1p(std::exp(-m)) : std::log1p(std::exp(m)) - m;
  }
};

}  // namespace localgd
