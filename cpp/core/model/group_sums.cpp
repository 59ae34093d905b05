#include "group_sums.hpp"

#include <array>
#include <bit>
#include <numeric>

#include "../products.hpp"

namespace localgd {

GroupSums::GroupSums(const Groups& groups, Index features, Index outputs)
    : groups_(groups),
      tree_(groups.subtrees()),
      leaves_(tree_ ? tree_->leaves()
                    : static_cast<Index>(std::bit_ceil(static_cast<std::size_t>(groups.count())))),
      sums_(groups.count(), features, outputs),
      filled_(2 * static_cast<std::size_t>(leaves_)),
      range_(std::max<Index>(512, 65536 / groups.count())),
      features_(features) {
  const Index ranges = (features + range_ - 1) / range_;
  work_ = Work(std::vector<double>(static_cast<std::size_t>(ranges),
                                   2.0 * static_cast<double>(groups.count() * range_ * outputs)));
  if (!tree_) return;
  if (tree_->from() >= 0) late_ = groups.end(0);
  const Index each = features * outputs;
  running_.resize(1 + each);
  counts_ = tree_->counts(head, 1 + each);
  told_.setZero(counts_[static_cast<std::size_t>(tree_->ranks().own())]);
  all_.resize(std::accumulate(counts_.begin(), counts_.end(), Index{0}));
  const double* at = all_.data();
  for (int rank = 0; rank < tree_->ranks().count(); ++rank) {
    const auto roots = static_cast<Index>(tree_->roots(rank).size());
    at += head + roots;
    for (Index k = 0; k < roots; ++k, at += each) sums_of_roots_.push_back(at);
  }
  filled_roots_.resize(filled_.size());
}

void GroupSums::carry_lanes() {
  in_lanes_ = true;
  if (tree_) running_.setZero(1 + features_ * lanes<double>);
}

PerClient<double>::Block GroupSums::of(Index client) {
  const Index g = groups_.of(client);
  auto sum = sums_.of(g);
  if (!filled(g)) sum.setZero();
  filled(g) = true;
  return sum;
}

template <class Real>
void GroupSums::add_to_group(Index client, double a, const Real* x) {
  const Index g = groups_.of(client);
  auto sum = sums_.of(g);
  filled(g) ? add_scaled(a, x, sum.size(), sum.data()) : scale(a, x, sum.size(), sum.data());
  filled(g) = true;
}
template void GroupSums::add_to_group(Index, double, const double*);
template void GroupSums::add_to_group(Index, double, const float*);

namespace {

constexpr Index most_at_once =
    256;  // features whose sums in all levels stay in the first-level cache

void add(const double* x, const double* y, Index count, double* sum) {
  for (Index j = 0; j < count; ++j) sum[j] = x[j] + y[j];
}

// The tree over nodes whose values are known, each `most_at_once` numbers or fewer; known(node)
// has where they are, or null.
template <class Known>
class Tree {
 public:
  Tree(const char* filled, Index count, Known known)
      : filled_(filled), count_(count), known_(known) {}

  // Where the value of a node is: in `sum`, or where it is known; null if it is absent.
  const double* node(Index at, std::size_t depth, double* sum) {
    if (!filled_[at]) return nullptr;
    if (const double* value = known_(at)) return value;
    const double* left = node(2 * at, depth + 1, sum);
    if (!left) return node(2 * at + 1, depth + 1, sum);
    const double* right = node(2 * at + 1, depth + 1, right_[depth].data());
    if (!right) return left;
    add(left, right, count_, sum);
    return sum;
  }

 private:
  const char* filled_;
  Index count_;
  Known known_;
  std::array<std::array<double, most_at_once>, 10> right_;  // of each depth, the right half's
};

// The sum of a node, or 0.
template <class Known>
void add_up_node(Index node, const char* filled, Index count, Known known, double* sum) {
  for (Index done = 0; done < count; done += most_at_once) {
    const Index part = std::min(most_at_once, count - done);
    const auto from_there = [&](Index at) {
      const double* value = known(at);
      return value ? value + done : nullptr;
    };
    Tree tree(filled, part, from_there);
    const double* all = tree.node(node, 0, sum + done);
    if (!all)
      std::fill_n(sum + done, part, 0.0);
    else if (all != sum + done)
      std::copy_n(all, part, sum + done);
  }
}

}  // namespace

void GroupSums::note_subtrees() {
  for (auto node = static_cast<std::size_t>(leaves_) - 1; node > 0; --node)
    filled_[node] = filled_[2 * node] | filled_[2 * node + 1];
}

void GroupSums::add_up(Index first, Index count, Index output, double* sum) const {
  const Index at = output * features_ + first;
  add_up_node(
      1, filled_.data(), count,
      [&](Index node) { return node < leaves_ ? nullptr : sums_.data(node - leaves_) + at; }, sum);
}

void GroupSums::pass_on(Index group) {
  running_[0] = filled(group) ? 1 : 0;
  if (filled(group) && !in_lanes_) running_.tail(running_.size() - 1) = sums_.of(group).reshaped();
  filled(group) = false;  // its last holder has it
  tree_->ranks().exchange().send(tree_->to(), running_.data(), running_.size());
}

void GroupSums::receive_first() {
  tree_->ranks().exchange().receive(tree_->from(), running_.data(), running_.size());
  filled(0) = running_[0] != 0;
  if (in_lanes_ && !filled(0)) running_.setZero();
  if (filled(0) && !in_lanes_) sums_.of(0).reshaped() = running_.tail(running_.size() - 1);
}

void GroupSums::add_up_lanes() {
  if (!filled(0) || passed_on(0)) return;
  auto sum = sums_.of(0);
  sum.setZero();
  for (Index k = 0; k < features_; ++k)
    sum(k) += sum_of_lanes<double>(load(carried() + k * lanes<double>));
}

void GroupSums::tell(Index first, Index count) {
  const auto& roots = tree_->own_roots();
  const Index each = features_ * sums_.of(0).cols();
  double* to = told_.data() + head + static_cast<Index>(roots.size());
  for (std::size_t k = 0; k < roots.size(); ++k, to += each)
    for (Index at = first; at < each; at += features_)
      add_up_node(
          roots[k], filled_.data(), count,
          [&](Index node) {
            return node < leaves_ ? nullptr : sums_.data(tree_->group(node - leaves_)) + at;
          },
          to + at);
}

Report GroupSums::gather(const Report& own) {
  const auto filled_at = [](std::vector<char>& filled, Index node) -> char& {
    return filled[static_cast<std::size_t>(node)];
  };
  told_[0] = static_cast<double>(own.outcome);
  told_[1] = own.extrapolated ? 1 : 0;
  for (Index k = 0; const Index node : tree_->own_roots())
    told_[head + k++] = filled_at(filled_, node) ? 1 : 0;
  tree_->ranks().exchange().gather(told_.data(), counts_, all_.data());
  Report joined{Outcome::done, true};
  std::fill(filled_roots_.begin(), filled_roots_.end(), false);
  const double* at = all_.data();
  for (int rank = 0; rank < tree_->ranks().count(); ++rank) {
    joined = joined & Report{static_cast<Outcome>(static_cast<int>(at[0])), at[1] != 0};
    for (Index k = head; const Index node : tree_->roots(rank))
      filled_at(filled_roots_, node) = at[k++] != 0;
    at += counts_[static_cast<std::size_t>(rank)];
  }
  for (Index node = leaves_ - 1; node > 0; --node)
    if (tree_->place(node) < 0 && tree_->owner(node) == Subtrees::several)
      filled_at(filled_roots_, node) =
          filled_at(filled_roots_, 2 * node) | filled_at(filled_roots_, 2 * node + 1);
  return joined;
}

void GroupSums::add_up_told(Index first, Index count, Index output, double* sum) const {
  const Index at = output * features_ + first;
  add_up_node(
      1, filled_roots_.data(), count,
      [&](Index node) {
        const Index place = tree_->place(node);
        return place < 0 ? nullptr : sums_of_roots_[static_cast<std::size_t>(place)] + at;
      },
      sum);
}

}  // namespace localgd
