// s <- beta2 s + (1 - beta2) D^2; see adaptive.hpp.
#pragma once

#include <string_view>

#include "adaptive.hpp"

namespace localgd {

struct Adam {
  static constexpr std::string_view name = "adam";
  static constexpr bool coordinate_wise = true;
  static constexpr ServerKeeps keeps{.velocity = true, .squares = true};

  double lr = 0, beta1 = 0, beta2 = 0, tau = 0;

  template <class Show>
  void visit(Show&& show) {
    show("lr", lr, above_0), show("beta1", beta1, from_0_below_1),
        show("beta2", beta2, from_0_below_1), show("tau", tau, above_0);
  }

  double first_squares() const { return tau * tau; }
  double change(double /*k*/, double D, ServerState& x) const {
    x.squares = beta2 * x.squares + (1 - beta2) * (D * D);
    return adaptive_change(lr, beta1, tau, D, x);
  }
};

}  // namespace localgd
