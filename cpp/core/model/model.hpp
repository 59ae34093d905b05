// Where the model of a run lives, and what the clients of a round make of it.
#pragma once

#include "../cost.hpp"
#include "../round/last_round.hpp"
#include "../round/outcome.hpp"
#include "../round/round.hpp"
#include "../round/uplink.hpp"
#include "../setting.hpp"
#include "../state.hpp"
#include "../stop.hpp"

namespace localgd {

class Model {
 public:
  virtual ~Model() = default;

  // Clients send what that leaves of their changes. Before prepare(), and of models that live in
  // the weights: others throw std::invalid_argument.
  virtual void send_by(std::unique_ptr<Uplink> uplink);

  // Work before the first round. False if it was stopped.
  virtual bool prepare(Team& team, Stop& stop) = 0;

  // A round begins; its clients take their steps; it is taken into the state, or nothing is.
  virtual void begin(const Round& round, Team& team) = 0;
  // report: of this process's clients; over ranks it becomes what is so on all of them, and where
  // clients of any have not done their part the round is not taken.
  virtual Outcome close(const Round& round, Report& report, Team& team) = 0;

  // A round in which nobody takes part: nothing moves, be it by itself.
  virtual void rest(double /*round*/) {}

  // Whether one of the runs has been taken into the state by a round that was not_finite.
  virtual bool took_round(Index /*run*/) const { return false; }

  // w_k (d x C), A w_k (N x C) and so on, computed on demand where they are not kept.
  virtual const Matrix<double>& weights() = 0;
  virtual const Matrix<double>& margins() = 0;
  // A w_k as the steps of the next round begin with it.
  virtual const Matrix<double>& present_margins(Team& /*team*/) { return margins(); }
  virtual const Matrix<double>& coefficients() = 0;
  virtual const LastRound& last_round() = 0;

  // Which of several runs these are of from here, C columns for each side by side; all of them
  // before the first call.
  virtual void select(const std::vector<Index>& /*runs*/) {}

  // Shows what a restored run needs; and it has been loaded anew.
  virtual void visit(const Visit& show) = 0;
  virtual void loaded() {}

  // See Engine.
  virtual void models(const Matrix<double>& coefficients, Matrix<double>& margins,
                      Matrix<double>& weights, Team& team);
  virtual void place(const Matrix<double>& coefficients, const Matrix<double>* margins,
                     const Matrix<double>& velocity, const Matrix<double>& controls, Team& team);
};

}  // namespace localgd
