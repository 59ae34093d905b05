// Engine "primal": weights everywhere, rows streamed once per local step.
//   local step  4 n_i d flops, n_i d reals read;  round  2 M d;  memory  M d reals
#pragma once

#include "base.hpp"
#include "weighted.hpp"

namespace localgd {

template <class Real>
class PrimalEngine final : public BaseEngine<Real> {
  using Base = BaseEngine<Real>;
  using Base::data_;

 public:
  PrimalEngine(const Data& data, const Vector<double>& init, const EngineOptions& options)
      : Base(data, options), server_(data, init), base_(data.samples()), margins_(data.samples()) {
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
      auto& delta = server_.changes[static_cast<std::size_t>(i)];
      if (done == 0) {
        delta.setZero();
        this->sums_.segment(first, data_.size(i)).setZero();
      }
      this->kernels_.primal(this->rows_.of(data_, i), this->targets_.data() + first,
                            this->step_size(lr, i), count, done == 0 ? &server_.weights : nullptr,
                            base_.data() + first, delta, this->sums_.data() + first,
                            scratch_[static_cast<std::size_t>(thread)]);
    };
    const bool complete = this->local_phase(work_, team, stop, steps,
                                            [&](Index i, int) { this->read_sums(lr, i); });
    if (!complete) return Outcome::stopped;
    server_.aggregate(data_.weights, team);
    return this->commit(server_.weights, server_.next);
  }

  const Vector<double>& weights() override { return server_.weights; }
  const Vector<double>& margins() override {
    all_margins(data_, server_.weights, margins_);
    return margins_;
  }
  const Vector<double>& state() const override { return server_.weights; }

 private:
  void set_state(const Vector<double>& state) override { server_.weights = state; }

  WeightServer<Real> server_;
  Work work_;
  Vector<Real> base_;  // A w_k, all clients
  std::vector<PrimalScratch<Real>> scratch_;
  Vector<double> margins_;
};

}  // namespace localgd
