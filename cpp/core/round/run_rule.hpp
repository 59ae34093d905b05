#pragma once

#include "../server/registry.hpp"
#include "../types.hpp"

namespace localgd {

// What a run has of its own where several go side by side.
struct RunRule {
  Matrix<double> init;  // w_0, d x C
  ServerRule server{};
  double prox = 0;  // mu
  double l2 = 0;    // lambda
};

}  // namespace localgd
