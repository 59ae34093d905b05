// The table of kernels of each loss, for the units that compile them: one for each Real.
#pragma once

#include "batch_steps.hpp"
#include "bundle_steps.hpp"
#include "kernels.hpp"
#include "own_rate_steps.hpp"
#include "primal_ladder.hpp"
#include "span_ladder.hpp"

namespace localgd {

template <class Real>
Kernels<Real> Kernels<Real>::of(std::string_view loss) {
  return with_loss(loss, [](auto l) {
    using Loss = decltype(l);
    return Kernels{&span_steps<Real, Loss>,
                   &span_ladder<Real, Loss>,
                   own_rate_steps_of<Real, Loss>(),
                   &span_batch_steps<Real, Loss>,
                   &bundle_steps<Real, Loss>,
                   &primal_steps<Real, Loss>,
                   &localgd::primal_gradient<Real, Loss>,
                   &primal_batch_steps<Real, Loss>,
                   &localgd::primal_start<Real, Loss>,
                   &localgd::primal_changes<Real, Loss>,
                   &localgd::primal_ladder<Real>,
                   &negative_derivatives<Loss, Real>,
                   &localgd::values_at_start<Loss, Real>};
  });
}

}  // namespace localgd
