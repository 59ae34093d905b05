// Engine "primal": weights everywhere, rows streamed once per local step.
//   local step  4 n_i d flops, n_i d reals read;  round  2 M d;  memory  M d reals
#pragma once

#include "weighted.hpp"

namespace localgd {

template <class Real>
class PrimalEngine final : public WeightedEngine<Real, BaseEngine<Real>> {
  using Weighted = WeightedEngine<Real, BaseEngine<Real>>;
  using Weighted::data_;

 public:
  PrimalEngine(const Data& data, const Vector<double>& init, const EngineOptions& options)
      : Weighted(data, init, options), base_(data.samples()) {
    std::vector<double> costs;
    for (Index i = 0; i < data.clients(); ++i)
      costs.push_back(4.0 * static_cast<double>(data.size(i)) * static_cast<double>(data.features()));
    work_ = Work(costs);
  }

  bool prepare(Team& team, Stop&) override {
    PrimalScratch<Real> one{Vector<Real>(data_.features()),
                            Vector<Real>(rows_per_block<Real>(data_.features()))};
    scratch_.assign(static_cast<std::size_t>(team.threads()), one);
    return true;
  }

  Outcome round(double lr, Team& team, Stop& stop) override {
    const auto steps = [&](Index i, std::int64_t count, std::int64_t done, int thread) {
      const Index first = data_.begin(i);
      auto& delta = this->changes_[static_cast<std::size_t>(i)];
      if (done == 0) {
        delta.setZero();
        this->sums_.segment(first, data_.size(i)).setZero();
      }
      this->kernels_.primal(this->rows_.of(data_, i), this->targets_.data() + first,
                            this->step_size(lr, i), count, done == 0 ? &this->weights_ : nullptr,
                            base_.data() + first, delta, this->sums_.data() + first,
                            scratch_[static_cast<std::size_t>(thread)]);
    };
    const bool complete = this->local_phase(work_, team, stop, steps,
                                            [&](Index i, int) { this->read_sums(lr, i); });
    return complete ? this->aggregate(team) : Outcome::stopped;
  }

 private:
  Work work_;
  Vector<Real> base_;  // A w_k, all clients
  std::vector<PrimalScratch<Real>> scratch_;
};

}  // namespace localgd
