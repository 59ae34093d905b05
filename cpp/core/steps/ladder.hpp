// Many local steps from few: what a round of L steps eta makes of a client, from rungs of L' < L
// steps of eta L / L'. Local steps are Euler's along the client's gradient flow, so that their
// result is a smooth function of h = 1 / L', and the polynomial through some h is taken at 1 / L.
//
// With e_l = -l'(m) after l steps of a rung, keep' = 1 - eta mu L / L' and s = sum_l keep^(L-1-l)
// e_l:
//
//   G(1/L') = (1/L') sum_l keep'^(L'-1-l) (e_l - e_0),   s = tau e_0 + L G(1/L),   G(1) = 0
//
// Only what e changes by is extrapolated, so that rounding errors stay below those of the L steps.
// The change is of order delta, by how much the margins move in the round; a rung more brings a
// factor of delta. The error is told from what the last rungs changed.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

#include "span_steps.hpp"

namespace localgd {

struct Ladder {
  static constexpr std::array<int, 9> nodes{1, 2, 3, 4, 5, 6, 7, 8, 9};  // L'
  static constexpr int least = 3;  // rungs, for an error estimate
  using Weights = std::array<double, nodes.size()>;

  // What as many steps, one by one, round by at the most, relative; less for millions of steps.
  template <class Real>
  static double rounding(std::int64_t L) {
    constexpr double unit = std::numeric_limits<Real>::epsilon() / 2, coarsest = 1000 * unit;
    return std::min(static_cast<double>(L) * unit, coarsest);
  }

  // How many rungs are cheaper than L steps; 0 if they are too few, or save too little of few
  // steps.
  static constexpr int most(std::int64_t L) {
    if (L < 10) return 0;
    int count = 1;
    for (std::int64_t steps = 0; count < static_cast<int>(nodes.size()); ++count) {
      steps += nodes[static_cast<std::size_t>(count)] - 1;
      if (3 * steps > 2 * (L - 1)) break;
    }
    return count >= least ? count : 0;
  }

  // Of the sums over the steps of the first rungs in G(1 / L).
  static Weights weights(std::int64_t L, int order) {
    Weights all{};
    const auto count = static_cast<std::size_t>(order);
    for (std::size_t p = 0; p < count; ++p) {
      all[p] = 1.0 / nodes[p];
      for (std::size_t q = 0; q < count; ++q)
        if (q != p)
          all[p] *=
              (1 / static_cast<double>(L) - 1.0 / nodes[q]) / (1.0 / nodes[p] - 1.0 / nodes[q]);
    }
    return all;
  }
};

// Few steps from the first of them: e_l is smooth in l, too, and the polynomial through e_0, …,
// e_(order-1) is taken at the others. No step is in vain then, if more of them turn out to be
// wanted; but of many steps the first tell little but their rounding errors.
struct FirstSteps {
  template <class Real>
  static constexpr bool suit(std::int64_t L) {
    return L <= (sizeof(Real) == 8 ? 16 : 32);
  }
  static constexpr std::int64_t fewest = 4;  // local steps

  // Of e_p - e_0 in (s - tau e_0) / L.
  static Ladder::Weights weights(std::int64_t L, double keep, int order) {
    Ladder::Weights all{};
    double decay = 1 / static_cast<double>(L);
    for (std::int64_t l = L - 1; l > 0; --l, decay *= keep)
      for (int p = 1; p < order; ++p) {
        double weight = decay;
        for (int q = 0; q < order; ++q)
          if (q != p) weight *= static_cast<double>(l - q) / (p - q);
        all[static_cast<std::size_t>(p)] += weight;
      }
    return all;
  }

  // What the error of an order is likely to be at least, from the gap of the order before and its
  // ratio to the one before that; of the least order from how far margins move, as with e^(-m):
  // that two orders agree may be an accident of few rows.
  static double least_error(int order, double L, double moves, double gap, double ratio) {
    return gap * (order == Ladder::least ? (L - 2) * (L - 3) / (12 * L * L) * moves * moves
                                         : ratio * ratio / 4);
  }
};

// Scratch space of a thread: numbers of a client's rows, in whole registers.
template <class Real>
struct LadderSpace {
  // in_rows: rungs move the margins of rows, and not weights.
  explicit LadderSpace(Index size = 0, bool in_rows = true)
      : before(Vector<Real>::Zero(size)),
        first(before),
        rungs(size, Ladder::nodes.size()),
        deltas(in_rows ? size : 0, Ladder::nodes.size()),
        changes(deltas) {}

  // The weights of each order for so many steps, which are mostly those of the last client: of
  // rungs, or of the first steps as with FirstSteps.
  void weigh(std::int64_t L) {
    weigh(
        L, 0, [&](int order) { return Ladder::weights(L, order); },
        [](std::size_t q) { return Ladder::nodes[q]; });
  }
  void weigh_first_steps(std::int64_t L, double keep) {
    weigh(
        L, keep, [&](int order) { return FirstSteps::weights(L, keep, order); },
        [](std::size_t) { return 1; });
  }
  template <class Weights, class Changes>
  void weigh(std::int64_t L, double keep, Weights&& weights_of, Changes&& changes_in) {
    if (L == weighed && keep == kept) return;
    for (int order = 1; order <= static_cast<int>(weights.size()); ++order) {
      const auto p = static_cast<std::size_t>(order - 1);
      gaps[p] = weights[p] = weights_of(order);
      noise[p] = 0;
      for (std::size_t q = 0; q < weights.size(); ++q) {
        if (p > 0) gaps[p][q] -= weights[p - 1][q];
        noise[p] += std::abs(weights[p][q]) * changes_in(q);
      }
    }
    weighed = L;
    kept = keep;
  }

  // The rungs that are likely to do where margins move by delta; 0 if none are. The factor is what
  // was seen of the exponential loss: too many tries cost more than too few.
  int expected(std::int64_t L, double delta, double tolerance, int most) {
    weigh(L);
    double error = 0.05;
    for (int order = 1; order <= most; ++order) {
      const auto p = static_cast<std::size_t>(order - 1);
      error *= delta * (1.0 / Ladder::nodes[p] - 1.0 / static_cast<double>(L));
      if (order >= Ladder::least &&
          error + (delta < large_move ? delta : 1) * rounding(order) <= tolerance)
        return order;
    }
    return 0;
  }

  // What an order makes of the rounding errors of the rungs, relative to them; they have either
  // sign.
  double rounding(int order) const {
    return noise[static_cast<std::size_t>(order - 1)] * std::numeric_limits<Real>::epsilon() / 8;
  }

  // w . rungs, for a register of rows.
  struct Mix {
    const LadderSpace& space;
    const Ladder::Weights& weights;
    int order;

    Register<Real> operator()(Index j) const {
      const Real* from = space.rungs.data() + j;
      Register<Real> value{};
      for (int p = 1; p < order; ++p)
        value += static_cast<Real>(weights[static_cast<std::size_t>(p)]) *
                 load(from + p * space.rungs.rows());
      return value;
    }
  };

  // How far margins may move for changes of e to be right relative to themselves, on the rung of
  // two steps.
  static constexpr double large_move = 2 * ShortExp<Real>::moderate;

  Vector<Real> before, first;  // e_0, and the first step's delta
  // sum_l keep^(L'-1-l) (e_l - e_0), or e_l - e_0 of first steps, of each order
  Matrix<Real> rungs;
  Matrix<Real> deltas, changes;  // of the rungs at work, without gaps
  // of each order, and less those before
  std::array<Ladder::Weights, Ladder::nodes.size()> weights, gaps;
  Ladder::Weights noise{};
  std::int64_t weighed = 0;
  double kept = 0;
};

// sum |x_j| of registers of rows, in each lane of two: those of one run, or of the runs of a strip.
template <class Real>
struct StripSizes {
  Register<Real> of[2]{};
};

template <class Real, class Value>
StripSizes<Real> sizes_of(Index count, Value&& value) {
  StripSizes<Real> sizes;
  for (Index j = 0, r = 0; j < count; j += lanes<Real>, r = 1 - r) {
    const Register<Real> x = value(j), turned = -x;
    sizes.of[r] += x < turned ? turned : x;  // keeps NaN
  }
  return sizes;
}

// The rungs of the orders `first` to `last` side by side, the longest first: their sums of changes
// of e. A step of several at once reads K once for them, and none waits for another's.
template <class Real, class Client>
void climb_in_rows(const Client& c, double L, int first, int last, LadderSpace<Real>& space,
                   Real spread) {
  const Index count = c.count();
  const auto node = [](int order) { return Ladder::nodes[static_cast<std::size_t>(order - 1)]; };
  const Real* __restrict start = space.first.data();
  // and beyond the last rows
  std::fill_n(space.changes.data(), count * (last - first + 1), Real(0));
  std::array<Real, Ladder::nodes.size()> moved{};  // the largest |delta| of each rung
  for (int order = last; order >= first; --order) {
    const int at = last - order;
    const Real stretch = static_cast<Real>(L / node(order));
    Real* __restrict delta = space.deltas.data() + at * count;
    for (Index j = 0; j < count; ++j) delta[j] = stretch * start[j];
    moved[static_cast<std::size_t>(at)] = stretch * spread;
    space.rungs.col(order - 1).head(count).setZero();
  }
  for (int l = 1; l < node(last); ++l) {
    int moving = 0;  // rungs that go on after this step
    for (int order = last; order >= first && node(order) > l; --order) {
      const int at = last - order;
      const double ratio = L / node(order);
      const Real stretch = static_cast<Real>(ratio);
      Real* __restrict sums = space.rungs.col(order - 1).data();
      Real* __restrict delta = space.deltas.data() + at * count;
      Real* __restrict change = space.changes.data() + at * count;
      c.change(moved[static_cast<std::size_t>(at)], space.before.data(), delta, change);
      c.decay(ratio, sums);
      for (Index j = 0; j < count; ++j) sums[j] += change[j];
      if (node(order) == l + 1) continue;
      c.decay(ratio, delta);
      for (Index j = 0; j < count; ++j) {
        delta[j] += stretch * start[j];
        change[j] *= stretch;
      }
      ++moving;
    }
    if (moving == 0) return;
    c.move(space.changes.data(), moving, space.deltas.data());
    for (int at = 0; at < moving; ++at)
      moved[static_cast<std::size_t>(at)] = largest(space.deltas.data() + at * count, count);
  }
}

// Full batches from delta = 0: all L steps from so many rungs at most, their error below the
// tolerance relative to e, or the first steps. Returns the steps taken; rung: the local steps of
// the last rung, or 0. Client is what a ladder needs of a client: SpanLadder, StripLadder of
// steps/strip_steps.hpp, and those of primal_ladder.hpp.
template <class Real, class Client>
std::int64_t climb_ladder(const Client& c, std::int64_t L, int most, double tolerance,
                          LadderSpace<Real>& space, std::int64_t& rung) {
  const Index count = c.count();
  Real *before = space.before.data(), *first = space.first.data();
  c.derivatives(before);
  std::fill_n(first, count, Real(0));
  Real spread = c.first_move(before, first);
  const auto total = static_cast<double>(L);
  const int expected = c.expected(space, L, total * static_cast<double>(spread), tolerance, most);
  const auto size =
      c.groups(sizes_of<Real>(expected ? count : 0, [&](Index j) { return load(before + j); }));
  auto earlier = c.groups(StripSizes<Real>{}), change = earlier, ratios = earlier;
  int climbed = 1;
  for (int order = 2; expected && order <= most; ++order) {
    const auto p = static_cast<std::size_t>(order - 1);
    if (order > climbed) {
      const int last = std::max(order, expected);
      spread = c.climb(total, order, last, space, spread);
      climbed = last;
    }
    const double moves = total * static_cast<double>(spread);
    const bool small_move = moves < space.large_move;
    const auto gap = c.groups(
        sizes_of<Real>(count, typename LadderSpace<Real>::Mix{space, space.gaps[p], order}));
    bool accurate = order >= Ladder::least, hopeless = false;
    for (std::size_t g = 0; g < gap.size(); ++g) {
      // The gap is the error of the order before.
      if (order == 2) change[g] = gap[g];  // G, nearly
      const double ratio = gap[g] / earlier[g],
                   rounding = space.rounding(order) * (small_move ? change[g] : size[g]),
                   told = (ratio < 0.5 ? 2 * ratio * gap[g] : gap[g]) + rounding,
                   error =
                       std::max(told, c.least_error(order, total, moves, earlier[g], ratios[g]));
      double at_most = error;  // of all rungs, if they go on as they do
      for (int further = order; further < most; ++further) at_most *= ratio;
      accurate &= error <= tolerance * size[g] || gap[g] == 0;
      hopeless |= order >= expected && gap[g] != 0 && !(at_most <= 100 * tolerance * size[g]);
      earlier[g] = gap[g];
      ratios[g] = ratio;
    }
    if (accurate) {
      c.finish(before, total, typename LadderSpace<Real>::Mix{space, space.weights[p], order});
      rung = Ladder::nodes[p];
      return L;
    }
    if (hopeless) break;
  }
  rung = 0;
  return c.take_first(space, climbed);
}

template <class Real, class Loss>
struct SpanLadder {
  const SpanClient<Real>& c;
  double tau;

  Index count() const { return c.gram.stride() * c.outputs; }
  MovedRows<Real> rows(const Real* delta) const {
    return {c.base, c.at_start, delta, c.gram.stride(), c.targets, c.gram.size(), c.outputs};
  }

  // e at delta = 0, and 0 beyond the last rows, for sums over all registers; the delta of a step
  // from there, of which it returns the largest.
  void derivatives(Real* e) const {
    derivatives_after_move<Loss>(rows(c.delta), Real(0), e);
    for (Index k = 0; k < c.outputs; ++k)
      std::fill(e + k * c.gram.stride() + c.gram.size(), e + (k + 1) * c.gram.stride(), Real(0));
  }
  Real first_move(const Real* e, Real* delta) const { return move_margins<Loss>(c, e, delta); }
  // delta += step K e for several rungs side by side; change = e - before at delta.
  void move(const Real* e, int rungs, Real* delta) const {
    c.gram.add_product(e, rungs * c.outputs, c.step, delta);
  }
  void change(Real spread, const Real* before, const Real* delta, Real* change) const {
    change_after_move<Loss>(rows(delta), spread, before, change);
  }

  Real climb(double L, int first, int last, LadderSpace<Real>& space, Real spread) const {
    climb_in_rows<Real>(*this, L, first, last, space, spread);
    return spread;  // of all rows
  }

  // x <- (1 - ratio eta mu) x
  void decay(double ratio, Real* x) const {
    if (!(c.prox_step > 0)) return;
    const Real keep = static_cast<Real>(1 - ratio * c.prox_step);
    for (Index j = 0; j < count(); ++j) x[j] *= keep;
  }

  std::array<double, 1> groups(const StripSizes<Real>& sizes) const {
    return {static_cast<double>(sum_of_lanes<Real>(sizes.of[0] + sizes.of[1]))};
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
      std::copy_n(sums + k * c.gram.stride(), c.gram.size(), c.sums + k * c.gram.size());
  }
};

// tau = sum_l keep^l
template <class Real, class Loss>
std::int64_t span_ladder(const SpanClient<Real>& c, std::int64_t L, double tau, double tolerance,
                         LadderSpace<Real>& space, std::int64_t& rung) {
  return climb_ladder<Real>(SpanLadder<Real, Loss>{c, tau}, L, Ladder::most(L), tolerance, space,
                            rung);
}

}  // namespace localgd
