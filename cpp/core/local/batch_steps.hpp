// Local steps with batches: as in local/span_steps.hpp, with e of the rows drawn alone. 2 n_i C flops per row.
//
// A step with a small batch is less work than the wait for its exp. So some clients take their steps in
// turn, and the derivatives of all rows that they draw stand side by side in registers.
#pragma once

#include "batches.hpp"
#include "span_steps.hpp"

namespace localgd {

// Clients of one thread, and what is known of the rows that they draw. One client where there are several
// outputs.
template <class Real>
struct BatchTurn {
  struct Client {
    Index index, size;  // of the client, and of its batches
    Index place;        // of its rows, from the first client's on
    SpanClient<Real> span;
    RowDealer* dealer;
  };
  std::vector<Client> clients;
  Index size = 0;            // of all batches
  const std::int64_t ahead;  // steps whose rows are drawn in one go
  std::vector<Index> rows;  // of each step ahead, in whole registers, by place
  Vector<Real> targets, base, origin, delta, e;  // of a step: whole registers for each output

  BatchTurn(Index most_clients, Index most_rows, Index outputs)
      : ahead(steps_ahead(most_rows)), rows(static_cast<std::size_t>(ahead * padded<Real>(most_rows))), targets(padded<Real>(most_rows)) {
    clients.reserve(static_cast<std::size_t>(most_clients));
    for (auto* numbers : {&base, &origin, &delta, &e}) *numbers = Vector<Real>::Zero(targets.size() * outputs);
  }

  void add(Index index, const SpanClient<Real>& span, RowDealer& dealer, Index batch) {
    const Index place = clients.empty() ? 0 : span.delta - clients.front().span.delta;
    clients.push_back({index, batch, place, span, &dealer});
    size += batch;
  }
  void clear() {
    clients.clear();
    size = 0;
  }

  // Registers are filled up with the first row.
  void deal(std::int64_t steps) {
    const Index whole = padded<Real>(size);
    Index* at = rows.data();
    for (const Client& c : clients) {
      c.dealer->deal(steps, c.size, whole, c.place, at);
      at += c.size;
    }
    for (at = rows.data(); steps > 0; --steps, at += whole) std::fill(at + size, at + whole, at[0]);
  }
};

// e = -l' of the rows drawn.
template <class Loss, class Real>
void derive(BatchTurn<Real>& turn, const Index* rows) {
  const SpanClient<Real>& first = turn.clients.front().span;
  const Index whole = padded<Real>(turn.size), stride = first.gram.stride(), outputs = Loss::multiclass ? first.outputs : 1;
  // Whole registers, so that what is read next need not wait for its lanes to reach the cache.
  const auto gather_rows = [=](const Real* from, Real* to) {
    for (Index k = 0; k < outputs; ++k)
      for (Index t = 0; t < whole; t += lanes<Real>) store(to + k * whole + t, gather(from + k * stride, rows + t));
  };
  if constexpr (Loss::multiclass)
    for (Index t = 0; t < turn.size; ++t) turn.targets[t] = first.targets[rows[t]];
  gather_rows(first.delta, turn.delta.data());
  gather_rows(first.origin, turn.origin.data());
  const Real spread = largest(turn.delta.data(), whole * outputs);
  if (!(spread <= ShortExp<Real>::bounded)) gather_rows(first.base, turn.base.data());
  const NearRows<Real> drawn{turn.base.data(), turn.origin.data(), turn.delta.data(), whole,
                             turn.targets.data(), turn.size, outputs};
  derivatives_near<Loss>(drawn, spread, turn.e.data());
}

// A client's step from the derivatives e of its rows, columns `stride` apart.
template <class Real>
LOCALGD_IN_PLACE void take_step(const typename BatchTurn<Real>::Client& client, Index outputs, const Index* rows,
                                const Real* e, Index stride, bool moves) {
  const SpanClient<Real>& c = client.span;
  const Index n = c.gram.size(), moving = c.gram.stride() * outputs;
  const Real keep = c.keep();
  if (keep != Real(1)) {
    for (Index j = 0; j < n * outputs; ++j) c.sums[j] *= keep;
    for (Index j = 0; moves && j < moving; ++j) c.delta[j] *= keep;
  }
  for (Index k = 0; k < outputs; ++k, e += stride) {
    Real* sums = c.sums + k * n - client.place;
    for (Index t = 0; t < client.size; ++t) sums[rows[t]] += e[t];
    if (moves) c.gram.add_rows(rows, client.place, client.size, e, c.step, c.delta + k * c.gram.stride());
  }
  if (c.shift && moves) shift_margins(c, c.delta);
}

template <class Real, class Loss>
void span_batch_steps(BatchTurn<Real>& turn, std::int64_t steps, bool last) {
  const Index whole = padded<Real>(turn.size);
  const Index outputs = Loss::multiclass ? turn.clients.front().span.outputs : 1;
  for (std::int64_t l = 0; l < steps; ++l) {
    const std::int64_t dealt = l % turn.ahead;
    if (dealt == 0) turn.deal(std::min(turn.ahead, steps - l));
    const Index* rows = turn.rows.data() + dealt * whole;
    derive<Loss>(turn, rows);
    const Real* e = turn.e.data();
    for (const auto& client : turn.clients) {
      take_step<Real>(client, outputs, rows, e, whole, !last || l + 1 < steps);
      rows += client.size;
      e += client.size;
    }
  }
}

}  // namespace localgd
