// What the local steps of one client on K_ii read and write: the symbols of span_steps.hpp.
#pragma once

#include <cstdint>

#include "../blocks/padded_gram.hpp"
#include "../blocks/sparse_gram.hpp"
#include "../loss/called.hpp"

namespace localgd {

// K_ii as a block, or by its factors.
template <class Real>
struct SpanBlock {
  const PaddedGram<Real>* whole;
  const SparseGram<Real>* factored;
  Index size;  // n_i

  Index stride() const { return padded<Real>(size); }  // of what add_product() moves

  // x += scale K_ii e for some columns of n_i reals, stride() apart. Returns the largest |x| (or
  // less where there is a NaN).
  Real add_product(const Real* e, Index columns, Real scale, Real* x) const {
    return whole ? whole->add_product(e, columns, scale, x)
                 : factored->add_product(e, columns, scale, x);
  }
};

// The last feature of the rows, where it is an intercept that lambda leaves alone: beta, by how
// much it has moved in the round, is kept beside the margins.
template <class Real>
struct FreeIntercept {
  const Real* column = nullptr;   // z: that feature in each row; or null
  double l2_step = 0;             // eta lambda
  const double* shift = nullptr;  // C; eta q_i, or null
  double* moved = nullptr;        // C; beta
};

template <class Real>
struct SpanClient {
  SpanBlock<Real> gram;  // K_ii
  Targets<Real> targets;
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
  const LossFunctions* functions = nullptr;
  FreeIntercept<Real> intercept{};

  Real keep() const { return static_cast<Real>(1 - decay); }
};

}  // namespace localgd
