#include "strip_kernels.hpp"

#include <stdexcept>

#include "../loss/registry.hpp"
#include "strip_steps.hpp"

namespace localgd {

template <class Real>
StripKernels<Real> StripKernels<Real>::of(std::string_view loss) {
  return with_loss(loss, [](auto l) -> StripKernels {
    using Loss = decltype(l);
    if constexpr (Loss::multiclass)
      throw std::invalid_argument("loss: want one of one output");
    else
      return {&strip_steps<Real, Loss>, &strip_ladder<Real, Loss>};
  });
}

template struct StripKernels<float>;
template struct StripKernels<double>;

}  // namespace localgd
