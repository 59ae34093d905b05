// The kernels of runs side by side, of one loss of one output.
#pragma once

#include <string_view>

#include "strip_steps.hpp"

namespace localgd {

template <class Real>
struct StripKernels {
  decltype(&strip_steps<Real, Exponential>) steps;
  decltype(&strip_ladder<Real, Exponential>) ladder;

  static StripKernels of(std::string_view loss);
};

extern template struct StripKernels<float>;
extern template struct StripKernels<double>;

}  // namespace localgd
