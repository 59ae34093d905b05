// What a linear server does to numbers that no client moves: some rounds with D = 0 at once.
#pragma once

#include <cmath>

#include "../round/options.hpp"

namespace localgd {

// x <- x_kept x + x_moved v,  v <- v_kept v, where x_0 = 0.
struct Idle {
  double x_kept = 1, x_moved = 0, v_kept = 1;
};

// Of rounds first, ..., end - 1.
//   anchored  the product of (k + 1) / (k + 2)
//   sgd       v <- m v, and x moves by lr v, or by lr m v with Nesterov: m + m^2 + ... times lr
inline Idle idle(const ServerRule& server, double first, double end) {
  Idle result;
  if (first == end) return result;
  if (server.kind == ServerKind::anchored) {
    result.x_kept = (first + 1) / (end + 1);
  } else if (server.kind == ServerKind::sgd && server.momentum > 0) {
    const double m = server.momentum, powers = (end - first) * std::log(m);
    result.v_kept = std::exp(powers);
    result.x_moved = server.lr * m * (-std::expm1(powers) / (1 - m));
    if (server.nesterov) result.x_moved *= m;
  }
  return result;
}

}  // namespace localgd
