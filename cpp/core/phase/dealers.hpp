// The batches of all clients.
#pragma once

#include <algorithm>
#include <vector>

#include "../round/round.hpp"
#include "../steps/batches.hpp"

namespace localgd {

class Dealers {
 public:
  Dealers(const Data& data, const Round& round) {
    const LocalRule& rule = round.rule();
    if (!rule.stochastic()) return;
    for (Index i = 0; i < data.clients(); ++i)
      dealers_.emplace_back(
          data.size(i), rule.replacement, rule.keys[static_cast<std::size_t>(i)],
          static_cast<std::uint64_t>(round.steps(i)) * static_cast<std::uint64_t>(round.batch(i)));
    largest_ = *std::max_element(rule.batches.begin(), rule.batches.end());
  }

  void begin(const Round& round, Index client) {
    if (!dealers_.empty()) of(client).begin_round(round.plan().round);
  }
  RowDealer& of(Index client) { return dealers_[static_cast<std::size_t>(client)]; }
  Index largest_batch() const { return largest_; }

 private:
  std::vector<RowDealer> dealers_;
  Index largest_ = 0;
};

}  // namespace localgd
