// Losses far out in their tail, where l and -l' are both exp(-m) to rounding: so small that they
// are computed times a power of e, which is taken off their logarithm.
#pragma once

#include "registry.hpp"

namespace localgd {

// The least margin from which on that is so: for the exponential loss everywhere.
inline constexpr double everywhere = -std::numeric_limits<double>::infinity();
inline constexpr double nowhere = std::numeric_limits<double>::infinity();
template <class Loss>
inline constexpr double tail_begins = [] {
  constexpr bool unit =
      Loss::signed_rows && Loss::facts.tail.rate == 1 && Loss::facts.tail.factor == 1;
  if (!unit) return nowhere;
  return Loss::name == Exponential::name ? everywhere : 40.0;  // exp(-40) is an ulp of 1
}();

inline double tail_of(std::string_view loss) {
  return with_loss(loss, [](auto l) { return tail_begins<decltype(l)>; });
}

}  // namespace localgd
