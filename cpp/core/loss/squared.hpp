// l(u, y) = (u - y)^2 / 2 with u = x . w.
#pragma once

#include "facts.hpp"

namespace localgd {

struct Squared {
  static constexpr std::string_view name = "squared";
  static constexpr LossFacts facts{.tasks = {"regression", "binary"}, .curvature = 1};
  static constexpr bool signed_rows = false;
  static constexpr bool exact = true;
  static constexpr bool multiclass = false;

  template <class Real>
  static Real negative_derivative(Real u, Real y) {
    return y - u;
  }
  static double at_start(double u, double y) { return y - u; }
  template <class V, class Exp>
  static V after_move(V at_start, V delta, Exp /*power*/) {
    return at_start - delta;
  }
  template <class V, class Less>
  static V change(V /*at_start*/, V delta, Less /*less_one*/) {
    return -delta;
  }
  static double value(double u, double y) { return 0.5 * (u - y) * (u - y); }
};

}  // namespace localgd
