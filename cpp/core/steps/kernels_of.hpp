// The table of kernels of each loss, for the units that compile them: one for each Real.
#pragma once

#include "batch_steps.hpp"
#include "bundle_steps.hpp"
#include "called_steps.hpp"
#include "kernels.hpp"
#include "primal_ladder.hpp"
#include "span_ladder.hpp"

namespace localgd {

template <class Real>
Kernels<Real> called_kernels(const LossFunctions& functions) {
  Kernels<Real> kernels{};
  kernels.span = &span_steps<Real, Called>;
  kernels.span_batch = &span_batch_steps<Real, Called>;
  kernels.primal = &primal_steps<Real, Called>;
  kernels.primal_gradient = &primal_gradient<Real, Called>;
  kernels.primal_batch = &primal_batch_steps<Real, Called>;
  kernels.derivatives = {nullptr, {&functions}};
  kernels.values_at_start = &rest_of_margins<Real>;
  return kernels;
}

template <class Real>
Kernels<Real> Kernels<Real>::of(const LossChoice& loss) {
  if (loss.functions) return called_kernels<Real>(*loss.functions);
  return with_loss(loss.name, [](auto l) {
    using Loss = decltype(l);
    return Kernels{&span_steps<Real, Loss>,
                   &span_ladder<Real, Loss>,
                   &span_batch_steps<Real, Loss>,
                   &bundle_steps<Real, Loss>,
                   &primal_steps<Real, Loss>,
                   &localgd::primal_gradient<Real, Loss>,
                   &primal_batch_steps<Real, Loss>,
                   &localgd::primal_start<Real, Loss>,
                   &localgd::primal_changes<Real, Loss>,
                   &localgd::primal_ladder<Real>,
                   {&negative_derivatives<Loss, Real>},
                   &localgd::values_at_start<Loss, Real>};
  });
}

}  // namespace localgd
