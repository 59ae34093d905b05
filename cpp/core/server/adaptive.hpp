// What the coordinate-wise servers of Reddi et al. have in common. They differ in the squares s:
//   v <- beta1 v + (1 - beta1) D;  x <- x + lr v / (sqrt(s) + tau)
#pragma once

#include <cmath>

#include "state.hpp"

namespace localgd {

inline double adaptive_change(double lr, double beta1, double tau, double D, ServerState& x) {
  x.velocity = beta1 * x.velocity + (1 - beta1) * D;
  return lr * x.velocity / (std::sqrt(x.squares) + tau);
}

}  // namespace localgd
