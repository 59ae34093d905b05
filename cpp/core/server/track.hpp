// The server's step on one representation of the model: weights, or coefficients, or margins.
//
// What is added is kept: it is accurate where a difference of two models would not be.
#pragma once

#include "../products.hpp"
#include "registry.hpp"

namespace localgd {

class Track {
 public:
  Track() = default;
  Track(const ServerRule& rule, Matrix<double> start);

  Matrix<double> value;     // x
  Matrix<double> change;    // c of the last round
  Matrix<double> velocity;  // v
  Matrix<double> squares;   // s
  Matrix<double> anchor;    // x_0

  Matrix<double> mean;  // D of the round at work, from the caller; advance() makes c of it

  // The step of round k on some rows; the state changes with commit() only. A row's bits do not
  // depend on the others, whatever ranges the rows come in.
  void advance(double k, Index first, Index count);

  // The whole step of a server that is called, of all rows; of others nothing is left to do. False
  // where it has stopped.
  bool call(double k) {
    const auto* server = std::get_if<CalledServer>(&rule_.server);
    if (!server) return true;
    if (!all_finite(mean.data(), mean.size())) {
      next_ = mean;
      return true;
    }
    if (!server->function->step(k, value, mean, next_)) return false;
    mean = next_ - value;
    return true;
  }

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
    if (const auto* server = std::get_if<CalledServer>(&rule_.server)) server->function->commit();
  }

  // The same in two parts, where there are rows that stand still: their c is not set.
  void commit_change() { change.swap(mean); }
  void commit(Index first, Index count) {
    value.middleRows(first, count) = next_.middleRows(first, count);
    if (velocity.size())
      velocity.middleRows(first, count) = next_velocity_.middleRows(first, count);
  }

 private:
  ServerRule rule_;
  Matrix<double> next_, next_velocity_, next_squares_;
};

}  // namespace localgd
