// The batches of all clients.
#pragma once

#include <algorithm>
#include <vector>

#include "../round/round.hpp"
#include "../steps/batches.hpp"

namespace localgd {

class Dealers {
 public:
  Dealers(const Data& data, const Round& round) : round_(&round) {
    const LocalRule& rule = round.rule();
    if (!rule.stochastic()) return;
    shared_ = data.shared();
    for (Index i = 0; i < (shared_ ? 1 : data.clients()); ++i)
      dealers_.emplace_back(data.size(i), rule.replacement, key(i), draws(i));
    largest_ = *std::max_element(rule.batches.begin(), rule.batches.end());
  }

  // Of clients that share their rows each thread has one.
  void prepare(int threads) {
    if (shared_) dealers_.resize(static_cast<std::size_t>(threads), dealers_.front());
  }

  void begin(Index client, int thread) {
    if (dealers_.empty()) return;
    RowDealer& own = of(client, thread);
    if (shared_) own.serve(key(client), draws(client));
    own.begin_round(round_->plan().round);
  }
  RowDealer& of(Index client, int thread) {
    return dealers_[static_cast<std::size_t>(shared_ ? thread : client)];
  }
  Index largest_batch() const { return largest_; }

 private:
  Philox::Key key(Index client) const {
    return round_->rule().keys[static_cast<std::size_t>(client)];
  }
  // rows of a round
  std::uint64_t draws(Index client) const {
    return static_cast<std::uint64_t>(round_->steps(client)) *
           static_cast<std::uint64_t>(round_->batch(client));
  }

  const Round* round_;
  std::vector<RowDealer> dealers_;
  bool shared_ = false;
  Index largest_ = 0;
};

}  // namespace localgd
