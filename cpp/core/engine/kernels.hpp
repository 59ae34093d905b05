// The kernels of one loss, in a table rather than as a template parameter of the engines: only the
// step loops are instantiated per loss.
#pragma once

#include "../local/primal_steps.hpp"
#include "../local/ladder.hpp"

namespace localgd {

template <class Real>
struct Kernels {
  decltype(&span_steps<Real, Exponential>) span;
  decltype(&span_ladder<Real, Exponential>) ladder;
  decltype(&span_batch_steps<Real, Exponential>) span_batch;
  decltype(&primal_steps<Real, Exponential>) primal;
  decltype(&localgd::primal_gradient<Real, Exponential>) primal_gradient;
  decltype(&primal_batch_steps<Real, Exponential>) primal_batch;
  decltype(&negative_derivatives<Exponential, Real>) derivatives;
  decltype(&localgd::origins<Exponential, Real>) origins;

  static Kernels of(std::string_view loss) {
    return with_loss(loss, [](auto l) {
      using Loss = decltype(l);
      return Kernels{&span_steps<Real, Loss>, &span_ladder<Real, Loss>, &span_batch_steps<Real, Loss>,
                     &primal_steps<Real, Loss>, &localgd::primal_gradient<Real, Loss>,
                     &primal_batch_steps<Real, Loss>, &negative_derivatives<Loss, Real>,
                     &localgd::origins<Loss, Real>};
    });
  }
};

}  // namespace localgd
