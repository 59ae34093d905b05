// Compiled without contraction of products and sums to fused ones.
#include "recorder.hpp"

#include <algorithm>
#include <cmath>

#include "activations.hpp"

namespace localgd {

namespace {

constexpr double undefined = std::numeric_limits<double>::quiet_NaN();
constexpr double least_part = 1e-14;  // of those of the clients that a gradient's direction needs

template <class Activation>
double activation_value(double p) {
  return Activation::value(p);
}
template <class Activation>
double activation_slope(double p) {
  return Activation::times_slope(1.0, Activation::value(p), p);
}

}  // namespace

NetworkRecorder::NetworkRecorder(const Data& data, const Network& network, std::string_view loss,
                                 const Matrix<double>& init, std::vector<std::int64_t> rounds,
                                 bool keep_weights, double l2)
    : data_(data),
      network_(network),
      groups_(data.clients(), 1),
      derivatives_(negative_derivatives_of(loss)),
      rounds_(std::move(rounds)),
      keep_weights_(keep_weights),
      l2_(l2) {
  with_activation(network.activation, [&]<class Activation>(Activation) {
    activation_ = &activation_value<Activation>;
    slope_ = &activation_slope<Activation>;
    const bool homogeneous =
        Activation::degree > 0 && !network.centered && network.first && network.second;
    degree_ = homogeneous ? Activation::degree + 1 : 0;
  });
  with_loss(loss, [&](auto l) {
    using Loss = decltype(l);
    loss_value_ = &loss_value<Loss>;
    signed_rows_ = Loss::signed_rows;
    multiclass_ = Loss::multiclass;
  });
  if (network.centered) offsets_ = -outputs(init).u;
}

void NetworkRecorder::resume(std::int64_t round, double drift) {
  next_ = static_cast<std::size_t>(std::lower_bound(rounds_.begin(), rounds_.end(), round) -
                                   rounds_.begin());
  resumed_drift_ = drift;
}

NetworkRecorder::Outputs NetworkRecorder::outputs(const Matrix<double>& theta) const {
  const Index d = data_.features(), h = network_.hidden, C = network_.outputs, N = data_.samples();
  const Matrix<double> W = network_.first_layer(theta.data(), d);
  const auto V = network_.second_layer(theta.data(), d);
  Outputs at{Matrix<double>(N, h), {}, Matrix<double>::Zero(N, C)};
  products_of_rows(*data_.rows, W, at.before);
  at.values = at.before.unaryExpr(activation_);
  for (Index c = 0; c < C; ++c)
    for (Index k = 0; k < h; ++k) at.u.col(c) += V(k, c) * at.values.col(k);
  at.u *= network_.scale;
  if (offsets_.size()) at.u += offsets_;
  return at;
}

bool NetworkRecorder::record(std::int64_t round, std::int64_t participations,
                             const NetworkEngine& engine, Team& team) {
  const Matrix<double>& theta = engine.parameters();
  const Outputs at = outputs(theta);
  const double norm = theta.stableNorm(), value = loss(at.u) + penalty(theta, norm);
  if (!std::isfinite(value)) return false;
  history_.round.push_back(round);
  history_.participations.push_back(participations);
  history_.loss.push_back(value);
  history_.log_loss.push_back(std::log(value));
  history_.norm.push_back(norm);
  history_.margin.push_back(
      degree_ > 0 && norm > 0 ? smallest_margin(at.u) / std::pow(norm, degree_) : undefined);
  history_.drift.push_back(drift(engine));
  if (keep_weights_)
    history_.weights.insert(history_.weights.end(), theta.data(), theta.data() + theta.size());
  if (due(round)) ++next_;
  add_gradients(theta, at, team);
  return true;
}

double NetworkRecorder::loss(const Matrix<double>& u) const {
  const Targets<double> targets = data_.targets_from(0);
  return groups_.sum(0.0, [&](Index i, double& sum) {
    if (!(data_.weights[i] > 0)) return false;
    double client = 0;
    for (Index j = data_.begin(i); j < data_.begin(i + 1); ++j) {
      const Targets<double> y = targets.from(j);
      const double turned = u(j, 0) * y[0];
      const double value = signed_rows_ ? loss_value_(&turned, 1, 1, y)
                                        : loss_value_(u.data() + j, u.rows(), u.cols(), y);
      client += data_.weighted ? data_.row_weights[j] * value : value;
    }
    sum += data_.weights[i] * client / static_cast<double>(data_.size(i));
    return true;
  });
}

double NetworkRecorder::penalty(const Matrix<double>& theta, double norm) const {
  if (frees_bias()) {
    Matrix<double> penalized = theta;
    bias_of(penalized).setZero();
    norm = penalized.stableNorm();
  }
  return 0.5 * l2_ * norm * norm;
}

double NetworkRecorder::smallest_margin(const Matrix<double>& u) const {
  if (!multiclass_) return u.reshaped().cwiseProduct(data_.targets).minCoeff();
  double smallest = std::numeric_limits<double>::infinity();
  for (Index j = 0; j < u.rows(); ++j) {
    const Index own = static_cast<Index>(data_.targets[j]);
    for (Index c = 0; c < u.cols(); ++c)
      if (c != own) smallest = std::min(smallest, u(j, own) - u(j, c));
  }
  return smallest;
}

// 2 atan2(|u - v|, |u + v|) of the unit vectors.
double NetworkRecorder::angle(const Matrix<double>& a, const Matrix<double>& b) {
  const Matrix<double> u = a / a.stableNorm(), v = b / b.stableNorm();
  return 2 * std::atan2((u - v).norm(), (u + v).norm());
}

// sum_i p~_i |theta_{k-1,i} - theta_k|^2 of the round that led to the present parameters.
double NetworkRecorder::drift(const NetworkEngine& engine) const {
  const Vector<double>& shares = engine.last_shares();
  if (!shares.size()) return resumed_drift_;
  Matrix<double> change;
  return groups_.sum(0.0, [&](Index i, double& sum) {
    if (!(shares[i] > 0)) return false;
    engine.client_change(i, change);
    sum += shares[i] * (change - engine.last_change()).squaredNorm();
    return true;
  });
}

// Of f_i, one column, with lambda; 0 for a layer that is not trained.
Matrix<double> NetworkRecorder::client_gradient(const Matrix<double>& theta, const Outputs& at,
                                                Index i) const {
  const Index d = data_.features(), h = network_.hidden, C = network_.outputs, n = data_.size(i),
              begin = data_.begin(i);
  const auto V = network_.second_layer(theta.data(), d);
  Matrix<double> u = at.u.middleRows(begin, n), e(n, C);
  const Targets<double> targets = data_.targets_from(begin);
  const VectorView<double> y(targets.column(0), n);
  if (signed_rows_) u.col(0).array() *= y.array();
  derivatives_(u.data(), targets, n, C, e.data());
  if (signed_rows_) e.col(0).array() *= y.array();
  if (data_.weighted) e.array().colwise() *= data_.row_weights.segment(begin, n).array();
  e *= -network_.scale / static_cast<double>(n);
  Matrix<double> gradient = l2_ * theta;
  if (frees_bias()) bias_of(gradient).setZero();
  if (!network_.first) gradient.topRows(d * h).setZero();
  if (!network_.second) gradient.bottomRows(h * C).setZero();
  Matrix<double> G = Matrix<double>::Zero(n, h);
  for (Index k = 0; k < h; ++k)
    for (Index c = 0; c < C; ++c) {
      G.col(k) += V(k, c) * e.col(c);
      if (network_.second)
        gradient(d * h + k * C + c) += at.values.col(k).segment(begin, n).dot(e.col(c));
    }
  if (!network_.first) return gradient;
  G.array() *= at.before.middleRows(begin, n).unaryExpr(slope_).array();
  const Matrix<double> first = data_.rows->combine({begin, n}, G);
  for (Index r = 0; r < d; ++r)
    for (Index k = 0; k < h; ++k) gradient(r * h + k) += first(r, k);
  return gradient;
}

Matrix<double> NetworkRecorder::mean_gradient(const Matrix<double>& theta, const Outputs& at,
                                              Team& team) const {
  const Matrix<double> zero = Matrix<double>::Zero(theta.rows(), 1);
  return groups_.sum(team, zero, [&](Index i, Matrix<double>& sum) {
    if (!(data_.weights[i] > 0)) return false;
    sum += data_.weights[i] * client_gradient(theta, at, i);
    return true;
  });
}

Recorder::Seen NetworkRecorder::see(const NetworkEngine& engine, bool gradient, Team& team) const {
  const Matrix<double>& theta = engine.parameters();
  const Outputs at = outputs(theta);
  const double norm = theta.stableNorm();
  return {loss(at.u) + penalty(theta, norm),
          gradient ? mean_gradient(theta, at, team).norm() : undefined, norm};
}

void NetworkRecorder::add_gradients(const Matrix<double>& theta, const Outputs& at, Team& team) {
  const Matrix<double> mean = mean_gradient(theta, at, team);
  const double length = mean.norm();
  // Variance, alignment, squares, and sizes.
  const Vector<double> none = Vector<double>::Zero(4);
  const Vector<double> sums = groups_.sum(team, none, [&](Index i, Vector<double>& sum) {
    const double p = data_.weights[i];
    if (!(p > 0)) return false;
    const Matrix<double> own = client_gradient(theta, at, i);
    const double norm = own.norm();
    sum[0] += p * (own - mean).squaredNorm();
    if (norm > 0 && length > 0) sum[1] += p * (own / norm).cwiseProduct(mean / length).sum();
    sum[2] += p * norm * norm;
    sum[3] += p * norm;
    return true;
  });
  const bool directed = length > least_part * sums[3];
  history_.angle.push_back(directed ? angle(theta, -mean) : undefined);
  history_.grad_norm.push_back(length);
  history_.grad_variance.push_back(sums[0]);
  history_.grad_alignment.push_back(directed ? sums[1] : undefined);
  history_.grad_dissimilarity.push_back(directed ? sums[2] / (length * length) : undefined);
}

}  // namespace localgd
