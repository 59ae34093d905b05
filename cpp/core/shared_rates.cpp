// Compiled without contraction of products and sums to fused ones.
#include "shared_rates.hpp"

#include <cmath>

#include "exp.hpp"
#include "loss/tail.hpp"

namespace localgd {

SharedRates::SharedRates(const Data& data, const LossChoice& loss, const LocalRule& rule,
                         const Groups& groups)
    : data_(data.shared() ? data.pooled() : data),
      rule_(rule),
      groups_(data.shared() ? Groups(1, 1) : groups),
      tail_(tail_of(loss.name)),
      may_vanish_(
          !(rule.l2 > 0) && !(rule.prox > 0) && !(rule.correction && rule.correction->pulls()) &&
          rule.rates.least == 0 &&
          // rows that count for nothing may be as wrong as they like, beside log f
          (!data.weighted || least_of_all(data.ranks.get(), data.row_weights.minCoeff()) > 0)),
      derivatives_(negative_derivatives_of(loss)),
      of_client_(data_.clients()) {
  with_loss(loss.name, [&](auto l) { loss_ = &loss_value<decltype(l)>; });
  std::vector<double> costs;
  for (Index i = 0; i < data_.clients(); ++i)
    costs.push_back(20 * static_cast<double>(data_.size(i)));
  work_ = groups_.work(costs);
}

template <class Of>
void SharedRates::for_clients(Team& team, Of&& of) {
  if (static_cast<double>(data_.samples()) <= Round::few_rows)
    for (Index i = 0; i < data_.clients(); ++i) of(i);
  else
    groups_.for_each(team, work_, [&](Index i, int) { of(i); });
}

double SharedRates::least_margin(const Matrix<double>& margins) const {
  double least = nowhere;
  for (Index i = 0; i < data_.clients(); ++i)
    if (data_.weights[i] > 0) least = std::min(least, rows_of(margins, data_, i).minCoeff());
  return least_of_all(data_.ranks.get(), least);
}

// sum_i p_i (1/n_i) sum_j of the values
double SharedRates::mean(Team& team) {
  for_clients(team, [&](Index i) {
    double sum = 0;
    for (Index j = data_.begin(i); j < data_.begin(i + 1); ++j) sum += values_(j, 0);
    of_client_[i] = sum / static_cast<double>(data_.size(i));
  });
  return groups_.sum(0.0, [&](Index i, double& sum) {
    if (!(data_.weights[i] > 0)) return false;
    sum += data_.weights[i] * of_client_[i];
    return true;
  });
}

// |sum_i p_i (1/n_i) A_i^T e_i - lambda w|, e in values_.
double SharedRates::gradient(Model& model, double l2) const {
  Matrix<double> own = values_;
  for (Index i = 0; i < data_.clients(); ++i)
    rows_of(own, data_, i) *= data_.weights[i] / static_cast<double>(data_.size(i));
  Matrix<double> sum = data_.rows->combine(data_.rows->all(), own);
  if (l2 > 0) sum -= l2 * penalized(data_, model.weights());
  return sum.stableNorm();
}

RoundPlan SharedRates::of(const RoundPlan& plan, Model& model, Team& team) {
  const bool polyak = rule_.rates.kind == RateRule::Kind::polyak;
  const Matrix<double>& margins = model.present_margins(team);
  values_.resize(margins.rows(), margins.cols());
  const auto weigh = [&](Index i) {
    if (data_.weighted)
      rows_of(values_, data_, i).array().colwise() *=
          data_.row_weights.segment(data_.begin(i), data_.size(i)).array();
  };
  RoundPlan adapted = plan;
  const double least = tail_ < nowhere && may_vanish_ ? least_margin(margins) : -nowhere;
  if (tail_ == everywhere ? may_vanish_ : least > tail_) {
    for_clients(team, [&](Index i) {
      const bool counts = data_.weights[i] > 0;
      for (Index j = data_.begin(i); j < data_.begin(i + 1); ++j)
        values_(j, 0) = counts ? exp_lane(least - margins(j, 0)) : 0.0;
      weigh(i);
    });
    const double scaled = mean(team);  // f exp(least)
    adapted.tail = true;
    adapted.offset = least - std::log(scaled);
    if (polyak) {
      const double length = gradient(model, 0) / scaled;  // |grad log f|
      adapted.lr = plan.lr / (length * length);
    }
    return adapted;
  }
  const Targets<double> targets = data_.targets_from(0);
  for_clients(team, [&](Index i) {
    for (Index j = data_.begin(i); j < data_.begin(i + 1); ++j)
      values_(j, 0) = loss_(margins.data() + j, margins.rows(), margins.cols(), targets.from(j));
    weigh(i);
  });
  double f = mean(team);
  if (rule_.l2 > 0) f += 0.5 * rule_.l2 * penalized(data_, model.weights()).squaredNorm();
  if (!polyak) {
    adapted.lr = plan.lr / f;
    return adapted;
  }
  for_clients(team, [&](Index i) {
    const Index n = data_.size(i);
    const Matrix<double> own = rows_of(margins, data_, i);
    Matrix<double> e(n, own.cols());
    derivatives_(own.data(), targets.from(data_.begin(i)), n, own.cols(), e.data());
    rows_of(values_, data_, i) = e;
    weigh(i);
  });
  const double length = gradient(model, rule_.l2), above = std::max(f - rule_.rates.least, 0.0);
  adapted.lr = above > 0 ? plan.lr * (above / length) / length : 0.0;
  return adapted;
}

}  // namespace localgd
