// The server's step on one representation of the model: weights, or coefficients, or margins.
//
// From the clients' mean change D = sum_i u_i (w_{k,i} - w_k), with a = (k + 1) / (k + 2):
//   average    c = D
//   anchored   c = a D - (1 - a) (x - x_0)
//   sgd        v <- momentum v + D;  c = lr v, or lr (D + momentum v) with Nesterov
//   adam, yogi, adagrad (coordinate-wise, weights only)
//              v <- beta1 v + (1 - beta1) D;  c = lr v / (sqrt(s) + tau), where s gathers D^2
//   x <- x + c
// All but the last are linear, so the same step moves weights, coefficients and margins alike. What
// is added is kept: it is accurate where a difference of two models would not be.
#pragma once

#include "../products.hpp"
#include "../round/options.hpp"

namespace localgd {

class Track {
 public:
  Track() = default;
  Track(const ServerRule& rule, Matrix<double> start)
      : value(std::move(start)),
        change(Matrix<double>::Zero(value.rows(), value.cols())),
        mean(change),
        rule_(rule),
        next_(value) {
    if (rule.kind == ServerKind::anchored) anchor = value;
    if (has_velocity()) velocity = next_velocity_ = change;
    if (rule.coordinate_wise())
      squares = next_squares_ =
          Matrix<double>::Constant(value.rows(), value.cols(), rule.tau * rule.tau);
  }

  Matrix<double> value;     // x
  Matrix<double> change;    // c of the last round
  Matrix<double> velocity;  // v
  Matrix<double> squares;   // s
  Matrix<double> anchor;    // x_0

  Matrix<double> mean;  // D of the round at work, from the caller; advance() makes c of it

  // The step of round k on some rows; the state changes with commit() only. A row's bits do not
  // depend on the others, whatever ranges the rows come in.
  void advance(double k, Index first, Index count);

  // x counts from here: what the anchor is away from it stays as it is.
  void restart() {
    if (anchor.size()) anchor -= value;
    value.setZero();
  }

  bool finite() const { return all_finite(next_.data(), next_.size()); }

  void commit() {
    value.swap(next_);
    change.swap(mean);
    velocity.swap(next_velocity_);
    squares.swap(next_squares_);
  }

  // The same in two parts, where there are rows that stand still: their c is not set.
  void commit_change() { change.swap(mean); }
  void commit(Index first, Index count) {
    value.middleRows(first, count) = next_.middleRows(first, count);
    if (velocity.size())
      velocity.middleRows(first, count) = next_velocity_.middleRows(first, count);
  }

 private:
  bool has_velocity() const {
    return rule_.coordinate_wise() || (rule_.kind == ServerKind::sgd && !rule_.factor());
  }

  void advance_column(double k, Index column, Index first, Index count);
  void adapt(Index column, Index first, Index count);

  ServerRule rule_;
  Matrix<double> next_, next_velocity_, next_squares_;
};

}  // namespace localgd
