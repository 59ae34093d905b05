// A run: rounds, one after the other, with records at chosen ones.
#pragma once

#include "recorder.hpp"

namespace localgd {

enum class Status { running, completed, interrupted, diverged };

class Simulation {
 public:
  Simulation(const Data& data, const Vector<double>& init, const EngineOptions& options,
             std::vector<std::int64_t> record_rounds, const Vector<double>& reference, int threads,
             bool keep_weights = false)
      : engine_(make_engine(data, init, options)),
        recorder_(data, options.loss, std::move(record_rounds), reference, keep_weights),
        threads_(threads) {}

  // Runs to round `until`. lrs holds the learning rate of each of those rounds, or one for all.
  // stop_wanted is asked about every 50 ms, on the calling thread. Once a run has diverged or was
  // interrupted, its state is that of the last whole round.
  Status advance(std::int64_t until, const std::vector<double>& lrs,
                 const std::function<bool(std::int64_t round)>& stop_wanted);

  // Continues another run of the same settings from its saved state.
  void restore(std::int64_t round, const Vector<double>& coefficients,
               const Vector<double>& local_changes, const Vector<double>& state) {
    engine_->restore(coefficients, local_changes, state);
    round_ = round;
    recorder_.skip_before(round + 1);
  }

  // Records the present round if it is not the last one recorded (the end of a stopped run).
  void record_now();

  std::int64_t round() const { return round_; }
  Engine& engine() { return *engine_; }
  const History& history() const { return recorder_.history(); }
  std::int64_t stalls() const { return stalls_; }

 private:
  Status rounds(std::int64_t until, const std::vector<double>& lrs, Team& team, Stop& stop);

  std::unique_ptr<Engine> engine_;
  Recorder recorder_;
  int threads_;
  std::int64_t round_ = 0;
  std::int64_t stalls_ = 0;
  bool prepared_ = false;
};

}  // namespace localgd
