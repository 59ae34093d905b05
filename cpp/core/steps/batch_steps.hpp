// Local steps with batches: as in steps/span_steps.hpp, with e of the rows drawn alone. 2 n_i C
// flops per row.
//
// A step with a small batch is less work than the wait for its exp, which the next step needs. So
// some clients take their steps in turn: none waits for another.
#pragma once

#include "batch_turn.hpp"
#include "span_steps.hpp"

namespace localgd {

// e = -l' of `size` rows of one output, whose numbers begin at `column`.
template <class Loss, class Real, class Size>
LOCALGD_IN_PLACE void derive_output(typename BatchTurn<Real>::Client& client, Index column,
                                    const RowDealer::Row* rows, Size size, Real* e) {
  const SpanClient<Real>& c = client.span;
  const Real *base = c.base + column, *at_start = c.at_start + column, *moved = c.delta + column;
  const auto derive_piece = [&](Index t, auto R) LOCALGD_LAMBDA_IN_PLACE {
    using Some = Few<Real, R>;
    const Some delta = gather<R>(moved, rows + t);
    Some of_rows;
    client.spread = std::max(client.spread, largest_of_few<R, Real>(delta));
    by_largest_move<Loss>(
        client.spread,
        [&](auto power) LOCALGD_LAMBDA_IN_PLACE {
          of_rows = after_move<Loss>(gather<R>(at_start, rows + t), gather<R>(base, rows + t),
                                     delta, power);
        },
        [&](auto loss) LOCALGD_LAMBDA_IN_PLACE {
          of_rows = derivative_at<decltype(loss)>(gather<R>(base, rows + t) + delta,
                                                  gather<R>(at_start, rows + t));
        });
    store_few<R>(e + t, of_rows);
  };
  if constexpr (std::is_same_v<Size, Index>)
    in_few_pieces<Real>(size, derive_piece);
  else
    derive_piece(0, size);
}

// Between the outputs in the derivatives of a batch: whole registers. One output alone has no gaps.
template <class Real, bool several>
Index stride_of_batch(Index size) {
  return several ? padded<Real>(size) : 0;
}

// e = -l' of `size` rows of a client, which the compiler may know; of its outputs, if it has
// several.
template <class Loss, bool several, class Real, class Size>
LOCALGD_IN_PLACE void derive(typename BatchTurn<Real>::Client& client, const RowDealer::Row* rows,
                             Size size, BatchTurn<Real>& turn, Real* e) {
  const SpanClient<Real>& c = client.span;
  if constexpr (Loss::multiclass) {
    const Index whole = padded<Real>(size), stride = c.gram.stride();
    for (Index t = 0; t < whole; ++t) {
      const Index j = rows[t < size ? t : 0];  // registers are filled up with the first row
      turn.targets[t] = c.targets[j];
      for (Index k = 0; k < c.outputs; ++k) {
        turn.base[k * whole + t] = c.base[k * stride + j];
        turn.at_start[k * whole + t] = c.at_start[k * stride + j];
        turn.delta[k * whole + t] = c.delta[k * stride + j];
      }
    }
    const MovedRows<Real> drawn{
        turn.base.data(), turn.at_start.data(), turn.delta.data(), whole, turn.targets.data(), size,
        c.outputs};
    derivatives_after_move<Loss>(drawn, largest(turn.delta.data(), whole * c.outputs), e);
  } else if constexpr (several) {
    for (Index k = 0; k < c.outputs; ++k, e += stride_of_batch<Real, several>(size))
      derive_output<Loss>(client, k * c.gram.stride(), rows, size, e);
  } else {
    derive_output<Loss>(client, 0, rows, size, e);
  }
}

// The same by functions.
template <class Loss, bool several, class Real, class Size>
  requires is_called<Loss>
void derive(typename BatchTurn<Real>::Client& client, const RowDealer::Row* rows, Size size,
            BatchTurn<Real>& /*turn*/, Real* e) {
  const SpanClient<Real>& c = client.span;
  for (Index k = 0; k < c.outputs; ++k, e += stride_of_batch<Real, several>(size))
    derive_by(
        *c.functions, size,
        [&, column = k * c.gram.stride()](Index t) {
          const Index j = column + rows[t];
          return called_margin(c.base[j], c.at_start[j], c.delta[j]);
        },
        [&, y = c.targets.column(k)](Index t) { return static_cast<double>(y[rows[t]]); },
        [&](Index t, double of_row) { e[t] = static_cast<Real>(of_row); });
}

// A client's step from the derivatives e of its rows.
template <bool several, class Real, class Size>
LOCALGD_IN_PLACE void take_step(const SpanClient<Real>& c, const RowDealer::Row* rows, Size size,
                                const Real* e, bool moves) {
  const Index stride = c.gram.stride(), outputs = several ? c.outputs : 1;
  const Index whole = stride_of_batch<Real, several>(size);
  const Real keep = c.keep();
  if (keep != Real(1)) {
    for (Index j = 0; j < stride * outputs; ++j) c.scratch[j] *= keep;
    for (Index j = 0; moves && j < stride * outputs; ++j) c.delta[j] *= keep;
  }
  for (Index k = 0; k < outputs; ++k, e += whole) {
    Real* __restrict sums = c.scratch + k * stride;
    for (Index t = 0; t < size; ++t) sums[rows[t]] += e[t];
    if (!moves) continue;
    if constexpr (std::is_same_v<Size, Index>)
      c.gram.whole->add_rows(rows, size, e, c.step, c.delta + k * stride);
    else
      c.gram.whole->template add_group<size>(rows, e, c.step, c.delta + k * stride);
  }
  if (c.shift && moves) shift_margins(c, c.delta);
}

template <int B, bool several, class Loss, class Real>
LOCALGD_ONE_COPY void batch_steps_of(BatchTurn<Real>& turn, std::int64_t steps, bool last) {
  Real few[std::max(B, 1)];
  Real* const e = B > 0 ? few : turn.e.data();
  const auto size_of = [](const auto& client) {
    if constexpr (B > 0)
      return std::integral_constant<int, B>{};
    else
      return client.size;
  };
  for (std::int64_t l = 0, dealt = turn.ahead; l < steps; ++l, ++dealt) {
    if (dealt == turn.ahead) {
      turn.deal(std::min(turn.ahead, steps - l));
      dealt = 0;
    }
    const bool moves = !last || l + 1 < steps;
    for (auto& client : turn.clients) {
      const auto size = size_of(client);
      const RowDealer::Row* rows = client.rows + dealt * size;
      derive<Loss, several>(client, rows, size, turn, e);
      if constexpr (B == 0)
        if (const Real* weights = client.span.row_weights)
          weigh_drawn(weights, rows, size, client.span.outputs,
                      stride_of_batch<Real, several>(size), e);
      take_step<several>(client.span, rows, size, e, moves);
      if constexpr (B == 0)
        if (client.span.intercept.column)
          move_intercept(client.span, e, stride_of_batch<Real, several>(size), size,
                         [&](Index t) { return rows[t]; });
    }
  }
}

// The number of rows in a batch is known to the compiler where it is one or eight, of one output
// and rows without weights and without an intercept that lambda leaves alone: there a step takes no
// longer than the loops of any number.
template <class Real, class Loss>
void span_batch_steps(BatchTurn<Real>& turn, std::int64_t steps, bool last) {
  // Sums of clients share cache lines, which threads would take from each other in each step:
  // meanwhile they are in scratch.
  const auto copy_sums = [&](auto copy) {
    for (const auto& client : turn.clients) {
      const SpanClient<Real>& c = client.span;
      for (Index k = 0; k < c.outputs; ++k)
        copy(c.sums + k * c.gram.size, c.gram.size, c.scratch + k * c.gram.stride());
    }
  };
  copy_sums([](const Real* sums, Index n, Real* scratch) { std::copy_n(sums, n, scratch); });
  const SpanClient<Real>& first = turn.clients.front().span;
  if constexpr (Loss::multiclass) {
    batch_steps_of<0, true, Loss>(turn, steps, last);
  } else if (first.outputs > 1) {
    batch_steps_of<0, true, Loss>(turn, steps, last);
  } else {
    constexpr int eight = lanes<Real> >= 8 ? 8 : 0;
    const bool plain = !first.row_weights && !first.intercept.column;
    const auto all_of = [&](Index size) {
      return std::all_of(turn.clients.begin(), turn.clients.end(),
                         [=](const auto& client) { return client.size == size; });
    };
    if (plain && all_of(1))
      batch_steps_of<1, false, Loss>(turn, steps, last);
    else if (eight && plain && all_of(eight))
      batch_steps_of<eight, false, Loss>(turn, steps, last);
    else
      batch_steps_of<0, false, Loss>(turn, steps, last);
  }
  copy_sums([](Real* sums, Index n, const Real* scratch) { std::copy_n(scratch, n, sums); });
}

}  // namespace localgd
