// Local phase in the span of each client's rows: shared by the gram and the hybrid engine.
#pragma once

#include "base.hpp"

namespace localgd {

template <class Real>
class SpanEngine : public BaseEngine<Real> {
 protected:
  using Base = BaseEngine<Real>;
  using Base::data_;

  static constexpr Index panel = 64;  // rows of a Gram matrix that are made, or multiplied, at once

  SpanEngine(const Data& data, const EngineOptions& options)
      : Base(data, options), local_margins_(data.samples()), scratch_(data.samples()) {
    std::vector<double> costs;
    for (Index i = 0; i < data.clients(); ++i) {
      const auto n = static_cast<double>(data.size(i));
      costs.push_back(2 * n * n + 20 * n);
    }
    work_ = Work(costs);
  }

  // K_ii of every client. False if it was stopped.
  bool prepare_blocks(Team& team, Stop& stop) {
    blocks_.resize(static_cast<std::size_t>(data_.clients()));
    team.for_each(work_, [&](Index i, int thread) {
      const auto a = this->rows_.of(data_, i);
      auto& block = blocks_[static_cast<std::size_t>(i)];
      block.resize(a.rows(), a.rows());
      for (Index first = 0; first < a.rows() && !stop.check(thread); first += panel)
        block.middleRows(first, std::min(panel, a.rows() - first)).noalias() =
            a.middleRows(first, std::min(panel, a.rows() - first)) * a.transpose();
    });
    return !stop.requested();
  }

  // L steps on every client: begin(client) writes the client's margins to local_margins_, finish(client)
  // may read b_i from next_changes_. False if it was stopped.
  template <class Begin, class Finish>
  bool local_steps(double lr, Team& team, Stop& stop, Begin begin, Finish finish) {
    const auto steps = [&](Index i, std::int64_t count, std::int64_t done, int) {
      const Index first = data_.begin(i);
      if (done == 0) {
        begin(i);
        this->sums_.segment(first, data_.size(i)).setZero();
      }
      this->kernels_.span(blocks_[static_cast<std::size_t>(i)], this->targets_.data() + first,
                          this->step_size(lr, i), count, done + count == this->local_steps_,
                          local_margins_.data() + first, this->sums_.data() + first,
                          scratch_.data() + first);
    };
    return this->local_phase(work_, team, stop, steps, [&](Index i, int) {
      this->read_sums(lr, i);
      finish(i);
    });
  }

  Work work_;
  std::vector<RowMatrix<Real>> blocks_;
  Vector<Real> local_margins_, scratch_;
};

}  // namespace localgd
