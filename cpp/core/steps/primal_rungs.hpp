// What a ladder of one client in the weights reads and writes (primal_ladder.hpp).
#pragma once

#include <array>
#include <functional>

#include "ladder.hpp"
#include "primal_client.hpp"

namespace localgd {

// Numbers of a client's rows stand in blocks of rows as the kernels take them: for each output
// whole registers, filled up with 0.
template <class Real>
Index rows_of_block(Index features) {
  return padded<Real>(rows_per_block<Real>(features));
}
template <class Real>
Index entries_in_blocks(Index rows, Index features, Index outputs) {
  const Index block = rows_per_block<Real>(features);
  return (rows + block - 1) / block * rows_of_block<Real>(features) * outputs;
}

// What all rungs of one client have.
template <class Real>
struct PrimalRungs {
  static constexpr auto most = static_cast<Index>(Ladder::nodes.size());

  PrimalRungs(Index rows, Index features, Index outputs)
      : base(Vector<Real>::Zero(entries_in_blocks<Real>(rows, features, outputs))),
        at_start(base),
        first(Vector<Real>::Zero(features * outputs)),
        images(first.size(), most),
        deltas(images),
        gradients(images) {}

  Vector<Real> base, at_start;  // of A_i w_k, in blocks
  Vector<Real> first;           // f, d x C
  Matrix<Real> images;          // D of each order, d C x rungs
  // Of the rungs at work, the longest first:
  Matrix<Real> deltas, gradients;  // d C x rungs
  std::array<Real, most> keep{};   // keep'
  std::array<Real*, most> sums{};  // of the changes of e, in blocks
  int rungs = 0;
};

// Scratch space of a thread: a block of rows, and its products with all rungs.
template <class Real>
struct RungBlock {
  Vector<double> margins;
  Vector<Real> products, changes;

  RungBlock(Index features, Index outputs)
      : margins(rows_per_block<Real>(features) * outputs),
        products(
            Vector<Real>::Zero(rows_of_block<Real>(features) * outputs * PrimalRungs<Real>::most)),
        changes(products) {}

  // Nothing of a longer block after the last rows of a shorter one.
  void clear(Index rows, Index block) {
    if (rows == block) return;
    products.setZero();
    changes.setZero();
  }
};

// What a ladder climbs by: primal_start() and primal_changes() of all rows of a client, whoever has
// them, with the sum of the gradients in at.gradients. changes() returns the largest |A delta| of
// the longest rung.
template <class Real>
struct PrimalPasses {
  const PrimalClient<Real>& client;
  PrimalRungs<Real>& at;
  double decay, tau;  // eta (lambda + mu), and sum_l keep^l
  std::function<void(Real* before)> start;
  std::function<Real(const Real* before)> changes;
};

}  // namespace localgd
