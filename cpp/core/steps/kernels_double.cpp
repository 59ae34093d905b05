#include "../loss/derivatives.hpp"
#include "kernels_of.hpp"

namespace localgd {

template double PaddedGram<double>::add_product(const double*, Index, double, double*) const;
template struct Kernels<double>;

NegativeDerivatives negative_derivatives_of(std::string_view loss) {
  return Kernels<double>::of(loss).derivatives;
}

}  // namespace localgd
