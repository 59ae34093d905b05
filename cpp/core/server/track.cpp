// Compiled without contraction of products and sums to fused ones: in a step such as a x + b y the
// compiler may fuse either product, and takes one in whole registers and the other at their end.
#include "track.hpp"

#include <cmath>

namespace localgd {

void Track::advance(double k, Index first, Index count) {
  for (Index column = 0; column < mean.cols(); ++column)
    rule_.coordinate_wise() ? adapt(column, first, count) : advance_column(k, column, first, count);
}

void Track::advance_column(double k, Index column, Index first, Index count) {
  const auto at = [&](Matrix<double>& m) { return m.col(column).data() + first; };
  double* __restrict c = at(mean);
  double* __restrict next = at(next_);
  const double* x = at(value);
  if (const auto factor = rule_.factor()) {
    const double lr = *factor;
    for (Index j = 0; j < count; ++j) c[j] *= lr;
  } else if (rule_.kind == ServerKind::anchored) {
    const double left = 1 / (k + 2), a = 1 - left;
    const double* x0 = at(anchor);
    for (Index j = 0; j < count; ++j) c[j] = a * c[j] - left * (x[j] - x0[j]);
  } else {
    const double lr = rule_.lr, momentum = rule_.momentum;
    const double* before = at(velocity);
    double* __restrict v = at(next_velocity_);
    for (Index j = 0; j < count; ++j) v[j] = momentum * before[j] + c[j];
    if (rule_.nesterov)
      for (Index j = 0; j < count; ++j) c[j] = lr * (c[j] + momentum * v[j]);
    else
      for (Index j = 0; j < count; ++j) c[j] = lr * v[j];
  }
  for (Index j = 0; j < count; ++j) next[j] = x[j] + c[j];
}

void Track::adapt(Index column, Index first, Index count) {
  for (Index j = first; j < first + count; ++j) {
    const double d = mean(j, column), d2 = d * d, old = squares(j, column);
    double s = old + d2;  // adagrad
    if (rule_.kind == ServerKind::adam) s = rule_.beta2 * old + (1 - rule_.beta2) * d2;
    if (rule_.kind == ServerKind::yogi) {
      const double sign = old > d2 ? 1 : old < d2 ? -1 : 0;
      s = old - (1 - rule_.beta2) * d2 * sign;
    }
    const double v = rule_.beta1 * velocity(j, column) + (1 - rule_.beta1) * d;
    const double c = rule_.lr * v / (std::sqrt(s) + rule_.tau);
    next_squares_(j, column) = s;
    next_velocity_(j, column) = v;
    mean(j, column) = c;
    next_(j, column) = value(j, column) + c;
  }
}

}  // namespace localgd
