// K_ii = A_i A_i^T of a client's sparse rows, which is never made: K_ii e = A_i (A_i^T e).
#pragma once

#include "../types.hpp"

namespace localgd {

template <class Real>
class SparseGram {
 public:
  virtual ~SparseGram() = default;

  // x += scale K e for some columns of n reals, padded<Real>(n) apart. Returns the largest |x| (or
  // less where there is a NaN).
  virtual Real add_product(const Real* e, Index columns, Real scale, Real* x) const = 0;
};

}  // namespace localgd
