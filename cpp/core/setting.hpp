// What decides how the clients of an engine take their steps, and what that costs: neither rows nor
// numbers.
#pragma once

#include <string_view>

#include "data.hpp"
#include "round/options.hpp"

namespace localgd {

struct Setting {
  const Layout& layout;
  Index outputs;
  const LocalRule& rule;
  std::string_view loss;
  bool multiclass;
  bool compressed;  // the changes of clients are needed one by one
  Index lanes;      // numbers in a register: the build's, or those of a forecast

  double samples() const { return static_cast<double>(layout.samples()); }
  double features() const { return static_cast<double>(layout.features()); }
  double columns() const { return static_cast<double>(outputs); }
};

}  // namespace localgd
