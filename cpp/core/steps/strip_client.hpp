// What the local steps of several runs on one client read and write: the symbols of
// strip_steps.hpp.
#pragma once

#include "../blocks/panels.hpp"

namespace localgd {

template <class Real>
struct StripClient {
  const Panels<Real>& gram;  // K_ii
  const Real* targets;       // of each row, repeated for each lane
  Index rows, strips;        // n_i; all below hold strips x n_i x strip_width
  const Real* step;          // of each lane: eta / n_i
  const Real* keep;          // 1 - eta mu
  bool decays;               // where that is not 1 for all
  const Real* base;          // A_i w_k
  const Real* at_start;      // of base, see after_move()
  Real* delta;
  Real* sums;
  Real* scratch;

  // One of the strips.
  StripClient strip(Index s) const {
    const Index at = s * rows * strip_width<Real>, lane = s * strip_width<Real>;
    return {gram,   targets,   rows,          1,          step + lane, keep + lane,
            decays, base + at, at_start + at, delta + at, sums + at,   scratch + at};
  }
};

}  // namespace localgd
