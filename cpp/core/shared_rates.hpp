// Learning rates that follow from where the model is, the same for all clients of a round.
#pragma once

#include "loss/derivatives.hpp"
#include "model/model.hpp"

namespace localgd {

// eta / f(w_k), or eta (f(w_k) - least) / |grad f(w_k)|^2, with f of all clients.
//
// Where the loss is its tail and f tends to 0, f is not computed: the margins of the round are
// taken more by log f, so that e comes out over f, and the rate is what is left. Nothing leaves the
// range of numbers, however large margins are.
class SharedRates {
 public:
  // data and rule must outlive it. Throws std::invalid_argument for a loss of functions.
  SharedRates(const Data& data, const LossChoice& loss, const LocalRule& rule,
              const Groups& groups);

  // The plan with its rate, from the number that it comes with, and the offset of its margins.
  RoundPlan of(const RoundPlan& plan, Model& model, Team& team);

 private:
  using Row = double (*)(const double*, Index, Index, Targets<double>);

  double least_margin(const Matrix<double>& margins) const;
  double mean(Team& team);
  double gradient(Model& model, double l2) const;
  template <class Of>
  void for_clients(Team& team, Of&& of);

  const Data data_;  // of one client where they share their rows
  const LocalRule& rule_;
  const Groups groups_;
  const double tail_;
  const bool may_vanish_;  // f, with rates that only it bounds
  Row loss_;
  NegativeDerivatives<double> derivatives_;
  Work work_;
  Matrix<double> values_;     // omega l of each row, its first column; then e
  Vector<double> of_client_;  // sums of these
};

}  // namespace localgd
