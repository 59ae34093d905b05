// l(u, y) = r^2 / 2 for |r| <= 1 and |r| - 1/2 beyond, r = u - y with u = x . w. Any other
// threshold is this one for y in its units.
#pragma once

#include <cmath>

#include "facts.hpp"

namespace localgd {

struct Huber {
  static constexpr std::string_view name = "huber";
  static constexpr LossFacts facts{.tasks = {"regression"},
                                   .curvature = 1,
                                   .bounded = true,
                                   .smooth = false,
                                   .has_exact_solve = false};
  static constexpr bool signed_rows = false;
  static constexpr bool exact = true;
  static constexpr bool multiclass = false;

  template <class V>
  static V clipped(V x) {
    const V one = V{} + 1, above = x > one ? one : x;  // keeps NaN
    return x < -one ? -one : above;
  }
  template <class Real>
  static Real negative_derivative(Real u, Real y) {
    return clipped(y - u);
  }
  static double at_start(double u, double y) { return y - u; }
  template <class V, class Exp>
  static V after_move(V at_start, V delta, Exp /*power*/) {
    return clipped<V>(at_start - delta);
  }
  template <class V, class Less>
  static V change(V at_start, V delta, Less /*less_one*/) {
    const V after = at_start - delta, by_parts = clipped(after) - clipped(at_start),
            inside = clipped(after) == after ? -delta : by_parts;
    return clipped(at_start) == at_start ? inside : by_parts;
  }
  static double value(double u, double y) {
    const double size = std::abs(u - y);
    return size > 1 ? size - 0.5 : 0.5 * size * size;
  }
};

}  // namespace localgd
