// Sums over the clients of all ranks of a few numbers, in the order of the tree.
#pragma once

#include <numeric>
#include <optional>
#include <span>

#include "subtrees.hpp"

namespace localgd {

// The sum of two nodes, either of which may be absent.
template <class T>
std::optional<T> sum_of_present(std::optional<T> left, std::optional<T> right) {
  if (!left) return right;
  if (right) *left += *right;
  return left;
}

// A double, or a matrix of the size of `zero`, as others are told it: whether there is one, and its
// numbers.
template <class T>
class Message {
 public:
  explicit Message(const T& zero) : zero_(zero), numbers_(1 + numbers(zero_).size()) {}

  Index size() const { return static_cast<Index>(numbers_.size()); }
  double* data() { return numbers_.data(); }

  void write(std::optional<T> value, double* to) {
    to[0] = value.has_value() ? 1 : 0;
    const auto from = numbers(value ? *value : zero_);
    std::copy(from.begin(), from.end(), to + 1);
  }
  std::optional<T> read(const double* from) const {
    if (from[0] == 0) return {};
    T value = zero_;
    const auto to = numbers(value);
    std::copy_n(from + 1, to.size(), to.begin());
    return value;
  }

 private:
  static std::span<double> numbers(T& value) {
    if constexpr (std::is_same_v<T, double>)
      return {&value, 1};
    else
      return {value.data(), static_cast<std::size_t>(value.size())};
  }

  T zero_;
  std::vector<double> numbers_;
};

template <class T>
class JoinedSum {
 public:
  JoinedSum(const Subtrees& tree, const T& zero)
      : tree_(tree), exchange_(tree.ranks().exchange()), zero_(zero), message_(zero) {}

  // The same on all ranks; see Groups::sum_of_groups() for add. groups: how many this rank has.
  // each(count, task) calls task(0) to task(count - 1).
  template <class Add, class Each>
  std::optional<T> of(Index groups, Add&& add, Each&& each) {
    own_.assign(static_cast<std::size_t>(groups), {});
    // First what others wait for, last what comes from others.
    const Index passed = tree_.to() >= 0 ? groups - 1 : groups;
    if (passed < groups && passed > 0) add_up(passed, add), pass_on(passed);
    each(std::max<Index>(passed - 1, 0), [&](Index k) { add_up(k + 1, add); });
    add_up(0, add);
    if (passed == 0) pass_on(0);
    return joined();
  }

 private:
  std::optional<T>& own(Index group) { return own_[static_cast<std::size_t>(group)]; }

  template <class Add>
  void add_up(Index group, Add&& add) {
    std::optional<T> before;
    if (group == 0 && tree_.from() >= 0) {
      exchange_.receive(tree_.from(), message_.data(), message_.size());
      before = message_.read(message_.data());
    }
    T sum = before.value_or(zero_);
    if (add(group, sum) || before) own(group) = std::move(sum);
  }
  void pass_on(Index group) {
    message_.write(own(group), message_.data());
    exchange_.send(tree_.to(), message_.data(), message_.size());
  }

  std::optional<T> joined() {
    const auto leaf = [&](Index node) {
      return node < tree_.leaves() ? nullptr : &own(tree_.group(node - tree_.leaves()));
    };
    const Index each = message_.size();
    const auto& roots = tree_.own_roots();
    std::vector<double> told(roots.size() * static_cast<std::size_t>(each));
    for (std::size_t k = 0; k < roots.size(); ++k)
      message_.write(fold(roots[k], leaf), told.data() + k * static_cast<std::size_t>(each));
    const auto counts = tree_.counts(0, each);
    std::vector<double> all(
        static_cast<std::size_t>(std::accumulate(counts.begin(), counts.end(), Index{0})));
    exchange_.gather(told.data(), counts, all.data());
    std::optional<T> found;
    return fold(1, [&](Index node) -> const std::optional<T>* {
      const Index place = tree_.place(node);
      if (place < 0) return nullptr;
      found = message_.read(all.data() + place * each);
      return &found;
    });
  }

  // The value of a node from those that are known: known(node) is where, or null.
  template <class Known>
  std::optional<T> fold(Index node, Known&& known) const {
    if (tree_.owner(node) == Subtrees::nobody) return {};
    if (const std::optional<T>* value = known(node)) return *value;
    auto left = fold(2 * node, known);
    return sum_of_present(std::move(left), fold(2 * node + 1, known));
  }

  const Subtrees& tree_;
  Exchange& exchange_;
  const T& zero_;
  Message<T> message_;
  std::vector<std::optional<T>> own_;  // of this rank's groups
};

}  // namespace localgd
