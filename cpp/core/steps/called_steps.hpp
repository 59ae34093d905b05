// span_steps.hpp for a loss of functions and a client whose rows fill V registers: one call of the
// slopes in each step, its numbers taken as they are.
//
// What has just been written in single numbers or half registers cannot be read back in whole ones
// without a wait. So K takes the slopes one by one, as it does in any case, and the sums wait until
// after the product.
#pragma once

#include "moved_rows.hpp"
#include "span_client.hpp"

namespace localgd {

template <class Real, class Loss, int V>
  requires is_called<Loss>
void register_steps(const SpanClient<Real>& c, std::int64_t steps, bool last) {
  constexpr int rows = V * lanes<Real>;
  const Index n = c.gram.size;
  const Real keep = c.keep(), step = -c.step;
  alignas(64) double margins[rows], targets[rows], found[rows] = {};
  alignas(64) Real slopes[rows] = {}, totals[rows] = {};
  for (Index j = 0; j < n; ++j) targets[j] = static_cast<double>(c.targets[j]);
  std::copy_n(c.sums, n, totals);
  Register<Real> delta[V], sums[V];
  for (int v = 0; v < V; ++v) {
    delta[v] = load(c.delta + v * lanes<Real>);
    sums[v] = load(totals + v * lanes<Real>);
  }
  for (std::int64_t l = 0; l < steps; ++l) {
    const Real* taken = slopes;
    if constexpr (std::is_same_v<Real, double>) {
      for (int v = 0; v < V; ++v)
        store(margins + v * lanes<Real>, load(c.base + v * lanes<Real>) + delta[v]);
      c.functions->slopes(margins, targets, n, found);
      taken = found;
    } else {
      for (int v = 0; v < V; ++v) store(c.delta + v * lanes<Real>, delta[v]);
      for (int j = 0; j < rows; ++j)
        margins[j] = called_margin(c.base[j], c.at_start[j], c.delta[j]);
      c.functions->slopes(margins, targets, n, found);
      for (int j = 0; j < rows; ++j) slopes[j] = static_cast<Real>(found[j]);
    }
    if (c.row_weights) {
      for (Index j = 0; j < n; ++j) slopes[j] = c.row_weights[j] * taken[j];
      taken = slopes;
    }
    const bool moves = !last || l + 1 < steps;
    if (moves) {
      Register<Real> moved[V];
      c.gram.whole->template product<V>(taken, moved);
      for (int v = 0; v < V; ++v) {
        delta[v] = multiply_add(all_lanes(step), moved[v], keep * delta[v]);
        if (c.shift) delta[v] += load(c.shift + v * lanes<Real>);
      }
    }
    for (int v = 0; v < V; ++v) sums[v] = keep * sums[v] - load(taken + v * lanes<Real>);
  }
  for (int v = 0; v < V; ++v) {
    store(c.delta + v * lanes<Real>, delta[v]);
    store(totals + v * lanes<Real>, sums[v]);
  }
  std::copy_n(totals, n, c.sums);
}

}  // namespace localgd
