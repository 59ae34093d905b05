// Two corrections and a compressor of the literature that the package does not have: written
// against the contracts of core/round/corrections/correction.hpp and core/round/uplink.hpp alone.
#pragma once

#include <algorithm>
#include <cmath>

#include "core/round/corrections/correction.hpp"
#include "core/round/uplink.hpp"

namespace localgd::testing {

// FedLin (arXiv:2102.07053): w <- w - eta (grad f_i(w) - grad f_i(w_k) + grad f(w_k)), so that
// gamma_i = -e_i / n_i at w_k joins every step.
class FedLin final : public Correction {
 public:
  bool pulls() const override { return true; }
  bool kept() const override { return false; }
  void find(Index n, double* numbers) const override {
    for (Index j = 0; j < n; ++j) numbers[j] /= -static_cast<double>(n);
  }
};

// FedSplit (arXiv:2005.05238) with inexact proximal steps: client i goes from w_k towards the
// minimiser of f_i(u) + mu/2 |u - (2 w_k - z_i)|^2, then z_i <- z_i + 2 (w_{k,i} - w_k), and w is
// the mean of the z_i: a server with learning rate 2. With z_i = w_k + A_i^T zeta_i less what all
// have in common the centre is a pull by gamma_i = -mu zeta_i beside the proximal term. All clients
// take part, with as many steps.
class FedSplit final : public Correction {
 public:
  bool pulls() const override { return true; }
  bool kept() const override { return true; }
  void renew(const StepsTaken& steps, const double* changes, const double* gamma, Index n,
             double* next) const override {
    const double kappa = steps.lr * steps.tau;
    for (Index j = 0; j < n; ++j)
      next[j] = gamma[j] - 2 * steps.prox * (changes[j] + kappa * gamma[j]);
  }
};

// The k largest numbers of a change, with error feedback (arXiv:1809.07599): what is not sent joins
// the client's next change.
class TopK final : public Uplink {
 public:
  TopK(const Data& data, Index outputs, Index k)
      : k_(k),
        size_(data.features() * outputs),
        left_(Matrix<double>::Zero(size_, data.clients())),
        next_(left_) {}

  void send(Index client, Matrix<double>& change) override {
    auto left = next_.col(client);
    left = left_.col(client) + change.reshaped();
    Vector<double> sizes = left.cwiseAbs();
    std::nth_element(sizes.begin(), sizes.begin() + (k_ - 1), sizes.end(), std::greater<>());
    for (Index j = 0; j < size_; ++j) {
      const bool sent = std::abs(left[j]) >= sizes[k_ - 1];
      change.reshaped()[j] = sent ? left[j] : 0;
      if (sent) left[j] = 0;
    }
  }
  void commit(const Participants& clients) override {
    clients.for_each([&](Index i) { left_.col(i) = next_.col(i); });
  }
  void visit(const Visit& show) override { show("left", left_); }

 private:
  Index k_, size_;
  Matrix<double> left_, next_;
};

}  // namespace localgd::testing
