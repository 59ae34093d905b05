// Who takes part in a round: what a round does here takes time like its clients, however many
// others there are.
#pragma once

#include <algorithm>
#include <vector>

#include "groups.hpp"
#include "options.hpp"

namespace localgd {

class Participants {
 public:
  // Groups must outlive them.
  Participants(const Groups& groups, Index clients)
      : groups_(&groups),
        total_(clients),
        shares_(Vector<double>::Zero(clients)),
        ranges_(static_cast<std::size_t>(groups.count())) {}

  void set(const RoundPlan& plan) {
    for_each([&](Index i) { shares_[i] = 0; });
    for (const Index g : present_) ranges_[static_cast<std::size_t>(g)] = {};
    present_.clear();
    clients_.clear();
    all_ = false;
    if (plan.clients) {
      clients_.assign(plan.clients, plan.clients + plan.count);
      listed_shares_.assign(plan.shares, plan.shares + plan.count);
      for (Index k = 0; k < plan.count; ++k) shares_[plan.clients[k]] = plan.shares[k];
    } else {
      shares_ = Eigen::Map<const Vector<double>>(plan.shares, total_);
      all_ = shares_.minCoeff() > 0;
      listed_shares_.clear();
      for (Index i = 0; !all_ && i < total_; ++i)
        if (has(i)) clients_.push_back(i), listed_shares_.push_back(shares_[i]);
    }
    if (!all_) index_groups();
  }

  bool all() const { return all_; }
  Index count() const { return all_ ? total_ : static_cast<Index>(clients_.size()); }
  bool has(Index client) const { return shares_[client] > 0; }
  bool any_in(Index group) const { return all_ || range(group).begin < range(group).end; }

  // the groups with one of them, ascending; empty where all take part
  const std::vector<Index>& groups() const { return present_; }

  // ascending, and their p~; empty where all take part
  const std::vector<Index>& clients() const { return clients_; }
  const std::vector<double>& listed_shares() const { return listed_shares_; }

  // p~_i, 0 of those that sit the round out
  const Vector<double>& shares() const { return shares_; }

  // Calls task(client) for those of a group, or of all, in their order.
  template <class Task>
  void for_each(Index group, Task&& task) const {
    if (all_)
      for (Index i = groups_->first(group); i < groups_->end(group); ++i) task(i);
    else
      for (std::size_t k = range(group).begin; k < range(group).end; ++k) task(clients_[k]);
  }
  template <class Task>
  void for_each(Task&& task) const {
    if (all_)
      for (Index i = 0; i < total_; ++i) task(i);
    else
      for (const Index i : clients_) task(i);
  }

  // Goes through them from the first of a group on: the next one that is not below a client, or
  // the number of all clients.
  class Cursor {
   public:
    Cursor(const Participants& of, Index group)
        : of_(of), at_(of.range(group).begin), group_begin_(of.groups_->first(group)) {}
    Index operator()(Index least) {
      least = std::max(least, group_begin_);
      if (of_.all_) return std::min(least, of_.total_);
      while (at_ < of_.clients_.size() && of_.clients_[at_] < least) ++at_;
      return at_ < of_.clients_.size() ? of_.clients_[at_] : of_.total_;
    }
    // Calls task(client, p~) from the last one on for those before `end`. Not where all take part.
    template <class Task>
    void for_each_before(Index end, Task&& task) const {
      for (std::size_t k = at_; k < of_.clients_.size() && of_.clients_[k] < end; ++k)
        task(of_.clients_[k], of_.listed_shares_[k]);
    }

   private:
    const Participants& of_;
    std::size_t at_;
    Index group_begin_;
  };

 private:
  struct Range {
    std::size_t begin = 0, end = 0;
  };
  const Range& range(Index group) const { return ranges_[static_cast<std::size_t>(group)]; }

  void index_groups() {
    for (std::size_t k = 0; k < clients_.size();) {
      const Index group = groups_->of(clients_[k]), end = groups_->end(group);
      Range& range = ranges_[static_cast<std::size_t>(group)];
      range.begin = k;
      while (k < clients_.size() && clients_[k] < end) ++k;
      range.end = k;
      present_.push_back(group);
    }
  }

  const Groups* groups_;
  Index total_;
  Vector<double> shares_;
  std::vector<Index> clients_;
  std::vector<double> listed_shares_;  // theirs
  std::vector<Range> ranges_;          // of each group in the list
  std::vector<Index> present_;         // groups
  bool all_ = false;
};

}  // namespace localgd
