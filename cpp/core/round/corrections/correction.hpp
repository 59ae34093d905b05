// What corrects the local steps of the clients, in coefficients gamma of their rows:
//   q_i = A_i^T gamma_i - sum_j v_j A_j^T gamma_j
// A correction says what gamma_i is and where q_i goes; corrections.hpp has the gamma_i of a run.
#pragma once

#include <functional>

#include "../../types.hpp"

namespace localgd {

// A client's local steps of a round: sum_l (1 - eta (lambda + mu))^l is how often eta q_i is in
// what they change its model by.
struct StepsTaken {
  double lr, prox, tau;
};

class Correction {
 public:
  virtual ~Correction() = default;

  // Whether eta q_i joins every step; otherwise q_i is where the client starts.
  virtual bool pulls() const = 0;

  // Whether clients keep gamma_i until their next round, with v_i = p_i; otherwise those who take
  // part find it at w_k, with v_i = p~_i.
  virtual bool kept() const = 0;

  // gamma_i of one that is not kept, of one output, from -omega l' of the client's n rows at w_k,
  // which it replaces.
  virtual void find(Index /*n*/, double* /*numbers*/) const {}

  // The next gamma_i of one that is kept, of one output, from what the client's own derivatives
  // changed its model by: coefficients of its n rows.
  virtual void renew(const StepsTaken&, const double* /*changes*/, const double* /*gamma*/,
                     Index /*n*/, double* /*next*/) const {}

  // Shows its parameters by name.
  using Parameters = std::function<void(const char* name, double& value)>;
  virtual void visit(const Parameters&) {}
};

}  // namespace localgd
