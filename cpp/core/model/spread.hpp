// How far the models of a round's clients are from the next one, without keeping any of them:
//   sum_i p~_i |Delta_i - D|^2 = sum_i p~_i |Delta_i|^2 - 2 D . sum_i p~_i Delta_i + |D|^2 sum_i
//   p~_i
// which is right to the rounding of |D|^2. Memory: 512 d C reals at most.
#pragma once

#include <algorithm>
#include <vector>

#include "../round/groups.hpp"

namespace localgd {

class Spread {
 public:
  // Groups must outlive it. numbers: d C.
  Spread(const Groups& groups, Index numbers)
      : groups_(groups),
        sums_(numbers, groups.count()),
        squares_(groups.count()),
        shares_(groups.count()),
        filled_(static_cast<std::size_t>(groups.count()), false) {}

  void clear() { std::fill(filled_.begin(), filled_.end(), false); }

  // A client with share p~_i has moved by Delta_i; by the thread that has its group.
  template <class Real>
  void add(Index client, double share, const Real* moved) {
    const Index g = groups_.of(client);
    auto sum = sums_.col(g);
    if (!filled(g)) {
      sum.setZero();
      squares_[g] = shares_[g] = 0;
      filled(g) = true;
    }
    const auto delta = VectorView<Real>(moved, sum.size()).template cast<double>();
    sum += share * delta;
    squares_[g] += share * delta.squaredNorm();
    shares_[g] += share;
  }

  // D: by how much the model moved.
  double drift(const Matrix<double>& change) const {
    const Vector<double> mean = total(Vector<double>(Vector<double>::Zero(sums_.rows())),
                                      [&](Index g) { return sums_.col(g); });
    const double squares = total(0.0, [&](Index g) { return squares_[g]; }),
                 shares = total(0.0, [&](Index g) { return shares_[g]; });
    const auto D = change.reshaped();
    return std::max(0.0, squares - 2 * D.dot(mean) + shares * D.squaredNorm());
  }

 private:
  template <class T, class Of>
  T total(const T& zero, Of&& of) const {
    return groups_.sum_of_groups(zero, [&](Index g, T& sum) {
      if (filled_[static_cast<std::size_t>(g)]) sum += of(g);
      return static_cast<bool>(filled_[static_cast<std::size_t>(g)]);
    });
  }
  char& filled(Index group) { return filled_[static_cast<std::size_t>(group)]; }

  const Groups& groups_;
  Matrix<double> sums_;  // of p~_i Delta_i, one column for each group
  Vector<double> squares_, shares_;
  std::vector<char> filled_;  // not bool: groups are written by several threads
};

}  // namespace localgd
