// The kernels of one loss, in a table rather than as a template parameter of the engines: only the
// step loops are instantiated per loss, and that in kernels.cpp alone.
#pragma once

#include "batch_steps.hpp"
#include "bundles.hpp"
#include "primal_ladder.hpp"

namespace localgd {

template <class Real>
struct Kernels {
  decltype(&span_steps<Real, Exponential>) span;
  decltype(&span_ladder<Real, Exponential>) ladder;
  decltype(&span_batch_steps<Real, Exponential>) span_batch;
  decltype(&bundle_steps<Real, Exponential>) bundle;
  decltype(&primal_steps<Real, Exponential>) primal;
  decltype(&localgd::primal_gradient<Real, Exponential>) primal_gradient;
  decltype(&primal_batch_steps<Real, Exponential>) primal_batch;
  decltype(&localgd::primal_start<Real, Exponential>) primal_start;
  decltype(&localgd::primal_changes<Real, Exponential>) primal_changes;
  decltype(&negative_derivatives<Exponential, Real>) derivatives;
  decltype(&localgd::values_at_start<Exponential, Real>) values_at_start;

  static Kernels of(std::string_view loss);
};

extern template struct Kernels<float>;
extern template struct Kernels<double>;

}  // namespace localgd
