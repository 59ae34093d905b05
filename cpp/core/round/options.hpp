// A method's local rule, as the engines see it, and what one round takes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

#include "../philox.hpp"
#include "../types.hpp"
#include "corrections/correction.hpp"
#include "rate_rule.hpp"

namespace localgd {

// All but prox and l2 is shared by runs side by side; each has its own (run_rule.hpp).
struct LocalRule {
  std::vector<std::int64_t> steps;                 // M; L_i
  std::vector<Index> batches;                      // M; rows per step, 0 for all
  bool replacement = false;                        // batches are drawn with replacement
  std::vector<Philox::Key> keys{};                 // M; of the words that batches are drawn from
  bool solve = false;                              // the exact local solve instead of steps
  bool every_step = false;                         // none is had from others, see steps/ladder.hpp
  bool normalize = true;                           // FedNova's average where the L_i differ
  RateRule rates{};                                // of rounds or of local steps
  double prox = 0;                                 // mu
  double l2 = 0;                                   // lambda
  std::shared_ptr<const Correction> correction{};  // or none

  // show(name, value) for all but prox and l2.
  template <class Show>
  void visit(Show&& show) {
    show("steps", steps), show("batches", batches), show("replacement", replacement);
    show("keys", keys), show("solve", solve), show("every_step", every_step);
    show("normalize", normalize), show("correction", correction), show("rates", rates);
  }

  // Throws std::invalid_argument unless steps, batches and keys are those of so many clients.
  void check(Index clients) const {
    const auto M = static_cast<std::size_t>(clients);
    if (steps.size() != M) throw std::invalid_argument("steps: want one number for each client");
    for (const auto L : steps)
      if (L < 1) throw std::invalid_argument("steps: want at least 1");
    if (!batches.empty() && batches.size() != M)
      throw std::invalid_argument("batches: want one number for each client");
    for (const Index rows : batches)
      if ((rows > 0) != stochastic() || rows < 0)
        throw std::invalid_argument("batches: want rows on every client, or 0 on every client");
    if (stochastic() && keys.size() != M)
      throw std::invalid_argument("keys: want one for each client that draws batches");
  }

  bool stochastic() const { return !batches.empty() && batches.front() > 0; }
  bool equal_steps() const {
    return std::all_of(steps.begin(), steps.end(), [&](auto L) { return L == steps.front(); });
  }
};

// tau = sum_l (1 - decay)^l over L steps.
inline double sum_of_decays(double decay, std::int64_t L) {
  const auto steps = static_cast<double>(L);
  if (!(decay > 0)) return steps;
  // A decay that is small beside 1 keeps its digits; one above 1 overshoots, and has no
  // logarithm.
  return (decay < 1 ? -std::expm1(steps * std::log1p(-decay)) : 1 - std::pow(1 - decay, steps)) /
         decay;
}

// The inputs of one round. Nothing is copied.
struct RoundPlan {
  double round;  // k; beyond 2^53 only where nothing but its size counts
  double lr;
  const double* shares;  // p~_i: M of them, 0 for a client that sits the round out; or of `clients`
  const Index* clients = nullptr;  // who takes part, ascending, where shares are theirs
  Index count = 0;                 // of clients
  Index present = -1;              // who takes part on all ranks; there is one alone if it is -1
  bool same_shares = false;        // as in the engine's last round: they need not be read again
  bool frozen = false;  // margins stand still within the round: all steps take the first derivative
  bool last = false;    // nobody reads the margins after it, nor goes on from there
  // Of local steps that are had from fewer (steps/ladder.hpp): their error relative to -l' at w_k,
  // no less than a rounding error of Real.
  double tolerance = 0;
  // What the margins of the round are taken less, so that e, and with it the rate, counts times
  // exp(offset); and whether all of them are so large that the loss is its tail there
  // (loss/tail.hpp).
  double offset = 0;
  bool tail = false;
  // Of several runs side by side: the rate of each, or null for `lr`; and which of them take the
  // round, ascending, or null for all.
  const double* lrs = nullptr;
  const std::vector<Index>* runs = nullptr;
};

}  // namespace localgd
