// The rows of a client's batches, drawn at random.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "../lanes.hpp"
#include "../philox.hpp"

namespace localgd {

// How many steps' batches are drawn in one go, of so many rows each.
constexpr std::int64_t steps_ahead(Index rows) {
  return std::clamp<std::int64_t>(8192 / std::max<Index>(rows, 1), 1, 32);
}

// With replacement the half word u gives row floor(u n / 2^32). Without, the rows come in a random
// order (Fisher-Yates, one half word per row), epoch after epoch. The words of a round have their own
// place in the client's stream: no round depends on those before it.
class RowDealer {
 public:
  // draws: rows of a round.
  RowDealer(Index rows, bool replacement, Philox::Key key, std::uint64_t draws)
      : rows_(rows), replacement_(replacement), philox_(key), blocks_((draws + per_block - 1) / per_block) {
    if (!replacement) order_.resize(static_cast<std::size_t>(rows));
  }

  void begin_round(double round) {
    round_ = static_cast<std::uint64_t>(round);
    drawn_ = dealt_ = 0;
    std::iota(order_.begin(), order_.end(), std::int32_t{0});
  }

  // The rows of some batches, `stride` apart, counted from `first` on.
  void deal(std::int64_t batches, Index size, Index stride, Index first, Index* rows) {
    constexpr std::int64_t most = 8 * per_block;  // blocks do not wait for each other
    std::uint32_t halves[most];
    Index in_batch = 0, dealt = dealt_;  // what stays in registers
    std::int32_t* const order = order_.data();
    for (std::int64_t left = batches * size; left > 0;) {
      const std::int64_t skipped = drawn_ % per_block, count = std::min(left, most - skipped);
      draw(drawn_ / per_block, skipped + count, halves);
      for (const std::uint32_t *half = halves + skipped, *end = half + count; half < end; ++half) {
        rows[in_batch] = first + (replacement_ ? place(*half, rows_) : next(*half, order, rows_, dealt));
        if (++in_batch == size) {
          in_batch = 0;
          rows += stride;
        }
      }
      drawn_ += count;
      left -= count;
    }
    dealt_ = dealt;
  }

 private:
  static constexpr std::int64_t per_block = 8;

  // At least so many half words from a block of the round on, the low half of a word first.
  void draw(std::int64_t block, std::int64_t count, std::uint32_t* half) const {
    for (; count > 0; count -= per_block, ++block)
      for (const std::uint64_t word : philox_(round_, blocks_, static_cast<std::uint64_t>(block))) {
        *half++ = static_cast<std::uint32_t>(word);
        *half++ = static_cast<std::uint32_t>(word >> 32);
      }
  }

  static Index place(std::uint32_t half, Index count) {
    return static_cast<Index>(half * static_cast<std::uint64_t>(count) >> 32);
  }
  // One of the rows left in the epoch.
  static Index next(std::uint32_t half, std::int32_t* order, Index rows, Index& dealt) {
    if (dealt == rows) dealt = 0;
    std::int32_t* left = order + dealt;
    std::int32_t* chosen = left + place(half, rows - dealt++);
    const std::int32_t row = *chosen;
    *chosen = *left;
    *left = row;
    return row;
  }

  Index rows_;
  bool replacement_;
  Philox philox_;
  std::uint64_t blocks_, round_ = 0;  // blocks of a round
  std::int64_t drawn_ = 0;
  Index dealt_ = 0;  // of the epoch
  std::vector<std::int32_t> order_;
};

}  // namespace localgd
