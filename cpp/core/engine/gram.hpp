// Engine "gram": the whole K = A A^T, so that margins follow without the weights.
//   local step  2 n_i^2 flops;  round  2 N^2, half of it read, or 32 N;  memory  N^2 + sum n_i^2
//   reals
#pragma once

#include "../blocks/symmetric_gram.hpp"
#include "../model/smooth_products.hpp"
#include "../model/span_weights.hpp"
#include "span.hpp"

namespace localgd {

template <class Real>
class GramEngine final : public SpanEngine<Real> {
  using Span = SpanEngine<Real>;
  using Span::block;
  using Span::data_;

 public:
  GramEngine(const Data& data, const Matrix<double>& init, const EngineOptions& options)
      : Span(data, init.cols(), options),
        init_(init),
        first_margins_(first_margins(data, init)),
        margins_(options.server, first_margins_),
        products_(data.samples(), init.cols()),
        moved_(data.samples(), init.cols()),
        model_(data, init, flops_of_round()),
        weights_(init) {}

  bool prepare(Team& team, Stop& stop) override {
    if (!this->prepare_blocks(team, stop) || !gram_.prepare(this->rows_.all(), team, stop))
      return false;
    if (smooth()) norm_ = gram_.largest_row_sum();
    return true;
  }

  Outcome round(const RoundPlan& plan, Team& team, Stop& stop) override {
    this->begin_round(plan, this->work_);
    if (this->corrections_.any()) correct(team);
    const Outcome outcome = this->local_work(team, stop);
    if (outcome != Outcome::done) return outcome;
    // The clients' mean change of the margins is K times that of the coefficients.
    this->gather_coefficients(team);
    if (plan.last) return this->commit(margins_, team);
    multiply(this->coefficients_.track().mean, margins_.mean, team);
    margins_.advance(plan.round, 0, data_.samples());
    const Outcome committed = this->commit(margins_, team);
    if (committed != Outcome::done) return committed;
    if (smooth()) products_.commit();
    model_.after_round(this->coefficients_.track(), margins_);
    return committed;
  }

  const Matrix<double>& weights() override {
    weights_ = model_.weights(this->coefficients_.track());
    return weights_;
  }
  const Matrix<double>& coefficients() override {
    all_coefficients_ = model_.coefficients(this->coefficients_.track());
    return all_coefficients_;
  }
  const Matrix<double>& margins() override { return margins_.value; }

  void models(const Matrix<double>& coefficients, Matrix<double>& margins, Matrix<double>& weights,
              Team& team) override {
    const Index outputs = init_.cols(), states = coefficients.cols() / outputs;
    margins.resize(first_margins_.rows(), coefficients.cols());
    gram_.multiply(coefficients, margins, team);
    margins += first_margins_.replicate(1, states);
    weights = init_.replicate(1, states) + weighted_rows(data_.rows, coefficients);
  }

  void place(const Matrix<double>& coefficients, const Matrix<double>* margins,
             const Matrix<double>& velocity, const Matrix<double>& controls, Team& team) override {
    model_.restart(init_);
    this->coefficients_.track().value = coefficients;
    if (this->coefficients_.track().anchor.size()) this->coefficients_.track().anchor.setZero();
    if (margins) {
      margins_.value = *margins;
    } else {
      gram_.multiply(coefficients, margins_.value, team);
      margins_.value += first_margins_;
    }
    if (velocity.size()) {
      this->coefficients_.track().velocity = velocity;
      gram_.multiply(velocity, margins_.velocity, team);
    }
    products_.forget();
    if (controls.size()) this->corrections_.controls() = controls;
  }

  Engine::State state() override {
    Engine::State state = Span::state();
    state.emplace_back("margins", &margins_.value);
    if (margins_.velocity.size()) state.emplace_back("margins velocity", &margins_.velocity);
    if (smooth()) products_.add_to(state);
    if (this->coefficients_.track().anchor.size())
      state.emplace_back("coefficients' anchor", &this->coefficients_.track().anchor);
    model_.add_to(state);
    return state;
  }

 private:
  // Whether the clients' changes follow from one another, as those of random batches do not.
  bool smooth() const { return !this->local_.every_step && !this->local_.stochastic(); }

  // y = K x, x the mean change of the round, to the rounding of the margins.
  void multiply(const Matrix<double>& x, Matrix<double>& y, Team& team) {
    const auto product = [&](const Matrix<double>& of, Matrix<double>& out) {
      gram_.multiply(of, out, team);
    };
    if (!smooth()) return product(x, y);
    constexpr double unit = std::numeric_limits<Real>::epsilon() / 2;
    const double largest = margins_.value.template lpNorm<Eigen::Infinity>();
    products_.next(x, {norm_, unit, unit * largest}, y, product);
  }

  void begin_client(Index i) override {
    this->start_margins(i) = rows_of(margins_.value, data_, i);
    if (!this->corrections_.any()) return;
    this->own_correction(i);
    this->columns(this->shift_, i) -= rows_of(moved_, data_, i).template cast<Real>();
  }

  void begin_bundle(Index bundle, Index /*next*/, BundleClients<Real>& client) override {
    constexpr Index width = bundle_width<Real>;
    double* margins = client.at.margins.data();
    std::fill_n(margins, client.n * width, 0.0);
    const Index first = bundle * width;
    for (Index i = first; i < std::min(first + width, data_.clients()); ++i)
      for (Index j = 0; j < data_.size(i); ++j)
        margins[j * width + i - first] = margins_.value(data_.begin(i) + j);
  }

  static Matrix<double> first_margins(const Data& data, const Matrix<double>& init) {
    Matrix<double> margins;
    products_of_rows(data, init, margins);
    return margins;
  }

  // The least that a round takes: few steps, where the others are extrapolated, and a product that
  // follows from those of earlier rounds.
  double flops_of_round() const {
    constexpr std::int64_t few = 6;
    double flops = 0;
    for (Index i = 0; i < data_.clients(); ++i) {
      const auto n = static_cast<double>(data_.size(i));
      const auto rows = this->round_.batch(i) > 0 ? static_cast<double>(this->round_.batch(i)) : n;
      flops += 32 * n + 2 * n * rows * static_cast<double>(std::min(few, this->round_.steps(i)));
    }
    return flops * static_cast<double>(this->outputs_);
  }

  // moved_ = A sum_j v_j A_j^T gamma_j, what the corrections of all clients have in common.
  void correct(Team& team) {
    if (this->corrections_.displace())
      this->round_.for_participants(team, this->round_.work(), [&](Index i, int) {
        auto m = block(this->sums_, i);
        m = rows_of(margins_.value, data_, i).template cast<Real>();
        this->set_displacement(i, m.data());
      });
    gram_.multiply(this->corrections_.gather_common(this->round_), moved_, team);
  }

  const Matrix<double> init_, first_margins_;
  SymmetricGram<Real> gram_;
  double norm_ = 0;  // largest row sum of |K|
  Track margins_;
  SmoothProducts products_;
  Matrix<double> moved_;  // A sum_j v_j A_j^T gamma_j, of corrections
  SpanWeights model_;
  Matrix<double> weights_, all_coefficients_;  // where somebody has asked for them
};

}  // namespace localgd
