// Sums over clients as one tree: against a plain recursion, and put together from the parts that
// several holders of consecutive clients would have.
#include <doctest/doctest.h>

#include <optional>

#include "core/model/group_sums.hpp"
#include "problems.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

using Value = std::optional<double>;

Value plus(Value x, Value y) {
  if (!x) return y;
  if (!y) return x;
  return *x + *y;
}

Index power_of_two(Index n) {
  Index power = 1;
  while (power < n) power *= 2;
  return power;
}

// The leaves first to first + count - 1 of all, count a power of two.
Value node(const std::vector<Value>& leaves, Index first, Index count) {
  if (first >= static_cast<Index>(leaves.size())) return {};
  if (count == 1) return leaves[static_cast<std::size_t>(first)];
  return plus(node(leaves, first, count / 2), node(leaves, first + count / 2, count / 2));
}

Value whole(const std::vector<Value>& leaves) {
  return node(leaves, 0, power_of_two(static_cast<Index>(leaves.size())));
}

// What holders of consecutive leaves send, the largest whole subtrees that each has, and what is
// made of it.
struct Subtree {
  Index first, count;
  Value value;
};
std::vector<Subtree> subtrees(const std::vector<Value>& leaves, Index first, Index end) {
  std::vector<Subtree> sent;
  const Index padded = power_of_two(static_cast<Index>(leaves.size()));
  for (Index at = first; at < end;) {
    Index count = 1;
    const auto fits = [&](Index twice) {
      const bool filler = end == static_cast<Index>(leaves.size()) && at + twice <= padded;
      return at % twice == 0 && (at + twice <= end || filler);
    };
    while (fits(2 * count)) count *= 2;
    sent.push_back({at, count, node(leaves, at, count)});
    at += count;
  }
  return sent;
}
Value join(const std::vector<Subtree>& sent, Index first, Index count) {
  for (const Subtree& part : sent)
    if (part.first == first && part.count == count) return part.value;
  if (count == 1) return {};
  return plus(join(sent, first, count / 2), join(sent, first + count / 2, count / 2));
}

bool same(double x, double y) { return same_bits(Vector<double>{{x}}, Vector<double>{{y}}); }

// Clients that take part, with numbers of very different sizes: any other order gives other bits.
struct Clients {
  std::vector<bool> active;
  Vector<double> numbers;

  Clients(Index count, double share, std::uint64_t seed) : numbers(count) {
    Random random(seed);
    const Matrix<double> normal = random.matrix(count, 3);
    for (Index i = 0; i < count; ++i) {
      active.push_back(share >= 1 || normal(i, 2) < share);
      numbers[i] = normal(i, 0) * std::exp(8 * normal(i, 1));
    }
  }

  std::vector<Value> leaves(const Groups& groups) const {
    std::vector<Value> all;
    for (Index g = 0; g < groups.count(); ++g) {
      Value sum;
      for (Index i = groups.first(g); i < groups.end(g); ++i)
        if (active[static_cast<std::size_t>(i)]) sum = sum.value_or(0.0) + numbers[i];
      all.push_back(sum);
    }
    return all;
  }
};

struct Width {
  Index features, outputs;
  double share;  // of the clients that take part, roughly (1 + share) / 2
};
const std::vector<Width> widths{{1, 1, 0.6},    {7, 3, 0.0},   {255, 1, -0.5},
                                {256, 3, -0.9}, {257, 1, 0.3}, {1300, 2, -0.2}};
const std::vector<Index> sizes{1, 2, 3, 5, 16, 17, 511, 512, 513, 1500, 5000};

}  // namespace

TEST_CASE("sums over clients are the tree's") {
  for (const Index multiple : {1, 8, 16})
    for (const Index count : sizes)
      for (const double share : {1.0, 0.5, -1.2}) {
        CAPTURE(multiple);
        CAPTURE(count);
        CAPTURE(share);
        const Groups groups(count, multiple);
        REQUIRE(groups.count() <= 512);
        const Clients clients(count, share, 3);
        const double sum = groups.sum(0.0, [&](Index i, double& to) {
          if (!clients.active[static_cast<std::size_t>(i)]) return false;
          to += clients.numbers[i];
          return true;
        });
        CHECK(same(sum, whole(clients.leaves(groups)).value_or(0.0)));
      }
}

TEST_CASE("holders of consecutive groups make the same bits of their parts") {
  for (const Index count : {5, 16, 700})
    for (const Index holders : {1, 2, 3, 7}) {
      CAPTURE(count);
      CAPTURE(holders);
      const Groups groups(count, 1);
      const std::vector<Value> leaves = Clients(count, 0.4, 5).leaves(groups);
      std::vector<Subtree> sent;
      for (Index h = 0; h < holders; ++h)
        for (const Subtree& part :
             subtrees(leaves, groups.count() * h / holders, groups.count() * (h + 1) / holders))
          sent.push_back(part);
      const Value all = join(sent, 0, power_of_two(groups.count()));
      CHECK(same(all.value_or(0.0), whole(leaves).value_or(0.0)));
    }
}

TEST_CASE("sums of weights are the tree's, whatever ranges of features the threads take") {
  for (const Index count : {1, 3, 16, 100, 1500})
    for (const auto& shape : widths) {
      const Index features = shape.features, outputs = shape.outputs;
      CAPTURE(count);
      CAPTURE(features);
      CAPTURE(outputs);
      const Groups groups(count, 1);
      GroupSums sums(groups, features, outputs);
      std::vector<Clients> numbers;
      for (Index t = 0; t < std::min<Index>(features * outputs, 40); ++t)
        numbers.emplace_back(count, 1, static_cast<std::uint64_t>(t));
      const Clients chosen(count, shape.share, 99);
      for (auto& clients : numbers) clients.active = chosen.active;
      const auto of = [&](Index j, Index c) -> const Clients& {
        return numbers[static_cast<std::size_t>((j + c * features) %
                                                static_cast<Index>(numbers.size()))];
      };
      Matrix<double> x(features, outputs), total(features, outputs);
      for (Index i = 0; i < count; ++i) {
        if (!chosen.active[static_cast<std::size_t>(i)]) continue;
        for (Index c = 0; c < outputs; ++c)
          for (Index j = 0; j < features; ++j) x(j, c) = of(j, c).numbers[i];
        sums.add(i, 1.0, x.data());
      }
      Team::run(2, [&](Team& team) { sums.total(team, total, [](Index, Index) {}); });
      for (Index c = 0; c < outputs; ++c)
        for (Index j = 0; j < features; ++j)
          REQUIRE(same(total(j, c), whole(of(j, c).leaves(groups)).value_or(0.0)));
    }
}

TEST_CASE("a group without a client that takes part adds nothing, not even 0") {
  const Groups groups(3, 1);
  const double sum = groups.sum(-0.0, [](Index i, double&) { return i == 1; });
  CHECK(same(sum, -0.0));
  GroupSums sums(groups, 1, 1);
  const double negative_zero = -0.0;
  sums.add(1, 1.0, &negative_zero);
  Matrix<double> total(1, 1);
  Team::run(1, [&](Team& team) { sums.total(team, total, [](Index, Index) {}); });
  CHECK(same(total(0), -0.0));
}
