// Engine "hybrid": local steps on the blocks K_ii, the server in the weights.
//   local step  2 n_i^2 flops;  round  4 N d;  memory  sum n_i^2 + M d reals
#pragma once

#include "span.hpp"
#include "weighted.hpp"

namespace localgd {

template <class Real>
class HybridEngine final : public SpanEngine<Real> {
  using Span = SpanEngine<Real>;
  using Span::data_;

 public:
  HybridEngine(const Data& data, const Vector<double>& init, const EngineOptions& options)
      : Span(data, options), server_(data, init), margins_(data.samples()) {}

  bool prepare(Team& team, Stop& stop) override { return this->prepare_blocks(team, stop); }

  Outcome round(double lr, Team& team, Stop& stop) override {
    const bool complete = this->local_steps(
        lr, team, stop,
        [&](Index i) {
          const auto a = this->rows_.of(data_, i);
          for (Index j = 0; j < a.rows(); ++j)
            this->local_margins_[data_.begin(i) + j] = static_cast<Real>(
                wide_dot(a.row(j).data(), server_.weights.data(), data_.features()));
        },
        [&](Index i) {
          // The sums have been read: their place now takes b_i in Real.
          auto b = this->sums_.segment(data_.begin(i), data_.size(i));
          b = this->next_changes_.segment(data_.begin(i), data_.size(i)).template cast<Real>();
          server_.changes[static_cast<std::size_t>(i)].noalias() =
              this->rows_.of(data_, i).transpose() * b;
        });
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
  Vector<double> margins_;
};

}  // namespace localgd
