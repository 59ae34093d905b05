// What the three engines share: the local phase of a round, corrections, and coefficients.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>

#include "../model/coefficients.hpp"
#include "../rows/dense.hpp"
#include "../steps/kernels.hpp"
#include "engine.hpp"

namespace localgd {

template <class Real>
class BaseEngine : public Engine {
 public:
  const Matrix<double>& coefficients() override { return coefficients_.track().value; }
  const LastRound& last_round() override { return last_; }
  const LaddersTaken* ladders() const override {
    for (Index i = 0; i < data_.clients(); ++i)
      if (most_rungs(i) == 0) return nullptr;
    return &ladders_taken_;
  }

  State state() override {
    State state{{"coefficients", &coefficients_.track().value}};
    if (coefficients_.track().velocity.size())
      state.emplace_back("velocity", &coefficients_.track().velocity);
    if (corrections_.pull()) state.emplace_back("controls", &corrections_.controls());
    return state;
  }

 protected:
  // a client's n_i x C numbers, side by side in a flat array
  using Block = Eigen::Map<Matrix<Real>>;

  // multiple: of clients in a group.
  BaseEngine(const Data& data, Index outputs, const EngineOptions& options, Index multiple = 1)
      : data_(data),
        outputs_(outputs),
        round_(data, options.local, multiple),
        rows_(data),
        kernels_(Kernels<Real>::of(options.loss)),
        local_(round_.rule()),
        targets_(data.targets.template cast<Real>()),
        sums_(data.samples() * outputs),
        corrections_(data, outputs, local_),
        coefficients_(data, outputs, options.server, round_.groups()) {
    rungs_.resize(static_cast<std::size_t>(data.clients()));
    last_.local_changes = Matrix<double>::Zero(data.samples(), outputs);
    last_.change = &coefficients_.track().change;
    if (local_.stochastic()) {
      for (Index i = 0; i < data.clients(); ++i)
        dealers_.emplace_back(data.size(i), local_.replacement,
                              local_.keys[static_cast<std::size_t>(i)],
                              static_cast<std::uint64_t>(round_.steps(i)) *
                                  static_cast<std::uint64_t>(round_.batch(i)));
      largest_batch_ = *std::max_element(local_.batches.begin(), local_.batches.end());
    }
  }

  Block block(Vector<Real>& flat, Index client) const {
    return Block(flat.data() + data_.begin(client) * outputs_, data_.size(client), outputs_);
  }
  // Calls task(client, thread) for all clients of some groups, and for those that take part.
  template <class Task>
  void for_all_clients(Team& team, const Work& groups, Task&& task) {
    team.for_each(groups, [&](Index g, int thread) {
      for (Index i = round_.groups().first(g); i < round_.groups().end(g); ++i) task(i, thread);
    });
  }
  // The same for clients of few rows: a stop is looked for once in each group.
  template <class Task>
  void for_small_clients(Team& team, const Work& groups, Stop& stop, Task&& task) {
    team.for_each(groups, [&](Index g, int thread) {
      if (stop.check(thread)) return;
      for (Index i = round_.groups().first(g); i < round_.groups().end(g); ++i) task(i);
    });
  }
  // Who works in this round, with which share u_i of the server's mean. The items of `work` are
  // groups.
  void begin_round(const RoundPlan& plan, const Work& work) {
    finite_.store(true, std::memory_order_relaxed);
    round_.begin(plan, work);
    corrections_.begin(round_);
    if (in_data_order_) coefficients_.begin(round_, corrections_);
  }

  // Steps after which a stop should be looked for, from the flops of a step.
  static std::int64_t steps_of_piece(double flops) {
    constexpr double flops_per_piece = 5e7;  // some 20 ms
    return std::max<std::int64_t>(
        1, static_cast<std::int64_t>(flops_per_piece / std::max(flops, 1.0)));
  }

  // For the groups of some work calls steps(client, count, done, thread), which returns how many
  // steps it took, until all L_i steps of every client of the round are done, in pieces short
  // enough that a stop is noticed, then finish(client, thread). False if it was stopped. The costs
  // of the work are flops per local step.
  template <class Steps, class Finish>
  bool local_phase(const Work& work, Team& team, Stop& stop, Steps&& take_steps, Finish&& finish) {
    const std::int64_t piece = steps_of_piece(work.largest);
    std::atomic<bool> complete{true};
    round_.for_participants(team, work, [&](Index client, int thread) {
      if (!complete.load(std::memory_order_relaxed)) return;
      for (std::int64_t done = 0; done < round_.steps_taken(client);) {
        const std::int64_t count = std::min(piece, round_.steps_taken(client) - done);
        if (done >= piece && stop.check(thread)) {
          complete.store(false, std::memory_order_relaxed);
          return;
        }
        done += take_steps(client, count, done, thread);
      }
      finish(client, thread);
    });
    return complete.load(std::memory_order_relaxed);
  }

  // The most rungs of a ladder of a client's steps; 0 if it takes them all.
  virtual int most_rungs(Index client) const = 0;
  bool takes_every_step() const { return local_.every_step || local_.solve || local_.stochastic(); }
  bool climbs(Index client) const { return !round_.plan().frozen && most_rungs(client) > 0; }
  double ladder_tolerance(Index client) const {
    return std::max(round_.plan().tolerance, Ladder::rounding<Real>(round_.steps(client)));
  }
  // Takes the round into what ladders() tells.
  void count_ladders() {
    if (round_.plan().frozen) return;
    bool all = true;
    round_.participants().for_each([&](Index i) {
      const std::int64_t steps = rungs_[static_cast<std::size_t>(i)];
      all = all && steps > 0;
      ladders_taken_.most_steps = std::max(ladders_taken_.most_steps, steps);
    });
    ++(all ? ladders_taken_.rounds : ladders_taken_.others);
  }

  void begin_batches(Index client) {
    if (local_.stochastic())
      dealers_[static_cast<std::size_t>(client)].begin_round(round_.plan().round);
  }

  // gamma_i = -(beta / n_i) e_i from the client's margins at w_k, which may stand in sums_.
  void set_displacement(Index client, const Real* margins) {
    auto e = block(sums_, client);
    kernels_.derivatives(margins, targets_.data() + data_.begin(client), data_.size(client),
                         outputs_, e.data());
    corrections_.displace(client, e);
  }

  // b_i from the sums of the round at work: the client's part of the mean change.
  void finish_steps(Index client) {
    const Index first = data_.begin(client), n = data_.size(client);
    const double per_sum = round_.change_per_sum(client);
    for (Index c = 0; c < outputs_; ++c) {
      double* b = coefficients_.change(client, c);
      scale(per_sum, sums_.data() + first * outputs_ + c * n, n, b);
      corrections_.finish(round_, client, c, b);
    }
  }

  void gather_coefficients(Team& team) {
    if (in_data_order_ && !coefficients_.gather(round_, corrections_, team)) note_not_finite();
  }
  // something in the clients' changes
  void note_not_finite() { finite_.store(false, std::memory_order_relaxed); }

  // Takes the round into the state unless something in it is inf or NaN.
  Outcome commit(Track& state, Team& team) {
    if (!finite_.load(std::memory_order_relaxed) || !(round_.plan().last || state.finite()))
      return Outcome::not_finite;
    if (!round_.plan().last) state.commit();
    if (in_data_order_) coefficients_.commit(round_, corrections_, last_, team);
    if (!round_.plan().same_shares) keep_shares();
    return Outcome::done;
  }

  const Data& data_;
  const Index outputs_;
  Round round_;
  const Rows<Real> rows_;
  const Kernels<Real> kernels_;
  const LocalRule& local_;
  const Vector<Real> targets_;
  Vector<Real> sums_;  // s, all clients
  Corrections corrections_;
  Coefficients coefficients_;
  LastRound last_;
  bool in_data_order_ = true;  // coefficients and b; or a derived engine keeps them
  // of each client: local steps of the last rung of its round, or 0
  std::vector<std::int64_t> rungs_;
  std::vector<RowDealer> dealers_;
  Index largest_batch_ = 0;

 private:
  // p~ of the round is that of the last one from here.
  void keep_shares() {
    const Participants& now = round_.participants();
    if (all_shares_ || now.all()) {
      last_.shares = now.shares();
    } else {
      for (const Index i : sharing_) last_.shares[i] = 0;
      now.for_each([&](Index i) { last_.shares[i] = now.shares()[i]; });
    }
    all_shares_ = now.all();
    sharing_ = now.clients();
  }

  bool all_shares_ = true;      // may not be 0 in the last round's; or
  std::vector<Index> sharing_;  // those of these clients
  LaddersTaken ladders_taken_;
  std::atomic<bool> finite_{true};  // the clients' changes of the round
};

}  // namespace localgd
