// What an engine promises: rounds of local work and aggregation from a state that it keeps.
//
// Whatever the representation, the state of a run is described by
//   a   (N x C)  coefficients: w = w_0 + A^T a
// and its last round by
//   b  (N x C)  w_{k,i} - w_k = A_i^T b_i - kappa_i A^T g - eta lambda tau_i w_k, g what the
//               corrections have in common
// and by what it changed the model (round/last_round.hpp).
// The server state is float64 always; Real is the type of the local phase and of the stored rows
// and Gram blocks, so that a float32 run does not freeze when steps become smaller than an ulp of
// w.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "data.hpp"
#include "model/model.hpp"
#include "phase/phase.hpp"
#include "round/options.hpp"
#include "round/run_rule.hpp"
#include "server/registry.hpp"
#include "shared_rates.hpp"
#include "stop.hpp"
#include "team.hpp"

namespace localgd {

struct EngineOptions {
  std::string_view engine = "gram";  // "gram" | "hybrid" | "primal" | "side_by_side"
  LossChoice loss = "exponential";   // see loss/registry.hpp
  bool single = false;               // float32 local phase
  LocalRule local;
  // This, and prox and l2 of the local rule, are of one run: several have their own.
  ServerRule server;
  MakeUplink uplink{};  // or all of a client's change is sent
};

// What an engine would do with a problem and options, and what that would cost.
struct EngineForecast {
  std::string_view engine;
  std::string_view phase;   // by which the clients take their steps; none if the engine is unable
  std::string_view unable;  // of what: "server", coordinate by coordinate outside the span of the
                            // rows; "solve", exactly without K_ii; "outputs", that of several;
                            // "steps", such local rules side by side; "rates", own
                            // ones of the clients without K_ii; "shared", rows of all clients
  Forecast cost{};
};

// Of all engines in turn, whatever options.engine says. The same on every machine: the phase is
// that of registers of 64 bytes.
std::vector<EngineForecast> forecast(const Layout& layout, Index outputs,
                                     const EngineOptions& options, const Outlook& ahead);

// A phase, in which the clients take their steps, and a model that takes what they give.
class Engine final {
 public:
  // Of one run, or of several side by side. Throws std::invalid_argument for an unknown name or
  // sizes that do not fit.
  Engine(const Data& data, const std::vector<RunRule>& runs, const EngineOptions& options);

  // init: w_0, d x C.
  Engine(const Data& data, const Matrix<double>& init, const EngineOptions& options)
      : Engine(data,
               std::vector<RunRule>{{init, options.server, options.local.prox, options.local.l2}},
               options) {}

  // Work before the first round (Gram blocks, scratch space). False if it was stopped.
  bool prepare(Team& team, Stop& stop);

  // One round. Unless it is done the state is as before the round, but for those of several runs
  // that took it.
  Outcome round(const RoundPlan& plan, Team& team, Stop& stop);
  // One without anybody: model and server stay as they are.
  void rest(double round) { model_->rest(round); }
  // Whether a function of the loss has failed, which stops the round.
  bool failed() const { return loss_.failed(); }
  bool took_round(Index run) const { return model_->took_round(run); }

  // w_k (d x C), the margins A w_k (N x C) and so on, computed on demand where the model does not
  // carry them. Of several runs, C columns for each side by side, those selected last or all.
  void select(const std::vector<Index>& runs) { model_->select(runs); }
  const Matrix<double>& weights() { return model_->weights(); }
  const Matrix<double>& margins() { return model_->margins(); }
  const Matrix<double>& coefficients() { return model_->coefficients(); }
  const LastRound& last_round() { return model_->last_round(); }

  // All that a restored run needs to go on with the same bits, by name.
  Arrays save();
  void visit(const Visit& show);
  // Takes what another engine of the same settings has saved. Throws std::invalid_argument, and
  // loads nothing, if a name is missing or an array is of another size.
  void load(const Arrays& saved);

  // The models w_0 + A^T a of many coefficients and their margins, C columns for each side by side.
  // Models that do not live in the span cannot, nor place().
  void models(const Matrix<double>& coefficients, Matrix<double>& margins, Matrix<double>& weights,
              Team& team) {
    model_->models(coefficients, margins, weights, team);
  }

  // Puts the model at w_0 + A^T a, with the server's velocity and the control variates (in
  // coefficients; empty where the method has none). margins: those of the model, or null.
  void place(const Matrix<double>& coefficients, const Matrix<double>* margins,
             const Matrix<double>& velocity, const Matrix<double>& controls, Team& team) {
    model_->place(coefficients, margins, velocity, controls, team);
  }

  // The name of the phase that takes the local steps.
  std::string_view phase() const { return phase_name_; }

  // The rounds so far, or null if local steps are never extrapolated.
  const LaddersTaken* ladders() const { return phase_->ladders(); }

  // The client whose own rows have no exact solution, after Outcome::infeasible.
  Index infeasible_client() const { return phase_->infeasible_client(); }

 private:
  LossChoice loss_ = "";
  bool over_ranks_ = false;
  std::unique_ptr<Round> round_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Phase> phase_;
  std::string_view phase_name_;
  std::unique_ptr<SharedRates> rates_;  // unless those of the plans are meant
  RoundPlan adapted_;                   // a plan with them
};

std::unique_ptr<Engine> make_engine(const Data& data, const Matrix<double>& init,
                                    const EngineOptions& options);

}  // namespace localgd
