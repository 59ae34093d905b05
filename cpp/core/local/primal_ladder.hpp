// A ladder (ladder.hpp) of one client in the weights. Its rungs climb side by side, so that p of them read the rows p
// times in place of L. With f = step A_i^T e_0 + pull and keep' = 1 - eta mu L / L' a rung of L' steps is
//
//   D <- keep' D + A_i^T (e_l - e_0),   delta <- keep' delta + (L / L') (f + step A_i^T (e_l - e_0))
//
// and the round is delta = tau f + L step G, with G mixed from the D of the rungs as s is from their sums. Few steps are
// had from the first of them.
#pragma once

#include "ladder.hpp"
#include "primal_steps.hpp"

namespace localgd {

// What all rungs of one client have.
template <class Real>
struct PrimalRungs {
  static constexpr auto most = static_cast<Index>(Ladder::nodes.size());

  PrimalRungs(Index rows, Index features, Index outputs)
      : origin(Vector<Real>::Zero(rows * outputs)),
        first(Vector<Real>::Zero(features * outputs)),
        images(first.size(), most),
        deltas(images),
        gradients(images) {}

  Vector<Real> origin;  // of A_i w_k, n x C
  Vector<Real> first;   // f, d x C
  Matrix<Real> images;  // D of each order, d C x rungs
  // Of the rungs at work, the longest first:
  Matrix<Real> deltas, gradients;         // d C x rungs
  std::array<Real, most> keep{};          // keep'
  std::array<Real*, most> sums{};         // of the changes of e, n x C
  int rungs = 0;
};

// Scratch space of a thread: a block of rows, in whole registers for each output, and its products with all rungs.
template <class Real>
struct RungBlock {
  Vector<double> margins;
  Vector<Real> base, origin, before, delta, e, products;

  RungBlock(Index features, Index outputs) : margins(rows_per_block<Real>(features) * outputs) {
    const Index rows = rows_per_block<Real>(features);
    for (auto* numbers : {&base, &origin, &before, &delta, &e}) *numbers = Vector<Real>::Zero(padded<Real>(rows) * outputs);
    products = Vector<Real>::Zero(rows * outputs * PrimalRungs<Real>::most);
  }
};

// Columns of some rows: with `stride` from one to the next, into ones of another.
template <class Real>
void copy_columns(const Real* from, Index stride, Index rows, Index columns, Real* to, Index stride_to) {
  for (Index k = 0; k < columns; ++k) std::copy_n(from + k * stride, rows, to + k * stride_to);
}

// The same into whole registers that are filled up with 0.
template <class Real>
void fill_registers(const Real* from, Index stride, Index rows, Index columns, Real* to) {
  const Index whole = padded<Real>(rows);
  copy_columns(from, stride, rows, columns, to, whole);
  for (Index k = 0; k < columns; ++k) std::fill(to + k * whole + rows, to + (k + 1) * whole, Real(0));
}

// Where a client begins, of rows first to first + count - 1: base, origin, e_0, and A^T e_0 to the gradient.
template <class Real, class Loss>
void primal_start(const PrimalClient<Real>& c, const double* targets, Index first, Index count, RungBlock<Real>& block,
                  Real* origin, Real* before, Real* gradient) {
  const Index n = c.rows.rows(), d = c.rows.cols(), end = first + count, C = c.outputs;
  for (Index rows; first < end; first += rows) {
    rows = std::min(rows_per_block<Real>(d), end - first);
    const Index whole = padded<Real>(rows);
    const Real* a = c.rows.data() + first * d;
    for (Index k = 0; k < C; ++k)
      in_pieces<2, 1>(rows, [&](Index j, auto R) {
        wide_dots<R>(a + j * d, c.start.col(k).data(), d, block.margins.data() + k * rows + j);
      });
    for (Index k = 0; k < C; ++k)
      for (Index j = 0; j < rows; ++j) c.base[k * n + first + j] = static_cast<Real>(block.margins[k * rows + j]);
    origins<Loss>(block.margins.data(), targets + first, rows, C, whole, block.origin.data());
    fill_registers(c.base + first, n, rows, C, block.base.data());
    block.delta.head(whole * C).setZero();
    derivatives_near<Loss>(NearRows<Real>{block.base.data(), block.origin.data(), block.delta.data(), whole, c.targets + first, rows, C},
                           Real(0), block.e.data());
    copy_columns(block.origin.data(), whole, rows, C, origin + first, n);
    copy_columns(block.e.data(), whole, rows, C, before + first, n);
    copy_columns(block.e.data(), whole, rows, C, block.products.data(), rows);
    add_weighted_rows(a, rows, d, C, block.products.data(), gradient);
  }
}

// A step of all rungs at work on rows first to first + count - 1, read once: their sums move on, and the gradients
// (d C x rungs) grow by A^T (e_l - e_0). Returns the largest |A delta| of the longest rung.
template <class Real, class Loss>
Real primal_changes(const PrimalClient<Real>& c, const PrimalRungs<Real>& at, Index first, Index count, RungBlock<Real>& block,
                    const Real* before, Real* gradients) {
  const Index n = c.rows.rows(), d = c.rows.cols(), end = first + count, C = c.outputs;
  Real moved = 0;
  for (Index rows; first < end; first += rows) {
    rows = std::min(rows_per_block<Real>(d), end - first);
    const Index whole = padded<Real>(rows);
    const Real* a = c.rows.data() + first * d;
    multiply_rows(a, rows, d, C * at.rungs, at.deltas.data(), block.products.data());
    fill_registers(c.base + first, n, rows, C, block.base.data());
    fill_registers(at.origin.data() + first, n, rows, C, block.origin.data());
    fill_registers(before + first, n, rows, C, block.before.data());
    for (int rung = 0; rung < at.rungs; ++rung) {
      Real* products = block.products.data() + rung * rows * C;
      fill_registers(products, rows, rows, C, block.delta.data());
      const Real spread = largest(block.delta.data(), whole * C);
      if (rung == 0) moved = std::max(moved, spread);
      const NearRows<Real> near{block.base.data(), block.origin.data(), block.delta.data(), whole, c.targets + first, rows, C};
      change_near<Loss>(near, spread, block.before.data(), block.e.data());
      copy_columns(block.e.data(), whole, rows, C, products, rows);
      const auto r = static_cast<std::size_t>(rung);
      for (Index k = 0; k < C; ++k) {
        Real* sums = at.sums[r] + k * n + first;
        for (Index j = 0; j < rows; ++j) sums[j] = at.keep[r] * sums[j] + products[k * rows + j];
      }
    }
    add_weighted_rows(a, rows, d, C * at.rungs, block.products.data(), gradients);
  }
  return moved;
}

// What climb_ladder() needs of a client, whichever way. Start and Changes are primal_start() and primal_changes() of all
// rows, with the sum of the gradients in at.gradients; changes() returns the largest |A delta| of the longest rung.
template <class Real, class Start, class Changes>
struct PrimalRounds {
  const PrimalClient<Real>& c;
  PrimalRungs<Real>& at;
  double pull, tau;  // eta mu, and sum_l keep^l
  Start start;
  Changes changes;

  Index entries() const { return c.rows.rows() * c.outputs; }
  Index count() const { return padded<Real>(entries()); }

  void derivatives(Real* e) const {
    std::fill(e + entries(), e + count(), Real(0));
    start(e);
    at.first = c.step * at.gradients.col(0);
    if (c.pull) at.first += MatrixView<Real>(c.pull, at.first.size(), 1);
  }

  std::array<double, 1> groups(const StripSizes<Real>& sizes) const {
    return {static_cast<double>(sum_of_lanes<Real>(sizes.of[0] + sizes.of[1]))};
  }

  void finish(const Real* before, double L, const typename LadderSpace<Real>::Mix& mixed) const {
    const auto all = static_cast<Real>(tau), rest = static_cast<Real>(L);
    for (Index j = 0; j < entries(); j += lanes<Real>) {
      Real sums[lanes<Real>];
      store(sums, all * load(before + j) + rest * mixed(j));
      std::copy_n(sums, std::min(lanes<Real>, entries() - j), c.sums + j);
    }
    auto delta = deltas();
    delta = all * at.first;
    for (int p = 1; p < mixed.order; ++p)
      delta += static_cast<Real>(L * mixed.weights[static_cast<std::size_t>(p)]) * c.step * at.images.col(p);
  }

  Eigen::Map<Vector<Real>> deltas() const { return {c.delta, at.first.size()}; }
};

template <class Real, class Start, class Changes>
struct PrimalLadder : PrimalRounds<Real, Start, Changes> {
  using PrimalRounds<Real, Start, Changes>::at;
  using PrimalRounds<Real, Start, Changes>::c;

  // How far the first step moves margins: of some rows, by a mean that the rows with large derivatives and moves make,
  // as they make the error.
  Real first_move(const Real* e, Real* /*delta*/) const {
    const Index n = c.rows.rows(), d = c.rows.cols(), some = std::clamp<Index>(n / 16, std::min<Index>(8, n), 64);
    double total = 0, moved = 0;
    for (Index k = 0; k < c.outputs; ++k)
      for (Index t = 0; t < some; ++t) {
        const Index j = t * n / some;
        const auto move = static_cast<double>(c.rows.row(j).dot(at.first.segment(k * d, d)));
        const auto size = std::abs(static_cast<double>(e[k * n + j]));
        total += size;
        moved += size * (move * move) * (move * move);
      }
    return total > 0 ? static_cast<Real>(std::sqrt(std::sqrt(moved / total))) : Real(0);
  }
  int expected(LadderSpace<Real>& space, std::int64_t L, double moves, double tolerance, int most) const {
    return space.expected(L, moves, tolerance, most);
  }

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
        at.keep[r] = static_cast<Real>(1 - L / node(order) * this->pull);
        at.sums[r] = space.rungs.col(order - 1).data();
      }
      const Real moved = this->changes(space.before.data());
      if (l == 1) spread = std::max(spread, moved * static_cast<Real>(node(last) / L));
      for (int rung = 0; rung < at.rungs; ++rung) {
        const int order = last - rung;
        const Real keep = at.keep[static_cast<std::size_t>(rung)], stretch = static_cast<Real>(L / node(order));
        const auto gradient = at.gradients.col(rung);
        at.images.col(order - 1) = keep * at.images.col(order - 1) + gradient;
        at.deltas.col(rung) = keep * at.deltas.col(rung) + stretch * (at.first + c.step * gradient);
      }
    }
    return spread;
  }
  std::int64_t take_first(const LadderSpace<Real>& space, int /*climbed*/) const {
    std::copy_n(space.before.data(), this->entries(), c.sums);
    this->deltas() = at.first;
    return 1;
  }
};

template <class Real, class Start, class Changes>
struct PrimalFirstSteps : PrimalRounds<Real, Start, Changes> {
  using PrimalRounds<Real, Start, Changes>::at;
  using PrimalRounds<Real, Start, Changes>::c;

  // It shows as the steps are taken, which are wanted in any case.
  Real first_move(const Real* /*e*/, Real* /*delta*/) const {
    this->deltas() = at.first;
    return 0;
  }
  int expected(LadderSpace<Real>& space, std::int64_t L, double /*moves*/, double /*tolerance*/, int /*most*/) const {
    space.weigh_first_steps(L, 1 - this->pull);
    return Ladder::least;
  }

  Real climb(double /*L*/, int first, int last, LadderSpace<Real>& space, Real spread) const {
    at.rungs = 1;
    at.keep[0] = 0;
    for (int order = first; order <= last; ++order) {
      at.deltas.col(0) = this->deltas();
      at.sums[0] = space.rungs.col(order - 1).data();
      std::fill_n(at.sums[0], this->count(), Real(0));
      spread = std::max(spread, this->changes(space.before.data()) / static_cast<Real>(order - 1));
      at.images.col(order - 1) = at.gradients.col(0);
      this->deltas() = c.keep * this->deltas() + at.first + c.step * at.gradients.col(0);
    }
    return spread;
  }
  std::int64_t take_first(const LadderSpace<Real>& space, int climbed) const {
    Eigen::Map<Vector<Real>> sums(c.sums, this->entries());
    const auto e = space.before.head(sums.size());
    sums = e;
    for (int l = 1; l < climbed; ++l) sums = c.keep * sums + e + space.rungs.col(l).head(sums.size());
    return climbed;
  }
};

}  // namespace localgd
