#pragma once

#include <stdexcept>

#include "../server/registry.hpp"
#include "../types.hpp"

namespace localgd {

// What a run has of its own where several go side by side.
struct RunRule {
  Matrix<double> init;  // w_0, d x C
  ServerRule server{};
  double prox = 0;  // mu
  double l2 = 0;    // lambda

  void check() const {
    if (!(prox >= 0) || !(l2 >= 0))
      throw std::invalid_argument("prox, l2: want numbers that are not negative");
  }
};

}  // namespace localgd
