// Local steps of several runs on one client, side by side in strips (panels.hpp). With the numbers of
// each run in its own lane, as in local/span_steps.hpp:
//
//   m = A_i w_k + delta,   s <- keep s + e,   delta <- keep delta + step K_ii e
#pragma once

#include "../local/span_steps.hpp"
#include "panels.hpp"

namespace localgd {

template <class Real>
struct StripClient {
  const Panels<Real>& gram;  // K_ii
  const Real* targets;       // of each row, repeated for each lane
  Index rows, strips;        // n_i; all below hold strips x n_i x strip_width
  const Real* step;          // of each lane: eta / n_i
  const Real* keep;          // 1 - eta mu, or null where that is 1 for all
  const Real* base;          // A_i w_k
  const Real* origin;        // of base, see near()
  Real* delta;
  Real* sums;
  Real* scratch;
};

// delta <- keep delta, s <- keep s
template <class Real>
void decay_strips(const StripClient<Real>& c) {
  for (Index s = 0, at = 0; s < c.strips; ++s)
    for (Index j = 0; j < c.rows; ++j)
      for (Index l = 0; l < strip_width<Real>; ++l, ++at) {
        const Real keep = c.keep[s * strip_width<Real> + l];
        c.sums[at] *= keep;
        c.delta[at] *= keep;
      }
}

// last: nobody reads the margins after the last step, so its matrix product is left out.
template <class Real, class Loss>
void strip_steps(const StripClient<Real>& c, std::int64_t steps, bool last) {
  const Index size = c.rows * strip_width<Real>;
  for (std::int64_t l = 0; l < steps; ++l) {
    for (Index s = 0; s < c.strips; ++s) {
      const Index at = s * size;
      derivatives_near<Loss>(
          NearRows<Real>{c.base + at, c.origin + at, c.delta + at, size, c.targets, size, 1},
          largest(c.delta + at, size), c.scratch + at);
    }
    if (c.keep) decay_strips(c);
    for (Index t = 0; t < c.strips * size; t += lanes<Real>)
      store(c.sums + t, load(c.sums + t) + load(c.scratch + t));
    if (last && l + 1 == steps) return;
    c.gram.multiply(0, c.gram.count(), c.scratch, c.strips, c.step, c.delta);
  }
}

}  // namespace localgd
