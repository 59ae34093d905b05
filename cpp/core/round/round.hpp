// A round while it runs: who takes part with which share of the mean, and how long the steps are.
// It changes when the next one begins, never while clients are at work.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "../data.hpp"
#include "../lanes.hpp"
#include "../team.hpp"
#include "groups.hpp"
#include "options.hpp"
#include "participants.hpp"

namespace localgd {

class Round {
 public:
  // multiple: of clients in a group.
  Round(const Data& data, const LocalRule& rule, Index multiple)
      : data_(&data),
        rule_(rule),
        groups_(data, multiple),
        normalizes_(rule.normalize && !equal_steps(data, rule)),
        participants_(groups_, data.clients()) {
    if (normalizes_) normalized_ = Vector<double>::Zero(data.clients());
  }
  Round(const Round&) = delete;

  // The items of `work` are groups. The plan must outlive the round.
  void begin(const RoundPlan& plan, const Work& work) {
    plan_ = &plan;
    as_before_ = plan.same_shares && plan.lr == lr_;
    lr_ = plan.lr;
    const double pulls = rule_.l2 + rule_.prox;
    decay_ = plan.lr * pulls;
    keep_ = multiply_add(-plan.lr, pulls, 1.0);
    l2_step_ = plan.lr * rule_.l2;
    if (!plan.same_shares || (normalizes_ && !as_before_)) begin_shares();
    if (!as_before_)
      mean_shrinkage_ = l2_step_ > 0 ? sum_of_shares([&](Index i) { return shrinkage(i); }) : 0;
    work_ = &work;
    if (participants_.all()) return;
    if (work.ordered)
      selected_.select_items(work, participants_.groups());
    else
      selected_.select(work, [&](Index g) { return participants_.any_in(g); });
    work_ = &selected_;
  }

  const RoundPlan& plan() const { return *plan_; }
  const LocalRule& rule() const { return rule_; }
  const Groups& groups() const { return groups_; }
  const Participants& participants() const { return participants_; }
  // The groups in which somebody takes part.
  const Work& work() const { return *work_; }

  // Whether shares and rate are those of the round before.
  bool as_before() const { return as_before_; }

  // How many take part, of all ranks; and whether that is everyone, in rounds that do not list
  // them.
  Index present() const { return plan_->present < 0 ? participants_.count() : plan_->present; }
  bool everyone() const {
    return data_->ranks ? !plan_->clients && present() == data_->ranks->clients()
                        : participants_.all();
  }

  bool has(Index client) const { return participants_.has(client); }
  // u_i: p~_i, normalised where that is wanted
  double share(Index client) const {
    return normalizes_ ? normalized_[client] : participants_.shares()[client];
  }
  const Vector<double>& given_shares() const { return participants_.shares(); }  // p~

  std::int64_t steps(Index client) const { return rule_.steps[static_cast<std::size_t>(client)]; }
  std::int64_t steps_taken(Index client) const { return plan_->frozen ? 1 : steps(client); }
  // Rows of a step, 0 for all.
  Index batch(Index client) const {
    return rule_.stochastic() ? rule_.batches[static_cast<std::size_t>(client)] : 0;
  }
  Index rows_of_step(Index client) const {
    return batch(client) > 0 ? batch(client) : data_->size(client);
  }
  // eta over the rows of a step
  double step(Index client) const { return plan_->lr / static_cast<double>(rows_of_step(client)); }
  double decay() const { return decay_; }      // eta (lambda + mu)
  double keep() const { return keep_; }        // 1 - eta (lambda + mu), rounded once
  double l2_step() const { return l2_step_; }  // eta lambda
  // By how much of w_k, or of where it starts, lambda pulls a client's model to 0 in the round; and
  // the mean of the clients.
  double shrinkage(Index client) const { return l2_step_ * tau(client); }
  double mean_shrinkage() const { return mean_shrinkage_; }
  // tau_i = sum_l (1 - eta (lambda + mu))^l: how often what is the same in all steps counts, the
  // first derivative of a frozen round for one.
  double tau(Index client) const { return sum_of_decays(decay(), steps(client)); }
  // step, as often as the sums of the round count: once in steps, tau_i times if margins stand
  // still.
  double change_per_sum(Index client) const { return change_per_sum(client, step(client)); }
  double change_per_sum(Index client, double step) const {
    return step * (plan_->frozen ? tau(client) : 1.0);
  }

  // sum_i u_i x(i)
  template <class Value>
  double sum_of_shares(Value&& x) const {
    return groups_.sum_of_groups(0.0, [&](Index g, double& sum) {
      participants_.for_each(g, [&](Index i) { sum = multiply_add(share(i), x(i), sum); });
      return participants_.any_in(g);
    });
  }

  // Calls task(client, thread) for those who take part.
  template <class Task>
  void for_participants(Team& team, const Work& groups, Task&& task) const {
    team.for_each(groups, [&](Index g, int thread) {
      participants_.for_each(g, [&](Index i) { task(i, thread); });
    });
  }

  // The same for what takes little time for each row: task(client).
  template <class Task>
  void for_participants(Team& team, Task&& task) const {
    if (static_cast<double>(participants_.count()) <= few_rows) return participants_.for_each(task);
    team.for_each(*work_, [&](Index g, int) { participants_.for_each(g, task); });
  }

  static constexpr double few_rows = 16384;  // not worth sharing out

 private:
  static bool equal_steps(const Data& data, const LocalRule& rule) {
    if (!data.ranks) return rule.equal_steps();
    const auto [least, most] = std::minmax_element(rule.steps.begin(), rule.steps.end());
    return data.ranks->least(static_cast<double>(*least)) ==
           data.ranks->most(static_cast<double>(*most));
  }

  void begin_shares() {
    if (normalizes_) participants_.for_each([&](Index i) { normalized_[i] = 0; });
    participants_.set(*plan_);
    if (normalizes_) normalize();
  }

  // FedNova: u_i = p~_i tau / tau_i, tau = sum p~_i tau_i.
  void normalize() {
    participants_.for_each([&](Index i) { normalized_[i] = participants_.shares()[i]; });
    const double mean = sum_of_shares([&](Index i) { return tau(i); });
    participants_.for_each([&](Index i) { normalized_[i] *= mean / tau(i); });
  }

  const Data* data_;
  const LocalRule rule_;
  const Groups groups_;
  const bool normalizes_;
  Participants participants_;
  Vector<double> normalized_;  // u, where it is not p~
  const RoundPlan* plan_ = nullptr;
  bool as_before_ = false;
  double lr_ = 0;  // of the last plan
  double decay_ = 0, keep_ = 1, l2_step_ = 0, mean_shrinkage_ = 0;
  const Work* work_ = nullptr;
  Work selected_;
};

}  // namespace localgd
