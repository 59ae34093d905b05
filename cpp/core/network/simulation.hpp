// A run of a network: rounds, one after the other, with records at the chosen ones. It has the face
// of a Simulation (../simulation.hpp), which is of linear models: its rounds come from an Engine,
// whose models are d x C with coefficients of the rows, and may be those of several runs.
#pragma once

#include "../simulation.hpp"
#include "engine.hpp"
#include "recorder.hpp"

namespace localgd {

class NetworkSimulation {
 public:
  // Of run.rule.init: theta_0, one column. There is no reference.
  NetworkSimulation(const Data& data, const RunOptions& run, const NetworkOptions& options,
                    int threads);

  // See Simulation::advance().
  Status advance(std::int64_t until, const Plans& plans,
                 const std::function<bool(std::int64_t round)>& stop_wanted);
  void resume(std::int64_t round, std::int64_t participations, double drift);
  void record_now();

  std::int64_t round() const { return round_; }
  bool running() const { return status_ == Status::running; }
  Status status() const { return status_; }
  std::int64_t participations() const { return participations_; }
  std::int64_t stalls() const { return stalls_; }
  const History& history() const { return recorder_.history(); }
  bool keeps_weights() const { return recorder_.keeps_weights(); }
  double drift() const { return recorder_.drift(*engine_); }
  Recorder::Seen see(bool gradient) const;
  NetworkEngine& engine() { return *engine_; }

 private:
  bool rounds(std::int64_t until, const Plans& plans, Team& team, Stop& stop);
  void attend(Team& team);

  const Data& data_;
  std::unique_ptr<NetworkEngine> engine_;
  NetworkRecorder recorder_;
  const std::int64_t last_round_;
  const int threads_;
  Status status_ = Status::running;
  std::int64_t round_ = 0, participations_ = 0, stalls_ = 0;
  Stop::Clock::time_point asked_ = Stop::Clock::now();
  bool prepared_ = false;
};

}  // namespace localgd
