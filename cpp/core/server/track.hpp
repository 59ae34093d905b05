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

#include <cmath>

#include "../method.hpp"
#include "../products.hpp"

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
    if (rule.kind == ServerKind::anchored) anchor_ = value;
    if (has_velocity()) velocity = next_velocity_ = change;
    if (rule.coordinate_wise())
      squares = next_squares_ =
          Matrix<double>::Constant(value.rows(), value.cols(), rule.tau * rule.tau);
  }

  Matrix<double> value;     // x
  Matrix<double> change;    // c of the last round
  Matrix<double> velocity;  // v
  Matrix<double> squares;   // s

  Matrix<double> mean;  // D of the round at work, from the caller; advance() makes c of it

  // The step of round k on some rows; the state changes with commit() only.
  void advance(double k, Index first, Index count) {
    const auto rows = [&](Matrix<double>& m) { return m.middleRows(first, count); };
    auto c = rows(mean);
    if (const auto factor = rule_.factor()) {
      if (*factor != 1) c *= *factor;
    } else if (rule_.kind == ServerKind::anchored) {
      const double left = 1 / (k + 2);  // 1 - a
      c = (1 - left) * c - left * (rows(value) - rows(anchor_));
    } else if (rule_.kind == ServerKind::sgd) {
      auto v = rows(next_velocity_);
      v = rule_.momentum * rows(velocity) + c;
      if (rule_.nesterov)
        c = rule_.lr * (c + rule_.momentum * v);
      else
        c = rule_.lr * v;
    } else {
      adapt(first, count);
    }
    rows(next_) = rows(value) + c;
  }

  bool finite() const { return all_finite(next_.data(), next_.size()); }

  void commit() {
    value.swap(next_);
    change.swap(mean);
    velocity.swap(next_velocity_);
    squares.swap(next_squares_);
  }

 private:
  bool has_velocity() const {
    return rule_.coordinate_wise() || (rule_.kind == ServerKind::sgd && !rule_.factor());
  }

  void adapt(Index first, Index count) {
    for (Index col = 0; col < mean.cols(); ++col)
      for (Index j = first; j < first + count; ++j) {
        const double d = mean(j, col), d2 = d * d, old = squares(j, col);
        double s = old + d2;  // adagrad
        if (rule_.kind == ServerKind::adam) s = rule_.beta2 * old + (1 - rule_.beta2) * d2;
        if (rule_.kind == ServerKind::yogi) {
          const double sign = old > d2 ? 1 : old < d2 ? -1 : 0;
          s = old - (1 - rule_.beta2) * d2 * sign;
        }
        const double v = rule_.beta1 * velocity(j, col) + (1 - rule_.beta1) * d;
        next_squares_(j, col) = s;
        next_velocity_(j, col) = v;
        mean(j, col) = rule_.lr * v / (std::sqrt(s) + rule_.tau);
      }
  }

  ServerRule rule_;
  Matrix<double> next_, next_velocity_, next_squares_, anchor_;
};

}  // namespace localgd
