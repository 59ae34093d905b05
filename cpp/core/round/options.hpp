// A method, as the engines see it: a local rule and a server rule, and what one round of it takes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "../philox.hpp"
#include "../types.hpp"

namespace localgd {

// What is added to the local steps of a client, from coefficients gamma of the rows:
//   q_i = A_i^T gamma_i - sum_j v_j A_j^T gamma_j
// control (SCAFFOLD): eta q_i joins every step; gamma_i is that of the client's last round, v = p.
// displacement (FedGA, GradAlign): q_i is the start; gamma_i = -(beta / n_i) e_i at w_k, v = p~.
enum class Correction { none, control, displacement };

struct LocalRule {
  std::vector<std::int64_t> steps;  // M; L_i
  std::vector<Index> batches;       // M; rows per step, 0 for all
  bool replacement = false;         // batches are drawn with replacement
  std::vector<Philox::Key> keys{};  // M; of the words that batches are drawn from
  bool solve = false;               // the exact local solve instead of steps
  bool every_step = false;          // none is had from others, see steps/ladder.hpp
  bool normalize = true;            // FedNova's average where the L_i differ
  double prox = 0;                  // mu
  Correction correction = Correction::none;
  double beta = 0;

  bool stochastic() const { return !batches.empty() && batches.front() > 0; }
  bool equal_steps() const {
    return std::all_of(steps.begin(), steps.end(), [&](auto L) { return L == steps.front(); });
  }
};

// tau = sum_l (1 - prox_step)^l over L steps.
inline double sum_of_decays(double prox_step, std::int64_t L) {
  const auto steps = static_cast<double>(L);
  if (!(prox_step > 0)) return steps;
  // A prox_step that is small beside 1 keeps its digits; one above 1 overshoots, and has no
  // logarithm.
  return (prox_step < 1 ? -std::expm1(steps * std::log1p(-prox_step))
                        : 1 - std::pow(1 - prox_step, steps)) /
         prox_step;
}

enum class ServerKind { average, anchored, sgd, adam, yogi, adagrad };

struct ServerRule {
  ServerKind kind = ServerKind::average;
  double lr = 1, momentum = 0;  // sgd
  bool nesterov = false;
  double beta1 = 0, beta2 = 0, tau = 0;  // the coordinate-wise ones

  bool coordinate_wise() const {
    return kind == ServerKind::adam || kind == ServerKind::yogi || kind == ServerKind::adagrad;
  }
  // f of a server that moves by f D, whatever was before the round.
  std::optional<double> factor() const {
    if (kind == ServerKind::average) return 1;
    if (kind == ServerKind::sgd && momentum == 0) return lr;
    return {};
  }
};

// What a run has of its own where several go side by side.
struct RunRule {
  Matrix<double> init;  // w_0, d x C
  ServerRule server{};
  double prox = 0;  // mu
};

// The inputs of one round. Nothing is copied.
struct RoundPlan {
  double round;  // k; beyond 2^53 only where nothing but its size counts
  double lr;
  const double* shares;  // p~_i: M of them, 0 for a client that sits the round out; or of `clients`
  const Index* clients = nullptr;  // who takes part, ascending, where shares are theirs
  Index count = 0;                 // of clients
  bool same_shares = false;        // as in the engine's last round: they need not be read again
  bool frozen = false;  // margins stand still within the round: all steps take the first derivative
  bool last = false;    // nobody reads the margins after it, nor goes on from there
  // Of local steps that are had from fewer (steps/ladder.hpp): their error relative to -l' at w_k,
  // no less than a rounding error of Real.
  double tolerance = 0;
  // Of several runs side by side: the rate of each, or null for `lr`; and which of them take the
  // round, ascending, or null for all.
  const double* lrs = nullptr;
  const std::vector<Index>* runs = nullptr;
};

}  // namespace localgd
