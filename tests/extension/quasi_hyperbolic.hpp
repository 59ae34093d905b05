// v <- momentum v + (1 - momentum) D;  x <- x + lr ((1 - nu) D + nu v): the quasi-hyperbolic
// momentum of Ma and Yarats (2019).
#pragma once

#include <cmath>
#include <string_view>

#include "state.hpp"

namespace localgd {

struct QuasiHyperbolic {
  static constexpr std::string_view name = "quasi_hyperbolic";
  static constexpr bool coordinate_wise = false;
  static constexpr ServerKeeps keeps{.velocity = true};

  double lr = 1, momentum = 0, nu = 0;

  template <class Show>
  void visit(Show&& show) {
    show("lr", lr, above_0), show("momentum", momentum, from_0_below_1), show("nu", nu, from_0);
  }

  double change(double /*k*/, double D, ServerState& x) const {
    x.velocity = momentum * x.velocity + (1 - momentum) * D;
    return lr * ((1 - nu) * D + nu * x.velocity);
  }
  // x moves by lr nu v in each round: m + m^2 + ... times that.
  Idle idle(double first, double end) const {
    const double powers = (end - first) * std::log(momentum);
    return {.x_moved = lr * nu * momentum * (-std::expm1(powers) / (1 - momentum)),
            .v_kept = std::exp(powers)};
  }
};

}  // namespace localgd
