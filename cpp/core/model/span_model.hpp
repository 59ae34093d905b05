// The model as coefficients and margins alone, w = s w_0 + A^T a: K = A A^T takes the clients' mean
// change to the margins, without the weights. s is 1 unless lambda pulls all of the model to 0; it
// takes the server's steps as if w_0 were one more row. An intercept that lambda leaves alone is a
// number of its own, b.
//   round  2 N^2 flops, half of it read, or 32 N;  memory  N^2 reals
#pragma once

#include <limits>
#include <stdexcept>

#include "../blocks/symmetric_gram.hpp"
#include "../matrix_products.hpp"
#include "coefficients.hpp"
#include "model_of.hpp"
#include "smooth_products.hpp"
#include "span_weights.hpp"

namespace localgd {

template <class Real>
class SpanModel final : public ModelOf<Real> {
  using Base = ModelOf<Real>;
  using typename Base::Block;
  using typename Base::Columns;

 public:
  // What a round takes beside its clients, and what is made before the first one.
  template <class Chosen>
  static void forecast(const Setting& of, const Outlook& ahead, Forecast& forecast) {
    constexpr double unit = std::numeric_limits<Real>::epsilon() / 2;
    Cost& round = forecast.round;
    const double N = of.samples(), C = of.columns(), matrix = sizeof(Real) * N * N / 2;
    const bool smooth = is_smooth(of.rule);
    double products = 1;
    if (smooth && ahead.all())
      products = ahead.mean([](double k) { return SmoothProducts::foreseen(k, unit); });
    if (of.rule.correction) products += 1;
    round.add(Cost::rounds, smooth ? 2 : 1);
    round.add(Cost::numbers, N * C * (smooth ? 12 : 4));
    round.add_flops<Real>(Cost::flops, products * 2 * N * N * C);
    if (of.outputs > 1)  // one by one: all of K is loaded for each
      round.add(Cost::flops, products * 2 * N * N * C * sizeof(Real) / 8);
    round.read(products * matrix, matrix);
    of.add_row_products<Real>(forecast.setup, N / 2);
    forecast.setup.add(Cost::filled, matrix);
    forecast.memory += matrix;
  }

  SpanModel(const Data& data, const Matrix<double>& init, const LossChoice& loss,
            const ServerRule& server, const Round& round)
      : Base(data, init, loss, round),
        init_(init),
        coefficients_(data, init.cols(), server, round.groups()),
        first_margins_(first_margins(data, init)),
        margins_(server, first_margins_),
        smooth_(is_smooth(round.rule())),
        products_(data.samples(), init.cols()),
        moved_(data.samples(), init.cols()),
        model_(data, init, flops_of_round(round)),
        weights_(init) {
    if (round.rule().l2 > 0) start_ = Track(server, Matrix<double>::Ones(1, 1));
    if (this->intercepts()) intercept_ = Track(server, init.bottomRows(1).transpose());
    this->last_.start = &init_;
    this->last_.change = &track().change;
    if (this->corrections_.any()) common_ = Matrix<double>::Zero(data.samples(), init.cols());
    if (this->corrections_.found()) scratch_ = this->clients_.numbers();
  }

  bool prepare(Team& team, Stop& stop) override {
    if (!gram_.prepare(this->clients_.rows(), team, stop)) return false;
    if (smooth_) norm_ = gram_.largest_row_sum();
    return true;
  }

  void start(Index i, double* margins) override {
    Eigen::Map<Matrix<double>>(margins, data().size(i), margins_.value.cols()) =
        rows_of(margins_.value, data(), i);
  }
  void subtract_common(Index i, Columns shift) override {
    shift -= rows_of(moved_, data(), i).template cast<Real>();
  }
  double intercept(Index output) const override { return intercept_.value(output); }
  double common_intercept(Index output) const override {
    return this->intercepts_->column().dot(common_.col(output));
  }
  void take_changes(const Round&, Index, Real*, int) override {}

  bool prepare_bundles(const Bundles<Real>&, const Work&, Team&, Stop&) override { return true; }
  void start_bundle(Index bundle, Index /*next*/, BundleClients<Real>& client) override {
    constexpr Index width = bundle_width<Real>;
    double* margins = client.at.margins.data();
    std::fill_n(margins, client.n * width, 0.0);
    const Index first = bundle * width;
    for (Index i = first, end = std::min(first + width, data().clients()); i < end; ++i) {
      const double* from = margins_.value.data() + data().begin(i);
      for (Index j = 0, rows = data().size(i); j < rows; ++j)
        margins[j * width + i - first] = from[j];
    }
  }
  void take_bundle(const Round& round, Index bundle, Index /*next*/,
                   const BundleClients<Real>& client, int /*thread*/) override {
    this->note_bundle(round, bundle, client);
  }

  // The clients' mean change of the margins is K times that of the coefficients.
  Outcome close(const Round& round, Report& /*report*/, Team& team) override {
    if (!coefficients_.gather(round, this->changes_, common_, this->corrections_.mean_kappa(),
                              team))
      this->note_not_finite();
    const bool last = round.plan().last;
    if (!last) multiply(track().mean, margins_.mean, team);
    if (this->intercepts()) leave_intercept(round);
    if (shrinks()) shrink(round);
    if (!last) margins_.advance(round.plan().round, 0, data().samples());
    if (!this->finite() || !(last || margins_.finite())) return Outcome::not_finite;
    if (!last) margins_.commit();
    if (shrinks()) start_.commit();
    if (this->intercepts()) keep_intercept();
    coefficients_.advance(round, team);
    this->commit(round);
    if (this->corrections_.any()) keep_common();
    if (last) return Outcome::done;
    if (smooth_) products_.commit();
    if (!shrinks()) model_.after_round(track(), margins_);
    return Outcome::done;
  }

  const Matrix<double>& weights() override {
    weights_ = model_.weights(track(), shrinks() ? start_.value(0) : 1.0);
    if (this->intercepts()) weights_.bottomRows(1) = intercept_.value.transpose();
    return weights_;
  }
  const LastRound& last_round() override {
    LastRound& last = this->last_;
    Base::last_round();
    if (!last.shrinkage.size()) return last;
    last.start_change = start_.change(0);
    last.before = weights() - data().rows->combine(data().rows->all(), track().change);
    last.before -= last.start_change * init_;
    if (this->intercepts())
      last.before.bottomRows(1) = (intercept_.value - intercept_.change).transpose();
    return last;
  }
  const Matrix<double>& coefficients() override {
    all_coefficients_ = model_.coefficients(track());
    return all_coefficients_;
  }
  const Matrix<double>& margins() override { return margins_.value; }

  void models(const Matrix<double>& coefficients, Matrix<double>& margins, Matrix<double>& weights,
              Team& team) override {
    const Index outputs = init_.cols(), states = coefficients.cols() / outputs;
    margins.resize(first_margins_.rows(), coefficients.cols());
    gram_.multiply(coefficients, margins, team);
    margins += first_margins_.replicate(1, states);
    weights = init_.replicate(1, states) + data().rows->combine(data().rows->all(), coefficients);
  }

  void place(const Matrix<double>& coefficients, const Matrix<double>* margins,
             const Matrix<double>& velocity, const Matrix<double>& controls, Team& team) override {
    if (shrinks()) throw std::logic_error("place: want no l2");
    model_.restart(init_);
    track().value = coefficients;
    if (track().anchor.size()) track().anchor.setZero();
    if (margins) {
      margins_.value = *margins;
    } else {
      gram_.multiply(coefficients, margins_.value, team);
      margins_.value += first_margins_;
    }
    if (velocity.size()) {
      track().velocity = velocity;
      gram_.multiply(velocity, margins_.velocity, team);
    }
    products_.forget();
    if (controls.size()) this->corrections_.controls() = controls;
  }

  void visit(const Visit& show) override {
    show("coefficients", track().value);
    if (track().velocity.size()) show("velocity", track().velocity);
    Base::visit(show);
    show("margins", margins_.value);
    if (margins_.velocity.size()) show("margins velocity", margins_.velocity);
    if (smooth_) products_.visit(show);
    if (track().anchor.size()) show("coefficients' anchor", track().anchor);
    if (shrinks()) show("share of the start", start_.value);
    if (start_.velocity.size()) show("velocity of the start", start_.velocity);
    if (intercept_.value.size()) show("intercept", intercept_.value);
    if (intercept_.velocity.size()) show("velocity of the intercept", intercept_.velocity);
    model_.visit(show);
  }

 private:
  // Whether the clients' changes follow from one another: not of random batches.
  // Nor in float32 of margins that grow like the rounds, beside whose rounding all is small.
  static bool is_smooth(const LocalRule& rule) {
    return !rule.every_step && !rule.stochastic() &&
           (rule.rates.given() || std::is_same_v<Real, double>);
  }

  const Data& data() const { return this->clients_.data(); }
  Track& track() { return coefficients_.track(); }
  bool shrinks() const { return start_.value.size() > 0; }

  // What lambda takes of the model joins the clients' mean change.
  void shrink(const Round& round) {
    const double part = -round.mean_shrinkage();
    start_.mean.setZero();
    for (Track* moving : {&track(), &margins_, &start_})
      add_scaled(part, moving->value.data(), moving->value.size(), moving->mean.data());
    start_.advance(round.plan().round, 0, 1);
  }

  // The clients' mean change of b in place of what the rows and lambda would make of it. Before
  // shrink().
  void leave_intercept(const Round& round) {
    const auto& own = *this->intercepts();
    for (Index c = 0; c < intercept_.value.size(); ++c) {
      const double mean = own.mean(round, c), made = own.column().dot(track().mean.col(c)) -
                                                     round.mean_shrinkage() * intercept_.value(c);
      intercept_.mean(c) = mean;
      add_scaled(mean - made, own.column().data(), own.column().size(),
                 margins_.mean.col(c).data());
    }
    intercept_.advance(round.plan().round, 0, intercept_.value.rows());
  }
  void keep_intercept() {
    intercept_.commit();
    this->last_.intercept_change = intercept_.change;
  }

  // y = K x, x the mean change of the round, to the rounding of the margins.
  void multiply(const Matrix<double>& x, Matrix<double>& y, Team& team) {
    const auto product = [&](const Matrix<double>& of, Matrix<double>& out) {
      gram_.multiply(of, out, team);
    };
    if (!smooth_) return product(x, y);
    constexpr double unit = std::numeric_limits<Real>::epsilon() / 2;
    const double largest = margins_.value.template lpNorm<Eigen::Infinity>();
    products_.next(x, {norm_, unit, unit * largest}, y, product);
  }

  // moved_ = A sum_j v_j A_j^T gamma_j, what the corrections of all clients have in common.
  void correct(const Round& round, Team& team) override {
    Corrections& corrections = this->corrections_;
    if (corrections.found())
      round.for_participants(team, round.work(), [&](Index i, int) {
        Block m = this->clients_.block(scratch_, i);
        m = rows_of(margins_.value, data(), i).template cast<Real>();
        this->clients_.derivatives(i, m);
        corrections.find(i, m);
      });
    if (corrections.found() && !round.participants().all()) common_.setZero();
    corrections.for_each(round, [&](Index i) {
      rows_of(common_, data(), i) = corrections.share(round, i) * corrections.own(i);
    });
    gram_.multiply(common_, moved_, team);
  }
  void keep_common() {
    Matrix<double>& last = this->last_.common;
    if (!last.size()) last = Matrix<double>::Zero(common_.rows(), common_.cols());
    last.swap(common_);
  }

  static Matrix<double> first_margins(const Data& data, const Matrix<double>& init) {
    Matrix<double> margins;
    products_of_rows(*data.rows, init, margins);
    return margins;
  }

  // The least that a round takes: few steps, where the others are extrapolated, and a product that
  // follows from those of earlier rounds.
  double flops_of_round(const Round& round) const {
    constexpr std::int64_t few = 6;
    const auto steps = [&](Index i) { return std::min(few, round.steps(i)); };
    return least_flops(data(), round, steps, 32 * static_cast<double>(data().samples())) *
           static_cast<double>(this->clients_.outputs());
  }

  const Matrix<double> init_;
  Coefficients coefficients_;
  const Matrix<double> first_margins_;
  SymmetricGram<Real> gram_;
  double norm_ = 0;  // largest row sum of |K|
  Track margins_;
  const bool smooth_;
  SmoothProducts products_;
  Vector<Real> scratch_;           // of corrections: a number for each row and output
  Matrix<double> common_, moved_;  // sum_j v_j A_j^T gamma_j: the v_j gamma_j, and its margins
  SpanWeights model_;
  Track start_;                                // s, with lambda
  Track intercept_;                            // b, C x 1, where lambda leaves it alone
  Matrix<double> weights_, all_coefficients_;  // where somebody has asked for them
};

}  // namespace localgd
