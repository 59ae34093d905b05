// The local work of Local-GD: L gradient steps of one client on its own rows, w <- w - eta grad f_i(w).
//
// Both kernels start from given margins and give back the change of the client's model. They may be
// called several times in a row for the steps of one round (so that a long round can be stopped).
#pragma once

#include <algorithm>

#include "../products.hpp"

namespace localgd {

// Steps in the span of the client's rows: w = w_k + step * A_i^T s, so that margins move by K_ii alone.
//   e = -l'(m),  s += e,  m += step K_ii e              (2 n_i^2 flops, n_i^2 reals read per step)
// last: nobody reads the margins after the last step, so its matrix product is left out.
template <class Real, class Loss>
void span_steps(const RowMatrix<Real>& gram, const Real* targets, Real step, std::int64_t steps,
                bool last, Real* margins, Real* sums, Real* scratch) {
  const Index n = gram.rows();
  Eigen::Map<Vector<Real>> m(margins, n);
  Eigen::Map<const Vector<Real>> e(scratch, n);
  for (std::int64_t l = 0; l < steps; ++l) {
    for (Index j = 0; j < n; ++j) {
      scratch[j] = Loss::negative_derivative(margins[j], targets[j]);
      sums[j] += scratch[j];
    }
    // K_ii is symmetric: its transpose is column-major, which Eigen multiplies faster.
    if (!last || l + 1 < steps) m.noalias() += step * (gram.transpose() * e);
  }
}

// The scratch space of primal_steps: a gradient and the derivatives of a block of rows.
template <class Real>
struct PrimalScratch {
  Vector<Real> gradient, derivatives;
};

// Rows that stay in the first-level cache between the two uses of a block.
template <class Real>
Index rows_per_block(Index features) {
  constexpr Index bytes = 16 * 1024;
  return std::max<Index>(4, bytes / static_cast<Index>(sizeof(Real)) / std::max<Index>(features, 1));
}

// Steps in the weights, as a deviation from w_k so that float32 keeps its digits: w = w_k + delta.
//   m = base + A delta,  e = -l'(m),  s += e,  delta += step A^T e          (4 n_i d flops per step)
// Every row is read once per step: margins and gradient of a block while it is in cache. start: w_k in
// the first step of a round, when delta is 0 and base = A w_k is yet to be filled in.
template <class Real, class Loss>
void primal_steps(const RowsView<Real>& rows, const Real* targets, Real step, std::int64_t steps,
                  const Vector<double>* start, Real* base, Vector<Real>& delta, Real* sums,
                  PrimalScratch<Real>& scratch) {
  const Index n = rows.rows(), block = rows_per_block<Real>(rows.cols());
  auto& g = scratch.gradient;
  for (std::int64_t l = 0; l < steps; ++l, start = nullptr) {
    g.setZero();
    for (Index first = 0; first < n; first += block) {
      const Index count = std::min(block, n - first);
      const auto a = rows.middleRows(first, count);
      auto e = scratch.derivatives.head(count);
      if (start) {
        e.setZero();
        for (Index j = first; j < first + count; ++j)
          base[j] = static_cast<Real>(wide_dot(rows.row(j).data(), start->data(), rows.cols()));
      } else {
        e.noalias() = a * delta;
      }
      for (Index j = 0; j < count; ++j) {
        e[j] = Loss::negative_derivative(base[first + j] + e[j], targets[first + j]);
        sums[first + j] += e[j];
      }
      g.noalias() += a.transpose() * e;
    }
    delta.noalias() += step * g;
  }
}

}  // namespace localgd
