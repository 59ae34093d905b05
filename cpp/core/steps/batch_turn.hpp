// Clients of one thread that take their steps with batches in turn (batch_steps.hpp).
#pragma once

#include <vector>

#include "batches.hpp"
#include "span_client.hpp"

namespace localgd {

// Clients of one thread, and what is known of the rows that they draw. One client where there are
// several outputs.
template <class Real>
struct alignas(64) BatchTurn {
  using Row = RowDealer::Row;
  struct alignas(64) Client {
    Index index, size;  // of the client, and of its batches
    SpanClient<Real> span;
    RowDealer* dealer;
    Row* rows;  // of the steps ahead
    // largest |delta| of the rows drawn until now: a maximum, for the branches on it to be foreseen
    Real spread = 0;
  };
  std::vector<Client> clients;
  const std::int64_t ahead;  // steps whose rows are drawn in one go
  std::vector<Row> rows;
  Vector<Real> targets, base, at_start, delta, e;  // of a step: whole registers for each output

  BatchTurn(Index most_clients, Index largest_batch, Index outputs)
      : ahead(steps_ahead(largest_batch)),
        rows(static_cast<std::size_t>(ahead * most_clients * largest_batch)),
        targets(padded<Real>(largest_batch)) {
    clients.reserve(static_cast<std::size_t>(most_clients));
    for (auto* numbers : {&base, &at_start, &delta, &e})
      *numbers = Vector<Real>::Zero(targets.size() * outputs);
  }

  void add(Index index, const SpanClient<Real>& span, RowDealer& dealer, Index batch) {
    Row* own = clients.empty() ? rows.data() : clients.back().rows + ahead * clients.back().size;
    clients.push_back({index, batch, span, &dealer, own});
  }

  void deal(std::int64_t steps) {
    for (const Client& c : clients) c.dealer->deal(steps * c.size, c.rows);
  }
};

}  // namespace localgd
