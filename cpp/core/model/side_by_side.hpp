// Several runs over the same rows, each as coefficients and margins: K = A A^T takes their mean
// changes to the margins, and each of its numbers is read once for all of them.
//   round of a run  2 N^2 flops;  memory  N^2 reals
#pragma once

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "../blocks/panels.hpp"
#include "../matrix_products.hpp"
#include "../round/run_rule.hpp"
#include "../rows/clients.hpp"
#include "model.hpp"
#include "span_weights.hpp"

namespace localgd {

// One of the runs: its server state, and its last round.
struct RunState {
  // flops: of a round of this run, at least.
  RunState(const Data& data, const RunRule& rule, double flops)
      : prox(rule.prox),
        coefficients(rule.server, Matrix<double>::Zero(data.samples(), 1)),
        model(data, rule.init, flops),
        next_changes(Matrix<double>::Zero(data.samples(), 1)) {
    Matrix<double> start;
    products_of_rows(*data.rows, rule.init, start);
    margins = Track(rule.server, std::move(start));
    last.local_changes = next_changes;
  }

  double lr = 1, prox;  // eta of the round, mu
  Track coefficients, margins;
  SpanWeights model;
  Matrix<double> next_changes;  // b of the round at work
  LastRound last;               // but for `change`, which is that of the coefficients
  bool finite = true;           // the last round was; otherwise the state is that before it

  // Takes the round into the state unless something in it is inf or NaN.
  void commit(const Round& round) {
    finite = all_finite(next_changes.data(), next_changes.size()) && margins.finite();
    if (!finite) return;
    coefficients.advance(round.plan().round, 0, next_changes.rows());
    coefficients.commit();
    margins.commit();
    model.after_round(coefficients, margins);
    last.local_changes.swap(next_changes);
    if (!round.plan().same_shares) last.shares = round.given_shares();
  }
};

template <class Real>
class SideBySide final : public Model {
 public:
  static constexpr Index width = strip_width<Real>;

  // Of one run of many.
  template <class Chosen>
  static void forecast(const Setting& of, const Outlook& /*ahead*/, Forecast& forecast) {
    const double N = of.samples();
    forecast.round.add(Cost::rounds, 1);
    forecast.round.add(Cost::numbers, 4 * N);
    forecast.round.add_flops<Real>(Cost::strip_flops, 2 * N * N);
    of.add_row_products<Real>(forecast.setup, N);
    forecast.setup.add(Cost::filled, sizeof(Real) * N * N);
    forecast.memory += sizeof(Real) * N * N;
  }

  SideBySide(const Data& data, const std::vector<RunRule>& runs, const LossChoice& loss,
             const Round& round)
      : clients_(data, 1, loss), gram_(data.samples(), data.samples()) {
    const auto samples = static_cast<double>(data.samples());
    const auto few = [](Index) { return 4; };  // steps, where the others are extrapolated
    const double flops = least_flops(data, round, few, samples * samples);
    runs_.reserve(runs.size());
    for (const RunRule& rule : runs) {
      runs_.emplace_back(data, rule, flops);
      every_run_.push_back(static_cast<Index>(every_run_.size()));
    }
    selected_ = every_run_;
    std::vector<double> costs;
    for (Index g = 0; g < gram_.groups(); ++g)
      costs.push_back(static_cast<double>(gram_.group_end(g) - gram_.group_begin(g)));
    gram_work_ = Work(std::move(costs));
  }

  const Clients<Real>& clients() const { return clients_; }

  bool prepare(Team& team, Stop& stop) override {
    team.for_each(gram_work_, [&](Index g, int thread) {
      if (!stop.check(thread)) gram_.fill(clients_.rows(), clients_.rows().all(), g);
    });
    return !stop.requested();
  }

  void begin(const Round& round, Team&) override {
    const RoundPlan& plan = round.plan();
    const std::vector<Index>& runs = plan.runs ? *plan.runs : every_run_;
    if (at_work_.size() != runs.size()) arrange(runs.size());
    for (std::size_t l = 0; l < runs.size(); ++l) {
      RunState& run = state(runs[l]);
      run.lr = plan.lrs ? plan.lrs[runs[l]] : plan.lr;
      at_work_[l] = &run;
    }
  }

  // The strips of the round, and the run in one of their lanes: null in those that fill up the last
  // strip.
  Index runs_at_work() const { return static_cast<Index>(at_work_.size()); }
  Index strips() const { return (runs_at_work() + width - 1) / width; }
  const RunState* in_lane(Index lane) const {
    return lane < runs_at_work() ? at_work_[static_cast<std::size_t>(lane)] : nullptr;
  }

  template <class Property>
  bool any_at_work(Property&& property) const {
    return std::any_of(at_work_.begin(), at_work_.end(),
                       [&](const RunState* run) { return property(*run); });
  }

  // The sums of the steps of a client in some strips: b_i = step s_i, and its part of the mean
  // change of the coefficients. Null of a client that sits the round out.
  void take(const Round& round, Index client, Index first, Index strips, const Real* sums) {
    const Index n = data().size(client), begin = data().begin(client);
    const double share = round.share(client);
    Real* applied = applied_.data() + first * data().samples() * width;
    for_lanes(first, strips, n, [&](RunState& run, Index place) {
      const double step = run.lr / static_cast<double>(n);
      Real* to = applied + (place / (n * width)) * data().samples() * width + place % width;
      for (Index j = 0; j < n; ++j) {
        const double b = sums ? step * static_cast<double>(sums[place + j * width]) : 0;
        run.next_changes(begin + j) = b;
        run.coefficients.mean(begin + j) = share * b;
        to[(begin + j) * width] = static_cast<Real>(share * b);
      }
    });
  }

  Outcome close(const Round& round, Report& /*report*/, Team& team) override {
    team.for_each(gram_work_, [&](Index g, int) { move_margins(round.plan().round, g); });
    team.for_each(commit_work_,
                  [&](Index l, int) { at_work_[static_cast<std::size_t>(l)]->commit(round); });
    const bool diverged = any_at_work([](const RunState& run) { return !run.finite; });
    return diverged ? Outcome::not_finite : Outcome::done;
  }
  bool took_round(Index run) const override { return runs_[static_cast<std::size_t>(run)].finite; }

  void select(const std::vector<Index>& runs) override { selected_ = runs; }
  const Matrix<double>& margins() override {
    return columns(margins_, [](const RunState& run) -> auto& { return run.margins.value; });
  }
  const Matrix<double>& weights() override {
    columns(weights_, [](const RunState& run) -> auto& { return run.model.base(); });
    columns(since_, [](const RunState& run) { return run.model.since(run.coefficients); });
    weights_ += data().rows->combine(data().rows->all(), since_);
    return weights_;
  }
  const Matrix<double>& coefficients() override {
    return columns(coefficients_,
                   [](const RunState& run) { return run.model.coefficients(run.coefficients); });
  }
  const LastRound& last_round() override {
    columns(change_, [](const RunState& run) -> auto& { return run.coefficients.change; });
    columns(last_.local_changes,
            [](const RunState& run) -> auto& { return run.last.local_changes; });
    last_.shares = state(selected_.front()).last.shares;
    last_.change = &change_;
    return last_;
  }

  void visit(const Visit& show) override {
    for (const Index r : every_run_) {
      RunState& run = state(r);
      const Visit own = [&](const std::string& name, Matrix<double>& values) {
        show("run " + std::to_string(r) + ": " + name, values);
      };
      for (auto [name, track] :
           {std::pair{"coefficients", &run.coefficients}, std::pair{"margins", &run.margins}}) {
        own(name, track->value);
        if (track->velocity.size()) own(std::string(name) + " velocity", track->velocity);
        if (track->anchor.size()) own(std::string(name) + " anchor", track->anchor);
      }
      run.model.visit(own);
    }
  }

 private:
  const Data& data() const { return clients_.data(); }
  RunState& state(Index run) { return runs_[static_cast<std::size_t>(run)]; }

  // One column of each of the selected runs.
  template <class Column>
  const Matrix<double>& columns(Matrix<double>& all, Column&& column) {
    for (std::size_t r = 0; r < selected_.size(); ++r) {
      const auto& own = column(state(selected_[r]));
      if (r == 0) all.resize(own.rows(), static_cast<Index>(selected_.size()));
      all.col(static_cast<Index>(r)) = own;
    }
    return all;
  }

  void arrange(std::size_t runs) {
    at_work_.resize(runs);
    applied_ = moved_ = Vector<Real>::Zero(strips() * data().samples() * width);
    ones_ = Vector<Real>::Ones(strips() * width);
    commit_work_ = Work(std::vector<double>(runs, 1.0));
  }

  // Calls body(run, place of its first row) for the runs in some strips of so many rows.
  template <class Body>
  void for_lanes(Index first, Index strips, Index rows, Body&& body) const {
    const Index end = std::min((first + strips) * width, runs_at_work()) - first * width;
    for (Index lane = 0; lane < end; ++lane)
      body(*at_work_[static_cast<std::size_t>(first * width + lane)],
           (lane / width) * rows * width + lane % width);
  }

  // The clients' mean change of the margins is K times that of the coefficients.
  void move_margins(double k, Index group) {
    const Index first = gram_.group_begin(group), last = gram_.group_end(group);
    const Index samples = data().samples(), begin = gram_.begin(first),
                count = gram_.begin(last) - begin;
    for (Index s = 0; s < strips(); ++s)
      std::fill_n(moved_.data() + (s * samples + begin) * width, count * width, Real(0));
    gram_.multiply(first, last, applied_.data(), strips(), ones_.data(), moved_.data());
    for_lanes(0, strips(), samples, [&](RunState& run, Index place) {
      for (Index j = begin; j < begin + count; ++j)
        run.margins.mean(j) = static_cast<double>(moved_[place + j * width]);
      run.margins.advance(k, begin, count);
    });
  }

  const Clients<Real> clients_;
  Panels<Real> gram_;  // K
  Work gram_work_, commit_work_;
  std::vector<RunState> runs_;
  std::vector<Index> every_run_;
  std::vector<RunState*> at_work_;  // one in each lane
  Vector<Real> ones_;               // of each lane
  Vector<Real> applied_, moved_;    // mean changes of coefficients and margins, in strips
  // of those selected, where somebody has asked for them
  std::vector<Index> selected_;
  Matrix<double> margins_, weights_, since_, coefficients_, change_;
  LastRound last_;
};

}  // namespace localgd
