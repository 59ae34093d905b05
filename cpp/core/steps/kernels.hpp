// The kernels of one loss, in a table rather than as a template parameter of the engines: step
// loops are compiled in kernels_float.cpp and kernels_double.cpp alone, and nothing else includes
// them.
#pragma once

#include "../loss/derivatives.hpp"
#include "batch_turn.hpp"
#include "bundles.hpp"
#include "primal_rungs.hpp"
#include "span_client.hpp"

namespace localgd {

// What each does is said where the function of its name is. Of a loss of functions, which client
// and scratch have with them, there are no ladders and no bundles.
template <class Real>
struct Kernels {
  // span_steps.hpp, span_ladder.hpp, batch_steps.hpp
  void (*span)(const SpanClient<Real>&, std::int64_t steps, bool last);
  std::int64_t (*ladder)(const SpanClient<Real>&, std::int64_t L, double tau, double tolerance,
                         LadderSpace<Real>&, std::int64_t& rung);
  // own_rate_steps.hpp; null of losses whose risk is no rate
  void (*span_own_rates)(const SpanClient<Real>&, double offset, std::int64_t steps, bool last);
  void (*span_batch)(BatchTurn<Real>&, std::int64_t steps, bool last);

  // bundle_steps.hpp
  void (*bundle)(BundleClients<Real>&, std::int64_t steps, bool last);

  // primal_steps.hpp
  void (*primal)(const PrimalClient<Real>&, PrimalScratch<Real>&, std::int64_t steps, bool known);
  void (*primal_gradient)(const PrimalClient<Real>&, Index first, Index count, bool known,
                          PrimalScratch<Real>&, Real* gradient);
  void (*primal_batch)(const PrimalClient<Real>&, RowDealer&, Index size, PrimalScratch<Real>&,
                       std::int64_t steps);

  // primal_ladder.hpp
  void (*primal_start)(const PrimalClient<Real>&, Targets<double>, PrimalRungs<Real>&, Index first,
                       Index count, RungBlock<Real>&, Real* before, Real* gradient);
  Real (*primal_changes)(const PrimalClient<Real>&, const PrimalRungs<Real>&, Index first,
                         Index count, RungBlock<Real>&, const Real* before, Real* gradients);
  std::int64_t (*primal_ladder)(const PrimalPasses<Real>&, std::int64_t L, int most,
                                double tolerance, LadderSpace<Real>&, std::int64_t& rung);

  // loss/registry.hpp
  NegativeDerivatives<Real> derivatives;
  void (*values_at_start)(const double* margins, Targets<double>, Index n, Index outputs,
                          Index stride, Real* at_start);

  static Kernels of(const LossChoice& loss);
};

extern template struct Kernels<float>;
extern template struct Kernels<double>;

}  // namespace localgd
