// What the local steps of one client on K_ii read and write: the symbols of span_steps.hpp.
#pragma once

#include <cstdint>

#include "../blocks/padded_gram.hpp"

namespace localgd {

template <class Real>
struct SpanClient {
  const PaddedGram<Real>& gram;  // K_ii
  const Real* targets;
  const Real* row_weights;  // omega, or null; whole registers may be read
  Index outputs;            // C
  Real step;                // eta over the rows of a step
  double decay;             // eta (lambda + mu)
  // C columns, gram.stride() apart: whole vectors, of which the numbers after the n-th count for
  // nothing.
  const Real* base;      // A_i w_k
  const Real* at_start;  // of base, see after_move()
  const Real* shift;     // or null
  Real* delta;
  Real* scratch;
  Real* sums;  // n x C, without gaps

  Real keep() const { return static_cast<Real>(1 - decay); }
};

}  // namespace localgd
