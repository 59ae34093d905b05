// Products K x_k of one round after another, most of them from those of earlier rounds.
//
// Where the clients' mean change x_k falls smoothly, so does its image. S(t) is the sum of the x
// since the last node, a round whose product is computed, t the rounds since then. At the nodes
// before, it was minus the sums S_0, S_0 + S_1, ... between them. Through the last p of those goes
// a polynomial,
//
//   S(t) ~ sum_j c_j(t) S_j,  so  K S(t) ~ sum_j c_j(t) K S_j,  off by ||K|| |S(t) - sum_j c_j(t)
//   S_j| at most
//
// in largest norms. If that is too much the round is a node. Its product is of S, all that came
// since the last one, so that errors do not add up.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "../products.hpp"

namespace localgd {

class SmoothProducts {
 public:
  // norm: the largest row sum of |K|; unit: by what its products are rounded, relative; allowed:
  // error.
  struct Bounds {
    double norm, unit, allowed;
  };

  SmoothProducts(Index rows, Index columns)
      : sums_(rows * columns, most),
        images_(sums_),
        sum_(Matrix<double>::Zero(rows, columns)),
        given_(sum_),
        next_sum_(sum_),
        image_(sum_),
        numbers_(Matrix<double>::Zero(numbers, 1)),
        next_numbers_(numbers_) {
    sums_.setZero();
    images_.setZero();
  }

  // y = K x of the next round, by product(x, y) where it is needed. Returns whether it was. Nothing
  // but commit() changes the state.
  template <class Product>
  bool next(const Matrix<double>& x, const Bounds& bounds, Matrix<double>& y, Product&& product) {
    next_sum_ = sum_ + x;
    next_numbers_ = numbers_;
    at(rounds) += 1;
    node_ = !(all_finite(next_sum_.data(), next_sum_.size()) && foreseen(bounds));
    if (node_)
      product(next_sum_, image_);
    else
      mix(images_, [&](Index first, const auto& mixed) {
        std::copy_n(mixed.data(), mixed.size(), image_.data() + first);
      });
    y = image_ - given_;
    return node_;
  }

  void commit() {
    if (node_) {
      keep();
    } else {
      sum_.swap(next_sum_);
      given_.swap(image_);
    }
    numbers_.swap(next_numbers_);
  }

  // What comes next has nothing to do with what was.
  void forget() {
    numbers_.setZero();
    sum_.setZero();
    given_.setZero();
  }

  // Of the state of an engine.
  void add_to(std::vector<std::pair<std::string, Matrix<double>*>>& state) {
    state.insert(state.end(), {{"sums of nodes", &sums_},
                               {"images of nodes", &images_},
                               {"sum since node", &sum_},
                               {"image since node", &given_},
                               {"nodes", &numbers_}});
  }

 private:
  static constexpr int most = 8;   // sums that are kept, and the highest order
  static constexpr int rare = 16;  // rounds between two tries where none does

  // What else is kept, as doubles: a state is made of matrices.
  enum Number {
    rounds,  // t
    order,   // p, of the last polynomial that did
    kept,    // sums
    newest,  // column of S_0
    wait,    // rounds to the next try, and to the one after
    patience,
    lengths,                 // of S_0, S_1, ... in rounds
    sizes = lengths + most,  // largest |K S_j|
    numbers = sizes + most
  };
  double& at(int number, int j = 0) { return next_numbers_(number + j, 0); }
  int whole(Number number) { return static_cast<int>(at(number)); }

  // Whether a polynomial does, whose c_j are in weights_ then: the last one if it still does, else
  // the best.
  bool foreseen(const Bounds& bounds) {
    if (at(wait) > 0) {
      at(wait) -= 1;
      return false;
    }
    if (at(order) > 0 && error(whole(order), bounds) <= bounds.allowed) return true;
    int best = 0;
    double least = bounds.allowed;
    for (int p = 1; p <= whole(kept); ++p) {
      const double of = error(p, bounds);
      if (!(of <= least)) continue;
      best = p;
      least = of;
    }
    if (best > 0) {
      at(order) = best;
      at(patience) = 0;
      weigh(best);
      return true;
    }
    if (at(rounds) == 1) at(wait) = at(patience) = std::min<double>(2 * at(patience) + 1, rare);
    return false;
  }

  double error(int p, const Bounds& bounds) {
    weigh(p);
    double rounding = 0, largest = 0;
    for (int j = 0; j < p; ++j) rounding += std::abs(weights_[j]) * at(sizes, j);
    mix(sums_, [&](Index first, const auto& mixed) {
      const VectorView<double> sum(next_sum_.data() + first, mixed.size());
      largest = std::max(largest, (sum - mixed).template lpNorm<Eigen::Infinity>());
    });
    return bounds.norm * largest + bounds.unit * rounding;
  }

  // c_j = -(l_{j+1} + ... + l_p), with Lagrange's l of the nodes 0, -h_0, -(h_0 + h_1), ... at t.
  void weigh(int p) {
    double nodes[most + 1] = {}, l[most + 1] = {};
    for (int j = 0; j < p; ++j) nodes[j + 1] = nodes[j] - at(lengths, j);
    for (int i = 0; i <= p; ++i) {
      l[i] = 1;
      for (int k = 0; k <= p; ++k)
        if (k != i) l[i] *= (at(rounds) - nodes[k]) / (nodes[i] - nodes[k]);
    }
    used_ = p;
    double sum = 0;
    for (int j = p - 1; j >= 0; --j) weights_[j] = sum -= l[j + 1];
  }

  // use(first, numbers) for pieces of sum_j c_j x_j, x_j a column of each node.
  template <class Use>
  void mix(const Matrix<double>& of, Use&& use) {
    constexpr Index piece = 64;
    double mixed[piece];
    for (Index first = 0; first < of.rows(); first += piece) {
      const Index count = std::min(piece, of.rows() - first);
      std::fill_n(mixed, count, 0.0);
      in_pieces<4, 2, 1>(used_, [&](Index j, auto J) {
        const double* x[J];
        for (int k = 0; k < J; ++k) x[k] = of.col(column(static_cast<int>(j) + k)).data() + first;
        for (Index i = 0; i < count; ++i)
          for (int k = 0; k < J; ++k) mixed[i] += weights_[j + k] * x[k][i];
      });
      use(first, VectorView<double>(mixed, count));
    }
  }

  // The round becomes a node.
  void keep() {
    at(newest) = (whole(newest) + most - 1) % most;
    at(kept) = std::min<double>(at(kept) + 1, most);
    for (int j = most - 1; j > 0; --j) {
      at(lengths, j) = at(lengths, j - 1);
      at(sizes, j) = at(sizes, j - 1);
    }
    at(lengths) = at(rounds);
    at(sizes) = image_.lpNorm<Eigen::Infinity>();
    sums_.col(column(0)) = next_sum_.reshaped();
    images_.col(column(0)) = image_.reshaped();
    at(rounds) = 0;
    sum_.setZero();
    given_.setZero();
  }
  Index column(int j) { return (whole(newest) + j) % most; }

  Matrix<double> sums_, images_;     // S_j and K S_j, N C x most
  Matrix<double> sum_, given_;       // S, and what K S was said to be
  Matrix<double> next_sum_, image_;  // those of the round at work
  double weights_[most] = {};        // c_j
  int used_ = 0;
  Matrix<double> numbers_, next_numbers_;
  bool node_ = false;
};

}  // namespace localgd
