#include "kernels_of.hpp"

namespace localgd {

template double PaddedGram<double>::add_product(const double*, Index, double, double*) const;
template struct Kernels<double>;

NegativeDerivatives<double> negative_derivatives_of(const LossChoice& loss) {
  return Kernels<double>::of(loss).derivatives;
}

}  // namespace localgd
