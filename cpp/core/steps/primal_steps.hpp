// Local steps of one client in the weights, as a deviation from w_k so that float32 keeps its
// digits: w = w_k + delta. With e = -l'(m) on all rows or on those of a batch and keep = 1 - eta
// mu:
//
//   m = A_i w_k + A_i delta,   s <- keep s + e,   delta <- keep delta + step A_i^T e +
//   correction_step
//
// The kernels start from a given deviation and sums, so that the steps may be taken in pieces.
#pragma once

#include <algorithm>

#include "../loss/registry.hpp"
#include "../products.hpp"
#include "batches.hpp"
#include "row_products.hpp"

namespace localgd {

template <class Real>
struct PrimalClient {
  RowsView<Real> rows;
  const Real* targets;
  Index outputs;                // C; base and sums are n x C, the others d x C, column by column
  Real step;                    // eta over the rows of a step
  Real keep;                    // 1 - eta mu
  const Real* correction_step;  // eta q_i, or null
  const Matrix<double>& start;  // w_k, or where a displaced client begins
  Real* base;                   // A_i w_k, filled in by the first step of a round
  Real* delta;
  Real* sums;

  auto deltas() const { return Eigen::Map<Matrix<Real>>(delta, rows.cols(), outputs); }
  auto correction_steps() const { return MatrixView<Real>(correction_step, rows.cols(), outputs); }
};

// Scratch space of one thread: the deviation of its client, a gradient, and margins and derivatives
// of a block of rows.
template <class Real>
struct PrimalScratch {
  Matrix<Real> delta, gradient;
  std::int64_t ahead;  // steps whose batches are drawn in one go
  Vector<Real> margins, derivatives;
  Vector<Real> targets;              // of a batch
  std::vector<RowDealer::Row> rows;  // of the batches ahead

  PrimalScratch(Index features, Index outputs, Index largest_batch);
};

// Rows that stay in cache between the two uses of a block; whole groups of the products.
template <class Real>
Index rows_per_block(Index features) {
  constexpr Index bytes = 16 * 1024, group = 8;
  const Index row = static_cast<Index>(sizeof(Real)) * std::max<Index>(features, 1);
  return std::max<Index>(1, bytes / (row * group)) * group;
}

template <class Real>
PrimalScratch<Real>::PrimalScratch(Index features, Index outputs, Index largest_batch)
    : delta(features, outputs),
      gradient(delta),
      ahead(steps_ahead(largest_batch)),
      margins(std::max(rows_per_block<Real>(features), largest_batch) * outputs),
      derivatives(margins.size()),
      targets(largest_batch),
      rows(static_cast<std::size_t>(ahead * largest_batch)) {}

template <class Real>
void take_step(const PrimalClient<Real>& c, const Matrix<Real>& gradient) {
  auto delta = c.deltas();
  if (c.keep != Real(1)) delta *= c.keep;
  delta += c.step * gradient;
  if (c.correction_step) delta += c.correction_steps();
}

// A_i w_k of some rows.
template <class Real>
void fill_base(const PrimalClient<Real>& c, Index first, Index count) {
  const Index n = c.rows.rows(), d = c.rows.cols();
  for (Index k = 0; k < c.outputs; ++k)
    for (Index j = first; j < first + count; ++j)
      c.base[k * n + j] =
          static_cast<Real>(wide_dot(c.rows.row(j).data(), c.start.col(k).data(), d));
}

// What rows first to first + count - 1 do in a step: 4 d C flops each, read once: margins and
// gradient of a block while it is in cache. Their sums move on, and gradient (d x C) grows by A^T
// e. known: base is filled in, and delta need not be 0.
template <class Real, class Loss>
void primal_gradient(const PrimalClient<Real>& c, Index first, Index count, bool known,
                     PrimalScratch<Real>& scratch, Real* gradient) {
  const Index n = c.rows.rows(), d = c.rows.cols(), end = first + count;
  const Index block = rows_per_block<Real>(d);
  Real *m = scratch.margins.data(), *e = scratch.derivatives.data();
  for (; first < end; first += block) {
    const Index rows = std::min(block, end - first);
    const Real* a = c.rows.data() + first * d;
    if (known)
      multiply_rows(a, rows, d, c.outputs, c.delta, m, rows);
    else
      fill_base(c, first, rows);
    for (Index k = 0; k < c.outputs; ++k)
      for (Index j = 0; j < rows; ++j) {
        const Real base = c.base[k * n + first + j];
        m[k * rows + j] = known ? m[k * rows + j] + base : base;
      }
    negative_derivatives<Loss>(m, c.targets + first, rows, c.outputs, e);
    for (Index k = 0; k < c.outputs; ++k) {
      Real* sums = c.sums + k * n + first;
      for (Index j = 0; j < rows; ++j) sums[j] = c.keep * sums[j] + e[k * rows + j];
    }
    add_weighted_rows(a, rows, d, c.outputs, e, rows, gradient);
  }
}

// Full batches.
template <class Real, class Loss>
void primal_steps(const PrimalClient<Real>& c, PrimalScratch<Real>& scratch, std::int64_t steps,
                  bool known) {
  for (std::int64_t l = 0; l < steps; ++l, known = true) {
    scratch.gradient.setZero();
    primal_gradient<Real, Loss>(c, 0, c.rows.rows(), known, scratch, scratch.gradient.data());
    take_step(c, scratch.gradient);
  }
}

// Batches of `size` rows: 6 d C flops per row drawn, and only those rows are read.
template <class Real, class Loss>
void primal_batch_steps(const PrimalClient<Real>& c, RowDealer& dealer, Index size,
                        PrimalScratch<Real>& scratch, std::int64_t steps) {
  const Index n = c.rows.rows(), d = c.rows.cols();
  auto delta = c.deltas();
  for (std::int64_t l = 0; l < steps; ++l) {
    const std::int64_t dealt = l % scratch.ahead;
    if (dealt == 0) dealer.deal(std::min(scratch.ahead, steps - l) * size, scratch.rows.data());
    const RowDealer::Row* rows = scratch.rows.data() + dealt * size;
    for (Index t = 0; t < size; ++t) {
      const Index j = rows[t];
      scratch.targets[t] = c.targets[j];
      for (Index k = 0; k < c.outputs; ++k)
        scratch.margins[k * size + t] =
            static_cast<Real>(wide_dot(c.rows.row(j).data(), c.start.col(k).data(), d)) +
            c.rows.row(j).dot(delta.col(k));
    }
    negative_derivatives<Loss>(scratch.margins.data(), scratch.targets.data(), size, c.outputs,
                               scratch.derivatives.data());
    if (c.keep != Real(1)) {
      Eigen::Map<Vector<Real>>(c.sums, n * c.outputs) *= c.keep;
      delta *= c.keep;
    }
    for (Index t = 0; t < size; ++t) {
      const Index j = rows[t];
      for (Index k = 0; k < c.outputs; ++k) {
        const Real e = scratch.derivatives[k * size + t];
        c.sums[k * n + j] += e;
        delta.col(k) += (c.step * e) * c.rows.row(j).transpose();
      }
    }
    if (c.correction_step) delta += c.correction_steps();
  }
}

}  // namespace localgd
