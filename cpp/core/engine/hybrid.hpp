// Engine "hybrid": local steps on the blocks K_ii, the server in the weights.
//   local step  2 n_i^2 flops;  round  4 N d;  memory  sum n_i^2 reals, and 512 d at most
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
      : Weighted(data, init, options) {
    this->reads_rows_ = true;
  }

  bool prepare(Team& team, Stop& stop) override {
    if constexpr (!std::is_same_v<Real, double>)
      changes_.assign(static_cast<std::size_t>(team.threads()), Matrix<Real>(data_.features(), this->outputs_));
    return this->prepare_blocks(team, stop);
  }

  Outcome round(const RoundPlan& plan, Team& team, Stop& stop) override {
    this->begin_round(plan, this->work_);
    if (this->correcting()) this->correct(team, this->work_, this->sums_);
    const Outcome outcome = this->local_work(team, stop);
    return outcome == Outcome::done ? this->aggregate(team, this->correcting() ? this->mean_kappa_ : 0) : outcome;
  }

 private:
  void begin_client(Index i) override {
    this->client_margins(i, this->start_margins(i));
    if (!this->correcting()) return;
    this->own_correction(i);
    auto common = block(this->sums_, i);  // free until the steps
    multiply_rows(this->rows_.of(data_, i).data(), data_.size(i), data_.features(), this->outputs_,
                  this->shared_.data(), common.data());
    this->columns(this->shift_, i) -= common;
  }

  // The sum of the clients' group grows by sum_i u_i A_i^T b_i. Their sums have been read: u_i b_i in Real
  // takes the place.
  void finish_clients(Index first, Index end, int thread) override {
    const Index row = data_.begin(first), rows = this->rows_of(first, end);
    Real* b = this->sums_.data() + row * this->outputs_;
    for (Index c = 0; c < this->outputs_; ++c)
      for (Index i = first; i < end; ++i)
        for (Index j = data_.begin(i); j < data_.begin(i + 1); ++j)
          b[c * rows + j - row] = static_cast<Real>(this->shares_[i] * this->next_changes_(j, c));
    auto sum = this->sums_of_groups_.of(first);
    if constexpr (std::is_same_v<Real, double>) {
      this->add_to_weights(first, end, b, sum);
    } else {
      auto& change = changes_[static_cast<std::size_t>(thread)];
      change.setZero();
      this->add_to_weights(first, end, b, change);
      sum += change.template cast<double>();
    }
  }

  std::vector<Matrix<Real>> changes_;  // of each thread: of the weights by some clients, in float32
};

}  // namespace localgd
