// What decides how the clients of an engine take their steps, and what that costs: neither rows nor
// numbers.
#pragma once

#include "cost.hpp"
#include "data.hpp"
#include "loss/called.hpp"
#include "round/options.hpp"

namespace localgd {

struct Setting {
  const Layout& layout;
  Index outputs;
  const LocalRule& rule;
  LossChoice loss;
  bool multiclass;
  bool compressed;  // the changes of clients are needed one by one
  Index lanes;      // numbers in a register: the build's, or those of a forecast

  double samples() const { return static_cast<double>(layout.samples()); }
  double features() const { return static_cast<double>(layout.features()); }
  // Whether lambda leaves something of the model alone.
  bool frees_intercept() const { return layout.free_intercept && rule.l2 > 0; }
  double columns() const { return static_cast<double>(outputs); }
  // Numbers of all rows.
  double entries() const { return static_cast<double>(layout.entries()); }

  // Products with all rows in Real, as many of each of their numbers; their bytes.
  template <class Real>
  void add_row_products(Cost& cost, double times) const {
    if (layout.sparse())
      cost.add(Cost::entries, times * entries());
    else
      cost.add_flops<Real>(Cost::row_flops, 2 * times * entries());
  }
  template <class Real>
  double bytes_of_rows() const {
    constexpr double index = 4;
    return entries() * (sizeof(Real) + (layout.sparse() ? index : 0));
  }
};

}  // namespace localgd
