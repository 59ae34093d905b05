#include "recorder.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace localgd {

namespace {
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
}

Recorder::Recorder(const Data& data, std::string_view loss, std::vector<std::int64_t> rounds,
                   Vector<double> reference, bool keep_weights)
    : data_(data),
      rounds_(std::move(rounds)),
      reference_(std::move(reference)),
      keep_weights_(keep_weights) {
  with_loss(loss, [&](auto l) {
    loss_value_ = &decltype(l)::value;
    signed_rows_ = decltype(l)::signed_rows;
  });
  if (reference_.size()) {
    if (reference_.size() != data.features())
      throw std::invalid_argument("reference: want one number for each feature");
    reference_ /= reference_.stableNorm();
  }
}

void Recorder::skip_before(std::int64_t round) {
  next_ = static_cast<std::size_t>(
      std::lower_bound(rounds_.begin(), rounds_.end(), round) - rounds_.begin());
}

bool Recorder::record(std::int64_t round, Engine& engine) {
  const auto& m = engine.margins();
  const double value = loss(m);
  if (!std::isfinite(value)) return false;
  const auto& w = engine.weights();
  const double norm = w.stableNorm();
  history_.round.push_back(round);
  history_.loss.push_back(value);
  history_.norm.push_back(norm);
  history_.margin.push_back(norm > 0 ? smallest_margin(m) / norm : nan);
  history_.angle.push_back(norm > 0 && reference_.size() ? angle(w, norm) : nan);
  history_.drift.push_back(round > 0 ? drift(engine.local_changes()) : nan);
  if (keep_weights_) history_.weights.insert(history_.weights.end(), w.data(), w.data() + w.size());
  if (due(round)) ++next_;
  return true;
}

double Recorder::loss(const Vector<double>& margins) const {
  double total = 0;
  for (Index i = 0; i < data_.clients(); ++i) {
    double client = 0;
    for (Index j = data_.begin(i); j < data_.begin(i + 1); ++j)
      client += loss_value_(margins[j], data_.targets[j]);
    total += data_.weights[i] * client / static_cast<double>(data_.size(i));
  }
  return total;
}

double Recorder::smallest_margin(const Vector<double>& margins) const {
  return signed_rows_ ? margins.minCoeff() : margins.cwiseProduct(data_.targets).minCoeff();
}

double Recorder::angle(const Vector<double>& weights, double norm) const {
  const Vector<double> unit = weights / norm;
  return 2 * std::atan2((unit - reference_).norm(), (unit + reference_).norm());
}

double Recorder::drift(const Vector<double>& local_changes) const {
  const auto change = [&](Index i, Vector<double>& out) {  // A_i^T b_i
    const Index first = data_.begin(i), n = data_.size(i);
    out.noalias() = data_.rows.middleRows(first, n).transpose() * local_changes.segment(first, n);
  };
  Vector<double> mean = Vector<double>::Zero(data_.features()), own(data_.features());
  for (Index i = 0; i < data_.clients(); ++i) {
    change(i, own);
    mean += data_.weights[i] * own;
  }
  double total = 0;
  for (Index i = 0; i < data_.clients(); ++i) {
    change(i, own);
    total += data_.weights[i] * (own - mean).squaredNorm();
  }
  return total;
}

}  // namespace localgd
