// The rows of a client's batches, from random words prepared for the round.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "../lanes.hpp"

namespace localgd {

// With replacement the half word u gives row floor(u n / 2^32). Without, the rows come in a random
// order (Fisher-Yates, one half word per row), epoch after epoch.
class RowDealer {
 public:
  RowDealer(Index rows, bool replacement) : rows_(rows), replacement_(replacement) {
    if (!replacement) order_.resize(static_cast<std::size_t>(rows));
  }

  void begin_round(const std::uint64_t* words) {
    draws_ = {words};
    std::iota(order_.begin(), order_.end(), std::int32_t{0});
  }

  // The rows of `batches` batches of `size`, each followed by repetitions of its first to fill `stride`.
  void deal(std::int64_t batches, Index size, Index stride, std::int32_t* rows) {
    Draws draws = draws_;  // a copy stays in registers
    std::int32_t* order = order_.data();
    for (; batches > 0; --batches, rows += stride) {
      for (Index t = 0; t < size; ++t) rows[t] = replacement_ ? draws.place(rows_) : draws.next(order, rows_);
      std::fill(rows + size, rows + stride, rows[0]);
    }
    draws_ = draws;
  }
  std::int32_t next() { return replacement_ ? draws_.place(rows_) : draws_.next(order_.data(), rows_); }

 private:
  struct Draws {
    const std::uint64_t* words = nullptr;
    std::int64_t drawn = 0;
    Index dealt = 0;  // of the epoch

    // The next half word as one of that many places.
    std::int32_t place(Index count) {
      const std::uint64_t half = words[drawn / 2] >> (32 * (drawn % 2)) & 0xffffffffu;
      ++drawn;
      return static_cast<std::int32_t>(half * static_cast<std::uint64_t>(count) >> 32);
    }
    std::int32_t next(std::int32_t* order, Index rows) {
      if (dealt == rows) dealt = 0;
      std::int32_t* first = order + dealt;
      std::int32_t* chosen = first + place(rows - dealt++);
      const std::int32_t row = *chosen;
      *chosen = *first;
      return *first = row;
    }
  };

  Index rows_;
  bool replacement_;
  Draws draws_;
  std::vector<std::int32_t> order_;
};

// A batch: its rows, and their targets, margins and derivatives side by side, the columns of whole
// registers. base, origin and delta: see local/span_steps.hpp.
template <class Real>
struct Batch {
  static constexpr std::int64_t ahead = 32;  // batches whose rows may be drawn in one go
  std::vector<std::int32_t> rows;  // of so many batches, each of whole registers
  Vector<Real> targets, margins, derivatives, base, origin, delta;

  Batch() = default;
  Batch(Index size, Index outputs)
      : rows(static_cast<std::size_t>(ahead * padded<Real>(size))), targets(size) {
    for (auto* numbers : {&margins, &derivatives, &base, &origin, &delta})
      *numbers = Vector<Real>::Zero(padded<Real>(size) * outputs);
  }
};

}  // namespace localgd
