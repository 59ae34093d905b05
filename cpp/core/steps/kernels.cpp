#include "kernels.hpp"

#include "../loss/derivatives.hpp"

namespace localgd {

template <class Real>
Kernels<Real> Kernels<Real>::of(std::string_view loss) {
  return with_loss(loss, [](auto l) {
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
                   &negative_derivatives<Loss, Real>,
                   &localgd::values_at_start<Loss, Real>};
  });
}

NegativeDerivatives negative_derivatives_of(std::string_view loss) {
  return Kernels<double>::of(loss).derivatives;
}

template float PaddedGram<float>::add_product(const float*, Index, float, float*) const;
template double PaddedGram<double>::add_product(const double*, Index, double, double*) const;
template struct Kernels<float>;
template struct Kernels<double>;

}  // namespace localgd
