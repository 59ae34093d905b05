// The weights omega of rows in the derivatives e = -omega l'.
#pragma once

#include "../lanes.hpp"

namespace localgd {

// e <- omega e, in columns `stride` apart; or where omega of the t-th row is weights[rows[t]].
template <class Real>
LOCALGD_ONE_COPY void weigh_rows(const Real* weights, Index n, Index outputs, Index stride,
                                 Real* e) {
  for (Index k = 0; k < outputs; ++k, e += stride)
    for (Index j = 0; j < n; ++j) e[j] *= weights[j];
}
template <class Real, class Row>
LOCALGD_ONE_COPY void weigh_drawn(const Real* weights, const Row* rows, Index size, Index outputs,
                                  Index stride, Real* e) {
  for (Index k = 0; k < outputs; ++k, e += stride)
    for (Index t = 0; t < size; ++t) e[t] *= weights[rows[t]];
}

}  // namespace localgd
