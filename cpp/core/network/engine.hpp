// Rounds of local steps on networks and the server's step on theta. What an engine of linear models
// (../engine.hpp) promises holds here, too; it is another class because there a client's change is
// n_i x C coefficients and the model is d x C, while of a network the first layer moves by n_i x h
// coefficients b_i and the second by itself:
//   W_{k,i} - W_k = X_i^T b_i - kappa_i sum_j v_j X_j^T gamma_j - eta lambda tau_i W_k
// A bias that lambda leaves alone, the last row of W, is followed by itself.
#pragma once

#include <memory>

#include "../data.hpp"
#include "../model/model.hpp"
#include "../round/run_rule.hpp"
#include "network.hpp"

namespace localgd {

struct NetworkOptions {
  Network network;
  std::string loss = "logistic";
  bool single = false;  // float32 rows and local steps
  LocalRule local;
};

class NetworkEngine {
 public:
  virtual ~NetworkEngine() = default;

  // Work before the first round. False if it was stopped.
  virtual bool prepare(Team& team, Stop& stop) = 0;
  // Unless it is done the state is as before the round.
  virtual Outcome round(const RoundPlan& plan, Team& team, Stop& stop) = 0;

  // theta, one column.
  virtual const Matrix<double>& parameters() const = 0;

  // Of the round that led to them: p~, empty before the first; theta_{k+1} - theta_k; and for a
  // client with a share theta_{k,i} - theta_k.
  virtual const Vector<double>& last_shares() const = 0;
  virtual const Matrix<double>& last_change() const = 0;
  virtual void client_change(Index client, Matrix<double>& change) const = 0;

  // How many clients take their steps in the span of their rows.
  virtual Index in_span() const = 0;

  virtual Arrays save() = 0;
  virtual void load(const Arrays& saved) = 0;
};

// init: theta_0, one column. Throws std::invalid_argument for what does not fit.
std::unique_ptr<NetworkEngine> make_network_engine(const Data& data, const RunRule& run,
                                                   const NetworkOptions& options);

}  // namespace localgd
