#include "group_sums.hpp"

#include <array>
#include <bit>

#include "../products.hpp"

namespace localgd {

GroupSums::GroupSums(const Groups& groups, Index features, Index outputs)
    : groups_(groups),
      leaves_(static_cast<Index>(std::bit_ceil(static_cast<std::size_t>(groups.count())))),
      sums_(groups.count(), features, outputs),
      filled_(2 * static_cast<std::size_t>(leaves_)),
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
  filled(g) = true;
  return sum;
}

template <class Real>
void GroupSums::add(Index client, double a, const Real* x) {
  const Index g = groups_.of(client);
  auto sum = sums_.of(g);
  filled(g) ? add_scaled(a, x, sum.size(), sum.data()) : scale(a, x, sum.size(), sum.data());
  filled(g) = true;
}
template void GroupSums::add(Index, double, const double*);
template void GroupSums::add(Index, double, const float*);

namespace {

constexpr Index piece = 256;  // features whose sums in all levels stay in the first-level cache

void add(const double* x, const double* y, Index count, double* sum) {
  for (Index j = 0; j < count; ++j) sum[j] = x[j] + y[j];
}

// The tree over leaves, each `piece` numbers or fewer; leaf(group) has where they are.
template <class Leaf>
class Tree {
 public:
  Tree(Index leaves, const char* filled, Index count, Leaf leaf)
      : leaves_(leaves), filled_(filled), count_(count), leaf_(leaf) {}

  // Where the value of a node is: in `sum`, or in a leaf; null if it is absent.
  const double* node(Index at, std::size_t depth, double* sum) {
    if (!filled_[at]) return nullptr;
    if (at >= leaves_) return leaf_(at - leaves_);
    const double* left = node(2 * at, depth + 1, sum);
    if (!left) return node(2 * at + 1, depth + 1, sum);
    const double* right = node(2 * at + 1, depth + 1, right_[depth].data());
    if (!right) return left;
    add(left, right, count_, sum);
    return sum;
  }

 private:
  Index leaves_;
  const char* filled_;
  Index count_;
  Leaf leaf_;
  std::array<std::array<double, piece>, 10> right_;  // of each depth, the right half's
};

}  // namespace

void GroupSums::note_subtrees() {
  for (auto node = static_cast<std::size_t>(leaves_) - 1; node > 0; --node)
    filled_[node] = filled_[2 * node] | filled_[2 * node + 1];
}

void GroupSums::add_up(Index first, Index count, Index output, double* sum) const {
  for (Index done = 0; done < count; done += piece) {
    const Index part = std::min(piece, count - done), at = output * features_ + first + done;
    const auto leaf = [&](Index g) { return sums_.data(g) + at; };
    Tree tree(leaves_, filled_.data(), part, leaf);
    const double* all = tree.node(1, 0, sum + done);
    if (!all)
      std::fill_n(sum + done, part, 0.0);
    else if (all != sum + done)
      std::copy_n(all, part, sum + done);
  }
}

}  // namespace localgd
