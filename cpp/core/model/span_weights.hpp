// Where the model is in a run that keeps coefficients and margins alone: w = w_0 + A^T a.
//
// Where the loss stays above 0 (rows that are not separable, regression with more rows than
// features) a grows with the rounds while w stands still, and what margins are off A w by is never
// put right: digits would be lost like the square of the rounds. So after some hundred rounds the
// coefficients begin again at 0 from the model that they had led to, and margins are A w anew.
#pragma once

#include "../data.hpp"
#include "../round/round.hpp"
#include "../server/track.hpp"
#include "../state.hpp"

namespace localgd {

// The flops of a round of one output, at least: so many steps of each client, and the server's
// product.
template <class Steps>
double least_flops(const Data& data, const Round& round, Steps&& steps, double product) {
  double flops = product;
  for (Index i = 0; i < data.clients(); ++i)
    flops += 2 * static_cast<double>(data.size(i)) * static_cast<double>(round.rows_of_step(i)) *
             static_cast<double>(steps(i));
  return flops;
}

class SpanWeights {
 public:
  // flops: of a round, at least; the more they are beside those of A w, the sooner that is made.
  SpanWeights(const Data& data, const Matrix<double>& init, double flops);

  // After a round that the tracks have committed.
  void after_round(Track& coefficients, Track& margins);

  // All of them since w_0.
  Matrix<double> coefficients(const Track& track) const { return before_ + track.value; }
  // w = scale base + A^T since
  const Matrix<double>& base() const { return base_; }
  Matrix<double> since(const Track& track) const { return folded_ + track.value; }
  Matrix<double> weights(const Track& track, double scale) const;

  // The coefficients begin at w_0.
  void restart(const Matrix<double>& init);

  void visit(const Visit& show);

 private:
  // So few rounds that what rounding adds up to in a sum of their changes is of no account.
  static constexpr Index fold = 32;

  const Data* data_;
  Index interval_;         // rounds from one A w to the next
  Matrix<double> base_;    // d x C
  Matrix<double> folded_;  // since then, but for those in the track; N x C
  Matrix<double> before_;  // all but those in the track
  Matrix<double> rounds_;  // since then; 1 x 1, as a state is made of matrices
};

}  // namespace localgd
