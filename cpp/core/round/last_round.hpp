#pragma once

#include <optional>

#include "../types.hpp"

namespace localgd {

// What the measures need of the round that led to the present model. Of the rounds that led to
// several models where it says so: their C columns are side by side then.
struct LastRound {
  Vector<double> shares;         // p~; empty before the first round
  Matrix<double> kappa;          // M x models; empty without corrections
  Matrix<double> local_changes;  // b of those with a share
  // w_{k+1} - w_k = A^T change - mean_kappa A^T g; change is of the weights, d x C, where it says
  // so.
  const Matrix<double>* change = nullptr;
  bool change_in_weights = false;
  double mean_kappa = 0;
  Matrix<double> common;  // g, or A^T g, d x C, where it says so; empty without corrections
  bool common_in_weights = false;
  // With lambda the changes of clients have -shrinkage_i w_k, too, and that of coefficients
  // start_change w_0.
  Vector<double> shrinkage;  // M; empty without
  Matrix<double> before;     // w_k, d x C
  double start_change = 0;
  const Matrix<double>* start = nullptr;
  std::optional<double> drift;  // where it is known, and local_changes are not kept
  // The last feature's part of w_{k,i} - w_k and of w_{k+1} - w_k, where lambda leaves it alone: C
  // x M and C x 1, or empty.
  Matrix<double> intercepts, intercept_change;
};

}  // namespace localgd
