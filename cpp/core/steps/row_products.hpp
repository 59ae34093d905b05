// Products with a few rows at a time, as the primal kernel needs them: a block of rows is read for
// the margins, and again for the gradient while it is in cache. With AVX-512 the margins of rows in
// float32 and several classes are had so in float64, too: a register of rows is converted for five
// columns.
//
// Eigen's product kernels want larger matrices, and they may take memory. Here so many sums stay in
// registers as hide the latency of the multiplications, and a vector of the gradient is loaded and
// stored once for all rows of a group. Loads take any alignment, so the bits never depend on it.
#pragma once

#include "../types.hpp"

namespace localgd {

// m = a x and g += a^T e of rows that lie one after the other: x and g are d x outputs, m and e
// rows x outputs, all column by column; those of m and e are `stride` apart. In row_products.cpp,
// for Stored = Real and for float rows with Real = double.
template <class Stored, class Real>
void multiply_rows(const Stored* a, Index rows, Index d, Index outputs, const Real* x, Real* m,
                   Index stride);
template <class Real>
void add_weighted_rows(const Real* a, Index rows, Index d, Index outputs, const Real* e,
                       Index stride, Real* g);

}  // namespace localgd
