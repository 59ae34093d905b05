// A ladder (ladder.hpp) of one client on K_ii.
#pragma once

#include "climb.hpp"
#include "span_steps.hpp"

namespace localgd {

template <class Real>
struct SpanLadder {
  const SpanClient<Real>& c;
  double tau;
  RowDerivatives<Real> of_loss;
  Real (*move_all)(const SpanClient<Real>&, const Real* e, Real* delta);  // move_margins()

  Index count() const { return c.gram.stride() * c.outputs; }
  MovedRows<Real> rows(const Real* delta) const {
    return {c.base, c.at_start, delta, c.gram.stride(), c.targets, c.gram.size, c.outputs};
  }

  // e at delta = 0, and 0 beyond the last rows, for sums over all registers; the delta of a step
  // from there, of which it returns the largest.
  void derivatives(Real* e) const {
    of_loss.after_move(rows(c.delta), Real(0), e);
    if (c.row_weights) weigh_rows(c.row_weights, c.gram.size, c.outputs, c.gram.stride(), e);
    for (Index k = 0; k < c.outputs; ++k)
      std::fill(e + k * c.gram.stride() + c.gram.size, e + (k + 1) * c.gram.stride(), Real(0));
  }
  Real first_move(const Real* e, Real* delta) const { return move_all(c, e, delta); }
  // delta += step K e for several rungs side by side; change = e - before at delta.
  void move(const Real* e, int rungs, Real* delta) const {
    c.gram.add_product(e, rungs * c.outputs, c.step, delta);
  }
  void change(Real spread, const Real* before, const Real* delta, Real* change) const {
    if (c.row_weights)
      weighted_change(of_loss, c.row_weights, rows(delta), spread, before, change);
    else
      of_loss.change(rows(delta), spread, before, change);
  }

  Real climb(double L, int first, int last, LadderSpace<Real>& space, Real spread) const {
    climb_in_rows<Real>(*this, L, first, last, space, spread);
    return spread;  // of all rows
  }

  // x <- (1 - ratio eta (lambda + mu)) x
  void decay(double ratio, Real* x) const {
    if (!(c.decay > 0)) return;
    const Real keep = static_cast<Real>(1 - ratio * c.decay);
    for (Index j = 0; j < count(); ++j) x[j] *= keep;
  }

  template <class Value>
  std::array<double, 1> groups(const Real* before, Index numbers, Value&& value) const {
    return {size_of_client(c, c.gram.stride(), before, numbers, value)};
  }

  // s = tau e_0 + L G
  template <class G>
  void finish(const Real* before, double L, G&& mixed) const {
    const auto all = static_cast<Real>(tau), rest = static_cast<Real>(L);
    for (Index j = 0; j < count(); j += lanes<Real>)
      store(c.scratch + j, multiply_add(all_lanes(rest), mixed(j), all * load(before + j)));
    put(c.scratch);
  }
  int expected(LadderSpace<Real>& space, std::int64_t L, double moves, double tolerance,
               int most) const {
    return space.expected(L, moves, tolerance, most);
  }
  // its moves were known before
  double least_error(int, double, double, double, double) const { return 0; }
  std::int64_t take_first(const LadderSpace<Real>& space, int /*climbed*/) const {
    put(space.before.data());
    std::copy_n(space.first.data(), count(), c.delta);
    return 1;
  }
  void put(const Real* sums) const {
    for (Index k = 0; k < c.outputs; ++k)
      std::copy_n(sums + k * c.gram.stride(), c.gram.size, c.sums + k * c.gram.size);
  }
};

// tau = sum_l keep^l
template <class Real, class Loss>
std::int64_t span_ladder(const SpanClient<Real>& c, std::int64_t L, double tau, double tolerance,
                         LadderSpace<Real>& space, std::int64_t& rung) {
  const SpanLadder<Real> ladder{c, tau, row_derivatives<Loss, Real>, &move_margins<Loss, Real>};
  return climb_ladder<Real>(ladder, L, Ladder::most(L), tolerance, space, rung);
}

}  // namespace localgd
