// v <- momentum v + (1 - momentum) D;  x <- x + lr ((1 - nu) D + nu v): the quasi-hyperbolic
// momentum of Ma and Yarats (2019).
#pragma once

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
    show("lr", lr), show("momentum", momentum), show("nu", nu);
  }

  double change(double /*k*/, double D, ServerState& x) const {
    x.velocity = momentum * x.velocity + (1 - momentum) * D;
    return lr * ((1 - nu) * D + nu * x.velocity);
  }
};

}  // namespace localgd
