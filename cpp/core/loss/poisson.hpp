// l(u, y) = exp(u) - y u with u = x . w: the negative log-likelihood of counts y >= 0 of mean
// exp(u), but for log(y!).
#pragma once

#include <cmath>
#include <limits>

#include "../exp.hpp"
#include "facts.hpp"

namespace localgd {

struct Poisson {
  static constexpr std::string_view name = "poisson";
  static constexpr LossFacts facts{.tasks = {"regression"},
                                   .curvature = std::numeric_limits<double>::infinity(),
                                   .overflows = 1,
                                   .least_target = 0,
                                   .has_exact_solve = false};
  static constexpr bool signed_rows = false;
  static constexpr bool exact = false;
  static constexpr bool multiclass = false;

  template <class V>
  static V negative_derivative(V u, V y) {
    return y - exp_lane(u);
  }
  static double at_start(double /*u*/, double y) { return y; }
  template <class V, class Exp>
  static V after_move(V at_start, V u, V delta, Exp power) {
    return at_start - exp_lane(u) * power(delta);
  }
  template <class V, class Less>
  static V change(V /*at_start*/, V u, V delta, Less less_one) {
    return -(exp_lane(u) * less_one(delta));
  }
  static double value(double u, double y) {
    const double mean = std::exp(u);
    return y == 0 ? mean : mean - y * u;  // 0 for y = 0 and u = -inf
  }
};

}  // namespace localgd
