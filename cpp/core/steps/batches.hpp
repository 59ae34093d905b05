// The rows of a client's batches, drawn at random.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "../lanes.hpp"
#include "../philox.hpp"

namespace localgd {

// How many steps' batches of a client are drawn in one go.
constexpr std::int64_t steps_ahead(Index batch) {
  return std::clamp<std::int64_t>(256 / std::max<Index>(batch, 1), 1, 128);
}

// With replacement the half word u gives row floor(u n / 2^32). Without, the rows come in a random
// order (Fisher-Yates, one half word per row), epoch after epoch. The words of a round have their
// own place in the client's stream: no round depends on those before it.
class alignas(64) RowDealer {
 public:
  using Row = std::int32_t;

  // draws: rows of a round.
  RowDealer(Index rows, bool replacement, Philox::Key key, std::uint64_t draws)
      : rows_(rows), replacement_(replacement), philox_(key), blocks_(blocks_of(draws)) {
    if (!replacement)
      order_.resize(static_cast<std::size_t>((rows + Line::rows_in - 1) / Line::rows_in));
  }

  // From here on it deals for another client of the same rows.
  void serve(Philox::Key key, std::uint64_t draws) {
    philox_ = Philox(key);
    blocks_ = blocks_of(draws);
  }

  void begin_round(double round) {
    round_ = static_cast<std::uint64_t>(round);
    if (!replacement_) put_in_order();
    drawn_ = dealt_ = 0;
  }

  // The next rows.
  void deal(std::int64_t count, Row* rows) {
    constexpr std::int64_t most = 8 * per_block;  // blocks do not wait for each other
    std::uint32_t halves[most];
    while (count > 0) {
      const std::int64_t skipped = drawn_ % per_block, some = std::min(count, most - skipped);
      draw(drawn_ / per_block, skipped + some, halves);
      if (replacement_)
        for (std::int64_t t = 0; t < some; ++t) rows[t] = place(halves[skipped + t], rows_);
      else
        shuffle(halves + skipped, some, rows);
      drawn_ += some;
      count -= some;
      rows += some;
    }
  }

 private:
  static constexpr std::int64_t per_block = 8;
  static std::uint64_t blocks_of(std::uint64_t draws) {
    return (draws + per_block - 1) / per_block;
  }

  // Threads write to the order of clients side by side: none to a cache line of another.
  struct alignas(64) Line {
    static constexpr Index rows_in = 64 / sizeof(Row);
    Row rows[rows_in];
  };
  Row* order() { return order_.front().rows; }

  // At least so many half words from a block of the round on, the low half of a word first.
  void draw(std::int64_t block, std::int64_t count, std::uint32_t* half) const {
    for (; count > 0; count -= per_block, ++block)
      for (const std::uint64_t word : philox_(round_, blocks_, static_cast<std::uint64_t>(block))) {
        *half++ = static_cast<std::uint32_t>(word);
        *half++ = static_cast<std::uint32_t>(word >> 32);
      }
  }

  static Row place(std::uint32_t half, Index count) {
    return static_cast<Row>(half * static_cast<std::uint64_t>(count) >> 32);
  }
  // Each row at its own place. In the first epoch the rows that are not are those dealt, and those
  // that stand at the places of these: few, where a round takes few of many rows.
  void put_in_order() {
    const Index dealt = dealt_;
    if (!ordered_ || drawn_ > rows_ || 2 * dealt > rows_) {
      std::iota(order(), order() + rows_, Row{0});
      ordered_ = true;
      return;
    }
    for (Index t = 0; t < dealt; ++t) {
      const Row row = order()[t];
      if (row >= dealt) order()[row] = row;
    }
    std::iota(order(), order() + dealt, Row{0});
  }
  // Each is one of the rows left in the epoch, whose place the first of them takes.
  void shuffle(const std::uint32_t* halves, std::int64_t count, Row* rows) {
    while (count > 0) {
      if (dealt_ == rows_) dealt_ = 0;
      const std::int64_t some = std::min<std::int64_t>(count, rows_ - dealt_);
      Row* left = order() + dealt_;
      for (std::int64_t t = 0; t < some; ++t, ++left) {
        Row* chosen = left + place(halves[t], rows_ - dealt_ - t);
        rows[t] = *chosen;
        *chosen = *left;
        *left = rows[t];
      }
      dealt_ += some;
      halves += some;
      rows += some;
      count -= some;
    }
  }

  Index rows_;
  bool replacement_;
  Philox philox_;
  std::uint64_t blocks_, round_ = 0;  // blocks of a round
  std::int64_t drawn_ = 0;
  Index dealt_ = 0;       // of the epoch
  bool ordered_ = false;  // the rows were at their places when the round began
  std::vector<Line> order_;
};

}  // namespace localgd
