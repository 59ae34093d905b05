// Groups of consecutive clients, each taken by one thread, client after client, and sums over all
// clients by way of those of the groups: in an order that the data alone decides on, whatever the
// threads.
#pragma once

#include <algorithm>
#include <vector>

#include "../team.hpp"
#include "per_client.hpp"

namespace localgd {

class Groups {
 public:
  // Of `multiple` clients, or as many times that as keeps the groups few.
  Groups(Index clients, Index multiple)
      : clients_(clients),
        size_(multiple * ((clients + most * multiple - 1) / (most * multiple))) {}

  Index count() const { return (clients_ + size_ - 1) / size_; }
  Index of(Index client) const { return client / size_; }
  Index first(Index group) const { return group * size_; }
  Index end(Index group) const { return std::min(first(group) + size_, clients_); }

  // Work whose items are the groups, from the costs of the clients.
  Work work(const std::vector<double>& costs) const {
    std::vector<double> sums(static_cast<std::size_t>(count()));
    for (Index i = 0; i < clients_; ++i)
      sums[static_cast<std::size_t>(of(i))] += costs[static_cast<std::size_t>(i)];
    return Work::in_order(std::move(sums));
  }

 private:
  // enough for any number of threads, and 512 d reals are not much
  static constexpr Index most = 512;

  Index clients_, size_;
};

// sum_i x_i of d x C matrices.
class GroupSums {
 public:
  GroupSums(const Groups& groups, Index features, Index outputs)
      : groups_(groups),
        sums_(groups.count(), features, outputs),
        filled_(static_cast<std::size_t>(groups.count())),
        range_(std::max<Index>(512, 65536 / groups.count())),
        features_(features) {
    const Index ranges = (features + range_ - 1) / range_;
    work_ = Work(std::vector<double>(static_cast<std::size_t>(ranges),
                                     2.0 * static_cast<double>(groups.count() * range_ * outputs)));
  }

  void clear() { std::fill(filled_.begin(), filled_.end(), false); }

  // The sum of a client's group, to be added to by the thread that has the group.
  PerClient<double>::Block of(Index client) {
    const Index g = groups_.of(client);
    auto sum = sums_.of(g);
    if (!filled_[static_cast<std::size_t>(g)]) sum.setZero();
    filled_[static_cast<std::size_t>(g)] = true;
    return sum;
  }

  // sum = that over all clients, then(first, count) for ranges of features, which the threads
  // share.
  template <class Then>
  void total(Team& team, Matrix<double>& sum, Then&& then) {
    team.for_each(work_, [&](Index item, int) {
      const Index first = item * range_, count = std::min(range_, features_ - first);
      auto out = sum.middleRows(first, count);
      out.setZero();
      for (Index g = 0; g < groups_.count(); ++g)
        if (filled_[static_cast<std::size_t>(g)]) out += sums_.of(g).middleRows(first, count);
      then(first, count);
    });
  }

 private:
  const Groups& groups_;
  PerClient<double> sums_;
  std::vector<char> filled_;  // not bool: groups are written by several threads
  Index range_, features_;    // of a work item
  Work work_;
};

}  // namespace localgd
