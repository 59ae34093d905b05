// l(m) = max(0, 1 - m)^2 / 2.
#pragma once

#include "facts.hpp"

namespace localgd {

struct SquaredHinge {
  static constexpr std::string_view name = "squared_hinge";
  static constexpr LossFacts facts{.tasks = {"binary"}, .curvature = 1, .smooth = false};
  static constexpr bool signed_rows = true;
  static constexpr bool exact = true;
  static constexpr bool multiclass = false;

  template <class V>
  static V positive_part(V x) {
    return x < V{} ? V{} : x;  // keeps NaN
  }
  template <class Real>
  static Real negative_derivative(Real m, Real /*y*/) {
    return positive_part(1 - m);
  }
  static double at_start(double m, double /*y*/) { return 1 - m; }
  template <class V, class Exp>
  static V after_move(V at_start, V delta, Exp /*power*/) {
    return positive_part<V>(at_start - delta);
  }
  template <class V, class Less>
  static V change(V at_start, V delta, Less /*less_one*/) {
    const V after = at_start - delta, from_slope = after < V{} ? -at_start : -delta;
    return at_start < V{} ? positive_part(after) : from_slope;
  }
  static double value(double m, double /*y*/) {
    const double left = positive_part(1 - m);
    return 0.5 * left * left;
  }
};

}  // namespace localgd
