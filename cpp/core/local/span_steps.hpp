// Local steps of one client in the span of its rows, w = w_k + A_i^T (step * s): margins move by K_ii
// alone. With e = -l'(m) on all rows or on those of a batch, keep = 1 - eta mu, shift = eta A_i q_i:
//
//   s <- keep s + e,   m <- base + keep (m - base) + step K_ii e + shift
//
// The kernels start from given margins and sums, so that the steps of a round may be taken in pieces.
#pragma once

#include "../loss/registry.hpp"
#include "batches.hpp"

namespace localgd {

template <class Real>
struct SpanClient {
  const RowMatrix<Real>& gram;  // K_ii
  const Real* targets;
  Index outputs;      // C; margins, sums, base, shift and scratch are n x C, column by column
  Real step;          // eta over the rows of a step
  Real keep;          // 1 - eta mu
  const Real* base;   // A_i w_k; read for keep != 1 only
  const Real* shift;  // or null
  Real* margins;
  Real* sums;
  Real* scratch;
};

template <class Real>
void decay_margins(const SpanClient<Real>& c) {
  const Index size = c.gram.rows() * c.outputs;
  for (Index j = 0; j < size; ++j) c.margins[j] = c.base[j] + c.keep * (c.margins[j] - c.base[j]);
}

template <class Real>
void decay_sums(const SpanClient<Real>& c) {
  const Index size = c.gram.rows() * c.outputs;
  for (Index j = 0; j < size; ++j) c.sums[j] *= c.keep;
}

template <class Real>
void shift_margins(const SpanClient<Real>& c) {
  const Index size = c.gram.rows() * c.outputs;
  for (Index j = 0; j < size; ++j) c.margins[j] += c.shift[j];
}

// Full batches: 2 n_i^2 C flops, n_i^2 reals read per step. last: nobody reads the margins after the
// last step, so its matrix product is left out.
template <class Real, class Loss>
void span_steps(const SpanClient<Real>& c, std::int64_t steps, bool last) {
  const Index n = c.gram.rows(), size = n * c.outputs;
  Eigen::Map<Matrix<Real>> m(c.margins, n, c.outputs);
  Eigen::Map<const Matrix<Real>> e(c.scratch, n, c.outputs);
  for (std::int64_t l = 0; l < steps; ++l) {
    negative_derivatives<Loss>(c.margins, c.targets, n, c.outputs, c.scratch);
    if (c.keep != Real(1)) decay_sums(c);
    for (Index j = 0; j < size; ++j) c.sums[j] += c.scratch[j];
    if (last && l + 1 == steps) return;
    if (c.keep != Real(1)) decay_margins(c);
    // K_ii is symmetric: its transpose is column-major, which Eigen multiplies faster.
    for (Index k = 0; k < c.outputs; ++k)
      m.col(k).noalias() += c.step * (c.gram.transpose() * e.col(k));
    if (c.shift) shift_margins(c);
  }
}

// Batches of `size` rows: 2 n_i C flops per row drawn.
template <class Real, class Loss>
void span_batch_steps(const SpanClient<Real>& c, RowDealer& dealer, Index size, Batch<Real>& batch,
                      std::int64_t steps, bool last) {
  const Index n = c.gram.rows();
  Eigen::Map<Matrix<Real>> m(c.margins, n, c.outputs);
  for (std::int64_t l = 0; l < steps; ++l) {
    for (Index t = 0; t < size; ++t) {
      const Index j = batch.rows[static_cast<std::size_t>(t)] = dealer.next();
      batch.targets[t] = c.targets[j];
      for (Index k = 0; k < c.outputs; ++k) batch.margins[k * size + t] = m(j, k);
    }
    negative_derivatives<Loss>(batch.margins.data(), batch.targets.data(), size, c.outputs,
                               batch.derivatives.data());
    const bool moves = !last || l + 1 < steps;
    if (c.keep != Real(1)) {
      decay_sums(c);
      if (moves) decay_margins(c);
    }
    for (Index t = 0; t < size; ++t) {
      const Index j = batch.rows[static_cast<std::size_t>(t)];
      for (Index k = 0; k < c.outputs; ++k) {
        const Real e = batch.derivatives[k * size + t];
        c.sums[k * n + j] += e;
        if (moves) m.col(k) += (c.step * e) * c.gram.row(j).transpose();
      }
    }
    if (c.shift && moves) shift_margins(c);
  }
}

}  // namespace localgd
