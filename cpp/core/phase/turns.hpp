// Steps with batches on K_ii, of several clients in turn where they are short.
//   local step  2 n_i b C flops;  memory  sum n_i^2 reals
#pragma once

#include "../steps/batch_turn.hpp"
#include "dealers.hpp"
#include "span_clients.hpp"

namespace localgd {

template <class Real>
class Turns final : public Phase {
 public:
  static constexpr std::string_view name = "turns";
  static constexpr bool in_span = true;
  static constexpr Index multiple = 1;
  static bool suits(const Setting& of) { return of.rule.stochastic(); }

  static void forecast(const Setting& of, const Outlook& ahead, Forecast& forecast) {
    forecast_blocks<Real>(of, forecast);
    Cost& round = forecast.round;
    forecast_span_clients<Real>(of, ahead, round);
    const auto& batches = of.rule.batches;
    double largest = 1;
    for (Index i = 0; i < of.layout.clients(); ++i)
      largest = std::max(largest, sizeof(Real) * entries_of_block<Real>(of.layout.size(i)));
    const auto turn = static_cast<double>(
        clients_of_turn(of.outputs, of.rule.equal_steps(),
                        *std::max_element(batches.begin(), batches.end()), std::llround(largest)));
    for (Index i = 0; i < of.layout.clients(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      const auto n = static_cast<double>(of.layout.size(i)), b = static_cast<double>(batches[at]);
      const double steps = ahead.share * static_cast<double>(of.rule.steps[at]),
                   drawn = entries_of_block<Real>(batches[at]) / b,  // in whole registers
          row = entries_of_block<Real>(of.layout.size(i)) / n;
      round.add(Cost::steps, steps / turn);
      round.add(Cost::draws, steps * b);
      if (of.multiclass)
        round.add(Cost::exponentials, steps * drawn * of.columns());
      else
        round.add(Cost::derivatives, steps * drawn * of.columns() * sizeof(Real) / 8);
      round.add_flops<Real>(Cost::flops, steps * 2 * b * row * of.columns());
      round.read(steps * sizeof(Real) * b * row, sizeof(Real) * n * row * turn);
    }
  }

  Turns(ModelOf<Real>& model, const Round& round, const Setting&)
      : clients_(model, round.rule()),
        groups_(round.groups()),
        equal_steps_(round.rule().equal_steps()),
        dealers_(model.clients().data(), round) {
    work_ = span_work(model.clients().data(), model.clients().outputs(), round);
  }

  bool prepare(Team& team, Stop& stop) override {
    if (!clients_.prepare(groups_, work_, team, stop, [](auto&&...) {})) return false;
    clients_of_turn_ = clients_of_turn(clients_.clients().outputs(), equal_steps_,
                                       dealers_.largest_batch(), clients_.largest_gram());
    spaces_ = clients_.spaces(team.threads() * static_cast<int>(clients_of_turn_));
    turns_.clear();
    for (int t = 0; t < team.threads(); ++t)
      turns_.emplace_back(clients_of_turn_, dealers_.largest_batch(), clients_.clients().outputs());
    return true;
  }

  // The turns are such that two threads have as many.
  Outcome run(const Round& round, Team& team, Stop& stop) override {
    const Work& groups = round.work();
    const Index items = turns(groups.items());
    shared_out_.even(items, groups.total / static_cast<double>(std::max<Index>(items, 1)));
    team.for_each(shared_out_, [&](Index item, int thread) {
      BatchTurn<Real>& turn = turns_[static_cast<std::size_t>(thread)];
      turn.clients.clear();
      const auto start = [&](Index i) {
        if (static_cast<Index>(turn.clients.size()) == clients_of_turn_)
          take_turn(round, turn, stop, thread);
        SpanSpace<Real>& at = space(thread, static_cast<Index>(turn.clients.size()));
        clients_.start(round, i, at);
        dealers_.begin(i, thread);
        turn.add(i, clients_.view(round, i, at), dealers_.of(i, thread), round.batch(i));
      };
      const Index count = groups.items();
      for (Index at = item * count / items; at < (item + 1) * count / items; ++at)
        round.participants().for_each(groups.order[static_cast<std::size_t>(at)], start);
      take_turn(round, turn, stop, thread);
    });
    return stop.requested() ? Outcome::stopped : Outcome::done;
  }

 private:
  // Of a place in a thread's turn.
  SpanSpace<Real>& space(int thread, Index place) {
    return spaces_[static_cast<std::size_t>(thread * clients_of_turn_ + place)];
  }

  // Those of some groups: of one client each, or each with clients for turns of its own.
  Index turns(Index groups) const {
    const Index several = 2 * clients_of_turn_;
    if (clients_of_turn_ == 1 || groups_.count() < clients_.clients().count()) return groups;
    return std::min(groups, 2 * ((groups + several - 1) / several));
  }

  // So many that nobody waits, of as many steps each: a few rows in all, or more if the blocks fit
  // in a first-level cache.
  static Index clients_of_turn(Index outputs, bool equal_steps, Index largest_batch,
                               Index largest_block) {  // bytes
    constexpr Index rows = 8, cache = 28 << 10, most = 16;
    if (outputs > 1 || !equal_steps) return 1;
    return std::clamp<Index>(std::max(rows / largest_batch, cache / largest_block), 1, most);
  }

  void take_turn(const Round& round, BatchTurn<Real>& turn, Stop& stop, int thread) {
    if (turn.clients.empty()) return;
    const std::int64_t steps = round.steps_taken(turn.clients.front().index),
                       piece = steps_of_piece(shared_out_.largest);
    take_in_pieces(steps, piece, stop, thread, [&](std::int64_t count, std::int64_t done) {
      clients_.clients().kernels().span_batch(turn, count, done + count == steps);
      return count;
    });
    Index place = 0;
    for (const auto& client : turn.clients)
      clients_.finish(round, client.index, space(thread, place++), thread);
    turn.clients.clear();
  }

  SpanClients<Real> clients_;
  const Groups& groups_;
  const bool equal_steps_;
  Dealers dealers_;
  Index clients_of_turn_ = 1;
  std::vector<BatchTurn<Real>> turns_;   // of each thread
  std::vector<SpanSpace<Real>> spaces_;  // of each place in these
  Work shared_out_;
};

}  // namespace localgd
