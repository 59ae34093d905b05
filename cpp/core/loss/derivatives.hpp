// The derivatives of a loss as the kernels have them, for those who are not kernels.
#pragma once

#include <string_view>

#include "../types.hpp"

namespace localgd {

// e = -l' of n rows with the given margins, both n x C column by column.
using NegativeDerivatives = void (*)(const double* margins, const double* targets, Index n,
                                     Index outputs, double* e);
NegativeDerivatives negative_derivatives_of(std::string_view loss);

}  // namespace localgd
