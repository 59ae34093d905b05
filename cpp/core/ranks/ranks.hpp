// The clients of one run may be spread over ranks: processes, each of which has the rows of its own
// clients and the whole model. Clients are numbered over all ranks; a rank's own are in that order.
#pragma once

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <vector>

#include "exchange.hpp"

namespace localgd {

class Ranks {
 public:
  // holders: the rank of each client; each of the ranks has some. sizes: their rows, of all; where
  // they are not said clients take no steps together.
  Ranks(std::shared_ptr<Exchange> exchange, int own, std::vector<int> holders,
        std::vector<Index> sizes = {})
      : exchange_(std::move(exchange)),
        own_(own),
        holders_(std::move(holders)),
        sizes_(std::move(sizes)) {
    if (!sizes_.empty() && sizes_.size() != holders_.size())
      throw std::invalid_argument("sizes: want one of each client");
    for (std::size_t i = 0; i < holders_.size(); ++i) {
      if (holders_[i] < 0) throw std::invalid_argument("holders: want ranks");
      count_ = std::max(count_, holders_[i] + 1);
      if (holders_[i] == own_) numbers_.push_back(static_cast<Index>(i));
    }
    if (numbers_.empty()) throw std::invalid_argument("holders: want a client on every rank");
  }

  Exchange& exchange() const { return *exchange_; }
  int own() const { return own_; }
  int count() const { return count_; }
  Index clients() const { return static_cast<Index>(holders_.size()); }  // M, of all ranks
  int holder(Index number) const { return holders_[static_cast<std::size_t>(number)]; }
  const std::vector<Index>& sizes() const { return sizes_; }
  // Whether ranks have consecutive clients, the first of each a multiple of this.
  bool cut_at_multiples_of(Index width) const {
    int cuts = 0;
    for (Index i = 1; i < clients(); ++i) {
      if (holder(i) == holder(i - 1)) continue;
      if (i % width != 0) return false;
      ++cuts;
    }
    return cuts == count_ - 1;
  }
  // Of this rank's clients, ascending.
  const std::vector<Index>& numbers() const { return numbers_; }

  // The least and the largest of what the ranks give.
  double least(double own) const {
    const auto all = of_each(own);
    return *std::min_element(all.begin(), all.end());
  }
  double most(double own) const { return -least(-own); }

 private:
  std::vector<double> of_each(double own) const {
    std::vector<double> all(static_cast<std::size_t>(count_));
    exchange_->gather(&own, std::vector<Index>(all.size(), 1), all.data());
    return all;
  }

  std::shared_ptr<Exchange> exchange_;
  int own_, count_ = 0;
  std::vector<int> holders_;
  std::vector<Index> sizes_, numbers_;
};

// What a rank knows the least, or the most, of; null: there is one process alone.
inline double least_of_all(const Ranks* ranks, double own) {
  return ranks ? ranks->least(own) : own;
}
inline double most_of_all(const Ranks* ranks, double own) { return ranks ? ranks->most(own) : own; }

}  // namespace localgd
