// Many local steps from few: what a round of L steps eta makes of a client, from rungs of L' < L
// steps of eta L / L'. Local steps are Euler's along the client's gradient flow, so that their
// result is a smooth function of h = 1 / L', and the polynomial through some h is taken at 1 / L.
//
// With e_l = -omega l'(m) after l steps of a rung, keep' = 1 - eta (lambda + mu) L / L' and
// s = sum_l keep^(L-1-l) e_l:
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

#include "../exp.hpp"

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

  // Of so many rungs: the longest one's steps, and those of all, which have the first in common.
  static constexpr int longest(int order) {
    return order > 0 ? nodes[static_cast<std::size_t>(order - 1)] : 0;
  }
  static constexpr int steps(int order) {
    int steps = order > 0 ? 1 : 0;
    for (int rung = 1; rung <= order; ++rung) steps += longest(rung) - 1;
    return steps;
  }

  // The rungs that are likely to do where margins move by delta; 0 if so many do not. rounding: the
  // error of an order by that of the rungs. The factor is what was seen of the exponential loss:
  // too many tries cost more than too few.
  template <class Rounding>
  static int likely(std::int64_t L, double delta, double tolerance, int most, Rounding&& rounding) {
    double error = 0.05;
    for (int order = 1; order <= most; ++order) {
      const auto p = static_cast<std::size_t>(order - 1);
      error *= delta * (1.0 / nodes[p] - 1.0 / static_cast<double>(L));
      if (order >= least && error + rounding(order) <= tolerance) return order;
    }
    return 0;
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

  // Like that of Ladder: so many first steps are likely to do, or 0.
  static int likely(std::int64_t L, double delta, double tolerance, int most) {
    double error = 1;
    for (int order = 1; order <= most; ++order) {
      error *= delta * (1 - (order - 1) / static_cast<double>(L)) / order;
      if (order >= Ladder::least && error / (order + 1) <= tolerance) return order;
    }
    return 0;
  }

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

  // The rungs that are likely to do where margins move by delta; 0 if none are.
  int expected(std::int64_t L, double delta, double tolerance, int most) {
    weigh(L);
    return Ladder::likely(L, delta, tolerance, most, [&](int order) {
      return (delta < large_move ? delta : 1) * rounding(order);
    });
  }

  // What an order makes of the rounding errors of the rungs, relative to them; they have either
  // sign.
  double rounding(int order) const {
    return noise[static_cast<std::size_t>(order - 1)] * std::numeric_limits<Real>::epsilon() / 8;
  }

  // w . rungs, for a register of rows.
  struct Mix {
    Mix(const LadderSpace& space, const Ladder::Weights& weights_of_order, int its_order)
        : weights(weights_of_order),
          order(its_order),
          rungs(space.rungs.data()),
          rows(space.rungs.rows()) {
      for (std::size_t p = 0; p < rounded.size(); ++p) rounded[p] = static_cast<Real>(weights[p]);
    }

    Register<Real> operator()(Index j) const {
      const Real* of = rungs + j;
      Register<Real> value{};
      for (int p = 1; p < order; ++p)
        value += rounded[static_cast<std::size_t>(p)] * load(of += rows);
      return value;
    }

    const Ladder::Weights& weights;
    int order;
    const Real* rungs;
    Index rows;
    std::array<Real, Ladder::nodes.size()> rounded;
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

}  // namespace localgd
