// Engine "gram": the whole K = A A^T, so that margins follow without the weights.
//   local step  2 n_i^2 flops;  round  2 N^2;  memory  N^2 + sum n_i^2 reals
#pragma once

#include "span.hpp"

namespace localgd {

template <class Real>
class GramEngine final : public SpanEngine<Real> {
  using Span = SpanEngine<Real>;
  using Span::data_;
  using Span::panel;

 public:
  GramEngine(const Data& data, const Vector<double>& init, const EngineOptions& options)
      : Span(data, options),
        init_(init),
        margins_(data.samples()),
        next_(data.samples()),
        applied_(data.samples()),
        moved_(data.samples()),
        weights_(data.features()) {
    for (Index j = 0; j < data.samples(); ++j)
      margins_[j] = wide_dot(data.rows.row(j).data(), init.data(), init.size());
    // Clients may differ much in size: the server's rows are shared out in panels of their own.
    const Index panels = (data.samples() + panel - 1) / panel;
    const double cost = 2.0 * static_cast<double>(panel) * static_cast<double>(data.samples());
    server_work_ = Work(std::vector<double>(static_cast<std::size_t>(panels), cost));
  }

  bool prepare(Team& team, Stop& stop) override {
    if (!this->prepare_blocks(team, stop)) return false;
    const auto& rows = this->rows_.all();
    gram_.resize(data_.samples(), data_.samples());
    team.for_each(server_work_, [&](Index item, int thread) {
      if (stop.check(thread)) return;
      const Index first = item * panel, n = std::min(panel, data_.samples() - first);
      gram_.middleRows(first, n).noalias() = rows.middleRows(first, n) * rows.transpose();
    });
    return !stop.requested();
  }

  Outcome round(double lr, Team& team, Stop& stop) override {
    const bool complete = this->local_steps(
        lr, team, stop,
        [&](Index i) {
          const Index first = data_.begin(i), n = data_.size(i);
          this->local_margins_.segment(first, n) = margins_.segment(first, n).template cast<Real>();
        },
        [&](Index i) {
          const Index first = data_.begin(i), n = data_.size(i);
          applied_.segment(first, n) =
              (data_.weights[i] * this->next_changes_.segment(first, n)).template cast<Real>();
        });
    if (!complete) return Outcome::stopped;
    // m_i += sum_j K_ij p_j b_j: the average in the span.
    team.for_each(server_work_, [&](Index item, int) {
      const Index first = item * panel, n = std::min(panel, data_.samples() - first);
      moved_.segment(first, n).noalias() = gram_.middleRows(first, n) * applied_;
      next_.segment(first, n) =
          margins_.segment(first, n) + moved_.segment(first, n).template cast<double>();
    });
    return this->commit(margins_, next_);
  }

  const Vector<double>& weights() override {
    weights_ = init_;
    weights_.noalias() += data_.rows.transpose() * this->coefficients_;
    return weights_;
  }
  const Vector<double>& margins() override { return margins_; }
  const Vector<double>& state() const override { return margins_; }

 private:
  void set_state(const Vector<double>& state) override { margins_ = state; }

  const Vector<double> init_;
  Work server_work_;
  RowMatrix<Real> gram_;
  Vector<double> margins_, next_;
  Vector<Real> applied_, moved_;  // p_j b_j of all clients; K times that
  Vector<double> weights_;
};

}  // namespace localgd
