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
        begins_(static_cast<std::size_t>(groups.count()) + 1, 0) {}

  void set(const RoundPlan& plan) {
    for_each([&](Index i) { shares_[i] = 0; });
    clients_.clear();
    all_ = false;
    if (plan.clients) {
      clients_.assign(plan.clients, plan.clients + plan.count);
      for (Index k = 0; k < plan.count; ++k) shares_[plan.clients[k]] = plan.shares[k];
    } else {
      shares_ = Eigen::Map<const Vector<double>>(plan.shares, total_);
      all_ = shares_.minCoeff() > 0;
      for (Index i = 0; !all_ && i < total_; ++i)
        if (has(i)) clients_.push_back(i);
    }
    if (!all_) index_groups();
  }

  bool all() const { return all_; }
  Index count() const { return all_ ? total_ : static_cast<Index>(clients_.size()); }
  bool has(Index client) const { return shares_[client] > 0; }
  bool any_in(Index group) const { return all_ || begin(group) < begin(group + 1); }

  // ascending; empty where all take part
  const std::vector<Index>& clients() const { return clients_; }

  // p~_i, 0 of those that sit the round out
  const Vector<double>& shares() const { return shares_; }

  // Calls task(client) for those of a group, or of all, in their order.
  template <class Task>
  void for_each(Index group, Task&& task) const {
    if (all_)
      for (Index i = groups_->first(group); i < groups_->end(group); ++i) task(i);
    else
      for (std::size_t k = begin(group); k < begin(group + 1); ++k) task(clients_[k]);
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
        : of_(of), at_(of.all_ ? 0 : of.begin(group)), group_begin_(of.groups_->first(group)) {}
    Index operator()(Index least) {
      least = std::max(least, group_begin_);
      if (of_.all_) return std::min(least, of_.total_);
      while (at_ < of_.clients_.size() && of_.clients_[at_] < least) ++at_;
      return at_ < of_.clients_.size() ? of_.clients_[at_] : of_.total_;
    }

   private:
    const Participants& of_;
    std::size_t at_;
    Index group_begin_;
  };

 private:
  std::size_t begin(Index group) const { return begins_[static_cast<std::size_t>(group)]; }

  void index_groups() {
    std::size_t k = 0;
    for (Index g = 0; g < groups_->count(); ++g) {
      begins_[static_cast<std::size_t>(g)] = k;
      while (k < clients_.size() && clients_[k] < groups_->end(g)) ++k;
    }
    begins_.back() = k;
  }

  const Groups* groups_;
  Index total_;
  Vector<double> shares_;
  std::vector<Index> clients_;
  std::vector<std::size_t> begins_;  // of each group in the list
  bool all_ = false;
};

}  // namespace localgd
