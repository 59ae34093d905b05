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

#include <functional>

#include "../state.hpp"

namespace localgd {

class SmoothProducts {
 public:
  // norm: the largest row sum of |K|; unit: relative rounding error of a product; allowed: error.
  struct Bounds {
    double norm, unit, allowed;
  };
  using Product = std::function<void(const Matrix<double>& x, Matrix<double>& y)>;

  SmoothProducts(Index rows, Index columns);

  // y = K x of the next round, by product(x, y) where it is needed. Returns whether it was. Nothing
  // but commit() changes the state.
  bool next(const Matrix<double>& x, const Bounds& bounds, Matrix<double>& y,
            const Product& product);

  // How many of the rounds from k on want a product, by what was seen of all clients' rounds: the
  // coarser the products, the fewer. Without all clients every one does.
  static double foreseen(double k, double unit) {
    const double many = unit < 1e-10 ? 5000 : 500;
    return 1 / (1 + k / many);
  }

  void commit();

  // What comes next has nothing to do with what was.
  void forget();

  void visit(const Visit& show);

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
  bool foreseen(const Bounds& bounds);

  double error(int p, const Bounds& bounds);

  // c_j = -(l_{j+1} + ... + l_p), with Lagrange's l of the nodes 0, -h_0, -(h_0 + h_1), ... at t.
  void weigh(int p);

  // use(first, numbers) for pieces of sum_j c_j x_j, x_j a column of each node.
  template <class Use>
  void mix(const Matrix<double>& of, Use&& use);

  // The round becomes a node.
  void keep();
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
