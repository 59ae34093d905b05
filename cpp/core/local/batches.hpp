// The rows of a client's batches, from random words prepared for the round.
#pragma once

#include <numeric>
#include <utility>
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
    words_ = words;
    drawn_ = 0;
    dealt_ = 0;
    std::iota(order_.begin(), order_.end(), std::int32_t{0});
  }

  Index next() {
    const std::uint64_t word = words_[drawn_ / 2];
    const std::uint64_t half = drawn_++ % 2 == 0 ? word & 0xffffffffu : word >> 32;
    if (replacement_) return static_cast<Index>(half * static_cast<std::uint64_t>(rows_) >> 32);
    if (dealt_ == rows_) dealt_ = 0;
    const auto left = static_cast<std::uint64_t>(rows_ - dealt_);
    const auto place = static_cast<std::size_t>(dealt_) + static_cast<std::size_t>(half * left >> 32);
    std::swap(order_[static_cast<std::size_t>(dealt_)], order_[place]);
    return order_[static_cast<std::size_t>(dealt_++)];
  }

 private:
  Index rows_;
  bool replacement_;
  const std::uint64_t* words_ = nullptr;
  std::int64_t drawn_ = 0;
  Index dealt_ = 0;
  std::vector<std::int32_t> order_;
};

// A batch: its rows, and their targets, margins and derivatives side by side, the columns of whole
// registers. base, origin and delta: see local/span_steps.hpp.
template <class Real>
struct Batch {
  std::vector<Index> rows;
  Vector<Real> targets, margins, derivatives, base, origin, delta;

  Batch() = default;
  Batch(Index size, Index outputs)
      : rows(static_cast<std::size_t>(size)), targets(size) {
    for (auto* numbers : {&margins, &derivatives, &base, &origin, &delta})
      *numbers = Vector<Real>::Zero(padded<Real>(size) * outputs);
  }
};

}  // namespace localgd
