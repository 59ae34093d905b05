// Several runs over the same rows, side by side: rounds, and records at the chosen ones of each.
#pragma once

#include "../recorder.hpp"
#include "../simulation.hpp"
#include "engine.hpp"

namespace localgd {

// What the runs of a batch may differ in, beside the learning rates.
struct RunOptions {
  Matrix<double> init;  // d x 1
  ServerRule server;
  double prox = 0;
  std::int64_t rounds = 0;
  std::vector<std::int64_t> record_rounds;
  Matrix<double> reference;
};

class Batch {
 public:
  Batch(const Data& data, const BatchOptions& options, const std::vector<RunOptions>& runs,
        int threads);

  // Takes all runs that go on to round `until`, or to their own end before it. lrs: of every run,
  // one learning rate or one for each round. A run that diverges keeps the state of its last whole
  // round, the others go on; once interrupted, all of them are at their last whole round.
  Status advance(std::int64_t until, const std::vector<std::vector<double>>& lrs,
                 const std::function<bool(std::int64_t round)>& stop_wanted);

  Index runs() const { return static_cast<Index>(runs_.size()); }
  std::int64_t round() const { return round_; }  // of the runs that go on
  bool running() const { return !live_.empty(); }

  // Of one run.
  Status status(Index run) const { return at(run).status; }
  std::int64_t round(Index run) const { return at(run).round; }
  const History& history(Index run) const { return at(run).recorder.history(); }
  Matrix<double> coefficients(Index run) const {
    const Column& column = at(run).column;
    return column.model.coefficients(column.coefficients);
  }
  Matrix<double> weights(Index run) const;

  // Records the present round of a run if it is not the last one recorded (the end of a stopped
  // run).
  void record_now(Index run);

 private:
  struct Run {
    Column column;
    Recorder recorder;
    std::int64_t rounds, round = 0;
    Status status = Status::running;
  };

  const Run& at(Index run) const { return runs_.at(static_cast<std::size_t>(run)); }
  bool rounds(std::int64_t until, const std::vector<std::vector<double>>& lrs, Team& team,
              Stop& stop);
  void record_due();
  void record(const std::vector<Run*>& runs);
  void gather();

  const Data& data_;
  std::unique_ptr<BatchEngine> engine_;
  std::vector<Run> runs_;
  std::vector<Run*> live_;        // those that go on
  std::vector<Column*> columns_;  // theirs
  int threads_;
  std::int64_t round_ = 0, clients_ = 0;  // clients of a round
  bool prepared_ = false;
};

}  // namespace localgd
