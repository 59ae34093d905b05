#include "recorder.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace localgd {

namespace {
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
}

Recorder::Recorder(const Data& data, std::string_view loss, std::vector<std::int64_t> rounds,
                   Matrix<double> reference, bool keep_weights)
    : data_(data),
      rounds_(std::move(rounds)),
      reference_(std::move(reference)),
      keep_weights_(keep_weights) {
  with_loss(loss, [&](auto l) {
    using Loss = decltype(l);
    loss_value_ = &loss_value<Loss>;
    derivatives_ = &negative_derivatives<Loss, double>;
    signed_rows_ = Loss::signed_rows;
    multiclass_ = Loss::multiclass;
  });
  if (reference_.size()) {
    if (reference_.rows() != data.features())
      throw std::invalid_argument("reference: want one number for each feature");
    reference_ /= reference_.stableNorm();
  }
}

void Recorder::resume(std::int64_t round, double drift) {
  next_ = static_cast<std::size_t>(
      std::lower_bound(rounds_.begin(), rounds_.end(), round) - rounds_.begin());
  resumed_drift_ = drift;
}

bool Recorder::record(std::int64_t round, std::int64_t participations, double drift,
                      Engine& engine) {
  const auto& m = engine.margins();
  const double value = loss(m);
  if (!std::isfinite(value)) return false;
  const auto& w = engine.weights();
  const double norm = w.reshaped().stableNorm();
  history_.round.push_back(round);
  history_.participations.push_back(participations);
  history_.loss.push_back(value);
  history_.norm.push_back(norm);
  history_.margin.push_back(norm > 0 ? smallest_margin(m) / norm : nan);
  history_.angle.push_back(norm > 0 && reference_.size() ? angle(w, norm) : nan);
  history_.drift.push_back(drift);
  gradients(m);
  if (keep_weights_)  // row by row, as NumPy lays out (d, C)
    for (Index j = 0; j < w.rows(); ++j)
      for (Index c = 0; c < w.cols(); ++c) history_.weights.push_back(w(j, c));
  if (due(round)) ++next_;
  return true;
}

double Recorder::loss(const Matrix<double>& margins) const {
  double total = 0;
  for (Index i = 0; i < data_.clients(); ++i) {
    double client = 0;
    for (Index j = data_.begin(i); j < data_.begin(i + 1); ++j)
      client += loss_value_(&margins(j, 0), margins.rows(), margins.cols(), data_.targets[j]);
    total += data_.weights[i] * client / static_cast<double>(data_.size(i));
  }
  return total;
}

double Recorder::smallest_margin(const Matrix<double>& margins) const {
  if (!multiclass_)
    return signed_rows_ ? margins.minCoeff() : margins.col(0).cwiseProduct(data_.targets).minCoeff();
  double smallest = std::numeric_limits<double>::infinity();
  for (Index j = 0; j < margins.rows(); ++j) {
    const Index own = static_cast<Index>(data_.targets[j]);
    for (Index c = 0; c < margins.cols(); ++c)
      if (c != own) smallest = std::min(smallest, margins(j, own) - margins(j, c));
  }
  return smallest;
}

double Recorder::angle(const Matrix<double>& weights, double norm) const {
  const Matrix<double> unit = weights / norm;
  return 2 * std::atan2((unit - reference_).norm(), (unit + reference_).norm());
}

// A_i^T x_i (d x C).
Matrix<double> Recorder::client_rows(const Matrix<double>& coefficients, Index client) const {
  const Index first = data_.begin(client), n = data_.size(client);
  return data_.rows.middleRows(first, n).transpose() * coefficients.middleRows(first, n);
}

double Recorder::drift(const LastRound& last) const {
  if (!last.shares.size()) return resumed_drift_;
  // w_{k,i} - w_{k+1} = A_i^T b_i - kappa_i A^T g - (w_{k+1} - w_k)
  Matrix<double> move = *last.change;
  if (!last.in_weights) move = data_.rows.transpose() * *last.change;
  Matrix<double> common;
  if (last.common.size()) common = data_.rows.transpose() * last.common;
  double total = 0;
  for (Index i = 0; i < data_.clients(); ++i) {
    if (!(last.shares[i] > 0)) continue;
    Matrix<double> own = client_rows(last.local_changes, i) - move;
    if (common.size()) own -= last.kappa[i] * common;
    total += last.shares[i] * own.squaredNorm();
  }
  return total;
}

void Recorder::gradients(const Matrix<double>& margins) {
  const Index outputs = margins.cols();
  Matrix<double> scaled(margins.rows(), outputs), m, e;  // -e_ij / n_i
  for (Index i = 0; i < data_.clients(); ++i) {
    const Index first = data_.begin(i), n = data_.size(i);
    m = margins.middleRows(first, n);
    e.resize(n, outputs);
    derivatives_(m.data(), data_.targets.data() + first, n, outputs, e.data());
    scaled.middleRows(first, n) = e / -static_cast<double>(n);
  }
  Matrix<double> weighted = scaled;
  for (Index i = 0; i < data_.clients(); ++i)
    weighted.middleRows(data_.begin(i), data_.size(i)) *= data_.weights[i];
  const Matrix<double> mean = data_.rows.transpose() * weighted;
  const double length = mean.norm();
  double variance = 0, alignment = 0, squares = 0;
  for (Index i = 0; i < data_.clients(); ++i) {
    if (!(data_.weights[i] > 0)) continue;
    const Matrix<double> own = client_rows(scaled, i);
    const double norm = own.norm();
    variance += data_.weights[i] * (own - mean).squaredNorm();
    squares += data_.weights[i] * own.squaredNorm();
    if (norm > 0) alignment += data_.weights[i] * (own / norm).cwiseProduct(mean / length).sum();
  }
  history_.grad_variance.push_back(variance);
  history_.grad_alignment.push_back(length > 0 ? alignment : nan);
  history_.grad_dissimilarity.push_back(length > 0 ? squares / (length * length) : nan);
}

}  // namespace localgd
