// A ladder (ladder.hpp) of one client in the weights. Its rungs climb side by side, so that p of
// them read the rows p times in place of L. With f = step A_i^T e_0 + shift and
// keep' = 1 - eta (lambda + mu) L / L' a rung of L' steps is
//
//   D <- keep' D + A_i^T (e_l - e_0)
//   delta <- keep' delta + (L / L') (f + step A_i^T (e_l - e_0))
//
// and the round is delta = tau f + L step G, with G mixed from the D of the rungs as s is from
// their sums. Few steps are extrapolated from the first of them.
#pragma once

#include "climb.hpp"
#include "primal_rungs.hpp"
#include "primal_steps.hpp"

namespace localgd {

// Calls body(a, first row, rows, where their numbers begin) for blocks of the rows first to first +
// count - 1.
template <class Real, class Body>
void for_row_blocks(const PrimalClient<Real>& c, Index first, Index count, Body&& body) {
  const Index d = c.rows.cols(), block = rows_per_block<Real>(d),
              whole = rows_of_block<Real>(d) * c.outputs;
  for (Index j = first, end = first + count; j < end; j += block)
    body(c.rows.data() + j * d, j, std::min(block, end - j), j / block * whole);
}

// Where a client begins, of rows first to first + count - 1: base, at_start, e_0, and A^T e_0 to
// the gradient.
template <class Real, class Loss>
void primal_start(const PrimalClient<Real>& c, Targets<double> targets, PrimalRungs<Real>& at,
                  Index first, Index count, RungBlock<Real>& block, Real* before, Real* gradient) {
  const Index n = c.rows.rows(), d = c.rows.cols(), C = c.outputs, whole = rows_of_block<Real>(d);
  for_row_blocks(c, first, count, [&](const Real* a, Index row, Index rows, Index place) {
    Real *base = at.base.data() + place, *at_start = at.at_start.data() + place,
         *e = before + place;
    for (auto* numbers : {base, at_start, e}) std::fill_n(numbers, whole * C, Real(0));
    for (Index k = 0; k < C; ++k)
      in_pieces<most_wide_rows, 2, 1>(rows, [&](Index j, auto R) {
        wide_dots<R>(a + j * d, c.start.col(k).data(), d, block.margins.data() + k * rows + j);
      });
    for (Index k = 0; k < C; ++k)
      for (Index j = 0; j < rows; ++j) {
        if (c.signs) block.margins[k * rows + j] *= static_cast<double>(c.signs[row + j]);
        block.margins[k * rows + j] -= c.offset;
        c.base[k * n + row + j] = base[k * whole + j] =
            static_cast<Real>(block.margins[k * rows + j]);
      }
    values_at_start<Loss>(block.margins.data(), targets.from(row), rows, C, whole, at_start);
    block.changes.head(whole * C).setZero();  // delta
    derivatives_after_move<Loss>(
        MovedRows<Real>{base, at_start, block.changes.data(), whole, c.targets.from(row), rows, C},
        Real(0), e);
    if (c.row_weights) weigh_rows(c.row_weights + row, rows, C, whole, e);
    for (Index k = 0; k < C; ++k) std::fill(e + k * whole + rows, e + (k + 1) * whole, Real(0));
    const Real* turned = e;
    if (c.signs) {
      block.changes.head(whole * C) = VectorView<Real>(e, whole * C);
      weigh_rows(c.signs + row, rows, C, whole, block.changes.data());
      turned = block.changes.data();
    }
    add_weighted_rows(a, rows, d, C, turned, whole, gradient);
  });
}

// A step of all rungs at work on rows first to first + count - 1, read once: their sums move on,
// and the gradients (d C x rungs) grow by A^T (e_l - e_0). Returns the largest |A delta| of the
// longest rung.
template <class Real>
LOCALGD_ONE_COPY Real add_changes(const PrimalClient<Real>& c, const PrimalRungs<Real>& at,
                                  Index first, Index count, RungBlock<Real>& block,
                                  const Real* before, Real* gradients,
                                  RowDerivatives<Real> of_loss) {
  const Index d = c.rows.cols(), C = c.outputs, whole = rows_of_block<Real>(d);
  Real moved = 0;
  for_row_blocks(c, first, count, [&](const Real* a, Index row, Index rows, Index place) {
    block.clear(rows, rows_per_block<Real>(d));
    multiply_rows(a, rows, d, C * at.rungs, at.deltas.data(), block.products.data(), whole);
    if (c.signs) weigh_rows(c.signs + row, rows, C * at.rungs, whole, block.products.data());
    for (int rung = 0; rung < at.rungs; ++rung) {
      const Real* delta = block.products.data() + rung * whole * C;
      Real* change = block.changes.data() + rung * whole * C;
      const Real spread = largest(delta, whole * C);
      if (rung == 0) moved = std::max(moved, spread);
      const MovedRows<Real> in_block{at.base.data() + place,
                                     at.at_start.data() + place,
                                     delta,
                                     whole,
                                     c.targets.from(row),
                                     rows,
                                     C};
      if (c.row_weights)
        weighted_change(of_loss, c.row_weights + row, in_block, spread, before + place, change);
      else
        of_loss.change(in_block, spread, before + place, change);
      const auto r = static_cast<std::size_t>(rung);
      Real* sums = at.sums[r] + place;
      for (Index j = 0; j < whole * C; j += lanes<Real>)
        store(sums + j, at.keep[r] * load(sums + j) + load(change + j));
    }
    if (c.signs) weigh_rows(c.signs + row, rows, C * at.rungs, whole, block.changes.data());
    add_weighted_rows(a, rows, d, C * at.rungs, block.changes.data(), whole, gradients);
  });
  return moved;
}
template <class Real, class Loss>
Real primal_changes(const PrimalClient<Real>& c, const PrimalRungs<Real>& at, Index first,
                    Index count, RungBlock<Real>& block, const Real* before, Real* gradients) {
  return add_changes<Real>(c, at, first, count, block, before, gradients,
                           row_derivatives<Loss, Real>);
}

// What climb_ladder() needs of a client, whichever way.
template <class Real>
struct PrimalRounds {
  const PrimalPasses<Real>& passes;
  const PrimalClient<Real>& c = passes.client;
  PrimalRungs<Real>& at = passes.at;

  Index count() const { return entries_in_blocks<Real>(c.rows.rows(), c.rows.cols(), c.outputs); }

  void derivatives(Real* e) const {
    passes.start(e);
    at.first = c.step * at.gradients.col(0);
    if (c.shift) at.first += MatrixView<Real>(c.shift, at.first.size(), 1);
  }

  template <class Value>
  std::array<double, 1> groups(const Real* before, Index numbers, Value&& value) const {
    return {size_of_client(c, rows_of_block<Real>(c.rows.cols()), before, numbers, value)};
  }

  void finish(const Real* before, double L, const typename LadderSpace<Real>::Mix& mixed) const {
    const auto all = static_cast<Real>(passes.tau), rest = static_cast<Real>(L);
    put([&](Index j) { return multiply_add(all_lanes(rest), mixed(j), all * load(before + j)); });
    auto delta = deltas();
    delta = all * at.first;
    for (int p = 1; p < mixed.order; ++p)
      delta += static_cast<Real>(L * mixed.weights[static_cast<std::size_t>(p)]) * c.step *
               at.images.col(p);
  }

  // The sums, from registers of numbers in blocks.
  template <class Of>
  void put(Of&& of) const {
    const Index n = c.rows.rows(), whole = rows_of_block<Real>(c.rows.cols());
    for_row_blocks(c, 0, n, [&](const Real*, Index row, Index rows, Index place) {
      for (Index k = 0; k < c.outputs; ++k)
        for (Index j = 0; j < rows; j += lanes<Real>) {
          Real sums[lanes<Real>];
          store(sums, of(place + k * whole + j));
          std::copy_n(sums, std::min(lanes<Real>, rows - j), c.sums + k * n + row + j);
        }
    });
  }

  Eigen::Map<Vector<Real>> deltas() const { return {c.delta, at.first.size()}; }
};

template <class Real>
struct PrimalLadder : PrimalRounds<Real> {
  using PrimalRounds<Real>::at;
  using PrimalRounds<Real>::c;

  // How far the first step moves the margins of some rows. The largest of all tells no more of the
  // error, which is a sum over the rows.
  Real first_move(const Real* /*e*/, Real* /*delta*/) const {
    const Index n = c.rows.rows(), d = c.rows.cols(),
                some = std::clamp<Index>(n / 16, std::min<Index>(8, n), 64);
    Real most = 0;
    for (Index k = 0; k < c.outputs; ++k)
      for (Index t = 0; t < some; ++t)
        most = std::max(most, std::abs(c.rows.row(t * n / some).dot(at.first.segment(k * d, d))));
    return most;
  }
  int expected(LadderSpace<Real>& space, std::int64_t L, double moves, double tolerance,
               int most) const {
    return space.expected(L, moves, tolerance, most);
  }
  double least_error(int, double, double, double, double) const { return 0; }

  Real climb(double L, int first, int last, LadderSpace<Real>& space, Real spread) const {
    const auto node = [](int order) { return Ladder::nodes[static_cast<std::size_t>(order - 1)]; };
    for (int order = last; order >= first; --order) {
      at.deltas.col(last - order) = static_cast<Real>(L / node(order)) * at.first;
      at.images.col(order - 1).setZero();
      space.rungs.col(order - 1).head(this->count()).setZero();
    }
    for (int l = 1; l < node(last); ++l) {
      at.rungs = 0;
      for (int order = last; order >= first && node(order) > l; --order, ++at.rungs) {
        const auto r = static_cast<std::size_t>(at.rungs);
        at.keep[r] = static_cast<Real>(1 - L / node(order) * this->passes.decay);
        at.sums[r] = space.rungs.col(order - 1).data();
      }
      const Real moved = this->passes.changes(space.before.data());
      if (l == 1) spread = std::max(spread, moved * static_cast<Real>(node(last) / L));
      for (int rung = 0; rung < at.rungs; ++rung) {
        const int order = last - rung;
        const Real keep = at.keep[static_cast<std::size_t>(rung)],
                   stretch = static_cast<Real>(L / node(order));
        const auto gradient = at.gradients.col(rung);
        at.images.col(order - 1) = keep * at.images.col(order - 1) + gradient;
        // One product in each sum: of two the compiler would choose which one is fused.
        at.deltas.col(rung) *= keep;
        at.deltas.col(rung) += stretch * (at.first + c.step * gradient);
      }
    }
    return spread;
  }
  std::int64_t take_first(const LadderSpace<Real>& space, int /*climbed*/) const {
    this->put([&](Index j) { return load(space.before.data() + j); });
    this->deltas() = at.first;
    return 1;
  }
};

template <class Real>
struct PrimalFirstSteps : PrimalRounds<Real> {
  using PrimalRounds<Real>::at;
  using PrimalRounds<Real>::c;

  // It shows as the steps are taken, which are wanted in any case.
  Real first_move(const Real* /*e*/, Real* /*delta*/) const {
    this->deltas() = at.first;
    return 0;
  }
  int expected(LadderSpace<Real>& space, std::int64_t L, double /*moves*/, double /*tolerance*/,
               int /*most*/) const {
    space.weigh_first_steps(L, 1 - this->passes.decay);
    return Ladder::least;
  }
  double least_error(int order, double L, double moves, double gap, double ratio) const {
    return FirstSteps::least_error(order, L, moves, gap, ratio);
  }

  Real climb(double /*L*/, int first, int last, LadderSpace<Real>& space, Real spread) const {
    at.rungs = 1;
    at.keep[0] = 0;
    for (int order = first; order <= last; ++order) {
      at.deltas.col(0) = this->deltas();
      at.sums[0] = space.rungs.col(order - 1).data();
      std::fill_n(at.sums[0], this->count(), Real(0));
      spread = std::max(spread,
                        this->passes.changes(space.before.data()) / static_cast<Real>(order - 1));
      at.images.col(order - 1) = at.gradients.col(0);
      this->deltas() = c.keep * this->deltas() + at.first;
      this->deltas() += c.step * at.gradients.col(0);
    }
    return spread;
  }
  std::int64_t take_first(const LadderSpace<Real>& space, int climbed) const {
    this->put([&](Index j) {
      const Register<Real> e = load(space.before.data() + j);
      Register<Real> sums = e;
      for (int l = 1; l < climbed; ++l)
        sums = c.keep * sums + e + load(space.rungs.col(l).data() + j);
      return sums;
    });
    return climbed;
  }
};

// All L steps of a client, as climb_ladder() takes them: of few steps from the first of them.
template <class Real>
std::int64_t primal_ladder(const PrimalPasses<Real>& passes, std::int64_t L, int most,
                           double tolerance, LadderSpace<Real>& space, std::int64_t& rung) {
  const PrimalRounds<Real> rounds{passes};
  if (FirstSteps::suit<Real>(L))
    return climb_ladder<Real>(PrimalFirstSteps<Real>{rounds}, L, most, tolerance, space, rung);
  return climb_ladder<Real>(PrimalLadder<Real>{rounds}, L, most, tolerance, space, rung);
}

}  // namespace localgd
