// Local steps of one client in the weights, as a deviation from w_k so that float32 keeps its digits:
// w = w_k + delta. With e = -l'(m) on all rows or on those of a batch and keep = 1 - eta mu:
//
//   m = A_i w_k + A_i delta,   s <- keep s + e,   delta <- keep delta + step A_i^T e + pull
//
// The kernels start from a given deviation and sums, so that the steps may be taken in pieces.
#pragma once

#include <algorithm>

#include "../loss/registry.hpp"
#include "../products.hpp"
#include "batches.hpp"

namespace localgd {

template <class Real>
struct PrimalClient {
  RowsView<Real> rows;
  const Real* targets;
  Index outputs;  // C; base and sums are n x C, column by column
  Real step;      // eta over the rows of a step
  Real keep;      // 1 - eta mu
  const Matrix<Real>* pull;  // eta q_i (d x C), or null
  const Matrix<double>& start;  // w_k, d x C
  Real* base;                   // A_i w_k, filled in by the first step of a round
  Matrix<Real>& delta;          // d x C
  Real* sums;
};

// Scratch space of one thread: a gradient, and margins and derivatives of a block of rows.
template <class Real>
struct PrimalScratch {
  Matrix<Real> gradient;
  Vector<Real> margins, derivatives;
  Batch<Real> batch;
};

// Rows that stay in the first-level cache between the two uses of a block.
template <class Real>
Index rows_per_block(Index features) {
  constexpr Index bytes = 16 * 1024;
  return std::max<Index>(4, bytes / static_cast<Index>(sizeof(Real)) / std::max<Index>(features, 1));
}

template <class Real>
void decay_sums(const PrimalClient<Real>& c) {
  const Index size = c.rows.rows() * c.outputs;
  for (Index j = 0; j < size; ++j) c.sums[j] *= c.keep;
}

template <class Real>
void take_step(const PrimalClient<Real>& c, const Matrix<Real>& gradient) {
  if (c.keep != Real(1)) c.delta *= c.keep;
  c.delta += c.step * gradient;
  if (c.pull) c.delta += *c.pull;
}

// Full batches: 4 n_i d C flops per step, every row read once: margins and gradient of a block while
// it is in cache. known: base is filled in already.
template <class Real, class Loss>
void primal_steps(const PrimalClient<Real>& c, PrimalScratch<Real>& scratch, std::int64_t steps,
                  bool known) {
  const Index n = c.rows.rows(), d = c.rows.cols(), block = rows_per_block<Real>(d);
  auto& g = scratch.gradient;
  for (std::int64_t l = 0; l < steps; ++l, known = true) {
    if (c.keep != Real(1)) decay_sums(c);
    g.setZero();
    for (Index first = 0; first < n; first += block) {
      const Index count = std::min(block, n - first);
      const auto a = c.rows.middleRows(first, count);
      Eigen::Map<Matrix<Real>> m(scratch.margins.data(), count, c.outputs);
      Eigen::Map<Matrix<Real>> e(scratch.derivatives.data(), count, c.outputs);
      for (Index k = 0; k < c.outputs; ++k) {
        Real* base = c.base + k * n + first;
        if (known) {
          m.col(k).noalias() = a * c.delta.col(k);
        } else {
          m.col(k).setZero();
          for (Index j = 0; j < count; ++j)
            base[j] = static_cast<Real>(
                wide_dot(c.rows.row(first + j).data(), c.start.col(k).data(), d));
        }
        for (Index j = 0; j < count; ++j) m(j, k) += base[j];
      }
      negative_derivatives<Loss>(m.data(), c.targets + first, count, c.outputs, e.data());
      for (Index k = 0; k < c.outputs; ++k) {
        for (Index j = 0; j < count; ++j) c.sums[k * n + first + j] += e(j, k);
        g.col(k).noalias() += a.transpose() * e.col(k);
      }
    }
    take_step(c, g);
  }
}

// Batches of `size` rows: 6 d C flops per row drawn, and only those rows are read.
template <class Real, class Loss>
void primal_batch_steps(const PrimalClient<Real>& c, RowDealer& dealer, Index size,
                        PrimalScratch<Real>& scratch, std::int64_t steps) {
  const Index n = c.rows.rows(), d = c.rows.cols();
  auto& batch = scratch.batch;
  for (std::int64_t l = 0; l < steps; ++l) {
    for (Index t = 0; t < size; ++t) {
      const Index j = batch.rows[static_cast<std::size_t>(t)] = dealer.next();
      batch.targets[t] = c.targets[j];
      for (Index k = 0; k < c.outputs; ++k)
        batch.margins[k * size + t] =
            static_cast<Real>(wide_dot(c.rows.row(j).data(), c.start.col(k).data(), d)) +
            c.rows.row(j).dot(c.delta.col(k));
    }
    negative_derivatives<Loss>(batch.margins.data(), batch.targets.data(), size, c.outputs,
                               batch.derivatives.data());
    if (c.keep != Real(1)) {
      decay_sums(c);
      c.delta *= c.keep;
    }
    for (Index t = 0; t < size; ++t) {
      const Index j = batch.rows[static_cast<std::size_t>(t)];
      for (Index k = 0; k < c.outputs; ++k) {
        const Real e = batch.derivatives[k * size + t];
        c.sums[k * n + j] += e;
        c.delta.col(k) += (c.step * e) * c.rows.row(j).transpose();
      }
    }
    if (c.pull) c.delta += *c.pull;
  }
}

}  // namespace localgd
