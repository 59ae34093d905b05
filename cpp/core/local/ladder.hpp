// Many local steps from few: what a round of L steps eta makes of a client, from rungs of L' < L steps
// of eta L / L'. Local steps are Euler's along the client's gradient flow, so that their result is a
// smooth function of h = 1 / L', and the polynomial through some h is taken at 1 / L.
//
// With e_l = -l'(m) after l steps of a rung, keep' = 1 - eta mu L / L' and s = sum_l keep^(L-1-l) e_l:
//
//   G(1/L') = (1/L') sum_l keep'^(L'-1-l) (e_l - e_0),   s = tau e_0 + L G(1/L),   G(1) = 0
//
// Only what e changes by is extrapolated, so that rounding errors stay below those of the L steps. The
// change is of order delta, by how much the margins move in the round; a rung more brings a factor of
// delta. The error is told from what the last rungs changed.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "span_steps.hpp"

namespace localgd {

struct Ladder {
  static constexpr std::array<int, 14> nodes{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16};  // L'
  static constexpr int least = 3;  // rungs, for an error estimate
  using Weights = std::array<double, nodes.size()>;

  // How many rungs are cheaper than L steps; 0 if they are too few.
  static constexpr int most(std::int64_t L) {
    int count = 1;
    for (std::int64_t steps = 0; count < static_cast<int>(nodes.size()); ++count) {
      steps += nodes[static_cast<std::size_t>(count)] - 1;
      if (3 * steps > 2 * (L - 1)) break;
    }
    return count >= least ? count : 0;
  }

  // Whether so many rungs are likely to do where margins move by delta. The factor is what was seen of
  // the exponential loss: too many tries cost more than too few.
  static bool promising(double delta, double tolerance, int most) {
    double error = 0.05;
    for (int p = 0; p < most; ++p) error *= delta / nodes[static_cast<std::size_t>(p)];
    return error <= tolerance;
  }

  // Of the sums over the steps of the first rungs in G(1 / L).
  static Weights weights(std::int64_t L, int order) {
    Weights all{};
    const auto count = static_cast<std::size_t>(order);
    for (std::size_t p = 0; p < count; ++p) {
      all[p] = 1.0 / nodes[p];
      for (std::size_t q = 0; q < count; ++q)
        if (q != p)
          all[p] *= (1 / static_cast<double>(L) - 1.0 / nodes[q]) / (1.0 / nodes[p] - 1.0 / nodes[q]);
    }
    return all;
  }
};

// Scratch space of a thread: C columns of a client's rows each, in whole registers.
template <class Real>
struct LadderSpace {
  explicit LadderSpace(Index size = 0)
      : before(Vector<Real>::Zero(size)), first(before), rungs(size, Ladder::nodes.size()) {}

  // The weights of each order for so many steps, which are mostly those of the last client.
  void weigh(std::int64_t L) {
    if (L == weighed) return;
    for (int order = 1; order <= static_cast<int>(weights.size()); ++order) {
      const auto p = static_cast<std::size_t>(order - 1);
      gaps[p] = weights[p] = Ladder::weights(L, order);
      for (std::size_t q = 0; p > 0 && q < weights.size(); ++q) gaps[p][q] -= weights[p - 1][q];
    }
    weighed = L;
  }

  Vector<Real> before, first;  // e_0, and the first step's delta
  Matrix<Real> rungs;          // sum_l keep^(L'-1-l) (e_l - e_0)
  std::array<Ladder::Weights, Ladder::nodes.size()> weights, gaps;  // of each order, and less those before
  std::int64_t weighed = 0;
};

// The rung of `steps` local steps, each `ratio` times as long: its sum of changes of e.
template <class Real, class Loss>
void climb(const SpanClient<Real>& c, int steps, double ratio, const LadderSpace<Real>& space, Real spread,
           Real* __restrict sums) {
  const Index moving = c.gram.stride() * c.outputs;
  const NearRows<Real> rows{c.base, c.origin, c.delta, c.gram.stride(), c.targets, c.gram.size(), c.outputs};
  const Real keep = static_cast<Real>(1 - ratio * c.pull), stretch = static_cast<Real>(ratio);
  const Real* __restrict first = space.first.data();
  for (Index j = 0; j < moving; ++j) c.delta[j] = stretch * first[j];
  spread *= stretch;
  std::fill_n(sums, moving, Real(0));
  for (int l = 1; l < steps; ++l) {
    change_near<Loss>(rows, spread, space.before.data(), c.scratch);
    const Real* __restrict change = c.scratch;
    for (Index j = 0; j < moving; ++j) sums[j] = keep * sums[j] + change[j];
    if (l + 1 == steps) return;
    for (Index j = 0; j < moving; ++j) c.delta[j] = keep * c.delta[j] + stretch * first[j];
    spread = c.gram.add_product(c.scratch, c.outputs, stretch * c.step, c.delta);
  }
}

// sum |w . rungs| over the rows: by how much an order changes G. NaN if there is one.
template <class Real>
double size_of(const LadderSpace<Real>& space, const Ladder::Weights& weights, int order, Index moving) {
  const Real* rungs = space.rungs.data();
  const Index rung = space.rungs.rows();
  Register<Real> size{};
  for (Index j = 0; j < moving; j += lanes<Real>) {
    Register<Real> value{};
    for (int p = 1; p < order; ++p)
      value += static_cast<Real>(weights[static_cast<std::size_t>(p)]) * load(rungs + p * rung + j);
    const Register<Real> turned = -value;
    size += value < turned ? turned : value;
  }
  return static_cast<double>(sum_of_lanes<Real>(size));
}

// Full batches from delta = 0: all L steps as a ladder, its error below the tolerance relative to e, or
// one step. Returns the steps taken; rung: the local steps of the last rung of a ladder, or 0.
template <class Real, class Loss>
std::int64_t span_ladder(const SpanClient<Real>& c, std::int64_t L, double tau, double tolerance,
                         LadderSpace<Real>& space, std::int64_t& rung) {
  const Index n = c.gram.size(), stride = c.gram.stride(), moving = stride * c.outputs;
  Real *before = space.before.data(), *first = space.first.data();
  derivatives_near<Loss>(
      NearRows<Real>{c.base, c.origin, c.delta, stride, c.targets, n, c.outputs}, Real(0), before);
  std::fill_n(first, moving, Real(0));
  Real spread = c.gram.add_product(before, c.outputs, c.step, first);
  if (c.shift) {
    for (Index j = 0; j < moving; ++j) first[j] += c.shift[j];
    spread = largest(first, moving);
  }
  const auto put = [&](auto&& sum) {
    for (Index k = 0; k < c.outputs; ++k)
      for (Index j = 0; j < n; ++j) c.sums[k * n + j] = sum(k * stride + j);
  };
  const int most = Ladder::most(L);
  const auto total = static_cast<double>(L);
  double size = 0, earlier = 0;
  for (Index k = 0; k < c.outputs; ++k)
    for (Index j = 0; j < n; ++j) size += std::abs(static_cast<double>(before[k * stride + j]));
  const bool promising = Ladder::promising(total * static_cast<double>(spread), tolerance, most);
  space.weigh(L);
  for (int order = 2; promising && order <= most; ++order) {
    const auto p = static_cast<std::size_t>(order - 1);
    climb<Real, Loss>(c, Ladder::nodes[p], total / Ladder::nodes[p], space, spread,
                      space.rungs.col(order - 1).data());
    const double gap = size_of(space, space.gaps[p], order, moving), ratio = gap / earlier;
    const double error = ratio < 0.5 ? 2 * ratio * gap : gap;  // of this order, where gap is that of the last
    earlier = gap;
    if (order < Ladder::least) continue;
    if (error <= tolerance * size || gap == 0) {
      const auto& weights = space.weights[p];
      put([&](Index j) {
        double change = 0;
        for (int q = 1; q < order; ++q) change += weights[static_cast<std::size_t>(q)] * space.rungs(j, q);
        return static_cast<Real>(tau * before[j] + total * change);
      });
      rung = Ladder::nodes[p];
      return L;
    }
    double at_most = error;  // of all rungs, if they go on as they do
    for (int further = order; further < most; ++further) at_most *= ratio;
    if (!(at_most <= 100 * tolerance * size)) break;
  }
  put([&](Index j) { return before[j]; });
  std::copy_n(first, moving, c.delta);
  rung = 0;
  return 1;
}

}  // namespace localgd
