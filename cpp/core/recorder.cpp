// Compiled without contraction of products and sums to fused ones.
#include "recorder.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "loss/derivatives.hpp"

namespace localgd {

namespace {
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr Index few = 1 << 16;      // numbers whose sums one thread has in some microseconds
constexpr double rounding = 1e-14;  // of a gradient, relative to the terms that it is the sum of
}  // namespace

Recorder::Recorder(const Data& data, const LossChoice& loss, std::vector<std::int64_t> rounds,
                   Matrix<double> reference, bool keep_weights, double l2, bool by_log)
    : pooled_(data.shared() ? std::make_shared<const Data>(data.pooled()) : nullptr),
      data_(pooled_ ? *pooled_ : data),
      groups_(data_, 1),
      many_(data_.entries() >= few),
      functions_(loss.functions),
      derivatives_(negative_derivatives_of(loss)),
      rounds_(std::move(rounds)),
      reference_(std::move(reference)),
      keep_weights_(keep_weights),
      l2_(l2),
      by_log_(by_log) {
  with_chosen_loss(loss, [&](auto l) {
    using Loss = decltype(l);
    if constexpr (!is_called<Loss>) loss_value_ = &loss_value<Loss>;
    signed_rows_ = l.signed_rows;
    multiclass_ = Loss::multiclass;
    tailed_ = l.facts.tail.rate == 1 && (signed_rows_ || multiclass_);
  });
  if (reference_.size()) {
    if (reference_.rows() != data.features())
      throw std::invalid_argument("reference: want one number for each feature");
    reference_ /= reference_.stableNorm();
  }
}

void Recorder::resume(std::int64_t round, double drift) {
  next_ = static_cast<std::size_t>(std::lower_bound(rounds_.begin(), rounds_.end(), round) -
                                   rounds_.begin());
  resumed_drift_ = drift;
}

bool Recorder::record(std::int64_t first, Index count, std::int64_t participations,
                      const Vector<double>& drifts, const Matrix<double>& margins,
                      const Matrix<double>& weights, Team& team) {
  const Index models = drifts.size(), outputs = margins.cols() / models;
  Index done = 0;
  while (done < count && add_model(first + done, participations, drifts[done],
                                   margins.middleCols(done * outputs, outputs),
                                   weights.middleCols(done * outputs, outputs), team))
    ++done;
  const Matrix<double> measures =
      gradients(margins, weights, Vector<double>::Constant(models, l2_), team);
  for (Index s = 0; s < done; ++s) add_gradients(measures, s);
  return done == count;
}

std::vector<bool> Recorder::record_runs(const std::vector<Recorder*>& runs, std::int64_t round,
                                        std::int64_t participations, const Vector<double>& drifts,
                                        const Matrix<double>& margins,
                                        const Matrix<double>& weights, Team& team) {
  const Index models = drifts.size(), outputs = margins.cols() / models;
  Vector<double> l2(models);
  for (Index r = 0; r < models; ++r) l2[r] = runs[static_cast<std::size_t>(r)]->l2_;
  const Matrix<double> measures = runs.front()->gradients(margins, weights, l2, team);
  std::vector<bool> recorded;
  for (Index r = 0; r < models; ++r) {
    Recorder& run = *runs[static_cast<std::size_t>(r)];
    recorded.push_back(run.add_model(round, participations, drifts[r],
                                     margins.middleCols(r * outputs, outputs),
                                     weights.middleCols(r * outputs, outputs), team));
    if (recorded.back()) run.add_gradients(measures, r);
  }
  return recorded;
}

bool Recorder::add_model(std::int64_t round, std::int64_t participations, double drift,
                         const Columns& m, const Columns& w, Team& team) {
  const double norm = w.reshaped().stableNorm(), value = loss(m, team) + penalty(w, norm);
  const double log = log_loss(m, value);
  if (!std::isfinite(by_log_ && !functions_ ? log : value) || (functions_ && functions_->failed))
    return false;
  history_.round.push_back(round);
  history_.participations.push_back(participations);
  history_.loss.push_back(value);
  history_.log_loss.push_back(log);
  history_.norm.push_back(norm);
  history_.margin.push_back(norm > 0 ? smallest_margin(m) / norm : nan);
  history_.angle.push_back(norm > 0 && reference_.size() ? angle(w, norm) : nan);
  history_.drift.push_back(drift);
  if (keep_weights_)  // row by row, as NumPy lays out (d, C)
    for (Index j = 0; j < w.rows(); ++j)
      for (Index c = 0; c < w.cols(); ++c) history_.weights.push_back(w(j, c));
  if (due(round)) ++next_;
  return true;
}

void Recorder::add_gradients(const Matrix<double>& measures, Index model) {
  history_.grad_norm.push_back(measures(model, 0));
  history_.grad_variance.push_back(measures(model, 1));
  history_.grad_alignment.push_back(measures(model, 2));
  history_.grad_dissimilarity.push_back(measures(model, 3));
}

// lambda/2 |w|^2 of what lambda penalises.
double Recorder::penalty(const Columns& w, double norm) const {
  const double own =
      data_.free_intercept && l2_ > 0 ? penalized(data_, w).reshaped().stableNorm() : norm;
  return 0.5 * l2_ * own * own;
}

double Recorder::loss(const Columns& margins, Team& team) const {
  const Targets<double> targets = data_.targets_from(0);
  const auto add = [&](Index i, double& sum) {
    if (!(data_.weights[i] > 0)) return false;
    double client = 0;
    Vector<double> values;  // by the functions
    if (functions_)
      values =
          functions_->values_of_rows(margins.data() + data_.begin(i), margins.rows(),
                                     targets.from(data_.begin(i)), data_.size(i), margins.cols());
    for (Index j = data_.begin(i); j < data_.begin(i + 1); ++j) {
      if (!counts(i, j)) continue;  // whatever it is worth, be it infinite
      const double value = functions_ ? values[j - data_.begin(i)]
                                      : loss_value_(margins.data() + j, margins.rows(),
                                                    margins.cols(), targets.from(j));
      client += data_.weighted ? data_.row_weights[j] * value : value;
    }
    sum += data_.weights[i] * client / static_cast<double>(data_.size(i));
    return true;
  };
  return functions_ ? groups_.sum(0.0, add) : sum(team, 0.0, add);
}

// By the tail of the loss, exp(-m) of the margin or of those to each other class, where f is too
// small to have all its digits; by the exponential loss, which is its tail, where it is too large.
double Recorder::log_loss(const Columns& margins, double value) const {
  constexpr double least_whole = 1e-290;
  const bool in_range = value >= least_whole && std::isfinite(value);
  if (in_range || !tailed_ || l2_ > 0) return std::log(value);
  const double smallest = smallest_that_counts(margins);
  const double scaled = groups_.sum(0.0, [&](Index i, double& sum) {
    if (!(data_.weights[i] > 0)) return false;
    double client = 0;
    for (Index j = data_.begin(i); j < data_.begin(i + 1); ++j)
      if (counts(i, j)) {
        const double weight = data_.weighted ? data_.row_weights[j] : 1.0;
        for_margins(margins, j, [&](double m) { client += weight * std::exp(smallest - m); });
      }
    sum += data_.weights[i] * client / static_cast<double>(data_.size(i));
    return true;
  });
  return std::log(scaled) - smallest;
}

// Whether f knows the row.
bool Recorder::counts(Index client, Index row) const {
  return data_.weights[client] > 0 && !(data_.weighted && data_.row_weights[row] == 0);
}

double Recorder::smallest_that_counts(const Columns& margins) const {
  double smallest = std::numeric_limits<double>::infinity();
  for (Index i = 0; i < data_.clients(); ++i)
    for (Index j = data_.begin(i); j < data_.begin(i + 1); ++j)
      if (counts(i, j))
        for_margins(margins, j, [&](double m) { smallest = std::min(smallest, m); });
  return least_of_all(data_.ranks.get(), smallest);
}

Recorder::Seen Recorder::see(const Matrix<double>& margins, const Matrix<double>& weights,
                             bool gradient, Team& team) const {
  const double norm = weights.norm();
  return {
      loss(margins, team) + penalty(weights, norm),
      gradient ? gradients(margins, weights, Vector<double>::Constant(1, l2_), team)(0, 0) : nan,
      norm};
}

// Calls task(m) for the margin of a row, or those of its class to all others.
template <class Task>
void Recorder::for_margins(const Columns& margins, Index j, Task&& task) const {
  if (!multiclass_) return task(margins(j, 0) * (signed_rows_ ? 1.0 : data_.targets[j]));
  const Index own = static_cast<Index>(data_.targets[j]);
  for (Index c = 0; c < margins.cols(); ++c)
    if (c != own) task(margins(j, own) - margins(j, c));
}

double Recorder::smallest_margin(const Columns& margins) const {
  return least_of_all(data_.ranks.get(), smallest_own_margin(margins));
}
double Recorder::smallest_own_margin(const Columns& margins) const {
  if (signed_rows_) return margins.minCoeff();
  if (!multiclass_) {
    const auto of_output = [&](Index k) {
      const VectorView<double> y(data_.targets_from(0).column(k), margins.rows());
      return margins.col(k).cwiseProduct(y).minCoeff();
    };
    double smallest = of_output(0);
    for (Index k = 1; k < margins.cols(); ++k) smallest = std::min(smallest, of_output(k));
    return smallest;
  }
  double smallest = std::numeric_limits<double>::infinity();
  for (Index j = 0; j < margins.rows(); ++j)
    for_margins(margins, j, [&](double m) { smallest = std::min(smallest, m); });
  return smallest;
}

double Recorder::angle(const Columns& weights, double norm) const {
  const Matrix<double> unit = weights / norm;
  return 2 * std::atan2((unit - reference_).norm(), (unit + reference_).norm());
}

// A_i^T x_i (d x C)
Matrix<double> Recorder::client_rows(const Matrix<double>& coefficients, Index client) const {
  const Range rows = data_.range(client);
  return data_.rows->combine(rows, coefficients.middleRows(rows.first, rows.count));
}

// sum_i v_i A_i^T x_i (d x C) over the clients with a share above 0.
Matrix<double> Recorder::mean_of_clients(const Matrix<double>& coefficients,
                                         const Vector<double>& shares, Team& team) const {
  const Matrix<double> zero = Matrix<double>::Zero(data_.features(), coefficients.cols());
  return sum(team, zero, [&](Index i, Matrix<double>& sum) {
    if (!(shares[i] > 0) || coefficients.middleRows(data_.begin(i), data_.size(i)).isZero(0))
      return false;
    sum += shares[i] * client_rows(coefficients, i);
    return true;
  });
}

Vector<double> Recorder::drifts(const LastRound& last, Team& team, Index models) const {
  if (last.drift && last.shares.size()) return Vector<double>::Constant(models, *last.drift);
  if (!last.shares.size()) return Vector<double>::Constant(models, resumed_drift_);
  const Vector<double> zero = Vector<double>::Zero(models);
  const CommonMove common = common_of(last, team);
  const Index outputs = common.move.cols() / models;
  return sum(team, zero, [&](Index i, Vector<double>& sums) {
    if (!(last.shares[i] > 0)) return false;
    const Matrix<double> own = deviation(last, common, i, models);
    for (Index s = 0; s < models; ++s)
      sums[s] += last.shares[i] * own.middleCols(s * outputs, outputs).squaredNorm();
    return true;
  });
}

Matrix<double> Recorder::client_models(const LastRound& last, const Matrix<double>& weights,
                                       Team& team) const {
  Matrix<double> models = Matrix<double>::Constant(weights.size(), data_.clients(), nan);
  if (!last.shares.size()) return models;
  const CommonMove common = common_of(last, team);
  for_clients(team, [&](Index i) {
    if (last.shares[i] > 0) models.col(i) = (weights + deviation(last, common, i, 1)).reshaped();
  });
  return models;
}

Recorder::CommonMove Recorder::common_of(const LastRound& last, Team& team) const {
  const auto everyone = Vector<double>::Ones(data_.clients());
  const auto in_weights = [&](const Matrix<double>& change, bool already) {
    return already ? change : mean_of_clients(change, everyone, team);
  };
  Matrix<double> move = in_weights(*last.change, last.change_in_weights), common;
  if (last.start_change != 0) move += last.start_change * *last.start;
  if (last.common.size()) common = in_weights(last.common, last.common_in_weights);
  if (last.mean_kappa != 0) move -= last.mean_kappa * common;
  if (last.intercepts.size()) move.row(data_.features() - 1) = last.intercept_change.transpose();
  return {move, common};
}

// w_{k,i} - w_{k+1} = A_i^T b_i - kappa_i A^T g - shrinkage_i w_k - (w_{k+1} - w_k)
Matrix<double> Recorder::deviation(const LastRound& last, const CommonMove& common, Index client,
                                   Index models) const {
  Matrix<double> own = client_rows(last.local_changes, client);
  own -= common.move;
  if (last.shrinkage.size()) own -= last.shrinkage[client] * last.before;
  const Index outputs = own.cols() / models;
  for (Index s = 0; s < models && common.corrections.size(); ++s)
    own.middleCols(s * outputs, outputs) -=
        last.kappa(client, s) * common.corrections.middleCols(s * outputs, outputs);
  if (last.intercepts.size())
    own.row(data_.features() - 1) =
        (last.intercepts.col(client) - last.intercept_change).transpose();
  return own;
}

const Recorder::Rows& Recorder::sizes_of_rows(Team& team) const {
  if (rows_.norms.size() == data_.samples()) return rows_;
  rows_.norms.resize(data_.samples());
  for_clients(team, [&](Index i) {
    for (Index j = data_.begin(i); j < data_.begin(i + 1); ++j)
      rows_.norms[j] = data_.rows->norm(j);
  });
  const double largest = most_of_all(data_.ranks.get(), rows_.norms.maxCoeff());
  rows_.unit = largest > 0 ? std::ldexp(1.0, std::ilogb(largest)) : 1.0;
  rows_.norms /= rows_.unit;
  return rows_;
}

// -e_ij / n_i of one model, 0 where f does not know the row; at margins smaller by `shift`.
void Recorder::pulls(const Columns& margins, double shift, Eigen::Ref<Matrix<double>> into,
                     Team& team) const {
  const auto of_client = [&](Index i) {
    const Index first = data_.begin(i), n = data_.size(i);
    Matrix<double> m = margins.middleRows(first, n), e(n, margins.cols());
    if (shift != 0) m.array() -= shift;
    derivatives_(m.data(), data_.targets_from(first), n, margins.cols(), e.data());
    if (data_.weighted) e.array().colwise() *= data_.row_weights.segment(first, n).array();
    for (Index j = 0; j < n; ++j)
      if (!counts(i, first + j)) e.row(j).setZero();
    into.middleRows(first, n) = e / -static_cast<double>(n);
  };
  if (!functions_) return for_clients(team, of_client);
  for (Index i = 0; i < data_.clients(); ++i) of_client(i);
}

// Of all models, so that the bits of the first are the same whatever the count.
Matrix<double> Recorder::gradients(const Matrix<double>& margins, const Matrix<double>& weights,
                                   const Vector<double>& l2, Team& team) const {
  const Index models = l2.size(), outputs = margins.cols() / models;
  // -e_ij / n_i, in units of a power of two so that squares neither under- nor overflow.
  Matrix<double> scaled(margins.rows(), margins.cols());
  Vector<double> unit(models);
  for (Index s = 0; s < models; ++s) {
    auto columns = scaled.middleCols(s * outputs, outputs);
    const Columns own = margins.middleCols(s * outputs, outputs);
    unit[s] = 1.0;
    pulls(own, 0, columns, team);
    if (by_log_ && most_of_all(data_.ranks.get(), columns.allFinite() ? 0 : 1) >
                       0) {  // exp(-m), which is exp(-shift) exp(shift - m)
      const double shift = smallest_that_counts(own);
      pulls(own, shift, columns, team);
      unit[s] = std::exp(-shift);
    }
    const double largest = most_of_all(data_.ranks.get(), columns.cwiseAbs().maxCoeff());
    const double scale = largest > 0 ? std::ldexp(1.0, std::ilogb(largest)) : 1.0;
    columns /= scale;
    unit[s] *= scale;
  }
  const Rows& rows = sizes_of_rows(team);
  Matrix<double> mean = mean_of_clients(scaled, data_.weights, team) / rows.unit;
  // lambda w joins every gradient.
  Matrix<double> pull;
  if (l2.maxCoeff() > 0) {
    pull = penalized(data_, weights);
    for (Index s = 0; s < models; ++s)
      pull.middleCols(s * outputs, outputs) *= l2[s] / (unit[s] * rows.unit);
    mean += pull;
  }
  const auto model = [&](const Matrix<double>& all, Index s) {
    return all.middleCols(s * outputs, outputs);
  };
  // What a client's gradient is the sum of, in size: one that is smaller by as much as rounding is
  // has no direction.
  const auto terms_of = [&](Index i, Index s) {
    double terms = pull.size() ? pull.middleCols(s * outputs, outputs).norm() : 0.0;
    for (Index j = data_.begin(i); j < data_.begin(i + 1); ++j)
      terms += scaled.block(j, s * outputs, 1, outputs).norm() * rows.norms[j];
    return terms;
  };
  // Of each model: variance, alignment, squares, and the terms.
  const Matrix<double> zero = Matrix<double>::Zero(models, 4);
  Vector<double> lengths(models);
  for (Index s = 0; s < models; ++s) lengths[s] = model(mean, s).norm();
  const Matrix<double> sums = sum(team, zero, [&](Index i, Matrix<double>& sum) {
    const double p = data_.weights[i];
    if (!(p > 0)) return false;
    Matrix<double> own = client_rows(scaled, i);
    own /= rows.unit;
    if (pull.size()) own += pull;
    for (Index s = 0; s < models; ++s) {
      const auto g = model(mean, s), g_i = model(own, s);
      const double norm = g_i.norm(), length = lengths[s], terms = terms_of(i, s);
      sum(s, 0) += p * (g_i - g).squaredNorm();
      if (norm > rounding * terms) sum(s, 1) += p * (g_i / norm).cwiseProduct(g / length).sum();
      sum(s, 2) += p * norm * norm;
      sum(s, 3) += p * terms;
    }
    return true;
  });
  Matrix<double> measures(models, 4);
  for (Index s = 0; s < models; ++s) {
    const double length = lengths[s];
    const bool directed = length > rounding * sums(s, 3);
    const double scale = unit[s] * rows.unit;
    measures(s, 0) = length * scale;
    measures(s, 1) = sums(s, 0) * scale * scale;
    measures(s, 2) = directed ? sums(s, 1) : nan;
    measures(s, 3) = directed ? sums(s, 2) / (length * length) : nan;
  }
  return measures;
}

}  // namespace localgd
