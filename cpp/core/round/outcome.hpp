// How a round ended.
#pragma once

#include <algorithm>

namespace localgd {

enum class Outcome { done, stopped, not_finite, infeasible };

// What a rank says of its own clients, and what is so on all of them.
struct Report {
  Outcome outcome = Outcome::done;
  bool extrapolated = false;  // all local steps, see steps/ladder.hpp

  Report operator&(const Report& other) const {
    return {std::max(outcome, other.outcome), extrapolated && other.extrapolated};
  }
};

}  // namespace localgd
