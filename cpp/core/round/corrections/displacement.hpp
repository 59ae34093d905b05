// FedGA and GradAlign: q_i = beta (grad f_i - grad f) is where a client starts;
// gamma_i = -(beta / n_i) e_i at w_k.
#pragma once

#include "correction.hpp"

namespace localgd {

class Displacement final : public Correction {
 public:
  explicit Displacement(double beta = 0) : beta_(beta) {}

  bool pulls() const override { return false; }
  bool kept() const override { return false; }
  void find(Index n, double* numbers) const override {
    const double factor = -beta_ / static_cast<double>(n);
    for (Index j = 0; j < n; ++j) numbers[j] *= factor;
  }
  void visit(const Parameters& show) override { show("beta", beta_); }

 private:
  double beta_;
};

}  // namespace localgd
