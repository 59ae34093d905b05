// Which nodes of a tree of sums over all clients (round/groups.hpp) each rank adds up by itself.
//
// A leaf whose clients are on several ranks: the running sum goes from one to the next, and the
// last one has the leaf. A rank tells the others the values of the largest subtrees whose leaves it
// all has; the rest is added in the order of the tree, by every rank alike. So the bits are those
// of one process, however many ranks there are.
#pragma once

#include <bit>

#include "ranks.hpp"

namespace localgd {

class Subtrees {
 public:
  static constexpr int nobody = -1, several = -2;

  // Leaves are so many consecutive clients, as many as cover all of them.
  Subtrees(const Ranks& ranks, Index leaf_size) : ranks_(&ranks), leaf_size_(leaf_size) {
    const Index all = ranks.clients(), count = (all + leaf_size - 1) / leaf_size;
    leaves_ = static_cast<Index>(std::bit_ceil(static_cast<std::size_t>(count)));
    owners_.assign(2 * static_cast<std::size_t>(leaves_), nobody);
    for (Index leaf = 0; leaf < count; ++leaf)
      owner(leaves_ + leaf) = ranks.holder(std::min((leaf + 1) * leaf_size, all) - 1);
    for (Index node = leaves_ - 1; node > 0; --node)
      owner(node) = together(owner(2 * node), owner(2 * node + 1));
    find_neighbours();
    roots_.resize(static_cast<std::size_t>(ranks.count()));
    find_roots(1);
    places_.assign(owners_.size(), -1);
    Index place = 0;
    for (const auto& own : roots_)
      for (const Index node : own) places_[static_cast<std::size_t>(node)] = place++;
  }

  const Ranks& ranks() const { return *ranks_; }
  Index leaves() const { return leaves_; }  // a power of two
  // Node 1 is the root, those of node k are 2 k and 2 k + 1, the leaves are from leaves() on.
  int owner(Index node) const { return owners_[static_cast<std::size_t>(node)]; }
  // The nodes that a rank tells the others of, from left to right, and where such a node stands
  // among those of all ranks, or -1.
  const std::vector<Index>& roots(int rank) const { return roots_[static_cast<std::size_t>(rank)]; }
  const std::vector<Index>& own_roots() const { return roots(ranks_->own()); }
  Index place(Index node) const { return places_[static_cast<std::size_t>(node)]; }

  // The leaf of one of this rank's groups, which are its clients of each leaf; and the other way.
  Index leaf(Index group) const {
    return leaf_size_ == 1 ? ranks_->numbers()[static_cast<std::size_t>(group)]
                           : ranks_->numbers().front() / leaf_size_ + group;
  }
  Index group(Index leaf) const {
    if (leaf_size_ > 1) return leaf - ranks_->numbers().front() / leaf_size_;
    const auto& own = ranks_->numbers();
    return std::lower_bound(own.begin(), own.end(), leaf) - own.begin();
  }
  // Clients of other ranks in the leaf of this rank's first one, before it.
  Index clients_before() const {
    return leaf_size_ == 1 ? 0 : ranks_->numbers().front() % leaf_size_;
  }
  // The rank from which the running sum of the first group comes, and to which that of the last one
  // goes; or nobody.
  int from() const { return from_; }
  int to() const { return to_; }

  // How many numbers each rank tells the others: `head`, and `each` for each of its roots.
  std::vector<Index> counts(Index head, Index each) const {
    std::vector<Index> counts;
    for (const auto& own : roots_) counts.push_back(head + each * static_cast<Index>(own.size()));
    return counts;
  }

 private:
  int& owner(Index node) { return owners_[static_cast<std::size_t>(node)]; }
  static int together(int left, int right) {
    if (left == nobody || left == right) return right;
    return right == nobody ? left : several;
  }

  void find_neighbours() {
    const auto& own = ranks_->numbers();
    const Index first = own.front(), last = own.back();
    if (leaf_size_ == 1) return;
    if (last - first + 1 != static_cast<Index>(own.size()))
      throw std::invalid_argument(
          "holders: of this many clients each rank wants consecutive ones, by their number");
    if (first % leaf_size_ != 0) from_ = ranks_->holder(first - 1);
    if ((last + 1) % leaf_size_ != 0 && last + 1 < ranks_->clients())
      to_ = ranks_->holder(last + 1);
  }
  void find_roots(Index node) {
    if (owner(node) == nobody) return;
    if (owner(node) != several)
      return roots_[static_cast<std::size_t>(owner(node))].push_back(node);
    find_roots(2 * node);
    find_roots(2 * node + 1);
  }

  const Ranks* ranks_;
  Index leaf_size_, leaves_ = 0;
  std::vector<int> owners_;
  std::vector<std::vector<Index>> roots_;
  std::vector<Index> places_;
  int from_ = nobody, to_ = nobody;
};

}  // namespace localgd
