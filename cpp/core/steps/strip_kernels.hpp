// The kernels of runs side by side, of one loss of one output.
#pragma once

#include <string_view>

#include "ladder.hpp"
#include "strip_client.hpp"

namespace localgd {

// In strip_steps.hpp.
template <class Real>
struct StripKernels {
  void (*steps)(const StripClient<Real>&, std::int64_t steps, bool last);
  std::int64_t (*ladder)(const StripClient<Real>&, std::int64_t L, const double* decay,
                         const double* tau, double tolerance, LadderSpace<Real>&,
                         std::int64_t& rung);

  static StripKernels of(std::string_view loss);
};

extern template struct StripKernels<float>;
extern template struct StripKernels<double>;

}  // namespace localgd
