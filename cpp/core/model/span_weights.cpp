#include "span_weights.hpp"

#include <algorithm>

namespace localgd {

namespace {

// A w costs as much as a 250th of the rounds in between. Numbers of the rows that come from
// beyond the first-level cache, twice, take as long as some eight flops each; and whatever the
// size, it takes a microsecond, and a round a third of one.
Index rounds_between(const Data& data, Index outputs, Index fold, double flops) {
  constexpr double share = 250, flops_of_number = 16, least = 10'000, least_of_round = 3'000;
  constexpr double most = 16'384;
  const auto rows = static_cast<double>(data.entries() * outputs);
  const double wanted = share * (flops_of_number * rows + least) / (flops + least_of_round);
  return fold * (static_cast<Index>(std::min(wanted, most)) / fold + 1);
}

}  // namespace

SpanWeights::SpanWeights(const Data& data, const Matrix<double>& init, double flops)
    : data_(&data),
      interval_(rounds_between(data, init.cols(), fold, flops)),
      base_(init),
      folded_(Matrix<double>::Zero(data.samples(), init.cols())),
      before_(folded_),
      rounds_(Matrix<double>::Zero(1, 1)) {}

void SpanWeights::after_round(Track& coefficients, Track& margins) {
  rounds_(0) += 1;
  const auto rounds = static_cast<Index>(rounds_(0));
  if (rounds % fold != 0) return;
  folded_ += coefficients.value;
  before_ += coefficients.value;
  coefficients.restart();
  if (rounds < interval_) return;
  base_ += data_->rows->combine(data_->rows->all(), folded_);
  folded_.setZero();
  rounds_.setZero();
  products_of_rows(*data_->rows, base_, margins.value);
}

Matrix<double> SpanWeights::weights(const Track& track, double scale) const {
  return scale * base_ + data_->rows->combine(data_->rows->all(), since(track));
}

void SpanWeights::restart(const Matrix<double>& init) {
  base_ = init;
  folded_.setZero();
  before_.setZero();
  rounds_.setZero();
}

void SpanWeights::visit(const Visit& show) {
  show("weights of the base", base_);
  show("coefficients since the base", folded_);
  show("coefficients before", before_);
  show("rounds since the base", rounds_);
}

}  // namespace localgd
