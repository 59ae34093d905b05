// A run: rounds, one after the other, with records at chosen ones.
#pragma once

#include "engine.hpp"
#include "recorder.hpp"

namespace localgd {

enum class Status { running, completed, interrupted, diverged, infeasible };

// The inputs of the rounds that a call of advance() is to run.
struct Plans {
  std::vector<double> lrs;       // one for each round, or one for all
  std::vector<double> shares;    // p~: M numbers, for all rounds; or of those who are listed
  std::vector<Index> clients{};  // who takes part, round after round, ascending in each
  std::vector<Index> offsets{};  // where each round's list begins, and the end
};

// Where a state of record_states() is: margins that are frozen stand still within the round.
struct StatePlan {
  double round, lr;
  bool frozen;
};

class Simulation {
 public:
  Simulation(const Data& data, const Matrix<double>& init, const EngineOptions& options,
             std::vector<std::int64_t> record_rounds, const Matrix<double>& reference, int threads,
             bool keep_weights = false)
      : data_(data),
        engine_(make_engine(data, init, options)),
        recorder_(data, options.loss, std::move(record_rounds), reference, keep_weights),
        threads_(threads) {}

  // Runs to round `until`. stop_wanted is asked about every 50 ms, on the calling thread. Once a
  // run has diverged or was interrupted, its state is that of the last whole round.
  Status advance(std::int64_t until, const Plans& plans,
                 const std::function<bool(std::int64_t round)>& stop_wanted);

  // Continues another run of the same settings, whose engine state has been put into this one.
  void resume(std::int64_t round, std::int64_t participations, double drift) {
    round_ = round;
    participations_ = participations;
    recorder_.resume(round + 1, drift);
  }

  // Records the present round if it is not the last one recorded (the end of a stopped run).
  void record_now();

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

  std::int64_t round() const { return round_; }
  std::int64_t participations() const { return participations_; }
  double drift() { return recorder_.drifts(engine_->last_round())[0]; }
  Engine& engine() { return *engine_; }
  const History& history() const { return recorder_.history(); }
  std::int64_t stalls() const { return stalls_; }

 private:
  Status rounds(std::int64_t until, const Plans& plans, Team& team, Stop& stop);
  void prepare(Team& team);
  bool record_block(std::int64_t first, std::size_t begin, const std::vector<StatePlan>& states,
                    const double* shares, double tolerance, MatrixView<double> coefficients,
                    MatrixView<double> velocity, MatrixView<double> controls, Team& team);
  bool record() {
    return recorder_.record(round_, participations_, drift(), engine_->margins(),
                            engine_->weights());
  }

  const Data& data_;
  std::unique_ptr<Engine> engine_;
  Recorder recorder_;
  int threads_;
  std::int64_t round_ = 0, participations_ = 0;
  std::int64_t stalls_ = 0;
  bool prepared_ = false;
};

}  // namespace localgd
