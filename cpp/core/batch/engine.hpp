// Rounds of several runs over the same rows at once: engine gram with the runs as columns.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "../engine.hpp"
#include "../model/span_weights.hpp"
#include "../server/track.hpp"

namespace localgd {

// One run: its server state, and its last round.
struct Column {
  // flops: of a round of this run, at least.
  Column(const Data& data, const Matrix<double>& init, const ServerRule& server, double prox,
         double flops);
  Column(Column&&) = default;

  double lr = 1, prox;  // eta of the round, mu
  Track coefficients, margins;
  SpanWeights model;
  Matrix<double> next_changes;  // b of the round at work
  LastRound last;               // but for `change`, which is that of the coefficients
  bool finite = true;           // the last round was; otherwise the state is that before it

  void commit(double k, const Vector<double>& shares);
};

struct BatchOptions {
  std::string_view loss = "exponential";  // of one output
  bool single = false;                    // float32 local phase
  std::int64_t steps = 1;                 // L, on every client
  bool every_step = false;                // none is had from others, see steps/ladder.hpp
};

class BatchEngine {
 public:
  virtual ~BatchEngine() = default;

  // Work before the first round. False if it was stopped.
  virtual bool prepare(Team& team, Stop& stop) = 0;

  // Round k of the given columns, with all clients of positive weight. False if it was stopped: all
  // states are as before the round.
  virtual bool round(double k, const std::vector<Column*>& columns, Team& team, Stop& stop) = 0;
};

std::unique_ptr<BatchEngine> make_batch_engine(const Data& data, const BatchOptions& options);

}  // namespace localgd
