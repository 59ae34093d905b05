// The measures of a run of a network, at chosen rounds: those of linear models (../recorder.hpp)
// that need no direction to compare with, in float64. The margin is the normalised one,
// min_j y_j f(x_j) / |theta|^D, where f is homogeneous of degree D in theta; the angle is that
// between theta and the direction of descent, which goes to 0 as the former's does to a KKT point.
#pragma once

#include "../recorder.hpp"
#include "engine.hpp"

namespace localgd {

class NetworkRecorder {
 public:
  // init: theta_0; rounds: sorted, each at most once.
  NetworkRecorder(const Data& data, const Network& network, std::string_view loss,
                  const Matrix<double>& init, std::vector<std::int64_t> rounds, bool keep_weights,
                  double l2);

  std::int64_t next() const {
    return next_ < rounds_.size() ? rounds_[next_] : std::numeric_limits<std::int64_t>::max();
  }
  bool due(std::int64_t round) const { return next() == round; }

  // Measures the present parameters. False, and nothing written, if the loss is not finite.
  bool record(std::int64_t round, std::int64_t participations, const NetworkEngine& engine,
              Team& team);
  double drift(const NetworkEngine& engine) const;
  // See Recorder::see().
  Recorder::Seen see(const NetworkEngine& engine, bool gradient, Team& team) const;

  // Continues after the records of an earlier run, whose last round had this drift.
  void resume(std::int64_t round, double drift);

  const History& history() const { return history_; }
  bool keeps_weights() const { return keep_weights_; }

 private:
  // P, H and the outputs of all rows.
  struct Outputs {
    Matrix<double> before, values, u;
  };
  Outputs outputs(const Matrix<double>& theta) const;
  double loss(const Matrix<double>& u) const;
  // lambda/2 |theta|^2 of what lambda penalises; norm: |theta|
  double penalty(const Matrix<double>& theta, double norm) const;
  bool frees_bias() const { return data_.free_intercept && l2_ > 0; }
  auto bias_of(Matrix<double>& theta) const {
    return theta.middleRows((data_.features() - 1) * network_.hidden, network_.hidden);
  }
  static double angle(const Matrix<double>& a, const Matrix<double>& b);
  double smallest_margin(const Matrix<double>& u) const;
  Matrix<double> client_gradient(const Matrix<double>& theta, const Outputs& at,
                                 Index client) const;
  Matrix<double> mean_gradient(const Matrix<double>& theta, const Outputs& at, Team& team) const;
  void add_gradients(const Matrix<double>& theta, const Outputs& at, Team& team);

  const Data& data_;
  const Network network_;
  const Groups groups_;
  double (*activation_)(double), (*slope_)(double);
  int degree_;  // of f in theta, or 0
  double (*loss_value_)(const double*, Index, Index, Targets<double>);
  NegativeDerivatives<double> derivatives_;
  bool signed_rows_, multiclass_;
  std::vector<std::int64_t> rounds_;
  std::size_t next_ = 0;
  bool keep_weights_;
  double l2_;
  Matrix<double> offsets_;  // N x C, or empty
  double resumed_drift_ = std::numeric_limits<double>::quiet_NaN();
  History history_;
};

}  // namespace localgd
