// Engine "hybrid": local steps on the blocks K_ii, the server in the weights.
//   local step  2 n_i^2 flops;  round  4 N d;  memory  sum n_i^2 + M d reals
#pragma once

#include "span.hpp"
#include "weighted.hpp"

namespace localgd {

template <class Real>
class HybridEngine final : public WeightedEngine<Real, SpanEngine<Real>> {
  using Weighted = WeightedEngine<Real, SpanEngine<Real>>;
  using Weighted::block;
  using Weighted::data_;

 public:
  HybridEngine(const Data& data, const Matrix<double>& init, const EngineOptions& options)
      : Weighted(data, init, options) {}

  bool prepare(Team& team, Stop& stop) override { return this->prepare_blocks(team, stop); }

  Outcome round(const RoundPlan& plan, Team& team, Stop& stop) override {
    this->begin_round(plan, this->work_);
    if (this->correcting()) this->correct(team, this->work_, this->sums_);
    const Outcome outcome = this->local_work(
        team, stop,
        [&](Index i) {
          this->client_margins(i, this->start_margins(i));
          if (!this->correcting()) return;
          this->own_correction(i);
          this->columns(this->shift_, i).noalias() -= this->rows_.of(data_, i) * this->shared_;
        },
        [&](Index i) {
          // The sums have been read: their place now takes b_i in Real.
          auto b = block(this->sums_, i);
          b = block(this->next_changes_, i).template cast<Real>();
          this->to_weights(i, b.data(), this->changes_);
          if (this->correcting()) this->changes_.of(i) -= static_cast<Real>(this->kappa_(i)) * this->shared_;
        });
    return outcome == Outcome::done ? this->aggregate(team) : outcome;
  }
};

}  // namespace localgd
