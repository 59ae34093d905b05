// Local steps of one client in the span of its rows whose rate is eta over its own risk, taken anew
// at every step: gradient descent on log f_i. With base = A_i w_k - offset,
//
//   m = offset + base + delta,   f_i = sum_j omega_j l(m_j) / n,   e = -omega l'(m) / f_i
//   s <- s + e,   delta <- delta + step K_ii e
//
// In the tail of the loss f_i and e are both taken times a power of e, so that margins of 10^6 are
// as good as any.
#pragma once

#include "../loss/tail.hpp"
#include "span_steps.hpp"

namespace localgd {

// t = base + delta, and the largest number where there is no row or one without weight; returns the
// least of them.
template <class Real>
LOCALGD_ONE_COPY Real margins_of_rows(const SpanClient<Real>& c, Real* t) {
  constexpr Real most = std::numeric_limits<Real>::max();
  const Index n = c.gram.size, stride = c.gram.stride();
  for (Index j = 0; j < stride; j += lanes<Real>)
    store(t + j, load(c.base + j) + load(c.delta + j));
  std::fill(t + n, t + stride, most);
  if (c.row_weights)
    for (Index j = 0; j < n; ++j)
      if (!(c.row_weights[j] > 0)) t[j] = most;
  Register<Real> largest_turned = all_lanes(-most);
  for (Index j = 0; j < stride; j += lanes<Real>) {
    const Register<Real> turned = -load(t + j);
    largest_turned = turned > largest_turned ? turned : largest_turned;
  }
  return -largest_lane<Real>(largest_turned);
}

// e <- omega exp(least - t) over their mean: the rate of the tail.
template <class Real>
LOCALGD_ONE_COPY void derivatives_in_tail(const SpanClient<Real>& c, Real least, Real* t) {
  const Index n = c.gram.size, stride = c.gram.stride();
  for (Index j = 0; j < stride; j += lanes<Real>)
    store(t + j, exp_lane(all_lanes(least) - load(t + j)));
  if (c.row_weights) weigh_rows(c.row_weights, n, 1, stride, t);
  std::fill(t + n, t + stride, Real(0));
  Register<Real> sums{};
  for (Index j = 0; j < stride; j += lanes<Real>) sums += load(t + j);
  const Real factor =
      static_cast<Real>(static_cast<double>(n) / static_cast<double>(sum_of_lanes<Real>(sums)));
  for (Index j = 0; j < stride; j += lanes<Real>) store(t + j, all_lanes(factor) * load(t + j));
}

// The same where the loss is not its tail, and neither it nor its derivatives vanish; both are 0 at
// the largest number.
template <class Loss, class Real>
void derivatives_over_risk(const SpanClient<Real>& c, double offset, Real* t) {
  const Index n = c.gram.size, stride = c.gram.stride();
  const Register<Real> from = all_lanes(static_cast<Real>(offset)), one = all_lanes(Real(1));
  Register<Real> risk{};
  for (Index j = 0; j < stride; j += lanes<Real>) {
    const auto [value, e] = Loss::value_and_slope(from + load(t + j));
    const Register<Real> weight = c.row_weights ? load(c.row_weights + j) : one;
    risk += weight * value;
    store(t + j, weight * e);
  }
  const Real factor =
      static_cast<Real>(static_cast<double>(n) / static_cast<double>(sum_of_lanes<Real>(risk)));
  for (Index j = 0; j < stride; j += lanes<Real>) store(t + j, all_lanes(factor) * load(t + j));
}

// 2 n_i^2 flops a step. last as for span_steps().
template <class Real, class Loss>
void own_rate_steps(const SpanClient<Real>& c, double offset, std::int64_t steps, bool last) {
  Real* e = c.scratch;
  for (std::int64_t l = 0; l < steps; ++l) {
    const Real least = margins_of_rows(c, e);
    if constexpr (tail_begins<Loss> == everywhere)
      derivatives_in_tail(c, least, e);
    else if (offset + static_cast<double>(least) > tail_begins<Loss>)
      derivatives_in_tail(c, least, e);
    else
      derivatives_over_risk<Loss>(c, offset, e);
    for (Index j = 0; j < c.gram.size; ++j) c.sums[j] += e[j];
    if (last && l + 1 == steps) return;
    c.gram.add_product(e, 1, c.step, c.delta);
  }
}

// Of losses with such a tail, or null.
template <class Real, class Loss>
constexpr auto own_rate_steps_of()
    -> void (*)(const SpanClient<Real>&, double, std::int64_t, bool) {
  if constexpr (tail_begins<Loss> < nowhere)
    return &own_rate_steps<Real, Loss>;
  else
    return nullptr;
}

}  // namespace localgd
