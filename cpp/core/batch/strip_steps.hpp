// Local steps of several runs on one client, side by side in strips (panels.hpp). With the numbers of
// each run in its own lane:
//
//   e = -l'(m),   s <- keep s + e,   m <- base + keep (m - base) + step K_ii e
#pragma once

#include "../loss/registry.hpp"
#include "panels.hpp"

namespace localgd {

template <class Real>
struct StripClient {
  const Panels<Real>& gram;  // K_ii
  const Real* targets;       // of each row, repeated for each lane
  Index rows, strips;        // n_i; margins, sums, base and scratch hold strips x n_i x lanes
  const Real* step;          // of each lane: eta / n_i
  const Real* keep;          // 1 - eta mu, or null where that is 1 for all
  const Real* base;          // A_i w_k; read with keep only
  Real* margins;
  Real* sums;
  Real* scratch;
};

// m <- base + keep (m - base), s <- keep s
template <class Real>
void decay_strips(const StripClient<Real>& c) {
  for (Index s = 0, at = 0; s < c.strips; ++s)
    for (Index j = 0; j < c.rows; ++j)
      for (Index l = 0; l < lanes<Real>; ++l, ++at) {
        const Real keep = c.keep[s * lanes<Real> + l];
        c.sums[at] *= keep;
        c.margins[at] = c.base[at] + keep * (c.margins[at] - c.base[at]);
      }
}

// last: nobody reads the margins after the last step, so its matrix product is left out.
template <class Real, class Loss>
void strip_steps(const StripClient<Real>& c, std::int64_t steps, bool last) {
  const Index size = c.rows * lanes<Real>;
  for (std::int64_t l = 0; l < steps; ++l) {
    for (Index s = 0; s < c.strips; ++s)
      negative_derivatives<Loss>(c.margins + s * size, c.targets, size, 1, c.scratch + s * size);
    if (c.keep) decay_strips(c);
    for (Index t = 0; t < c.strips * size; ++t) c.sums[t] += c.scratch[t];
    if (last && l + 1 == steps) return;
    c.gram.multiply(0, c.gram.count(), c.scratch, c.strips, c.step, c.margins);
  }
}

}  // namespace localgd
