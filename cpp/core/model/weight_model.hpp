// The model in the weights: sums over groups of clients take the clients' changes to them.
//   round  4 N d flops, or 2 M d where clients know what they moved by;  memory  512 d reals at
//   most, with corrections M d more
#pragma once

#include <optional>
#include <utility>

#include "bundled_weights.hpp"
#include "client_coefficients.hpp"
#include "corrections_in_weights.hpp"
#include "group_sums.hpp"
#include "model_of.hpp"
#include "spread.hpp"

namespace localgd {

template <class Real>
class WeightModel final : public ModelOf<Real> {
  using Base = ModelOf<Real>;
  using typename Base::Block;
  using typename Base::Columns;

 public:
  // What a round takes beside its clients' steps, and what is made before the first one.
  template <class Chosen>
  static void forecast(const Setting& of, const Outlook& ahead, Forecast& forecast) {
    Cost& round = forecast.round;
    const auto M = static_cast<double>(of.layout.clients());
    const double numbers = of.features() * of.columns(), rows = of.bytes_of_rows<Real>(),
                 groups = std::min(M, static_cast<double>(Groups::most)),
                 present = std::min(ahead.share * M, groups), sums = 8 * groups * numbers;
    const bool corrected = of.rule.correction != nullptr;
    if (of.rule.rates.shared()) {  // A w_k of all clients
      of.add_row_products<double>(round, of.columns());
      round.read(rows, rows);
    }
    round.add(Cost::rounds, 1);
    round.add(Cost::weights, (present + 6) * numbers);
    round.read(8 * present * numbers, 8 * present * numbers);
    if (corrected) {
      round.add(Cost::products, ahead.share * 2 * M);
      const double own = sizeof(Real) * M * numbers;  // q_i
      of.add_row_products<Real>(round, ahead.share * 2 * of.columns());
      round.read(ahead.share * rows, rows);
      round.add(Cost::weights, ahead.share * 3 * M * numbers);
      round.read(ahead.share * 2 * own, own);
    }
    forecast.setup.add(Cost::filled, sums * std::min(1.0, ahead.share * ahead.rounds));
    forecast.memory += sums;
    if constexpr (Chosen::in_span) {
      // A_i w_k and A_i^T b_i; what corrections have in common, too.
      const double products = corrected ? 1.5 : 1,
                   share = Chosen::multiple == 1 ? ahead.share : ahead.any_of(2 * of.lanes);
      round.add(Cost::numbers, ahead.share * 4 * of.samples() * of.columns());
      of.add_row_products<double>(round, share * products * of.columns());
      of.add_row_products<Real>(round, share * products * of.columns());
      round.read(share * rows, rows);
      for (Index i = 0; i < of.layout.clients(); ++i) {
        const double own = rows * static_cast<double>(of.layout.entries(i)) / of.entries();
        round.read(share * (2 * products - 1) * own, own);
      }
      if constexpr (Chosen::multiple == 1) {
        round.add(Cost::weights,
                  ahead.share * std::min(M * of.features(), of.entries()) * of.columns());
        round.add(Cost::products, ahead.share * M * (corrected ? 5 : 2));
      } else {
        forecast.setup.add(Cost::filled, rows);
      }
    }
  }

  WeightModel(const Data& data, const Matrix<double>& init, const LossChoice& loss,
              const ServerRule& server, const Round& round)
      : Base(data, init, loss, round),
        factor_(server.factor()),
        groups_(round.groups()),
        sums_of_groups_(groups_, init.rows(), init.cols()),
        weights_(server, init),
        margins_(data.samples(), init.cols()) {
    const bool shrinks = round.rule().l2 > 0;  // all coefficients would move in every round
    if (data.shared())                         // whose coefficients nobody keeps
      spread_.emplace(groups_, init.size());
    else if (!server.coordinate_wise() && !shrinks)  // those leave the span of the rows
      coefficients_.emplace(data, init.cols(), server, groups_, this->corrections_);
    if (this->corrections_.any())
      q_.emplace(this->clients_, this->corrections_, init, groups_, sums_of_groups_);
    this->last_.change = &weights_.change;
    this->last_.change_in_weights = !factor_ || shrinks || data.shared();
    this->last_.common_in_weights = true;
  }

  // What is left of their changes is not in the span of the rows.
  void send_by(std::unique_ptr<Uplink> uplink) override {
    uplink_ = std::move(uplink);
    coefficients_.reset();
    this->last_.change_in_weights = true;
  }

  bool prepare(Team& team, Stop&) override {
    const auto threads = static_cast<std::size_t>(team.threads());
    const Index features = data().features();
    const bool by_thread = uplink_ || !std::is_same_v<Real, double>;
    if (by_thread && !bundles_ && !whole_changes_)
      thread_changes_.assign(threads, Matrix<Real>(features, outputs()));
    if (uplink_) messages_.assign(threads, Matrix<double>(features, outputs()));
    return true;
  }

  void begin(const Round& round, Team& team) override {
    sums_of_groups_.clear();
    if (spread_) spread_->clear();
    Base::begin(round, team);
  }

  void rest(double round) override {
    if (coefficients_) coefficients_->rest(round);
  }

  void start(Index i, double* margins) override {
    this->clients_.rows().dots(range(i), weights_.value.data(), outputs(), margins);
  }
  void subtract_common(Index i, Columns shift) override { q_->subtract_common(i, shift); }
  double intercept(Index output) const override { return weights_.value(last_feature(), output); }
  double common_intercept(Index output) const override {
    return static_cast<double>(q_->shared()(last_feature(), output));
  }

  // The sum of the client's group grows by u_i A_i^T b_i, u_i b_i in Real.
  void take_changes(const Round& round, Index i, Real* scratch, int thread) override {
    Block b(scratch, data().size(i), outputs());
    if (uplink_) return send_changes(round, i, b, thread);
    if (sums_of_groups_.late(i)) return;
    add_changes(round, i, b, thread);
  }
  void add_changes(const Round& round, Index i, Block b, int thread) {
    b = (round.share(i) * this->changes_.of(i)).template cast<Real>();
    auto sum = sums_of_groups_.of(i);
    if constexpr (std::is_same_v<Real, double>)
      add_weighted(i, b.data(), sum.data());
    else if (data().sparse())
      this->clients_.rows().add_in_double(range(i), b.data(), outputs(), sum.data());
    else
      sum += weighted(i, b.data(), thread).template cast<double>();
  }
  // The same where the client knows what it moved by, d x C. sums: nobody's of shared rows.
  void take_moved(const Round& round, Index i, const Real* sums, const Real* moved, int thread) {
    if (spread_)
      spread_->add(i, round.given_shares()[i], moved);
    else
      this->note(round, i, sums);
    if (auto* own = this->intercepts())
      for (Index c = 0; c < outputs(); ++c)
        own->moved(i)[c] = static_cast<double>(moved[(c + 1) * data().features() - 1]);
    if (!uplink_ && sums_of_groups_.late(i))
      late_moves_.of(i) = MatrixView<Real>(moved, data().features(), outputs());
    else if (!uplink_)
      sums_of_groups_.add(i, round.share(i), moved);
    else
      send(round, i, MatrixView<Real>(moved, data().features(), outputs()), thread);
  }

  // w_k, and what pulls or displaces a client.
  const Matrix<double>& present() const { return weights_.value; }
  CorrectionsInWeights<Real>& corrections_in_weights() { return *q_; }

  bool prepare_bundles(const Bundles<Real>& bundles, const Work& work, Team& team,
                       Stop& stop) override {
    bundles_.emplace(data(), bundles, coefficients_ ? factor_ : std::nullopt,
                     sums_of_groups_.late_clients(), team.threads());
    sums_of_groups_.carry_lanes();
    if (auto& own = bundles_->coefficients()) {
      all_coefficients_ = coefficients_->read();
      own->write(all_coefficients_);  // of a run that was loaded
      coefficients_.reset();
    }
    groups_.for_each(team, work, stop, [&](Index i) {
      RowMatrix<Real> rows(data().size(i), data().features());
      this->clients_.rows().copy(range(i), rows);
      bundles_->put(i, rows);
    });
    return !stop.requested();
  }
  void begin_group(int thread) override { bundles_->begin_group(thread); }
  void start_bundle(Index bundle, Index next, BundleClients<Real>& client) override {
    bundles_->start(bundle, next, weights_.value.data(), client);
  }
  void take_bundle(const Round& round, Index bundle, Index next, const BundleClients<Real>& client,
                   int thread) override {
    if (!bundles_->take(bundle, next, client, thread)) this->note_not_finite();
    if (!in_lanes()) this->note_bundle(round, bundle, client);
  }
  void end_group(Index first, int thread) override {
    const Index group = groups_.of(first);
    if (sums_of_groups_.late(first)) return;
    if (!sums_of_groups_.passed_on(group))
      return bundles_->end_group(thread, sums_of_groups_.of(first).data());
    bundles_->pass_on(thread, sums_of_groups_.carried());
    sums_of_groups_.note(group);
  }

  // w_{k+1} from the changes of all clients: D = sum_i u_i Delta_i, less what the corrections have
  // in common where the changes are those of b alone.
  Outcome close(const Round& round, Report& report, Team& team) override {
    if (report.outcome == Outcome::done && !(finite_changes(round, team) && this->finite()))
      report.outcome = Outcome::not_finite;
    take_mean_intercepts(round);
    const bool whole = whole_changes_ || uplink_;
    const double common = whole ? 0 : this->corrections_.mean_kappa(),
                 shrinkage = whole ? 0 : round.mean_shrinkage();
    const auto subtract = [&](double times, const auto& of, Index first, Index count) {
      for (Index c = 0; times != 0 && c < outputs(); ++c)
        add_scaled(-times, of.col(c).data() + first, count, weights_.mean.col(c).data() + first);
    };
    auto add_late = [&, bundle = Index{-1}](Index i) mutable {
      if (!round.has(i)) return;
      if (!bundles_) return this->add_late(round, i);
      if (std::exchange(bundle, i / bundle_width<Real>) == i / bundle_width<Real>) return;
      bundles_->add_late(bundle, sums_of_groups_.carried());
      sums_of_groups_.note(0);
    };
    report =
        sums_of_groups_.total(team, report, weights_.mean, add_late, [&](Index first, Index count) {
          if (q_) subtract(common, q_->shared(), first, count);
          subtract(shrinkage, weights_.value, first, count);
          if (!whole && first + count > last_feature()) set_intercept_change();
          weights_.advance(round.plan().round, first, count);
        });
    if (report.outcome != Outcome::done) return report.outcome;
    if (!weights_.call(round.plan().round)) return Outcome::stopped;
    if (!weights_.finite()) return Outcome::not_finite;
    weights_.commit();
    if (coefficients_) coefficients_->advance(round, team);
    if (bundles_) bundles_->commit(round, team);
    if (q_) keep_common(round, team);
    if (this->intercepts())
      this->last_.intercept_change = weights_.change.row(last_feature()).transpose();
    if (uplink_) uplink_->commit(round.participants());
    this->commit(round);
    return Outcome::done;
  }
  // Clients give what they moved by, take_moved().
  void expect_whole_changes() {
    whole_changes_ = true;
    late_moves_ = PerClient<Real>(sums_of_groups_.late_clients(), data().features(), outputs());
  }

  const Matrix<double>& weights() override { return weights_.value; }
  const Matrix<double>& margins() override {
    products_of_rows(*data().rows, weights_.value, margins_);
    return margins_;
  }
  const Matrix<double>& present_margins(Team& team) override {
    if (data().shared()) return margins();
    if (!products_work_.items()) products_work_ = work_of_products();
    groups_.for_each(team, products_work_, [&](Index i, int) {
      for (Index c = 0; c < outputs(); ++c)
        this->clients_.rows().dots(range(i), weights_.value.col(c).data(), 1,
                                   margins_.col(c).data() + data().begin(i));
    });
    return margins_;
  }
  const Matrix<double>& coefficients() override {
    if (coefficients_) return coefficients_->read();
    if (const auto* own = in_lanes()) own->read(all_coefficients_);
    if (!all_coefficients_.size())
      all_coefficients_ = Matrix<double>::Zero(data().samples(), outputs());
    return all_coefficients_;
  }
  const LastRound& last_round() override {
    LastRound& last = this->last_;
    Base::last_round();
    if (spread_) last.drift = spread_->drift(weights_.change);
    if (last.shrinkage.size()) last.before = weights_.value - weights_.change;
    if (!last.shares.size() || last.change_in_weights) return last;
    if (coefficients_) {
      last.change = &coefficients_->change(last.shares);
    } else {
      last_change_.resizeLike(last.local_changes);
      in_lanes()->last_round(last.shares, last.local_changes, last_change_);
      last.change = &last_change_;
    }
    return last;
  }
  void visit(const Visit& show) override {
    if (coefficients_)
      coefficients_->visit(show);
    else
      coefficients(), show("coefficients", all_coefficients_);
    Base::visit(show);
    show("weights", weights_.value);
    if (weights_.velocity.size()) show("weights velocity", weights_.velocity);
    if (weights_.squares.size()) show("weights squares", weights_.squares);
    if (q_) q_->visit(show);
    if (uplink_) uplink_->visit(show);
  }
  void loaded() override {
    if (auto* own = in_lanes()) own->write(all_coefficients_);
  }

 private:
  const Data& data() const { return this->clients_.data(); }

  // The coefficients, where bundles keep them.
  BundledCoefficients<Real>* in_lanes() {
    return bundles_ && bundles_->coefficients() ? &*bundles_->coefficients() : nullptr;
  }

  Index last_feature() const { return data().features() - 1; }
  // Of an intercept that lambda leaves alone.
  void take_mean_intercepts(const Round& round) {
    const auto* own = this->intercepts();
    if (!own) return;
    mean_intercepts_.resize(outputs());
    for (Index c = 0; c < outputs(); ++c) mean_intercepts_[c] = own->mean(round, c);
  }
  void set_intercept_change() {
    if (this->intercepts()) weights_.mean.row(last_feature()) = mean_intercepts_.transpose();
  }

  Index outputs() const { return this->clients_.outputs(); }
  Range range(Index client) const { return this->clients_.range(client); }

  // out += A_i^T b, b n_i x C.
  void add_weighted(Index i, const Real* b, Real* out) const {
    this->clients_.rows().add(range(i), b, outputs(), out);
  }

  Work work_of_products() const {
    std::vector<double> costs;
    for (Index i = 0; i < data().clients(); ++i)
      costs.push_back(2 * static_cast<double>(data().entries(i) * outputs()));
    return groups_.work(costs);
  }

  // A_i^T b, in the thread's own place.
  Matrix<Real>& weighted(Index i, const Real* b, int thread) {
    Matrix<Real>& change = thread_changes_[static_cast<std::size_t>(thread)];
    change.setZero();
    add_weighted(i, b, change.data());
    return change;
  }

  // What a client has given whose group began on another rank.
  void add_late(const Round& round, Index i) {
    if (whole_changes_) return sums_of_groups_.add_to_group(i, round.share(i), late_moves_.data(i));
    late_scratch_.resize(data().size(i) * outputs());
    add_changes(round, i, Block(late_scratch_.data(), data().size(i), outputs()), 0);
  }

  // Of the coefficients, with what else they need of a round.
  bool finite_changes(const Round& round, Team& team) {
    if (coefficients_) return coefficients_->gather(round, this->changes_, team);
    return spread_ || in_lanes() || this->changes_.finite(round.participants());
  }

  // The server gets what is left of a client's change: what its steps made of where it began.
  template <class Change>
  void send(const Round& round, Index i, const Change& change, int thread) {
    Matrix<double>& message = messages_[static_cast<std::size_t>(thread)];
    message = change.template cast<double>();
    uplink_->send(i, message);
    sums_of_groups_.add(i, round.share(i), message.data());
  }
  void send_changes(const Round& round, Index i, Block scratch, int thread) {
    scratch = this->changes_.of(i).template cast<Real>();
    Matrix<Real>& change = weighted(i, scratch.data(), thread);
    const double shrinkage = round.shrinkage(i);
    if (this->corrections_.pull())
      change -= static_cast<Real>(this->corrections_.kappa(i)) * q_->shared();
    else if (q_ && shrinkage > 0)
      change += static_cast<Real>(shrinkage) * q_->shared();
    if (shrinkage > 0) change -= (shrinkage * weights_.value).template cast<Real>();
    if (auto* own = this->intercepts())
      for (Index c = 0; c < outputs(); ++c)
        change(last_feature(), c) = static_cast<Real>(own->moved(i)[c]);
    send(round, i, change, thread);
  }

  void correct(const Round& round, Team& team) override { q_->begin(round, weights_.value, team); }
  // The round had this in common.
  void keep_common(const Round& round, Team& team) {
    this->last_.common = q_->common();
    if (this->corrections_.kept() && !this->last_.change_in_weights)
      this->last_.mean_kappa = *factor_ * this->corrections_.mean_kappa();
    q_->end(round, team);
  }

  const std::optional<double> factor_;
  const Groups& groups_;
  GroupSums sums_of_groups_;  // of u_i Delta_i
  std::optional<CorrectionsInWeights<Real>> q_;
  Track weights_;
  std::optional<ClientCoefficients> coefficients_;  // unless bundles keep them, or nobody
  std::optional<Spread> spread_;                    // of clients that share their rows
  Work products_work_;                              // of A w_k, by group
  // where somebody has asked for them
  Matrix<double> margins_, all_coefficients_, last_change_;
  bool whole_changes_ = false;
  Vector<double> mean_intercepts_;
  PerClient<Real> late_moves_;  // of late clients, where they are whole
  Vector<Real> late_scratch_;
  std::unique_ptr<Uplink> uplink_;            // or all is sent
  std::vector<Matrix<double>> messages_;      // of each thread
  std::vector<Matrix<Real>> thread_changes_;  // of each thread: by one client, in Real

  std::optional<BundledWeights<Real>> bundles_;  // where clients are in bundles
};

}  // namespace localgd
