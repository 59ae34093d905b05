// Engine "gram": the whole K = A A^T, so that margins follow without the weights.
//   local step  2 n_i^2 flops;  round  2 N^2;  memory  N^2 + sum n_i^2 reals
#pragma once

#include "span.hpp"

namespace localgd {

template <class Real>
class GramEngine final : public SpanEngine<Real> {
  using Span = SpanEngine<Real>;
  using Span::block;
  using Span::data_;
  using Span::panel;

 public:
  GramEngine(const Data& data, const Matrix<double>& init, const EngineOptions& options)
      : Span(data, init.cols(), options),
        init_(init),
        first_margins_(first_margins(data, init)),
        margins_(options.server, first_margins_),
        applied_(data.samples(), init.cols()),
        moved_(data.samples(), init.cols()),
        weights_(init) {
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

  Outcome round(const RoundPlan& plan, Team& team, Stop& stop) override {
    this->begin_round(plan, this->work_);
    if (this->correcting()) correct(team);
    const Outcome outcome = this->local_work(
        team, stop,
        [&](Index i) {
          this->start_margins(i) = block(margins_.value, i);
          if (!this->correcting()) return;
          this->own_correction(i);
          this->columns(this->shift_, i) -= moved_.middleRows(data_.begin(i), data_.size(i));
        },
        [](Index) {});
    if (outcome != Outcome::done) return outcome;
    // The clients' mean change of the margins is K times that of the coefficients.
    this->gather_coefficients();
    if (plan.last) return this->commit(margins_);
    applied_ = this->coefficients_.mean.template cast<Real>();
    multiply(team, [&](Index first, Index n) {
      margins_.mean.middleRows(first, n) = moved_.middleRows(first, n).template cast<double>();
      margins_.advance(plan.round, first, n);
    });
    return this->commit(margins_);
  }

  const Matrix<double>& weights() override {
    weights_ = init_;
    weights_.noalias() += data_.rows.transpose() * this->coefficients_.value;
    return weights_;
  }
  const Matrix<double>& margins() override { return margins_.value; }

  void models(const Matrix<double>& coefficients, Matrix<double>& margins,
              Matrix<double>& weights) const override {
    const Index outputs = init_.cols(), states = coefficients.cols() / outputs;
    margins = first_margins_.replicate(1, states);
    weights = init_.replicate(1, states);
    if constexpr (std::is_same_v<Real, double>)
      margins.noalias() += gram_ * coefficients;
    else
      margins += (gram_ * coefficients.template cast<Real>()).template cast<double>();
    weights.noalias() += data_.rows.transpose() * coefficients;
  }

  void place(const Matrix<double>& coefficients, const Matrix<double>* margins,
             const Matrix<double>& velocity, const Matrix<double>& controls, Team& team) override {
    const auto apply = [&](const Matrix<double>& numbers, Matrix<double>& applied) {
      applied_ = numbers.template cast<Real>();
      multiply(team, [&](Index first, Index n) {
        applied.middleRows(first, n) = moved_.middleRows(first, n).template cast<double>();
      });
    };
    this->coefficients_.value = coefficients;
    if (margins) {
      margins_.value = *margins;
    } else {
      apply(coefficients, margins_.value);
      margins_.value += first_margins_;
    }
    if (velocity.size()) {
      this->coefficients_.velocity = velocity;
      apply(velocity, margins_.velocity);
    }
    if (controls.size()) this->gamma_ = controls;
  }

  bool extrapolates() const override { return this->rungs() > 0; }

  Engine::State state() override {
    Engine::State state = Span::state();
    state.emplace_back("margins", &margins_.value);
    if (margins_.velocity.size()) state.emplace_back("margins velocity", &margins_.velocity);
    return state;
  }

 private:
  static Matrix<double> first_margins(const Data& data, const Matrix<double>& init) {
    Matrix<double> margins(data.samples(), init.cols());
    for (Index c = 0; c < init.cols(); ++c)
      for (Index j = 0; j < data.samples(); ++j)
        margins(j, c) = wide_dot(data.rows.row(j).data(), init.col(c).data(), init.rows());
    return margins;
  }

  // moved_ = K applied_, panel by panel, then(first, n).
  template <class Then>
  void multiply(Team& team, Then&& then) {
    team.for_each(server_work_, [&](Index item, int) {
      const Index first = item * panel, n = std::min(panel, data_.samples() - first);
      moved_.middleRows(first, n).noalias() = gram_.middleRows(first, n) * applied_;
      then(first, n);
    });
  }

  // moved_ = A sum_j v_j A_j^T gamma_j, what the corrections of all clients have in common.
  void correct(Team& team) {
    if (this->local_.correction == Correction::displacement)
      team.for_each(*this->active_, [&](Index i, int) {
        auto m = block(this->sums_, i);
        m = block(margins_.value, i).template cast<Real>();
        this->set_displacement(i, m.data());
      });
    this->gather_common();
    applied_ = this->common_.template cast<Real>();
    multiply(team, [](Index, Index) {});
  }

  const Matrix<double> init_, first_margins_;
  Work server_work_;
  RowMatrix<Real> gram_;
  Track margins_;
  Matrix<Real> applied_, moved_;  // coefficients, and K times them
  Matrix<double> weights_;
};

}  // namespace localgd
