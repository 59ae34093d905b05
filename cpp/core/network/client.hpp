// What the local steps of one client read and write.
//
// The first layer moves in the span of the client's rows, so that its steps can be taken on the
// pre-activations P = X_i W: n x h numbers that move by K_ii G; or on W itself, by X_i^T G. In both
// forms what is kept is the deviation from where the steps of the round began:
//   u = s H V + u_0,  H = sigma(P),  e = -omega l'(u),  G = (s e V^T) o sigma'(P)   of b rows
//   span     P' <- keep P' + step K_{:,B} G + shift,   n x h
//   weights  W' <- keep W' + step X_B^T G + shift,     d x h, and P' = X_B W'
//   both     S <- keep S + G,   V' <- keep V' + step s H^T e + shift
// A bias that lambda leaves alone, b, is the last row of W. Of it 1 - eta mu is kept, not keep, so
// eta lambda b' (before the step) is added to it, and to P' times the feature of which it is the
// weight. In the span b' is a row more of P', and K_ii has one more for e_d, as if that were a row
// of X: in both forms the last row of what moves is b'.
#pragma once

#include "../loss/targets.hpp"
#include "../steps/batches.hpp"
#include "../team.hpp"
#include "panels.hpp"
#include "rows.hpp"

namespace localgd {

template <class Real>
struct NetworkClient {
  Index n, features, hidden, outputs;
  NetworkRows<Real> rows;  // X_i, n x d
  Targets<Real> targets;
  const Real* row_weights;  // omega, or null
  const Real* offsets;      // u_0, n x C column by column, or null
  bool signed_rows;         // the loss is one of y u
  Real scale;               // s
  bool first, second;       // layers that are trained
  Real step = 0, keep = 1;  // eta over the rows of a step; 1 - eta (lambda + mu)
  const Real* gram;         // K_ii, rows of gram_stride numbers; or null: in the weights
  Index gram_stride;
  UnitPanels<Real> start;         // P where the steps began, n x h
  UnitPanels<Real> moved;         // P', n rows or one more for b', or W'
  UnitPanels<Real> shift{};       // of the same size, or null
  UnitPanels<Real> sums;          // S
  UnitPanels<Real> second_start;  // V^T where they began, C x h, as what follows
  UnitPanels<Real> second_moved, second_shift{};

  bool free_bias = false;  // b' is followed: more steps are taken than one
  Real l2_step = 0;        // eta lambda, where it is

  // Rows of a batch are brought together, but for sparse ones.
  bool gathers() const { return gram || rows.dense; }

  Team* team = nullptr;  // whose threads share the steps of a large client, or null: one takes them
};

// What a thread takes at once where all share a client: a multiple of all that rows are taken in,
// so that each is computed by the code that computes it where one thread takes them all.
inline constexpr Index rows_of_part = 240;
inline Index parts_of(Index rows) { return (rows + rows_of_part - 1) / rows_of_part; }
inline Range part_of(Index part, Index rows) {
  return {part * rows_of_part, std::min(rows_of_part, rows - part * rows_of_part)};
}

// The rows of a step: all of the client's from the first on, or those drawn.
struct StepRows {
  Index count;
  const RowDealer::Row* drawn;  // or null
  Index first = 0;

  Index of(Index t) const { return drawn ? drawn[t] : first + t; }
  StepRows part(Range range) const {
    return {range.count, drawn ? drawn + range.first : nullptr, first + range.first};
  }
};

// Scratch space of one thread, for steps of b rows; of those that threads share all panels of G are
// kept.
template <class Real>
struct NetworkScratch {
  NetworkScratch(Index largest, Index batch, Index gathered, Index columns, Index outputs,
                 bool shared)
      : ahead(steps_ahead(batch)),
        drawn(static_cast<std::size_t>(ahead * batch)),
        targets(batch * outputs),
        u(largest * outputs),
        e(u.size()),
        activations(largest * columns),
        pre_activations(largest * columns),
        gradient(largest * (shared ? columns : std::min(columns, panel_width<Real>))),
        second(columns * outputs),
        bias(columns),
        gathered_rows(batch * gathered),
        spread_e((largest + 4) * lanes<Real>),
        choices((largest + 3) / 4 * (shared ? columns + panel_width<Real> : panel_width<Real>)) {}

  std::int64_t ahead;                 // steps whose batches are drawn in one go
  std::vector<RowDealer::Row> drawn;  // rows of the batches ahead
  Vector<Real> targets;               // of a batch, for each output
  Vector<Real> u, e;                  // b x C, column by column
  Vector<Real> activations;           // H
  Vector<Real> pre_activations;       // P' of a step in the weights
  Vector<Real> gradient;              // a panel of G, or all
  Vector<Real> second;                // V^T
  Vector<Real> bias;                  // b' before the step
  Vector<Real> gathered_rows;         // of K_ii or X_i, those of a batch
  Vector<Real> spread_e, choices;     // see masked.hpp; the latter are integers of that size
  Work parts, products;               // what threads share
};

}  // namespace localgd
