// Sums over all clients, in an order that the data alone decides on, whatever the threads: groups
// of consecutive clients are the leaves of a tree.
//
// The value of a leaf is the sum of its clients that take part, in their order; a leaf without one
// is absent, and adds nothing (not even 0, which would turn -0 into +0). Leaves are filled up to a
// power of two, and the value of a node is that of its left half plus that of its right half. So
// whoever holds consecutive clients can add up the largest whole subtrees that it has, and the rest
// follows in the order of the tree (ranks/subtrees.hpp).
#pragma once

#include <algorithm>
#include <bit>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "../data.hpp"
#include "../ranks/joined_sum.hpp"
#include "../stop.hpp"
#include "../team.hpp"

namespace localgd {

class Groups {
 public:
  static constexpr Index most = 512;  // enough for any number of threads, and 512 d reals are few

  // Of `multiple` clients, or as many times that as keeps the groups few.
  Groups(Index clients, Index multiple) : Groups(clients, clients, multiple) {}
  // The same over all ranks: the groups are those of this rank's clients.
  Groups(const Layout& layout, Index multiple)
      : Groups(layout.clients(), layout.ranks ? layout.ranks->clients() : layout.clients(),
               multiple) {
    if (!layout.ranks) return;
    subtrees_ = std::make_shared<const Subtrees>(*layout.ranks, size_);
    before_ = subtrees_->clients_before();
    count_ = (clients_ + before_ + size_ - 1) / size_;
  }

  Index count() const { return count_; }
  Index of(Index client) const { return (client + before_) / size_; }
  Index first(Index group) const { return std::max<Index>(group * size_ - before_, 0); }
  Index end(Index group) const { return std::min((group + 1) * size_ - before_, clients_); }

  // The tree where it goes over several ranks, or null.
  const Subtrees* subtrees() const { return subtrees_.get(); }

  // Work whose items are the groups, from the costs of the clients.
  Work work(const std::vector<double>& costs) const {
    std::vector<double> sums(static_cast<std::size_t>(count()));
    for (Index i = 0; i < clients_; ++i)
      sums[static_cast<std::size_t>(of(i))] += costs[static_cast<std::size_t>(i)];
    return Work::in_order(std::move(sums));
  }

  // Calls task(client, thread) for all clients of some groups.
  template <class Task>
  void for_each(Team& team, const Work& work, Task&& task) const {
    team.for_each(work, [&](Index g, int thread) {
      for (Index i = first(g); i < end(g); ++i) task(i, thread);
    });
  }

  // The same for clients of few rows: a stop is looked for once in each group.
  template <class Task>
  void for_each(Team& team, const Work& work, Stop& stop, Task&& task) const {
    team.for_each(work, [&](Index g, int thread) {
      if (stop.check(thread)) return;
      for (Index i = first(g); i < end(g); ++i) task(i);
    });
  }

  // Calls task(client) for all clients, whose costs are not known.
  template <class Task>
  void for_each(Team& team, Task&& task) const {
    Work work;
    work.even(count(), 1);
    for_each(team, work, [&](Index i, int) { task(i); });
  }

  // The sum over the clients: add(client, sum) adds one to the sum of its group, a T that begins as
  // `zero`, and returns whether it takes part. `zero` if nobody does.
  template <class T, class Add>
  T sum(const T& zero, Add&& add) const {
    return sum_of_groups(zero, of_clients<T>(add));
  }
  // The same, to the same bits, by the threads of a team.
  template <class T, class Add>
  T sum(Team& team, const T& zero, Add&& add) const {
    const auto of_group = of_clients<T>(add);
    if (subtrees_) {
      Work work;
      return JoinedSum<T>(*subtrees_, zero)
          .of(count(), of_group,
              [&](Index groups, auto&& task) {
                work.even(groups, 1);
                team.for_each(work, [&](Index group, int) { task(group); });
              })
          .value_or(zero);
    }
    const std::size_t leaves = std::bit_ceil(static_cast<std::size_t>(count())),
                      parts = std::min(leaves, parts_for(team, size_of(zero)));
    std::vector<std::optional<T>> sums(parts);
    const auto leaf = leaf_of(zero, of_group);
    Work work;
    work.even(static_cast<Index>(parts), 1);
    team.for_each(work, [&](Index part, int) {
      const std::size_t each = leaves / parts;
      sums[static_cast<std::size_t>(part)] = node<T>(part * static_cast<Index>(each), each, leaf);
    });
    return node<T>(0, parts,
                   [&](Index part) { return std::move(sums[static_cast<std::size_t>(part)]); })
        .value_or(zero);
  }
  // The same where add(group, sum) adds all clients of a group, in their order.
  template <class T, class Add>
  T sum_of_groups(const T& zero, Add&& add) const {
    if (subtrees_)
      return JoinedSum<T>(*subtrees_, zero)
          .of(count(), add,
              [](Index groups, auto&& task) {
                for (Index group = 0; group < groups; ++group) task(group);
              })
          .value_or(zero);
    return node<T>(0, std::bit_ceil(static_cast<std::size_t>(count())), leaf_of(zero, add))
        .value_or(zero);
  }

 private:
  Groups(Index clients, Index all, Index multiple)
      : clients_(clients),
        size_(multiple * ((all + most * multiple - 1) / (most * multiple))),
        count_((clients + size_ - 1) / size_) {}

  // add(group, sum) by add(client, sum)
  template <class T, class Add>
  auto of_clients(Add& add) const {
    return [this, &add](Index group, T& sum) {
      bool present = false;
      for (Index i = first(group); i < end(group); ++i) present |= add(i, sum);
      return present;
    };
  }
  template <class T, class Add>
  static auto leaf_of(const T& zero, Add& add) {
    return [&](Index group) {
      std::optional<T> value(zero);
      if (!add(group, *value)) value.reset();
      return value;
    };
  }

  template <class T>
  static std::size_t size_of(const T& value) {
    if constexpr (std::is_same_v<T, double>)
      return 1;
    else
      return static_cast<std::size_t>(value.size());
  }
  // Subtrees for the threads, a power of two: so many that nobody waits long, but their sums may
  // not take much memory.
  static std::size_t parts_for(const Team& team, std::size_t size) {
    constexpr std::size_t numbers = std::size_t{1} << 24;
    const std::size_t wanted =
        team.threads() > 1 ? 8 * static_cast<std::size_t>(team.threads()) : 1;
    return std::bit_floor(
        std::clamp<std::size_t>(numbers / std::max<std::size_t>(size, 1), 1, wanted));
  }

  template <class T, class Leaf>
  std::optional<T> node(Index first, std::size_t leaves, Leaf&& leaf) const {
    if (first >= count()) return {};
    if (leaves == 1) return leaf(first);
    auto left = node<T>(first, leaves / 2, leaf);
    return sum_of_present(std::move(left),
                          node<T>(first + static_cast<Index>(leaves / 2), leaves / 2, leaf));
  }

  Index clients_, size_, count_;
  Index before_ = 0;  // clients of other ranks in the first group, before this rank's
  std::shared_ptr<const Subtrees> subtrees_;
};

}  // namespace localgd
