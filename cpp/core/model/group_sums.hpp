// Sums over clients of what each would change the weights by, as trees of groups.
#pragma once

#include <algorithm>
#include <vector>

#include "../round/groups.hpp"
#include "per_client.hpp"

namespace localgd {

// sum_i x_i of d x C matrices.
class GroupSums {
 public:
  GroupSums(const Groups& groups, Index features, Index outputs);

  void clear() { std::fill(filled_.begin(), filled_.end(), false); }

  // The sum of a client's group, to be added to by the thread that has the group.
  PerClient<double>::Block of(Index client);
  // a x is added to it.
  template <class Real>
  void add(Index client, double a, const Real* x);

  // sum = that over all clients, then(first, count) for ranges of features, which the threads
  // share.
  template <class Then>
  void total(Team& team, Matrix<double>& sum, Then&& then) {
    note_subtrees();
    team.for_each(work_, [&](Index item, int) {
      const Index first = item * range_, count = std::min(range_, features_ - first);
      for (Index c = 0; c < sum.cols(); ++c) add_up(first, count, c, sum.col(c).data() + first);
      then(first, count);
    });
  }

 private:
  // The tree's sum of some features of an output.
  void add_up(Index first, Index count, Index output, double* sum) const;

  // Which subtrees have a group with a sum.
  void note_subtrees();

  char& filled(Index group) { return filled_[static_cast<std::size_t>(leaves_ + group)]; }

  const Groups& groups_;
  const Index leaves_;  // of the tree, a power of two
  PerClient<double> sums_;
  // Whether a node has a group with a sum: those of node k are 2 k and 2 k + 1, the root is 1, the
  // groups are from `leaves_` on. Not bool: groups are written by
  // several threads.
  std::vector<char> filled_;
  Index range_, features_;  // of a work item
  Work work_;
};

}  // namespace localgd
