// The plain server: w_{k+1} = sum_i p_i w_{k,i} = w_k + sum_i p_i Delta_i.
//
// The sum runs over the clients in their order whatever thread computes it, so the bits do not depend
// on the number of threads; a call covers a range of features, which is how threads share it.
#pragma once

#include "../types.hpp"

namespace localgd {

template <class Real>
void add_average(const std::vector<Vector<Real>>& changes, const Vector<double>& weights, Index first,
                 Index count, Vector<double>& state) {
  auto part = state.segment(first, count);
  for (std::size_t i = 0; i < changes.size(); ++i)
    part += weights[static_cast<Index>(i)] * changes[i].segment(first, count).template cast<double>();
}

}  // namespace localgd
