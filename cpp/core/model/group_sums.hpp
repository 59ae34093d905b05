// Sums over clients of what each would change the weights by, as trees of groups.
#pragma once

#include <algorithm>
#include <vector>

#include "../round/groups.hpp"
#include "../round/outcome.hpp"
#include "per_client.hpp"

namespace localgd {

// sum_i x_i of d x C matrices.
//
// Over ranks a leaf may begin with clients of another one. Those of this rank in it are late: what
// they give joins the sum when that of the clients before them has come.
class GroupSums {
 public:
  GroupSums(const Groups& groups, Index features, Index outputs);

  void clear() { std::fill(filled_.begin(), filled_.end(), false); }

  // From now on a group's sum is made of lanes<double> sums of each feature, of one output (see
  // bundled_weights.hpp), which are carried on where a group is on several ranks.
  void carry_lanes();
  // Those of the group that is passed on, and then of the late clients' one.
  double* carried() { return running_.data() + 1; }
  // Whether a group goes on on another rank, to which its running sum is passed on.
  bool passed_on(Index group) const {
    return tree_ && tree_->to() >= 0 && group == groups_.count() - 1;
  }
  void note(Index group) { filled(group) = true; }

  bool late(Index client) const { return client < late_; }
  Index late_clients() const { return late_; }  // the first ones

  // The sum of a client's group, to be added to by the thread that has the group.
  PerClient<double>::Block of(Index client);
  // a x is added to it, unless the client is late.
  template <class Real>
  void add(Index client, double a, const Real* x) {
    if (!late(client)) add_to_group(client, a, x);
  }
  // The same of any client, for total() to call.
  template <class Real>
  void add_to_group(Index client, double a, const Real* x);

  // sum = that over all clients, then(first, count) for ranges of features, which the threads
  // share.
  template <class Then>
  void total(Team& team, Matrix<double>& sum, Then&& then) {
    note_subtrees();
    for_ranges(team, [&](Index first, Index count) {
      for (Index c = 0; c < sum.cols(); ++c) add_up(first, count, c, sum.col(c).data() + first);
      then(first, count);
    });
  }

  // The same over all ranks, if their reports are that all is done. add_late(client) adds what a
  // late one gives, if it takes part.
  template <class AddLate, class Then>
  Report total(Team& team, const Report& own, Matrix<double>& sum, AddLate&& add_late,
               Then&& then) {
    if (!tree_) {
      if (own.outcome == Outcome::done) total(team, sum, then);
      return own;
    }
    receive_late(std::forward<AddLate>(add_late));
    note_subtrees();
    for_ranges(team, [&](Index first, Index count) { tell(first, count); });
    const Report joined = gather(own);
    if (joined.outcome == Outcome::done)
      for_ranges(team, [&](Index first, Index count) {
        for (Index c = 0; c < sum.cols(); ++c)
          add_up_told(first, count, c, sum.col(c).data() + first);
        then(first, count);
      });
    return joined;
  }

 private:
  // Calls task(first, count) for ranges of features, which the threads share.
  template <class Task>
  void for_ranges(Team& team, Task&& task) {
    team.for_each(work_, [&](Index item, int) {
      const Index first = item * range_;
      task(first, std::min(range_, features_ - first));
    });
  }

  // The tree's sum of some features of an output.
  void add_up(Index first, Index count, Index output, double* sum) const;

  // Over ranks: the running sums of groups that are on several; the sums of some features of this
  // rank's subtrees, for the others; what all of them tell; and the tree's sum of that.
  template <class AddLate>
  void receive_late(AddLate&& add_late) {
    const Index last = groups_.count() - 1;
    if (tree_->to() >= 0 && (last > 0 || tree_->from() < 0)) pass_on(last);
    if (tree_->from() < 0) return;
    receive_first();
    for (Index i = 0; i < late_; ++i) add_late(i);
    if (in_lanes_) add_up_lanes();
    if (tree_->to() >= 0 && last == 0) pass_on(last);
  }
  void pass_on(Index group);
  void receive_first();
  void add_up_lanes();
  void tell(Index first, Index count);
  Report gather(const Report& own);
  void add_up_told(Index first, Index count, Index output, double* sum) const;

  // Which subtrees have a group with a sum.
  void note_subtrees();

  char& filled(Index group) {
    return filled_[static_cast<std::size_t>(leaves_ + (tree_ ? tree_->leaf(group) : group))];
  }

  const Groups& groups_;
  const Subtrees* tree_;  // over ranks, or null
  const Index leaves_;    // of the tree, a power of two
  PerClient<double> sums_;
  // Whether a node has a group with a sum: those of node k are 2 k and 2 k + 1, the root is 1, the
  // groups are from `leaves_` on. Not bool: groups are written by
  // several threads.
  std::vector<char> filled_;
  Index range_, features_;  // of a work item
  Work work_;

  // Over ranks. A rank tells the others its report and which of its subtrees have a sum, then those
  // sums, d C numbers each.
  static constexpr Index head = 2;
  Index late_ = 0;
  bool in_lanes_ = false;
  Vector<double> running_, told_, all_;
  std::vector<Index> counts_;
  std::vector<const double*> sums_of_roots_;  // of all ranks, in all_
  std::vector<char> filled_roots_;            // by node, as filled_
};

}  // namespace localgd
