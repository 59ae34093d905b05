// The derivatives of a loss as the kernels have them, for those who are not kernels.
#pragma once

#include "called.hpp"

namespace localgd {

// e = -l' of n rows with the given margins, both n x C column by column.
template <class Real>
struct NegativeDerivatives {
  void (*known)(const Real* margins, Targets<Real> targets, Index n, Index outputs, Real* e);
  CalledDerivatives<Real> called{nullptr};  // in its place, if there are functions

  void operator()(const Real* margins, Targets<Real> targets, Index n, Index outputs,
                  Real* e) const {
    if (called.functions)
      called(margins, targets, n, outputs, e);
    else
      known(margins, targets, n, outputs, e);
  }
};
NegativeDerivatives<double> negative_derivatives_of(const LossChoice& loss);

}  // namespace localgd
