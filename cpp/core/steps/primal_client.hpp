// What the local steps of one client in the weights read and write: the symbols of
// primal_steps.hpp.
#pragma once

#include <algorithm>

#include "../loss/called.hpp"
#include "batches.hpp"

namespace localgd {

template <class Real>
struct PrimalClient {
  RowsView<Real> rows;
  const Real* signs;  // of the rows, +1 or -1, or null
  Targets<Real> targets;
  const Real* row_weights;      // omega, or null
  Index outputs;                // C; base and sums are n x C, the others d x C, column by column
  Real step;                    // eta over the rows of a step
  Real keep;                    // 1 - eta (lambda + mu)
  const Real* shift;            // eta (q_i - lambda w_k), or null
  const Matrix<double>& start;  // w_k, or where a displaced client begins
  double offset;                // see RoundPlan
  Real* base;                   // A_i w_k less the offset, filled in by the first step of a round
  Real* delta;
  Real* sums;
  const LossFunctions* functions = nullptr;
  Real freed = 0;  // eta lambda of the last feature, which lambda leaves alone; or 0

  Real sign(Index j) const { return signs ? signs[j] : Real(1); }
  // At the start, from the product of the caller's row.
  Real margin(Index j, double product) const {
    return static_cast<Real>(static_cast<double>(sign(j)) * product - offset);
  }
  auto deltas() const { return Eigen::Map<Matrix<Real>>(delta, rows.cols(), outputs); }
  auto shifts() const { return MatrixView<Real>(shift, rows.cols(), outputs); }
};

// Scratch space of one thread: the deviation of its client, a gradient, and margins and derivatives
// of a block of rows.
template <class Real>
struct PrimalScratch {
  Matrix<Real> delta, gradient;
  std::int64_t ahead;  // steps whose batches are drawn in one go
  Vector<Real> margins, derivatives;
  Vector<Real> targets;              // of a batch, for each output
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
      targets(largest_batch * outputs),
      rows(static_cast<std::size_t>(ahead * largest_batch)) {}

// delta <- keep delta
template <class Real>
void decay(const PrimalClient<Real>& c) {
  if (c.keep == Real(1)) return;
  const Index d = c.rows.cols();
  for (Index k = 0; k < c.outputs; ++k) {
    Real* delta = c.delta + k * d;
    const Real freed = c.freed * delta[d - 1];
    for (Index f = 0; f < d; ++f) delta[f] *= c.keep;
    delta[d - 1] += freed;
  }
}

template <class Real>
void take_step(const PrimalClient<Real>& c, const Matrix<Real>& gradient) {
  auto delta = c.deltas();
  decay(c);
  delta += c.step * gradient;
  if (c.shift) delta += c.shifts();
}

}  // namespace localgd
