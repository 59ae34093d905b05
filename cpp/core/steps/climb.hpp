// How a ladder (ladder.hpp) is climbed, whatever its client is.
#pragma once

#include "ladder.hpp"
#include "moved_rows.hpp"

namespace localgd {

// sum |x_j| of registers of rows, in each lane of two: those of one run, or of the runs of a strip.
template <class Real>
struct StripSizes {
  Register<Real> of[2]{};
};

template <class Real, class Value>
LOCALGD_IN_PLACE StripSizes<Real> sizes_of(Index count, Value&& value) {
  StripSizes<Real> sizes;
  const auto add = [&](Register<Real>& sum, Index j) {
    const Register<Real> x = value(j), turned = -x;
    sum += x < turned ? turned : x;  // keeps NaN
  };
  Index j = 0;
  for (; j + lanes<Real> < count; j += 2 * lanes<Real>) {
    add(sizes.of[0], j);
    add(sizes.of[1], j + lanes<Real>);
  }
  if (j < count) add(sizes.of[0], j);
  return sizes;
}

// The same of a client as one number. Of independent outputs each is to be as exact as alone,
// whatever its units: the largest of their sums, over those of |e_0|. Their columns of `column`
// numbers stand in blocks with one for each.
template <class Real, class Client, class Value>
double size_of_client(const Client& c, Index column, const Real* before, Index count,
                      Value&& value) {
  const auto sum = [](Index numbers, auto&& of) {
    const StripSizes<Real> sizes = sizes_of<Real>(numbers, of);
    return static_cast<double>(sum_of_lanes<Real>(sizes.of[0] + sizes.of[1]));
  };
  if (!c.targets.of_each_output()) return sum(count, value);
  double most = 0;
  for (Index k = 0; k < c.outputs; ++k) {
    double own = 0, at_first = 0;
    for (Index first = k * column; first < count; first += c.outputs * column) {
      own += sum(column, [&](Index j) { return value(first + j); });
      at_first += sum(column, [&](Index j) { return load(before + first + j); });
    }
    const double ratio = own == 0 ? 0 : own / at_first;
    if (!(ratio <= most)) most = ratio;
    if (std::isnan(most)) break;
  }
  return most;
}

// The rungs of the orders `first` to `last` side by side, the longest first: their sums of changes
// of e. A step of several at once reads K once for them, and none waits for another's.
template <class Real, class Client>
void climb_in_rows(const Client& c, double L, int first, int last, LadderSpace<Real>& space,
                   Real spread) {
  const Index count = c.count();
  const auto node = [](int order) { return Ladder::nodes[static_cast<std::size_t>(order - 1)]; };
  const Real* __restrict start = space.first.data();
  std::array<double, Ladder::nodes.size()> ratios;
  for (std::size_t p = 0; p < ratios.size(); ++p) ratios[p] = L / Ladder::nodes[p];
  const auto ratio_of = [&](int order) { return ratios[static_cast<std::size_t>(order - 1)]; };
  // and beyond the last rows
  std::fill_n(space.changes.data(), count * (last - first + 1), Real(0));
  std::array<Real, Ladder::nodes.size()> moved{};  // the largest |delta| of each rung
  for (int order = last; order >= first; --order) {
    const int at = last - order;
    const Real stretch = static_cast<Real>(ratio_of(order));
    Real* __restrict delta = space.deltas.data() + at * count;
    for (Index j = 0; j < count; j += lanes<Real>) store(delta + j, stretch * load(start + j));
    moved[static_cast<std::size_t>(at)] = stretch * spread;
    space.rungs.col(order - 1).head(count).setZero();
  }
  for (int l = 1; l < node(last); ++l) {
    int moving = 0;  // rungs that go on after this step
    for (int order = last; order >= first && node(order) > l; --order) {
      const int at = last - order;
      const double ratio = ratio_of(order);
      const Real stretch = static_cast<Real>(ratio);
      Real* __restrict sums = space.rungs.col(order - 1).data();
      Real* __restrict delta = space.deltas.data() + at * count;
      Real* __restrict change = space.changes.data() + at * count;
      c.change(moved[static_cast<std::size_t>(at)], space.before.data(), delta, change);
      c.decay(ratio, sums);
      if (node(order) == l + 1) {
        for (Index j = 0; j < count; j += lanes<Real>)
          store(sums + j, load(sums + j) + load(change + j));
        continue;
      }
      c.decay(ratio, delta);
      for (Index j = 0; j < count; j += lanes<Real>) {
        const Register<Real> changed = load(change + j);
        store(sums + j, load(sums + j) + changed);
        store(delta + j, multiply_add(all_lanes(stretch), load(start + j), load(delta + j)));
        store(change + j, changed * stretch);
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
LOCALGD_ONE_COPY std::int64_t climb_ladder(const Client& c, std::int64_t L, int most,
                                           double tolerance, LadderSpace<Real>& space,
                                           std::int64_t& rung) {
  const Index count = c.count();
  Real *before = space.before.data(), *first = space.first.data();
  c.derivatives(before);
  std::fill_n(first, count, Real(0));
  Real spread = c.first_move(before, first);
  const auto total = static_cast<double>(L);
  const int expected = c.expected(space, L, total * static_cast<double>(spread), tolerance, most);
  const auto at_first = [&](Index j) { return load(before + j); };
  const auto size = c.groups(before, expected ? count : 0, at_first);
  auto earlier = c.groups(before, 0, at_first), change = earlier, ratios = earlier;
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
    const auto gap =
        c.groups(before, count, typename LadderSpace<Real>::Mix(space, space.gaps[p], order));
    auto error = gap;
    bool accurate = order >= Ladder::least;
    for (std::size_t g = 0; g < gap.size(); ++g) {
      // The gap is the error of the order before.
      if (order == 2) change[g] = gap[g];  // G, nearly
      const double ratio = gap[g] / earlier[g],
                   rounding = space.rounding(order) * (small_move ? change[g] : size[g]),
                   told = (ratio < 0.5 ? 2 * ratio * gap[g] : gap[g]) + rounding;
      error[g] = std::max(told, c.least_error(order, total, moves, earlier[g], ratios[g]));
      accurate &= error[g] <= tolerance * size[g] || gap[g] == 0;
      earlier[g] = gap[g];
      ratios[g] = ratio;
    }
    if (accurate) {
      c.finish(before, total, typename LadderSpace<Real>::Mix(space, space.weights[p], order));
      rung = Ladder::nodes[p];
      return L;
    }
    if (order < expected) continue;
    bool hopeless = false;
    for (std::size_t g = 0; g < gap.size(); ++g) {
      double at_most = error[g];  // of all rungs, if they go on as they do
      for (int further = order; further < most; ++further) at_most *= ratios[g];
      hopeless |= gap[g] != 0 && !(at_most <= 100 * tolerance * size[g]);
    }
    if (hopeless) break;
  }
  rung = 0;
  return c.take_first(space, climbed);
}

}  // namespace localgd
