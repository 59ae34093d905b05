// What an engine promises: rounds of local steps and aggregation from a state that it keeps.
//
// Whatever the representation, the state of a run is described by
//   a   (N)  coefficients: w = w_0 + A^T a
//   b   (N)  coefficients of the clients' own changes in the last round: w_{k,i} - w_k = A_i^T b_i
// The server state is float64 always; Real is the type of the local phase and of the stored rows and
// Gram blocks, so that a float32 run does not freeze when steps become smaller than an ulp of w.
#pragma once

#include <memory>
#include <string_view>

#include "../data.hpp"
#include "../stop.hpp"
#include "../team.hpp"

namespace localgd {

enum class Outcome { done, stopped, not_finite };

class Engine {
 public:
  virtual ~Engine() = default;

  // Work before the first round (Gram blocks, scratch space). False if it was stopped.
  virtual bool prepare(Team& team, Stop& stop) = 0;

  // One round. Unless it is done the state is as before the round.
  virtual Outcome round(double lr, Team& team, Stop& stop) = 0;

  // w_k (d) and the margins A w_k (N), computed on demand where the engine does not carry them.
  virtual const Vector<double>& weights() = 0;
  virtual const Vector<double>& margins() = 0;

  const Vector<double>& coefficients() const { return coefficients_; }
  const Vector<double>& local_changes() const { return local_changes_; }

  // The vector that a restored run needs beside a and b to go on with the same bits.
  virtual const Vector<double>& state() const = 0;
  void restore(const Vector<double>& coefficients, const Vector<double>& local_changes,
               const Vector<double>& state) {
    coefficients_ = coefficients;
    local_changes_ = local_changes;
    set_state(state);
  }

 protected:
  explicit Engine(const Data& data)
      : data_(data),
        coefficients_(Vector<double>::Zero(data.samples())),
        local_changes_(Vector<double>::Zero(data.samples())) {}

  virtual void set_state(const Vector<double>& state) = 0;

  const Data& data_;
  Vector<double> coefficients_, local_changes_;
};

struct EngineOptions {
  std::string_view engine = "gram";      // "gram" | "hybrid" | "primal"
  std::string_view loss = "exponential"; // see loss/registry.hpp
  bool single = false;                   // float32 local phase
  std::int64_t local_steps = 1;          // L
};

// Throws std::invalid_argument for an unknown name.
std::unique_ptr<Engine> make_engine(const Data& data, const Vector<double>& init,
                                    const EngineOptions& options);

}  // namespace localgd
