// v <- momentum v + D;  x <- x + lr v, or x + lr (D + momentum v) with Nesterov.
#pragma once

#include <cmath>
#include <optional>
#include <string_view>

#include "state.hpp"

namespace localgd {

struct Sgd {
  static constexpr std::string_view name = "sgd";
  static constexpr bool coordinate_wise = false;
  static constexpr ServerKeeps keeps{.velocity = true};

  double lr = 1, momentum = 0;
  bool nesterov = false;

  template <class Show>
  void visit(Show&& show) {
    show("lr", lr, above_0), show("momentum", momentum, from_0_below_1), show("nesterov", nesterov);
  }

  std::optional<double> factor() const { return momentum == 0 ? std::optional(lr) : std::nullopt; }
  double change(double /*k*/, double D, ServerState& x) const {
    const double v = momentum * x.velocity + D;
    x.velocity = v;
    return lr * (nesterov ? D + momentum * v : v);
  }
  // x moves by lr v in each round, or by lr m v with Nesterov: m + m^2 + ... times that.
  Idle idle(double first, double end) const {
    const double powers = (end - first) * std::log(momentum);
    Idle result{.x_moved = lr * momentum * (-std::expm1(powers) / (1 - momentum)),
                .v_kept = std::exp(powers)};
    if (nesterov) result.x_moved *= momentum;
    return result;
  }
};

}  // namespace localgd
