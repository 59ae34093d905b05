// What the three engines share: the local phase of a round, corrections, and coefficients.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>

#include "../round/groups.hpp"
#include "../round/participants.hpp"
#include "../rows/dense.hpp"
#include "../server/track.hpp"
#include "../steps/kernels.hpp"
#include "engine.hpp"

namespace localgd {

template <class Real>
class BaseEngine : public Engine {
 public:
  const Matrix<double>& coefficients() override { return coefficients_.value; }
  const LastRound& last_round() override { return last_; }
  const LaddersTaken* ladders() const override {
    for (Index i = 0; i < data_.clients(); ++i)
      if (most_rungs(i) == 0) return nullptr;
    return &ladders_taken_;
  }

  State state() override {
    State state{{"coefficients", &coefficients_.value}};
    if (coefficients_.velocity.size()) state.emplace_back("velocity", &coefficients_.velocity);
    if (local_.correction == Correction::control) state.emplace_back("controls", &gamma_);
    return state;
  }

 protected:
  static constexpr double few_rows = 16384;  // not worth sharing out

  // a client's n_i x C numbers, side by side in a flat array
  using Block = Eigen::Map<Matrix<Real>>;

  // multiple: of clients in a group.
  BaseEngine(const Data& data, Index outputs, const EngineOptions& options, Index multiple = 1)
      : data_(data),
        outputs_(outputs),
        groups_(data.clients(), multiple),
        rows_(data),
        kernels_(Kernels<Real>::of(options.loss)),
        local_(options.local),
        normalizes_(local_.normalize && !local_.equal_steps()),
        server_(options.server),
        targets_(data.targets.template cast<Real>()),
        sums_(data.samples() * outputs),
        participants_(groups_, data.clients()),
        shares_(Vector<double>::Zero(data.clients())),
        next_changes_(Matrix<double>::Zero(data.samples(), outputs)),
        coefficients_(options.server.coordinate_wise() ? ServerRule{} : options.server,
                      Matrix<double>::Zero(data.samples(), outputs)) {
    std::vector<double> rows;
    for (Index i = 0; i < data.clients(); ++i)
      rows.push_back(static_cast<double>(data.size(i) * outputs));
    rows_work_ = groups_.work(rows);
    rungs_.resize(rows.size());
    last_.local_changes = next_changes_;
    last_.change = &coefficients_.change;
    if (correcting()) {
      gamma_ = next_gamma_ = common_ = next_changes_;
      kappa_ = Matrix<double>::Zero(data.clients(), 1);
    }
    if (local_.stochastic()) {
      for (Index i = 0; i < data.clients(); ++i)
        dealers_.emplace_back(
            data.size(i), local_.replacement, local_.keys[static_cast<std::size_t>(i)],
            static_cast<std::uint64_t>(steps(i)) * static_cast<std::uint64_t>(batch(i)));
      largest_batch_ = *std::max_element(local_.batches.begin(), local_.batches.end());
    }
  }

  bool correcting() const { return local_.correction != Correction::none; }
  std::int64_t steps(Index client) const { return local_.steps[static_cast<std::size_t>(client)]; }
  std::int64_t steps_taken(Index client) const { return plan_->frozen ? 1 : steps(client); }

  // tau_i = sum_l (1 - eta mu)^l: how often the first derivative of a frozen round counts.
  double tau(Index client) const { return sum_of_decays(prox_step(), steps(client)); }
  Index batch(Index client) const {
    return local_.stochastic() ? local_.batches[static_cast<std::size_t>(client)] : 0;
  }
  // of some clients
  Index rows_of(Index first, Index end) const { return data_.begin(end) - data_.begin(first); }
  bool takes_part(Index client) const { return participants_.has(client); }

  // sum_i u_i x(i)
  template <class Value>
  double sum_of_shares(Value&& x) const {
    return groups_.sum_of_groups(0.0, [&](Index g, double& sum) {
      participants_.for_each(g, [&](Index i) { sum = multiply_add(shares_[i], x(i), sum); });
      return participants_.any_in(g);
    });
  }

  // eta over the rows of a step.
  double step_size(Index client) const {
    const Index rows = batch(client) > 0 ? batch(client) : data_.size(client);
    return plan_->lr / static_cast<double>(rows);
  }
  double prox_step() const { return plan_->lr * local_.prox; }  // eta mu

  Block block(Vector<Real>& flat, Index client) const {
    return Block(flat.data() + data_.begin(client) * outputs_, data_.size(client), outputs_);
  }
  auto block(Matrix<double>& m, Index client) const {
    return m.middleRows(data_.begin(client), data_.size(client));
  }

  // Calls task(client, thread) for all clients of some groups, and for those that take part.
  template <class Task>
  void for_all_clients(Team& team, const Work& groups, Task&& task) {
    team.for_each(groups, [&](Index g, int thread) {
      for (Index i = groups_.first(g); i < groups_.end(g); ++i) task(i, thread);
    });
  }
  // The same for clients of few rows: a stop is looked for once in each group.
  template <class Task>
  void for_small_clients(Team& team, const Work& groups, Stop& stop, Task&& task) {
    team.for_each(groups, [&](Index g, int thread) {
      if (stop.check(thread)) return;
      for (Index i = groups_.first(g); i < groups_.end(g); ++i) task(i);
    });
  }
  template <class Task>
  void for_clients(Team& team, const Work& groups, Task&& task) {
    team.for_each(groups, [&](Index g, int thread) {
      participants_.for_each(g, [&](Index i) { task(i, thread); });
    });
  }

  // What takes little time for each row: calls task(first client, end) for ranges of clients, and
  // task(client) for those that take part, in a round in which not all do.
  template <class Task>
  void for_ranges(Team& team, Task&& task) {
    if (rows_work_.total <= few_rows) return task(Index{0}, data_.clients());
    team.for_each(rows_work_, [&](Index g, int) { task(groups_.first(g), groups_.end(g)); });
  }
  template <class Task>
  void for_participants(Team& team, Task&& task) {
    if (static_cast<double>(participants_.count()) <= few_rows) return participants_.for_each(task);
    team.for_each(selected_, [&](Index g, int) { participants_.for_each(g, task); });
  }

  // Who works in this round, with which share u_i of the server's mean. The items of `work` are
  // groups.
  void begin_round(const RoundPlan& plan, const Work& work) {
    plan_ = &plan;
    finite_.store(true, std::memory_order_relaxed);
    if (!plan.same_shares || normalizes_) begin_shares();
    if (in_data_order_) begin_changes();
    active_ = &work;
    if (!participants_.all()) {
      selected_.select(work, [&](Index g) { return participants_.any_in(g); });
      active_ = &selected_;
    }
    if (!correcting()) return;
    participants_.for_each([&](Index i) {
      kappa_(i) =
          local_.correction == Correction::control ? plan.lr * static_cast<double>(steps(i)) : 1.0;
    });
    // Displacements cancel in the mean: they are where clients begin, not what their steps do.
    mean_kappa_ = local_.correction == Correction::control
                      ? sum_of_shares([&](Index i) { return kappa_(i); })
                      : 0;
  }

  // Steps after which a stop should be looked for, from the flops of a step.
  static std::int64_t steps_of_piece(double flops) {
    constexpr double flops_per_piece = 5e7;  // some 20 ms
    return std::max<std::int64_t>(
        1, static_cast<std::int64_t>(flops_per_piece / std::max(flops, 1.0)));
  }

  // Calls steps(client, count, done, thread), which returns how many steps it took, until all L_i
  // steps of every client of the round are done, in pieces short enough that a stop is noticed,
  // then finish(client, thread). False if it was stopped. The costs of the work are flops per local
  // step.
  template <class Steps, class Finish>
  bool local_phase(Team& team, Stop& stop, Steps&& take_steps, Finish&& finish) {
    const std::int64_t piece = steps_of_piece(active_->largest);
    std::atomic<bool> complete{true};
    for_clients(team, *active_, [&](Index client, int thread) {
      if (!complete.load(std::memory_order_relaxed)) return;
      for (std::int64_t done = 0; done < steps_taken(client);) {
        const std::int64_t count = std::min(piece, steps_taken(client) - done);
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
  bool climbs(Index client) const { return !plan_->frozen && most_rungs(client) > 0; }
  double ladder_tolerance(Index client) const {
    return std::max(plan_->tolerance, Ladder::rounding<Real>(steps(client)));
  }
  // Takes the round into what ladders() tells.
  void count_ladders() {
    if (plan_->frozen) return;
    bool all = true;
    participants_.for_each([&](Index i) {
      const std::int64_t steps = rungs_[static_cast<std::size_t>(i)];
      all = all && steps > 0;
      ladders_taken_.most_steps = std::max(ladders_taken_.most_steps, steps);
    });
    ++(all ? ladders_taken_.rounds : ladders_taken_.others);
  }

  void begin_batches(Index client) {
    if (local_.stochastic()) dealers_[static_cast<std::size_t>(client)].begin_round(plan_->round);
  }

  // gamma_i = -(beta / n_i) e_i from the client's margins at w_k, which may stand in sums_.
  void set_displacement(Index client, const Real* margins) {
    auto e = block(sums_, client);
    kernels_.derivatives(margins, targets_.data() + data_.begin(client), data_.size(client),
                         outputs_, e.data());
    block(gamma_, client) =
        (-local_.beta / static_cast<double>(data_.size(client))) * e.template cast<double>();
  }

  // The v_j of a correction: all clients keep their control variate, displacements are of the
  // round.
  double correction_share(Index client) const {
    return local_.correction == Correction::control ? data_.weights[client]
                                                    : participants_.shares()[client];
  }
  void gather_common() {
    const auto gather = [&](Index i) {
      block(common_, i) = correction_share(i) * block(gamma_, i);
    };
    if (local_.correction == Correction::displacement) return participants_.for_each(gather);
    for (Index i = 0; i < data_.clients(); ++i) gather(i);
  }

  // step, as often as the sums of the round count: once in steps, tau_i times if margins stand
  // still.
  double change_per_sum(Index client) const { return change_per_sum(client, step_size(client)); }
  double change_per_sum(Index client, double step) const {
    return step * (plan_->frozen ? tau(client) : 1.0);
  }

  // b_i = step s_i, with control variates + kappa_i gamma_i, of the round at work: the client's
  // part of the mean change. And its next control variate, the mean gradient of its path: -step s_i
  // / (eta L_i).
  void finish_steps(Index client) {
    const Index first = data_.begin(client), n = data_.size(client);
    const double per_sum = change_per_sum(client);
    for (Index c = 0; c < outputs_; ++c) {
      double* b = next_changes_.col(c).data() + first;
      scale(per_sum, sums_.data() + first * outputs_ + c * n, n, b);
      if (local_.correction != Correction::control) continue;
      scale(-1 / (plan_->lr * static_cast<double>(steps(client))), b, n,
            next_gamma_.col(c).data() + first);
      add_scaled(kappa_(client), gamma_.col(c).data() + first, n, b);
    }
  }

  // The mean change of the coefficients: sum_i u_i b_i, less what the corrections have in common.
  void gather_coefficients(Team& team) {
    if (!in_data_order_) return;
    if (moves_participants_alone())
      return for_participants(team, [&](Index i) { gather(i, i + 1); });
    for_ranges(team, [&](Index first, Index end) {
      const Index row = data_.begin(first), rows = rows_of(first, end);
      if (participants_.all()) {
        gather(first, end);
      } else {
        coefficients_.mean.middleRows(row, rows).setZero();
        for (Index i = first; i < end; ++i)
          if (takes_part(i)) gather(i, i + 1);
      }
      for (Index c = 0; mean_kappa_ != 0 && c < outputs_; ++c)
        add_scaled(-mean_kappa_, common_.col(c).data() + row, rows,
                   coefficients_.mean.col(c).data() + row);
    });
  }
  void gather(Index first, Index end) {  // those of some clients, all of which take part
    const Index row = data_.begin(first), rows = rows_of(first, end);
    for (Index c = 0; c < outputs_; ++c) {
      const double* b = next_changes_.col(c).data();
      double* mean = coefficients_.mean.col(c).data();
      if (!all_finite(b + row, rows)) note_not_finite();
      for (Index i = first; i < end; ++i)
        for (Index j = data_.begin(i), last = data_.begin(i + 1); j < last; ++j)
          mean[j] = shares_[i] * b[j];
    }
  }
  // Whether the coefficients of all others stand still.
  bool moves_participants_alone() const {
    return !participants_.all() && mean_kappa_ == 0 &&
           (server_.coordinate_wise() || server_.factor());
  }
  // something in the clients' changes
  void note_not_finite() { finite_.store(false, std::memory_order_relaxed); }

  // Takes the round into the state unless something in it is inf or NaN.
  Outcome commit(Track& state, Team& team) {
    if (!finite_.load(std::memory_order_relaxed) || !(plan_->last || state.finite()))
      return Outcome::not_finite;
    if (in_data_order_ && !server_.coordinate_wise()) advance_coefficients(team);
    if (!plan_->last) state.commit();
    if (local_.correction == Correction::control)
      participants_.for_each([&](Index i) { block(gamma_, i) = block(next_gamma_, i); });
    if (local_.correction == Correction::displacement)  // of the models, not of the mean
      participants_.for_each([&](Index i) { block(next_changes_, i) += block(gamma_, i); });
    if (in_data_order_) {
      last_.local_changes.swap(next_changes_);
      std::swap(changed_, last_changed_);
    }
    if (!plan_->same_shares) keep_shares();
    if (correcting()) {
      if (!last_.common.size()) {
        last_.kappa = Matrix<double>::Zero(kappa_.rows(), 1);
        last_.common = Matrix<double>::Zero(common_.rows(), common_.cols());
      }
      last_.kappa.swap(kappa_);
      last_.common.swap(common_);
    }
    return Outcome::done;
  }

  const Data& data_;
  const Index outputs_;
  const Groups groups_;
  const Rows<Real> rows_;
  const Kernels<Real> kernels_;
  const LocalRule local_;
  const bool normalizes_;
  const ServerRule server_;
  const Vector<Real> targets_;
  Vector<Real> sums_;            // s, all clients
  Participants participants_;    // of the round
  Vector<double> shares_;        // u_i of the round: p~_i, normalised where that is wanted
  Matrix<double> kappa_;         // M x 1; how often q_i is in the change of client i
  double mean_kappa_ = 0;        // how often the corrections' common part is in the mean change
  Matrix<double> next_changes_;  // b of the round at work
  Matrix<double> gamma_, next_gamma_, common_;  // of the corrections, N x C
  Track coefficients_;
  LastRound last_;
  const RoundPlan* plan_ = nullptr;
  const Work* active_ = nullptr;
  Work selected_;              // the items of a round in which not all take part
  bool in_data_order_ = true;  // coefficients and b; or a derived engine keeps them
  // of each client: local steps of the last rung of its round, or 0
  std::vector<std::int64_t> rungs_;
  std::vector<RowDealer> dealers_;
  Index largest_batch_ = 0;

 private:
  void begin_shares() {
    participants_.for_each([&](Index i) { shares_[i] = 0; });
    participants_.set(*plan_);
    participants_.for_each([&](Index i) { shares_[i] = participants_.shares()[i]; });
    if (normalizes_) normalize();
  }

  // p~ of the round is that of the last one from here.
  void keep_shares() {
    if (last_present_.all || participants_.all()) {
      last_.shares = participants_.shares();
    } else {
      for (const Index i : last_present_.some) last_.shares[i] = 0;
      participants_.for_each([&](Index i) { last_.shares[i] = participants_.shares()[i]; });
    }
    last_present_.set(participants_);
  }

  // b, and D where no others move, are 0 but for those who take part.
  void begin_changes() {
    if (!participants_.all() && changed_.some != participants_.clients()) {
      const auto clear = [&](auto&& client) {
        client(next_changes_).setZero();
        if (moves_participants_alone()) client(coefficients_.mean).setZero();
        if (local_.correction == Correction::displacement) client(common_).setZero();
      };
      if (changed_.all) clear([](Matrix<double>& m) -> auto& { return m; });
      for (const Index i : changed_.some) clear([&](Matrix<double>& m) { return block(m, i); });
    }
    changed_.set(participants_);
  }

  void advance_coefficients(Team& team) {
    const auto advance = [&](Index first, Index end) {
      coefficients_.advance(plan_->round, data_.begin(first), rows_of(first, end));
    };
    if (moves_participants_alone()) {
      for_participants(team, [&](Index i) {
        advance(i, i + 1);
        coefficients_.commit(data_.begin(i), data_.size(i));
      });
      coefficients_.commit_change();
    } else {
      for_ranges(team, advance);
      coefficients_.commit();
    }
  }

  struct Clients {
    bool all;
    std::vector<Index> some;

    void set(const Participants& participants) {
      all = participants.all();
      some = participants.clients();
    }
  };
  Clients changed_{}, last_changed_{};  // who may not be 0 in b and the last one, D and the change
  Clients last_present_{true, {}};      // in the last round
  LaddersTaken ladders_taken_;
  Work rows_work_;                  // groups, by how many rows they have
  std::atomic<bool> finite_{true};  // the clients' changes of the round

  // FedNova: u_i = p~_i tau / tau_i, tau = sum p~_i tau_i.
  void normalize() {
    const double mean = sum_of_shares([&](Index i) { return tau(i); });
    participants_.for_each([&](Index i) { shares_[i] *= mean / tau(i); });
  }
};

}  // namespace localgd
