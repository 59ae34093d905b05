// x <- (1 - a) x_0 + a (x + D), a = (k + 1) / (k + 2): Halpern's iteration.
#pragma once

#include <string_view>

#include "state.hpp"

namespace localgd {

struct Anchored {
  static constexpr std::string_view name = "anchored";
  static constexpr bool coordinate_wise = false;
  static constexpr ServerKeeps keeps{.anchor = true};

  template <class Show>
  void visit(Show&&) {}

  double change(double k, double D, ServerState& x) const {
    const double left = 1 / (k + 2), a = 1 - left;
    return a * D - left * (x.value - x.anchor);
  }
  // The product of (k + 1) / (k + 2).
  Idle idle(double first, double end) const { return {.x_kept = (first + 1) / (end + 1)}; }
};

}  // namespace localgd
