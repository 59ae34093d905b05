// Engine "primal": weights everywhere, rows streamed once per local step.
//   local step  4 n_i d flops, n_i d reals read;  round  2 M d;  memory  M d reals
#pragma once

#include "weighted.hpp"

namespace localgd {

template <class Real>
class PrimalEngine final : public WeightedEngine<Real, BaseEngine<Real>> {
  using Weighted = WeightedEngine<Real, BaseEngine<Real>>;
  using Weighted::block;
  using Weighted::data_;
  using Weighted::local_;

 public:
  PrimalEngine(const Data& data, const Matrix<double>& init, const EngineOptions& options)
      : Weighted(data, init, options), base_(data.samples() * init.cols()) {
    if (local_.solve)
      throw std::invalid_argument("engine: the exact local solve needs K_ii: gram or hybrid");
    std::vector<double> costs;
    for (Index i = 0; i < data.clients(); ++i) {
      const Index rows = this->batch(i) > 0 ? this->batch(i) : data.size(i);
      costs.push_back(4.0 * static_cast<double>(rows) * static_cast<double>(init.size()));
    }
    work_ = Work(costs);
  }

  bool prepare(Team& team, Stop&) override {
    const Index d = data_.features(), c = this->outputs_, numbers = rows_per_block<Real>(d) * c;
    const PrimalScratch<Real> one{Matrix<Real>(d, c), Vector<Real>(numbers), Vector<Real>(numbers),
                                  Batch<Real>(this->largest_batch_, c)};
    scratch_.assign(static_cast<std::size_t>(team.threads()), one);
    return true;
  }

  Outcome round(const RoundPlan& plan, Team& team, Stop& stop) override {
    this->begin_round(plan, work_);
    if (this->correcting()) this->correct(team, work_, base_);
    const auto steps = [&](Index i, std::int64_t count, std::int64_t done, int thread) {
      if (done == 0) start_client(i);
      const PrimalClient<Real> client = view(i);
      auto& scratch = scratch_[static_cast<std::size_t>(thread)];
      if (local_.stochastic())
        this->kernels_.primal_batch(client, this->dealers_[static_cast<std::size_t>(i)],
                                    this->batch(i), scratch, count);
      else
        this->kernels_.primal(client, scratch, count, done > 0 || displaced());
    };
    const bool complete =
        this->local_phase(team, stop, steps, [&](Index i) { this->finish_steps(i); });
    return complete ? this->aggregate(team) : Outcome::stopped;
  }

 private:
  bool displaced() const { return local_.correction == Correction::displacement; }

  void start_client(Index i) {
    block(this->sums_, i).setZero();
    this->begin_batches(i);
    auto& delta = this->changes_[static_cast<std::size_t>(i)];
    if (!this->correcting()) {
      delta.setZero();
      return;
    }
    auto& q = this->corrections_[static_cast<std::size_t>(i)];
    q -= this->shared_;
    if (displaced()) {
      delta = q;
    } else {
      delta.setZero();
      q *= static_cast<Real>(this->plan_->lr);
    }
  }

  PrimalClient<Real> view(Index i) {
    const auto at = static_cast<std::size_t>(i);
    return {this->rows_.of(data_, i),
            this->targets_.data() + data_.begin(i),
            this->outputs_,
            static_cast<Real>(this->step_size(i)),
            this->keep(i),
            local_.correction == Correction::control ? &this->corrections_[at] : nullptr,
            this->weights_.value,
            block(base_, i).data(),
            this->changes_[at],
            block(this->sums_, i).data()};
  }

  Work work_;
  Vector<Real> base_;  // A w_k, all clients
  std::vector<PrimalScratch<Real>> scratch_;
};

}  // namespace localgd
