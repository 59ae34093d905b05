// Engine "hybrid": local steps on the blocks K_ii, the server in the weights.
//   local step  2 n_i^2 flops;  round  4 N d;  memory  sum n_i^2 + M d reals
#pragma once

#include "span.hpp"
#include "weighted.hpp"

namespace localgd {

template <class Real>
class HybridEngine final : public WeightedEngine<Real, SpanEngine<Real>> {
  using Weighted = WeightedEngine<Real, SpanEngine<Real>>;
  using Weighted::data_;

 public:
  HybridEngine(const Data& data, const Vector<double>& init, const EngineOptions& options)
      : Weighted(data, init, options) {}

  bool prepare(Team& team, Stop& stop) override { return this->prepare_blocks(team, stop); }

  Outcome round(double lr, Team& team, Stop& stop) override {
    const bool complete = this->local_steps(
        lr, team, stop,
        [&](Index i) {
          const auto a = this->rows_.of(data_, i);
          for (Index j = 0; j < a.rows(); ++j)
            this->local_margins_[data_.begin(i) + j] = static_cast<Real>(
                wide_dot(a.row(j).data(), this->weights_.data(), data_.features()));
        },
        [&](Index i) {
          // The sums have been read: their place now takes b_i in Real.
          auto b = this->sums_.segment(data_.begin(i), data_.size(i));
          b = this->next_changes_.segment(data_.begin(i), data_.size(i)).template cast<Real>();
          this->changes_[static_cast<std::size_t>(i)].noalias() =
              this->rows_.of(data_, i).transpose() * b;
        });
    return complete ? this->aggregate(team) : Outcome::stopped;
  }
};

}  // namespace localgd
