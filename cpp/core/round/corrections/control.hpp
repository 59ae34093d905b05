// SCAFFOLD (arXiv:1910.06378, option II): eta q_i joins every step; gamma_i is minus the mean
// derivative of the path of the client's last round.
#pragma once

#include "../../products.hpp"
#include "correction.hpp"

namespace localgd {

class Control final : public Correction {
 public:
  bool pulls() const override { return true; }
  bool kept() const override { return true; }
  void renew(const StepsTaken& steps, const double* changes, const double* /*gamma*/, Index n,
             double* next) const override {
    scale(-1 / (steps.lr * steps.tau), changes, n, next);
  }
};

}  // namespace localgd
