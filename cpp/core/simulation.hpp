// Runs: rounds, one after the other, with records at the chosen ones of each. Several runs go side
// by side over the same rows; whichever ends or diverges is left behind, and the others go on.
#pragma once

#include <limits>
#include <optional>

#include "engine.hpp"
#include "recorder.hpp"

namespace localgd {

enum class Status { running, completed, interrupted, diverged, infeasible };

struct RunOptions {
  static constexpr std::int64_t endless = std::numeric_limits<std::int64_t>::max();

  RunRule rule;
  std::vector<std::int64_t> record_rounds{};  // sorted, each at most once
  Matrix<double> reference{};                 // see Recorder
  bool keep_weights = false;
  std::int64_t rounds = endless;  // after which the run ends, whatever the others do

  template <class Show>
  void visit(Show&& show) {
    show("init", rule.init), show("server", rule.server), show("prox", rule.prox);
    show("l2", rule.l2);
    show("record_rounds", record_rounds), show("reference", reference);
    show("keep_weights", keep_weights), show("rounds", rounds);
  }
};

// The inputs of the rounds that a call of advance() is to run.
struct Plans {
  std::vector<double> lrs;       // of all runs, round after round, or once for all rounds
  std::vector<double> shares;    // p~: M numbers, for all rounds; or of those who are listed
  std::vector<Index> clients{};  // who takes part, round after round, ascending in each
  // Where each round's list begins, and the end; the model stays in a round without anybody.
  std::vector<Index> offsets{};
  // Over ranks: how many take part on all of them, in each round or once for all rounds.
  std::vector<Index> present{};
};
// Throws std::invalid_argument unless they are those of so many rounds, runs and clients.
void check(const Plans& plans, std::int64_t rounds, Index runs, Index clients);

// Where a state of record_states() is: margins that are frozen stand still within the round.
struct StatePlan {
  double round, lr;
  bool frozen;
};

class Simulation {
 public:
  Simulation(const Data& data, const std::vector<RunOptions>& runs, const EngineOptions& options,
             int threads);

  // One run.
  Simulation(const Data& data, const Matrix<double>& init, const EngineOptions& options,
             std::vector<std::int64_t> record_rounds, const Matrix<double>& reference, int threads)
      : Simulation(data,
                   {RunOptions{{init, options.server, options.local.prox, options.local.l2},
                               std::move(record_rounds),
                               reference}},
                   options, threads) {}

  // Takes all runs that go on to round `until`, or to their own end before it: completed, or what
  // the first one has come to if none got there. stop_wanted is asked about every 50 ms, on the
  // calling thread. Once a run has diverged or all were interrupted, its state is that of its last
  // whole round. The next call tries those again that nobody has gone on without.
  Status advance(std::int64_t until, const Plans& plans,
                 const std::function<bool(std::int64_t round)>& stop_wanted);

  // Continues another run of the same settings, whose engine state has been put into this one.
  void resume(std::int64_t round, std::int64_t participations, double drift);

  // Records the present round of a run if it is not the last one recorded (the end of a stopped
  // run).
  void record_now(Index run = 0);

  // Rounds from any state, of engine gram: the round map of fast-forward. They leave the count of
  // rounds and the history alone. Rounds k, k + 1, ... of the given rates from a state whose
  // coefficients, velocity and controls (empty where the method has none) are given; the changes of
  // the coefficients go to `changes`, and velocity and controls become those after the last round.
  // tolerance: of local steps that are extrapolated from fewer (steps/ladder.hpp).
  // False if a round did not end in finite numbers.
  bool map(double round, const std::vector<double>& lrs, const double* shares, bool frozen,
           double tolerance, const Matrix<double>& coefficients, Matrix<double>& velocity,
           Matrix<double>& controls, std::vector<Matrix<double>>& changes);

  // Records such states, C columns for each side by side, under the numbers first, first + 1, ...
  // Their drift is that of the round that led to them, taken from the one or two that follow. False
  // if numbers were not finite.
  bool record_states(std::int64_t first, const std::vector<StatePlan>& states, const double* shares,
                     double tolerance, MatrixView<double> coefficients, MatrixView<double> velocity,
                     MatrixView<double> controls);

  std::int64_t round() const { return round_; }  // of those that go on
  bool running() const { return !going_.empty(); }
  Engine& engine() { return engine_; }
  std::int64_t stalls() const { return stalls_; }

  // Of one run.
  Status status(Index run) const { return at(run).status; }
  std::int64_t round(Index run) const { return goes_on(run) ? round_ : at(run).round; }
  std::int64_t participations(Index run = 0) const {
    return goes_on(run) ? participations_ : at(run).participations;
  }
  const History& history(Index run = 0) const { return at(run).recorder.history(); }
  bool keeps_weights(Index run) const { return at(run).recorder.keeps_weights(); }
  Recorder::Seen see(bool gradient, Index run = 0);
  double drift(Index run = 0);
  const Matrix<double>& weights(Index run = 0) { return select(run).weights(); }
  Matrix<double> client_models(Index run = 0);
  const Matrix<double>& coefficients(Index run = 0) { return select(run).coefficients(); }

 private:
  struct Run {
    Recorder recorder;
    std::int64_t rounds;
    Status status = Status::running;
    std::int64_t round = 0, participations = 0;  // when it ended
  };

  const Run& at(Index run) const { return runs_.at(static_cast<std::size_t>(run)); }
  Run& at(Index run) { return runs_.at(static_cast<std::size_t>(run)); }
  bool goes_on(Index run) const { return at(run).status == Status::running; }
  Engine& select(Index run) {
    at(run);  // there is such a run
    engine_.select({run});
    return engine_;
  }

  bool prepare(Team& team, Stop& stop);
  void try_again();
  bool rounds(std::int64_t until, const Plans& plans, Team& team, Stop& stop);
  void attend(Team& team);
  void leave(Outcome outcome);
  void end(Index run, Status status);
  std::vector<bool> record(const std::vector<Index>& runs, Team& team);
  // What task(team) returns.
  template <class Task>
  auto by_team(Task&& task) {
    std::optional<decltype(task(std::declval<Team&>()))> found;
    Team::run(threads_, [&](Team& team) { found = task(team); });
    return *std::move(found);
  }
  bool record_block(std::int64_t first, std::size_t begin, const std::vector<StatePlan>& states,
                    const double* shares, double tolerance, MatrixView<double> coefficients,
                    MatrixView<double> velocity, MatrixView<double> controls, Team& team);

  const Data& data_;
  Engine engine_;
  std::vector<Run> runs_;
  std::vector<Index> going_;  // those that go on
  int threads_;
  std::int64_t round_ = 0, participations_ = 0;  // theirs
  std::int64_t attend_at_ = 0;  // the round at which one of them is to be recorded, or ends
  std::int64_t stalls_ = 0;
  Stop::Clock::time_point asked_ = Stop::Clock::now();  // whether to stop
  bool prepared_ = false;
};

}  // namespace localgd
