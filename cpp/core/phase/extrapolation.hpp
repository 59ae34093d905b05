// Which clients' steps are extrapolated from fewer, and in which rounds all were.
#pragma once

#include "../steps/ladder.hpp"
#include "phase.hpp"

namespace localgd {

class Extrapolation {
 public:
  Extrapolation(const LocalRule& rule, Index clients)
      : allowed_(allowed(rule)), rungs_(static_cast<std::size_t>(clients)) {}

  static bool allowed(const LocalRule& rule) {
    return !rule.every_step && !rule.solve && !rule.stochastic();
  }

  bool allowed() const { return allowed_; }

  // What is wanted of a client's ladder in a round, and where it writes the local steps of its last
  // rung, or 0.
  template <class Real>
  static double tolerance(const Round& round, Index client) {
    return std::max(round.plan().tolerance, Ladder::rounding<Real>(round.steps(client)));
  }
  std::int64_t& rungs(Index client) { return rungs_[static_cast<std::size_t>(client)]; }

  // Takes the round into account.
  void count(const Round& round) {
    if (round.plan().frozen) return;
    bool all = true;
    round.participants().for_each([&](Index i) {
      const std::int64_t steps = rungs(i);
      all = all && steps > 0;
      taken_.most_steps = std::max(taken_.most_steps, steps);
    });
    ++(all ? taken_.rounds : taken_.others);
  }
  // The rounds so far, or null if there is a client with no rungs: most_rungs(client) is 0.
  template <class MostRungs>
  const LaddersTaken* taken(MostRungs&& most_rungs) const {
    for (std::size_t i = 0; i < rungs_.size(); ++i)
      if (most_rungs(static_cast<Index>(i)) == 0) return nullptr;
    return &taken_;
  }

 private:
  bool allowed_;
  std::vector<std::int64_t> rungs_;
  LaddersTaken taken_;
};

}  // namespace localgd
