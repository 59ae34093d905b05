#include "projection.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "../products.hpp"

namespace localgd {

namespace {

constexpr double eps = std::numeric_limits<double>::epsilon();
constexpr double infinity = std::numeric_limits<double>::infinity();

constexpr double aim = 1e-12;          // KKT residual that the steps go on to, in margins
constexpr double roundings = 8;        // ... and in roundings of the sum K lambda
constexpr double accepted = 64;        // times that, and the active rows are still met
constexpr double cancelled = 0x1p-40;  // squared norm of a mean of unit rows that counts as 0

// Plain loops with a fixed order instead of Eigen's products: these look at alignment.
void add_multiple(double* y, double factor, const double* x, Index n) {
  for (Index j = 0; j < n; ++j) y[j] += factor * x[j];
}

const double* checked(const GramBlock& gram) {
  if (gram.rows() != gram.cols() || gram.rows() < 1)
    throw std::invalid_argument("gram: want a square matrix");
  if (!gram.allFinite()) throw std::invalid_argument("gram: entries that are not finite");
  return gram.data();
}

}  // namespace

RowFactor::RowFactor(const GramBlock& gram)
    : gram_(checked(gram)), stride_(gram.outerStride()), inverse_norms_(gram.rows()) {
  const Index n = gram.rows();
  for (Index j = 0; j < n; ++j) inverse_norms_[j] = gram(j, j) > 0 ? 1 / std::sqrt(gram(j, j)) : 0;
  packed_.resize(static_cast<std::size_t>(n * (n + 1) / 2));
  rows_.reserve(static_cast<std::size_t>(n));
  for (auto* scratch : {&lower_, &cosines_, &sines_}) scratch->resize(n);
}

double RowFactor::approach(Index row, double* z) {
  const Index p = size();
  const double* line_of_row = gram_row(row);
  for (Index k = 0; k < p; ++k) {
    const Index other = rows_[static_cast<std::size_t>(k)];
    lower_[k] = line_of_row[other] * inverse_norms_[other] * inverse_norms_[row];
  }
  solve_lower(lower_.data());
  std::copy_n(lower_.data(), p, z);
  solve_upper(z);
  const double squared_distance = 1 - wide_dot(lower_.data(), lower_.data(), p);
  // What a change of some eps in the entries of C does to (z, -1)^T C (z, -1).
  const double rounding = (64.0 + static_cast<double>(samples())) * eps * (1 + wide_dot(z, z, p));
  return squared_distance > rounding ? squared_distance : 0;
}

void RowFactor::append(Index row, double squared_distance) {
  const Index p = size();
  std::copy_n(lower_.data(), p, line(p));
  line(p)[p] = std::sqrt(squared_distance);
  rows_.push_back(row);
}

// Without its row `place` the factor has one entry right of the diagonal in each later row;
// rotations of neighbouring columns bring it back to triangular form.
void RowFactor::erase(Index place) {
  for (Index k = place; k + 1 < size(); ++k) {
    const double* from = line(k + 1);
    double* to = line(k);
    std::copy_n(from, place, to);
    double carried = from[place];
    for (Index j = place; j < k; ++j) {
      const double next = from[j + 1];
      to[j] = cosines_[j] * carried + sines_[j] * next;
      carried = cosines_[j] * next - sines_[j] * carried;
    }
    const double last = from[k + 1], length = std::sqrt(carried * carried + last * last);
    cosines_[k] = carried / length;
    sines_[k] = last / length;
    to[k] = length;
  }
  rows_.erase(rows_.begin() + place);
}

void RowFactor::solve(double* x) const {
  solve_lower(x);
  solve_upper(x);
}

void RowFactor::solve_lower(double* x) const {
  for (Index k = 0; k < size(); ++k) x[k] = (x[k] - wide_dot(line(k), x, k)) / line(k)[k];
}

void RowFactor::solve_upper(double* x) const {
  for (Index k = size() - 1; k >= 0; --k) {
    x[k] /= line(k)[k];
    add_multiple(x, -x[k], line(k), k);
  }
}

Projection::Projection(const GramBlock& gram)
    : factor_(gram), inside_(static_cast<std::size_t>(gram.rows())) {
  kept_.reserve(inside_.size());
  for (auto* v : {&target_, &slack_, &scaled_, &direction_}) v->setZero(gram.rows());
}

Projected Projection::solve(const double* margins, double* multipliers, Stop& stop, int thread) {
  const Index n = samples();
  for (Index j = 0; j < n; ++j) {
    target_[j] = 1 - margins[j];
    if (!std::isfinite(target_[j])) return Projected::unfinished;
    if (factor_.inverse_norm(j) == 0 && target_[j] > aim) return Projected::not_separable;
  }
  start();
  settle();
  const Index limit = 20 * n + 200;
  for (Index step = 0; step < limit; ++step) {
    if (stop.check(thread)) return Projected::stopped;
    Index worst = -1;
    double distance = 0;
    for (Index j = 0; j < n; ++j) {
      const double missed = -slack_[j], apart = missed * factor_.inverse_norm(j);
      if (inside_[static_cast<std::size_t>(j)] || missed <= tolerance(j) || apart <= distance)
        continue;
      distance = apart;
      worst = j;
    }
    if (worst < 0) return finish(multipliers);
    if (!enter(worst) || cancels()) return Projected::not_separable;
    find_slack();
    if (!balanced(1)) settle();
  }
  return Projected::unfinished;
}

// What s may be off by in a row: a fixed part, and the rounding of the sum K lambda.
double Projection::tolerance(Index row) const {
  const double d = factor_.inverse_norm(row);
  return aim * std::max(1.0, std::abs(target_[row])) + (d > 0 ? roundings * eps * total_ / d : 0);
}

// The factor of the kept rows with the bits that appending them one by one gives, whatever the
// factor holds now. Rows that depend on earlier ones are left out.
void Projection::start() {
  const auto& rows = factor_.rows();
  const std::size_t clean = std::min(static_cast<std::size_t>(clean_), kept_.size());
  std::size_t same = 0;
  while (same < clean && rows[same] == kept_[same]) ++same;
  for (std::size_t k = same; k < rows.size(); ++k) inside_[static_cast<std::size_t>(rows[k])] = 0;
  factor_.truncate(clean_ = static_cast<Index>(same));
  for (std::size_t k = same; k < kept_.size(); ++k)
    if (const double distance = factor_.approach(kept_[k], direction_.data()); distance > 0)
      append(kept_[k], distance, 0);
}

// Meets the active rows exactly, without those that this would need a multiplier <= 0 for. The
// residual is some roundings of the sum K lambda, which is all that iterative refinement could
// reach.
void Projection::settle() {
  for (;;) {
    const auto& rows = factor_.rows();
    for (std::size_t k = 0; k < rows.size(); ++k)
      scaled_[static_cast<Index>(k)] = target_[rows[k]] * factor_.inverse_norm(rows[k]);
    factor_.solve(scaled_.data());
    const double* least = std::min_element(scaled_.data(), scaled_.data() + active());
    if (active() == 0 || *least > 0) break;
    drop(least - scaled_.data());
  }
  find_slack();
}

// Raises the multiplier of a missed row until it is met, keeping the active rows met. One of these
// whose multiplier falls to 0 leaves on the way. False if nothing limits the multiplier.
bool Projection::enter(Index row) {
  double missed = -slack_[row] * factor_.inverse_norm(row), multiplier = 0;
  double* z = direction_.data();
  for (;;) {
    const double squared_distance = factor_.approach(row, z);
    double step = squared_distance > 0 ? missed / squared_distance : infinity;
    const double floor = 16 * eps * (1 + std::sqrt(wide_dot(z, z, active())));
    Index blocking = -1;
    for (Index k = 0; k < active(); ++k)
      if (z[k] > floor && scaled_[k] < step * z[k]) {
        step = scaled_[k] / z[k];
        blocking = k;
      }
    if (step == infinity) return false;
    for (Index k = 0; k < active(); ++k) scaled_[k] = std::max(0.0, scaled_[k] - step * z[k]);
    multiplier += step;
    if (blocking < 0) {
      append(row, squared_distance, multiplier);
      return true;
    }
    missed = std::max(0.0, missed - step * squared_distance);
    drop(blocking);
  }
}

void Projection::append(Index row, double squared_distance, double multiplier) {
  if (clean_ == active()) ++clean_;
  scaled_[active()] = multiplier;
  factor_.append(row, squared_distance);
  inside_[static_cast<std::size_t>(row)] = 1;
  ++updates_;
}

void Projection::drop(Index place) {
  inside_[static_cast<std::size_t>(factor_.rows()[static_cast<std::size_t>(place)])] = 0;
  factor_.erase(place);
  std::copy(scaled_.data() + place + 1, scaled_.data() + active() + 1, scaled_.data() + place);
  clean_ = std::min(clean_, place);
  ++updates_;
}

// s = K lambda - r, from the rows of K that count.
void Projection::find_slack() {
  const auto& rows = factor_.rows();
  const Index n = samples(), p = active();
  total_ = 0;
  for (Index j = 0; j < n; ++j) slack_[j] = -target_[j];
  const auto weight = [&](Index k) {
    return scaled_[k] * factor_.inverse_norm(rows[static_cast<std::size_t>(k)]);
  };
  const auto line = [&](Index k) { return factor_.gram_row(rows[static_cast<std::size_t>(k)]); };
  Index k = 0;
  for (; k + 4 <= p; k += 4) {
    const double a = weight(k), b = weight(k + 1), c = weight(k + 2), d = weight(k + 3);
    const double *x = line(k), *y = line(k + 1), *z = line(k + 2), *u = line(k + 3);
    for (Index j = 0; j < n; ++j) slack_[j] += (a * x[j] + b * y[j]) + (c * z[j] + d * u[j]);
  }
  for (; k < p; ++k) add_multiple(slack_.data(), weight(k), line(k), n);
  for (k = 0; k < p; ++k) total_ += scaled_[k];
}

// Whether the active rows are met, to so many tolerances.
bool Projection::balanced(double tolerances) const {
  for (const Index row : factor_.rows())
    if (!(std::abs(slack_[row]) <= tolerances * tolerance(row))) return false;
  return true;
}

// Whether the weighted sum of unit rows is 0 to rounding: ||sum_k lambda_k a_k||^2 = lambda^T r.
bool Projection::cancels() const {
  double squared = 0, total = 0;
  for (Index k = 0; k < active(); ++k) {
    const Index row = factor_.rows()[static_cast<std::size_t>(k)];
    squared += scaled_[k] * target_[row] * factor_.inverse_norm(row);
    total += scaled_[k];
  }
  return squared < cancelled * total * total;
}

Projected Projection::finish(double* multipliers) {
  if (!slack_.allFinite() || !balanced(accepted)) return Projected::unfinished;
  std::fill_n(multipliers, samples(), 0.0);
  for (Index k = 0; k < active(); ++k) {
    const Index row = factor_.rows()[static_cast<std::size_t>(k)];
    multipliers[row] = scaled_[k] * factor_.inverse_norm(row);
  }
  return Projected::done;
}

void Projection::save(double* active_order) const {
  std::fill_n(active_order, samples(), 0.0);
  for (std::size_t k = 0; k < kept_.size(); ++k)
    active_order[kept_[k]] = static_cast<double>(k + 1);
}

void Projection::restore(const double* active_order) {
  const auto count = static_cast<std::size_t>(std::count_if(
      active_order, active_order + samples(), [](double place) { return place != 0; }));
  std::vector<Index> rows(count, -1);
  for (Index j = 0; j < samples(); ++j) {
    if (active_order[j] == 0) continue;
    const bool fits = active_order[j] >= 1 && active_order[j] <= static_cast<double>(count) &&
                      active_order[j] == std::floor(active_order[j]);
    Index* row = fits ? &rows[static_cast<std::size_t>(active_order[j]) - 1] : nullptr;
    if (!row || *row >= 0)
      throw std::invalid_argument("active_order: want 0, or 1, 2, ... once each");
    *row = j;
  }
  kept_.assign(rows.begin(), rows.end());
}

Interpolation::Interpolation(const GramBlock& gram)
    : gram_(checked(gram)), stride_(gram.outerStride()), left_(gram.rows()) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(gram);
  const Index n = gram.rows();
  const double largest = std::max(0.0, solver.eigenvalues()[n - 1]);
  const double threshold = 8 * static_cast<double>(n) * eps * largest;
  // In increasing order.
  const Index zeros = (solver.eigenvalues().array() <= threshold).count();
  eigenvalues_ = solver.eigenvalues().tail(n - zeros);
  eigenvectors_ = solver.eigenvectors().rightCols(n - zeros).transpose();
}

void Interpolation::solve(const double* residual, double* multipliers) {
  const Index n = samples();
  std::copy_n(residual, n, left_.data());
  std::fill_n(multipliers, n, 0.0);
  for (int pass = 0; pass < 2; ++pass) {  // the second takes out the rounding of the first
    for (Index k = 0; k < rank(); ++k) {
      const double* v = eigenvectors_.row(k).data();
      add_multiple(multipliers, wide_dot(v, left_.data(), n) / eigenvalues_[k], v, n);
    }
    for (Index j = 0; j < n; ++j)
      left_[j] = residual[j] - wide_dot(gram_ + j * stride_, multipliers, n);
  }
}

}  // namespace localgd
