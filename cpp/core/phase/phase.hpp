// How the clients of a round take their local steps.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "../model/model.hpp"

namespace localgd {

// In how many rounds all local steps were extrapolated from fewer (steps/ladder.hpp), in how many
// they were not, and the most steps of a rung.
struct LaddersTaken {
  std::int64_t rounds = 0, others = 0, most_steps = 0;
};

// Beside what is declared here a phase has its `name`; `in_span`, whether steps are taken on K_ii,
// where models of weights ask; `multiple`, what the clients of a group must be a multiple of;
// suits(setting); forecast(setting, outlook, forecast), which adds what its clients cost in a round
// and before the first one; and a constructor from a model, the round and the setting.
class Phase {
 public:
  virtual ~Phase() = default;

  // What the clients of a round are to be shared out by: groups, by their flops per local step.
  const Work& work() const { return work_; }

  // Work before the first round. False if it was stopped.
  virtual bool prepare(Team& team, Stop& stop) = 0;

  // All steps of the clients of a round, which the model takes; unless it is done the model is to
  // forget them.
  virtual Outcome run(const Round& round, Team& team, Stop& stop) = 0;

  // Whether all local steps of the round that was run were extrapolated from fewer.
  virtual bool extrapolated() const { return false; }

  // The round has been taken into the state of the model; whether it was extrapolated on all ranks.
  virtual void commit(const Round& /*round*/, bool /*extrapolated*/) {}

  // The rounds so far, or null if local steps are never extrapolated.
  virtual const LaddersTaken* ladders() const { return nullptr; }

  // The client whose own rows have no exact solution, after Outcome::infeasible.
  virtual Index infeasible_client() const { return -1; }

  // Shows what a restored run needs.
  virtual void visit(const Visit& /*show*/) {}

 protected:
  Work work_;
};

// Steps after which a stop should be looked for, from the flops of a step.
inline std::int64_t steps_of_piece(double flops) {
  constexpr double flops_per_piece = 5e7;  // some 20 ms
  return std::max<std::int64_t>(1,
                                static_cast<std::int64_t>(flops_per_piece / std::max(flops, 1.0)));
}

// Calls steps(count, done), which returns how many steps it took, until all of them are done, in
// pieces short enough that a stop is noticed. False if it was stopped.
template <class Steps>
LOCALGD_IN_PLACE bool take_in_pieces(std::int64_t all, std::int64_t piece, Stop& stop, int thread,
                                     Steps&& steps) {
  for (std::int64_t done = 0; done < all;) {
    if (done >= piece && stop.check(thread)) return false;
    done += steps(std::min(piece, all - done), done);
  }
  return true;
}

// The same for the clients of some groups with steps(client, count, done, thread), then
// finish(client, thread). The costs of the work are flops per local step.
template <class Steps, class Finish>
bool take_in_pieces(const Round& round, const Work& work, Team& team, Stop& stop, Steps&& steps,
                    Finish&& finish) {
  const std::int64_t piece = steps_of_piece(work.largest);
  std::atomic<bool> complete{true};
  round.for_participants(team, work, [&](Index client, int thread) {
    if (!complete.load(std::memory_order_relaxed)) return;
    if (take_in_pieces(round.steps_taken(client), piece, stop, thread,
                       [&](std::int64_t count, std::int64_t done)
                           LOCALGD_LAMBDA_IN_PLACE { return steps(client, count, done, thread); }))
      finish(client, thread);
    else
      complete.store(false, std::memory_order_relaxed);
  });
  return complete.load(std::memory_order_relaxed);
}

}  // namespace localgd
