// Local steps of one client in the weights, as a deviation from w_k so that float32 keeps its
// digits: w = w_k + delta. With e = -omega l'(m) on all rows or on those of a batch, keep = 1 - eta
// (lambda + mu), shift = eta (q_i - lambda w_k):
//
//   m = A_i w_k + A_i delta,   s <- keep s + e,   delta <- keep delta + step A_i^T e + shift
//
// The kernels start from a given deviation and sums, so that the steps may be taken in pieces.
#pragma once

#include "../loss/registry.hpp"
#include "../products.hpp"
#include "moved_rows.hpp"
#include "primal_client.hpp"
#include "row_products.hpp"

namespace localgd {

// A_i w_k of some rows.
template <class Real>
void fill_base(const PrimalClient<Real>& c, Index first, Index count) {
  const Index n = c.rows.rows(), d = c.rows.cols();
  for (Index k = 0; k < c.outputs; ++k)
    for (Index j = first; j < first + count; ++j)
      c.base[k * n + j] = c.margin(j, wide_dot(c.rows.row(j).data(), c.start.col(k).data(), d));
}

// negative_derivatives() of a loss, as a pointer: of all losses there is one copy of what calls it.
template <class Loss, class Real>
auto derivatives_of([[maybe_unused]] const PrimalClient<Real>& c) {
  if constexpr (is_called<Loss>)
    return CalledDerivatives<Real>{c.functions};
  else
    return &negative_derivatives<Loss, Real>;
}

// What rows first to first + count - 1 do in a step: 4 d C flops each, read once: margins and
// gradient of a block while it is in cache. Their sums move on, and gradient (d x C) grows by A^T
// e. known: base is filled in, and delta need not be 0.
template <class Real, class Derivatives>
LOCALGD_ONE_COPY void add_gradient(const PrimalClient<Real>& c, Index first, Index count,
                                   bool known, PrimalScratch<Real>& scratch, Real* gradient,
                                   Derivatives derivatives) {
  const Index n = c.rows.rows(), d = c.rows.cols(), end = first + count;
  const Index block = rows_per_block<Real>(d);
  Real *m = scratch.margins.data(), *e = scratch.derivatives.data();
  for (; first < end; first += block) {
    const Index rows = std::min(block, end - first);
    const Real* a = c.rows.data() + first * d;
    if (known) {
      multiply_rows(a, rows, d, c.outputs, c.delta, m, rows);
    } else {
      fill_base(c, first, rows);
    }
    for (Index k = 0; k < c.outputs; ++k)
      for (Index j = 0; j < rows; ++j) {
        const Real base = c.base[k * n + first + j];
        const Real sign = c.signs ? c.signs[first + j] : Real(1);
        m[k * rows + j] = known ? sign * m[k * rows + j] + base : base;
      }
    derivatives(m, c.targets.from(first), rows, c.outputs, e);
    if (c.row_weights) weigh_rows(c.row_weights + first, rows, c.outputs, rows, e);
    for (Index k = 0; k < c.outputs; ++k) {
      Real* sums = c.sums + k * n + first;
      for (Index j = 0; j < rows; ++j) {
        sums[j] = c.keep * sums[j] + e[k * rows + j];
        if (c.signs) e[k * rows + j] *= c.signs[first + j];
      }
    }
    add_weighted_rows(a, rows, d, c.outputs, e, rows, gradient);
  }
}

template <class Real, class Loss>
void primal_gradient(const PrimalClient<Real>& c, Index first, Index count, bool known,
                     PrimalScratch<Real>& scratch, Real* gradient) {
  add_gradient(c, first, count, known, scratch, gradient, derivatives_of<Loss>(c));
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
template <class Real, class Derivatives>
LOCALGD_ONE_COPY void batch_steps_in_weights(const PrimalClient<Real>& c, RowDealer& dealer,
                                             Index size, PrimalScratch<Real>& scratch,
                                             std::int64_t steps, Derivatives derivatives) {
  const Index n = c.rows.rows(), d = c.rows.cols();
  auto delta = c.deltas();
  for (std::int64_t l = 0; l < steps; ++l) {
    const std::int64_t dealt = l % scratch.ahead;
    if (dealt == 0) dealer.deal(std::min(scratch.ahead, steps - l) * size, scratch.rows.data());
    const RowDealer::Row* rows = scratch.rows.data() + dealt * size;
    for (Index t = 0; t < size; ++t) {
      const Index j = rows[t];
      for (Index k = 0; k < c.outputs; ++k) {
        scratch.targets[k * size + t] = c.targets.column(k)[j];
        scratch.margins[k * size + t] =
            c.margin(j, wide_dot(c.rows.row(j).data(), c.start.col(k).data(), d)) +
            c.sign(j) * c.rows.row(j).dot(delta.col(k));
      }
    }
    derivatives(scratch.margins.data(), Targets<Real>(scratch.targets.data(), size), size,
                c.outputs, scratch.derivatives.data());
    if (c.row_weights)
      weigh_drawn(c.row_weights, rows, size, c.outputs, size, scratch.derivatives.data());
    if (c.keep != Real(1)) Eigen::Map<Vector<Real>>(c.sums, n * c.outputs) *= c.keep;
    decay(c);
    for (Index t = 0; t < size; ++t) {
      const Index j = rows[t];
      for (Index k = 0; k < c.outputs; ++k) {
        const Real e = scratch.derivatives[k * size + t];
        c.sums[k * n + j] += e;
        delta.col(k) += (c.step * c.sign(j) * e) * c.rows.row(j).transpose();
      }
    }
    if (c.shift) delta += c.shifts();
  }
}

template <class Real, class Loss>
void primal_batch_steps(const PrimalClient<Real>& c, RowDealer& dealer, Index size,
                        PrimalScratch<Real>& scratch, std::int64_t steps) {
  batch_steps_in_weights(c, dealer, size, scratch, steps, derivatives_of<Loss>(c));
}

}  // namespace localgd
