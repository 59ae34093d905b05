// What corrects the local steps of the clients, in coefficients gamma of their rows:
//   q_i = A_i^T gamma_i - sum_j v_j A_j^T gamma_j
// and what of it is in the changes of the models:
//   w_{k,i} - w_k = A_i^T b_i - kappa_i sum_j v_j A_j^T gamma_j
#pragma once

#include "../products.hpp"
#include "last_round.hpp"
#include "local_changes.hpp"
#include "round.hpp"

namespace localgd {

class Corrections {
 public:
  Corrections(const Data& data, Index outputs, const LocalRule& rule)
      : data_(&data), kind_(rule.correction), beta_(rule.beta) {
    if (!any()) return;
    gamma_ = next_gamma_ = Matrix<double>::Zero(data.samples(), outputs);
    kappa_ = Matrix<double>::Zero(data.clients(), 1);
  }

  bool any() const { return kind_ != Correction::none; }
  // eta q_i joins every step
  bool pull() const { return kind_ == Correction::control; }
  // q_i is where a client starts
  bool displace() const { return kind_ == Correction::displacement; }

  void begin(const Round& round) {
    if (!any()) return;
    round.participants().for_each([&](Index i) {
      kappa_(i) = pull() ? round.plan().lr * static_cast<double>(round.steps(i)) : 1.0;
    });
    // Displacements cancel in the mean: they are where clients begin, not what their steps do.
    mean_kappa_ = pull() ? round.sum_of_shares([&](Index i) { return kappa_(i); }) : 0;
  }

  // gamma_i, n_i x C; and what it is to be after the round
  auto own(Index client) { return rows_of(gamma_, *data_, client); }
  auto own(Index client) const { return rows_of(gamma_, *data_, client); }
  auto next(Index client) const { return rows_of(next_gamma_, *data_, client); }

  // gamma_i = -(beta / n_i) e_i, e_i at w_k.
  template <class E>
  void displace(Index client, const E& e) {
    own(client) = (-beta_ / static_cast<double>(data_->size(client))) * e.template cast<double>();
  }

  // v_i: all clients keep their control variate, displacements are of the round.
  double share(const Round& round, Index client) const {
    return pull() ? share(client) : round.given_shares()[client];
  }
  double share(Index client) const { return data_->weights[client]; }  // of a control variate

  // Calls task(client) for those whose part is not 0.
  template <class Task>
  void for_each(const Round& round, Task&& task) const {
    if (displace()) return round.participants().for_each(task);
    for (Index i = 0; i < data_->clients(); ++i) task(i);
  }

  // How often the common part is in the mean change.
  double mean_kappa() const { return mean_kappa_; }

  // Makes of the sums of a client's steps, times step, its b_i, of one output; and its next control
  // variate, the mean gradient of its path.
  void finish(const Round& round, Index client, Index output, double* b) {
    if (!pull()) return;
    const Index first = data_->begin(client), n = data_->size(client);
    scale(-1 / (round.plan().lr * static_cast<double>(round.steps(client))), b, n,
          next_gamma_.col(output).data() + first);
    add_scaled(kappa_(client), gamma_.col(output).data() + first, n, b);
  }

  // The round is done. Displacements are in the changes b of the models, not in their mean.
  void commit(const Round& round, LocalChanges& changes, LastRound& last) {
    if (!any()) return;
    round.participants().for_each([&](Index i) {
      if (pull())
        own(i) = next(i);
      else
        changes.of(i) += own(i);
    });
    if (!last.kappa.size()) last.kappa = Matrix<double>::Zero(kappa_.rows(), 1);
    last.kappa.swap(kappa_);
  }

  // gamma, which control variates keep.
  Matrix<double>& controls() { return gamma_; }

 private:
  const Data* data_;
  Correction kind_;
  double beta_;
  Matrix<double> gamma_, next_gamma_;  // N x C
  Matrix<double> kappa_;               // M x 1
  double mean_kappa_ = 0;
};

}  // namespace localgd
