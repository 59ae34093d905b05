// What an engine promises: rounds of local work and aggregation from a state that it keeps.
//
// Whatever the representation, the state of a run is described by
//   a   (N x C)  coefficients: w = w_0 + A^T a
// and its last round by
//   b       (N x C)  w_{k,i} - w_k = A_i^T b_i - kappa_i A^T g, where g is `common` of the
//   corrections change  (N x C)  w_{k+1} - w_k = A^T change; of coordinate-wise servers in the
//   weights instead
// The server state is float64 always; Real is the type of the local phase and of the stored rows
// and Gram blocks, so that a float32 run does not freeze when steps become smaller than an ulp of
// w.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "../data.hpp"
#include "../round/last_round.hpp"
#include "../round/options.hpp"
#include "../stop.hpp"
#include "../team.hpp"

namespace localgd {

enum class Outcome { done, stopped, not_finite, infeasible };

// In how many rounds all local steps were had from fewer (steps/ladder.hpp), in how many they were
// not, and the most steps of a rung.
struct LaddersTaken {
  std::int64_t rounds = 0, others = 0, most_steps = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;

  // Work before the first round (Gram blocks, scratch space). False if it was stopped.
  virtual bool prepare(Team& team, Stop& stop) = 0;

  // One round. Unless it is done the state is as before the round.
  virtual Outcome round(const RoundPlan& plan, Team& team, Stop& stop) = 0;

  // w_k (d x C), the margins A w_k (N x C) and so on, computed on demand where the engine does not
  // carry them.
  virtual const Matrix<double>& weights() = 0;
  virtual const Matrix<double>& margins() = 0;
  virtual const Matrix<double>& coefficients() = 0;
  virtual const LastRound& last_round() = 0;

  // All that a restored run needs to go on with the same bits, by name.
  using State = std::vector<std::pair<std::string, Matrix<double>*>>;
  virtual State state() = 0;

  // The models w_0 + A^T a of many coefficients and their margins, C columns for each side by side.
  // Engines that do not work in the span cannot, nor place().
  virtual void models(const Matrix<double>& coefficients, Matrix<double>& margins,
                      Matrix<double>& weights, Team& team);

  // Puts the model at w_0 + A^T a, with the server's velocity and the control variates (in
  // coefficients; empty where the method has none). margins: those of the model, or null.
  virtual void place(const Matrix<double>& coefficients, const Matrix<double>* margins,
                     const Matrix<double>& velocity, const Matrix<double>& controls, Team& team);

  // The rounds so far, or null if local steps are never had from fewer.
  virtual const LaddersTaken* ladders() const { return nullptr; }

  // The client whose own rows have no exact solution, after Outcome::infeasible.
  virtual Index infeasible_client() const { return -1; }
};

struct EngineOptions {
  std::string_view engine = "gram";       // "gram" | "hybrid" | "primal"
  std::string_view loss = "exponential";  // see loss/registry.hpp
  bool single = false;                    // float32 local phase
  LocalRule local;
  ServerRule server;
};

// init: w_0, d x C. Throws std::invalid_argument for an unknown name or sizes that do not fit.
std::unique_ptr<Engine> make_engine(const Data& data, const Matrix<double>& init,
                                    const EngineOptions& options);

}  // namespace localgd
