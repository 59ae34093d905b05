// x <- x + D: the mean of the clients' models.
#pragma once

#include <string_view>

#include "state.hpp"

namespace localgd {

struct Average {
  static constexpr std::string_view name = "average";
  static constexpr bool coordinate_wise = false;
  static constexpr ServerKeeps keeps{};

  template <class Show>
  void visit(Show&&) {}

  double factor() const { return 1; }
};

}  // namespace localgd
