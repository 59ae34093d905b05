// The corrections of a run's local steps (corrections/correction.hpp), and what of them is in the
// changes of the models:
//   w_{k,i} - w_k = A_i^T b_i - kappa_i sum_j v_j A_j^T gamma_j
// Displaced clients are at w_k + q_i, of which lambda takes eta lambda tau_i.
#pragma once

#include "../products.hpp"
#include "last_round.hpp"
#include "local_changes.hpp"
#include "round.hpp"

namespace localgd {

class Corrections {
 public:
  Corrections(const Data& data, Index outputs, const LocalRule& rule)
      : data_(&data), rule_(rule.correction) {
    if (!any()) return;
    gamma_ = Matrix<double>::Zero(data.samples(), outputs);
    if (kept()) next_gamma_ = gamma_;
    kappa_ = Matrix<double>::Zero(data.clients(), 1);
  }

  bool any() const { return rule_ != nullptr; }
  // eta q_i joins every step; or q_i is where a client starts
  bool pull() const { return any() && rule_->pulls(); }
  bool displace() const { return any() && !rule_->pulls(); }
  // Clients keep gamma_i; or those who take part find it at w_k.
  bool kept() const { return any() && rule_->kept(); }
  bool found() const { return any() && !rule_->kept(); }

  void begin(const Round& round) {
    if (!any()) return;
    round.participants().for_each([&](Index i) {
      kappa_(i) = pull() ? round.plan().lr * round.tau(i) : 1 - round.shrinkage(i);
    });
    if (round.as_before()) return;
    // Displacements cancel in the mean: they are where clients begin, not what their steps do.
    mean_kappa_ = pull() ? round.sum_of_shares([&](Index i) { return kappa_(i); })
                         : 0 - round.mean_shrinkage();
  }

  // gamma_i, n_i x C; and what it is to be after the round
  auto own(Index client) { return rows_of(gamma_, *data_, client); }
  auto own(Index client) const { return rows_of(gamma_, *data_, client); }
  auto next(Index client) const { return rows_of(next_gamma_, *data_, client); }

  // gamma_i from -omega l' at w_k.
  template <class E>
  void find(Index client, const E& e) {
    own(client) = e.template cast<double>();
    for (Index c = 0; c < gamma_.cols(); ++c)
      rule_->find(data_->size(client), gamma_.col(c).data() + data_->begin(client));
  }

  // v_i
  double share(const Round& round, Index client) const {
    return kept() ? share(client) : round.given_shares()[client];
  }
  double share(Index client) const { return data_->weights[client]; }  // of what is kept

  // Calls task(client) for those whose part is not 0.
  template <class Task>
  void for_each(const Round& round, Task&& task) const {
    if (found()) return round.participants().for_each(task);
    for (Index i = 0; i < data_->clients(); ++i) task(i);
  }

  // How often the common part is in a client's change, and in the mean one.
  double kappa(Index client) const { return kappa_(client); }
  double mean_kappa() const { return mean_kappa_; }

  // Makes of the sums of a client's steps, times step, its b_i, of one output; and its next gamma_i
  // if it is kept.
  void finish(const Round& round, Index client, Index output, double* b) {
    if (!any() || (displace() && round.mean_shrinkage() == 0)) return;
    const Index first = data_->begin(client), n = data_->size(client);
    const double* gamma = gamma_.col(output).data() + first;
    if (kept())
      rule_->renew({round.plan().lr, round.rule().prox, round.tau(client)}, b, gamma, n,
                   next_gamma_.col(output).data() + first);
    add_scaled(pull() ? kappa_(client) : -round.shrinkage(client), gamma, n, b);
  }

  // The round is done. Displacements are in the changes b of the models, not in their mean.
  void commit(const Round& round, LocalChanges& changes, LastRound& last) {
    if (!any()) return;
    round.participants().for_each([&](Index i) {
      if (kept()) own(i) = next(i);
      if (displace()) changes.of(i) += own(i);
    });
    if (!last.kappa.size()) last.kappa = Matrix<double>::Zero(kappa_.rows(), 1);
    last.kappa.swap(kappa_);
  }

  // gamma, where it is kept.
  Matrix<double>& controls() { return gamma_; }

 private:
  const Data* data_;
  std::shared_ptr<const Correction> rule_;
  Matrix<double> gamma_, next_gamma_;  // N x C
  Matrix<double> kappa_;               // M x 1
  double mean_kappa_ = 0;
};

}  // namespace localgd
