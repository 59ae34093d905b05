// Which clients' steps are extrapolated from fewer, and in which rounds all were.
#pragma once

#include "../steps/ladder.hpp"
#include "phase.hpp"

namespace localgd {

// The steps that a client takes in a round, in the mean over those of a run: one by one; those of
// all rungs; and those of the longest rung, side by side with which the others are.
struct MeanSteps {
  double alone = 0, rungs = 0, longest = 0;

  MeanSteps& operator+=(const MeanSteps& other) {
    alone += other.alone;
    rungs += other.rungs;
    longest += other.longest;
    return *this;
  }
  MeanSteps operator/(double count) const {
    return {alone / count, rungs / count, longest / count};
  }

  double taken() const { return alone + rungs; }
  double after_one_another() const { return alone + longest; }
};

class Extrapolation {
 public:
  Extrapolation(const LocalRule& rule, Index clients)
      : allowed_(allowed(rule)), rungs_(static_cast<std::size_t>(clients)) {}

  // The steps of a client that may extrapolate them from so many rungs, or the first of them, which
  // are accurate once margins move by as much less in a round as `caution` says.
  template <class Real>
  static MeanSteps foreseen(std::int64_t L, int most, bool first_steps, double caution,
                            const Setting& of, const Outlook& ahead) {
    const auto all = static_cast<double>(L);
    if (most == 0) return {all, 0, 0};
    const double tolerance = Ladder::rounding<Real>(L);
    return ahead.mean([&](double k) -> MeanSteps {
      const double moves = caution * Outlook::moves(of.samples(), of.features(), k);
      const int order = first_steps
                            ? FirstSteps::likely(L, moves, tolerance, most)
                            : Ladder::likely(L, moves, tolerance, most, [](int) { return 0.0; });
      if (order == 0) return {all, 0, 0};
      if (first_steps) return {0, double(order), double(order)};
      return {0, double(Ladder::steps(order)), double(Ladder::longest(order))};
    });
  }

  static bool allowed(const LocalRule& rule) {
    return !rule.every_step && !rule.solve && !rule.stochastic();
  }
  // The most rungs on K_ii of so many steps; 0 if all are taken.
  static int most_rungs(const LocalRule& rule, std::int64_t L) {
    return allowed(rule) ? Ladder::most(L) : 0;
  }
  int most_rungs(std::int64_t L) const { return allowed_ ? Ladder::most(L) : 0; }

  // What is wanted of a client's ladder in a round, and where it writes the local steps of its last
  // rung, or 0.
  template <class Real>
  static double tolerance(const Round& round, Index client) {
    return std::max(round.plan().tolerance, Ladder::rounding<Real>(round.steps(client)));
  }
  std::int64_t& rungs(Index client) { return rungs_[static_cast<std::size_t>(client)]; }

  // The clients have taken the steps of a round; were those of all of them extrapolated?
  void note(const Round& round) {
    all_ = true;
    if (round.plan().frozen) return;
    round.participants().for_each([&](Index i) {
      const std::int64_t steps = rungs(i);
      all_ = all_ && steps > 0;
      taken_.most_steps = std::max(taken_.most_steps, steps);
    });
  }
  bool all() const { return all_; }
  void count(const Round& round, bool all) {
    if (!round.plan().frozen) ++(all ? taken_.rounds : taken_.others);
  }
  // The rounds so far, or null if there is a client with no rungs: most_rungs(client) is 0.
  template <class MostRungs>
  const LaddersTaken* taken(MostRungs&& most_rungs) const {
    for (std::size_t i = 0; i < rungs_.size(); ++i)
      if (most_rungs(static_cast<Index>(i)) == 0) return nullptr;
    return &taken_;
  }

 private:
  bool allowed_, all_ = false;
  std::vector<std::int64_t> rungs_;
  LaddersTaken taken_;
};

}  // namespace localgd
