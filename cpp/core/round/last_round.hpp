#pragma once

#include "../types.hpp"

namespace localgd {

// What the measures need of the round that led to the present model. Of the rounds that led to
// several models where it says so: their C columns are side by side then.
struct LastRound {
  Vector<double> shares;                   // p~; empty before the first round
  Matrix<double> kappa;                    // M x models; empty without corrections
  Matrix<double> local_changes;            // b of those with a share
  Matrix<double> common;                   // g; empty without corrections
  const Matrix<double>* change = nullptr;  // of coefficients, or of weights (d x C)
  bool in_weights = false;
};

}  // namespace localgd
