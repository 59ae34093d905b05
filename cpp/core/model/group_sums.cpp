#include "group_sums.hpp"

#include <array>

#include "../products.hpp"

namespace localgd {

GroupSums::GroupSums(const Groups& groups, Index features, Index outputs)
    : groups_(groups),
      sums_(groups.count(), features, outputs),
      filled_(static_cast<std::size_t>(groups.count())),
      range_(std::max<Index>(512, 65536 / groups.count())),
      features_(features) {
  const Index ranges = (features + range_ - 1) / range_;
  work_ = Work(std::vector<double>(static_cast<std::size_t>(ranges),
                                   2.0 * static_cast<double>(groups.count() * range_ * outputs)));
}

PerClient<double>::Block GroupSums::of(Index client) {
  const Index g = groups_.of(client);
  auto sum = sums_.of(g);
  if (!filled(g)) sum.setZero();
  filled_[static_cast<std::size_t>(g)] = true;
  return sum;
}

template <class Real>
void GroupSums::add(Index client, double a, const Real* x) {
  const Index g = groups_.of(client);
  auto sum = sums_.of(g);
  filled(g) ? add_scaled(a, x, sum.size(), sum.data()) : scale(a, x, sum.size(), sum.data());
  filled_[static_cast<std::size_t>(g)] = true;
}
template void GroupSums::add(Index, double, const double*);
template void GroupSums::add(Index, double, const float*);

namespace {

constexpr Index piece = 256;  // features whose sums in all levels stay in the first-level cache

void add(const double* x, const double* y, Index count, double* sum) {
  for (Index j = 0; j < count; ++j) sum[j] = x[j] + y[j];
}

// The tree over leaves, each `piece` numbers or fewer; leaf(group) has where they are, or null.
template <class Leaf>
class Tree {
 public:
  Tree(Index leaves, Index count, Leaf leaf) : leaves_(leaves), count_(count), leaf_(leaf) {}

  // Where the value of a node of 2^level leaves is: in `sum`, or in a leaf; null if it is absent.
  const double* node(Index first, int level, double* sum) {
    if (first >= leaves_) return nullptr;
    if (level == 0) return leaf_(first);
    const Index half = Index{1} << (level - 1);
    const double* left = node(first, level - 1, sum);
    if (!left) return node(first + half, level - 1, sum);
    const double* right = node(first + half, level - 1, at(level));
    if (!right) return left;
    add(left, right, count_, sum);
    return sum;
  }

 private:
  double* at(int level) { return right_[static_cast<std::size_t>(level)].data(); }

  Index leaves_, count_;
  Leaf leaf_;
  std::array<std::array<double, piece>, 10> right_;  // of each level, the right half's
};

}  // namespace

void GroupSums::add_up(Index first, Index count, Index output, double* sum) const {
  const Index leaves = groups_.count();
  const int levels = static_cast<int>(std::bit_width(static_cast<std::size_t>(leaves) - 1));
  for (Index done = 0; done < count; done += piece) {
    const Index part = std::min(piece, count - done), at = output * features_ + first + done;
    const auto leaf = [&](Index g) { return filled(g) ? sums_.data(g) + at : nullptr; };
    Tree tree(leaves, part, leaf);
    const double* all = tree.node(0, levels, sum + done);
    if (!all)
      std::fill_n(sum + done, part, 0.0);
    else if (all != sum + done)
      std::copy_n(all, part, sum + done);
  }
}

}  // namespace localgd
