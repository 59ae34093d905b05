// The exact local solve, L -> infinity, of one client in the span of its rows: w = w_k + A^T
// lambda.
//
//   classification   argmin 1/2 ||w - w_k||^2  s.t.  A w >= 1       Projection
//   regression       w_k + A^+ (y - A w_k)                         Interpolation
//
// Both see the rows through the Gram block K = A A^T and the model through the margins m = A w_k.
// They do not copy K: the caller keeps it alive and unchanged. After the constructor nothing
// allocates. The same input gives the same bits, wherever the arrays are in memory.
#pragma once

#include <cstdint>
#include <vector>

#include "../stop.hpp"
#include "../types.hpp"

namespace localgd {

// A Gram matrix or a diagonal block of a larger one (rows contiguous, any distance between rows).
using GramBlock = Eigen::Ref<const RowMatrix<double>>;

// Cholesky factor of chosen rows' Gram matrix with its diagonal scaled to 1,
//   L L^T = C_PP,   C_jk = K_jk / sqrt(K_jj K_kk),
// that rows can be added to (at the end) and taken from (anywhere).
class RowFactor {
 public:
  explicit RowFactor(const GramBlock& gram);

  const std::vector<Index>& rows() const { return rows_; }  // P in the order of the factor
  Index size() const { return static_cast<Index>(rows_.size()); }
  double inverse_norm(Index row) const { return inverse_norms_[row]; }  // 0 for a row that is 0
  const double* gram_row(Index row) const { return gram_ + row * stride_; }
  Index samples() const { return inverse_norms_.size(); }

  // The row nearest to `row` in the span of P: z = C_PP^-1 C_P,row. Returns the squared distance of
  // the two (of the row's norm squared), or 0 if that is rounding.
  double approach(Index row, double* z);

  // Adds the row that approach() was called for last, at the distance that it returned (not 0).
  void append(Index row, double squared_distance);
  void erase(Index place);
  void truncate(Index size) { rows_.resize(static_cast<std::size_t>(size)); }

  void solve(double* x) const;  // x <- C_PP^-1 x

 private:
  double* line(Index k) { return packed_.data() + k * (k + 1) / 2; }
  const double* line(Index k) const { return packed_.data() + k * (k + 1) / 2; }
  void solve_lower(double* x) const;
  void solve_upper(double* x) const;

  const double* gram_;
  Index stride_;
  Vector<double> inverse_norms_;
  std::vector<double> packed_;  // L row by row
  std::vector<Index> rows_;
  Vector<double> lower_;            // L^-1 C_P,row of the last approach()
  Vector<double> cosines_, sines_;  // of the rotations in erase()
};

enum class Projected {
  done,
  not_separable,  // no w has A w > 0, as far as K in float64 can tell: see Projection
  unfinished,     // the limit of steps is reached, or numbers are not finite
  stopped,
};

// min 1/2 lambda^T K lambda - r^T lambda  s.t.  lambda >= 0,  with r = 1 - m. With s = K lambda -
// r:
//   lambda >= 0,   s_j >= -tol_j,   |s_j| <= tol_j where lambda_j > 0,
//   tol_j <= 1e-10 max(1, |r_j|, sqrt(K_jj) sum_k sqrt(K_kk) lambda_k)        (mostly 1e-12)
//
// The dual active-set method of Goldfarb and Idnani (Mathematical Programming 27, 1983,
// doi:10.1007/BF02591962): the row that w misses by the most enters; rows whose multiplier falls to
// 0 leave. K may be singular. Counts as not separable: convex weights are found for which the mean
// of the rows, scaled to norm 1, is shorter than 1e-6. Then the sum K lambda, rounded, says little:
// margins are off by eps / (that length)^2.
class Projection {
 public:
  explicit Projection(const GramBlock& gram);

  // Multipliers (n) for margins (n), starting from the kept active rows. They depend on K, the
  // margins and the kept rows alone. Multipliers are written if done; `thread` is the caller's in
  // its team.
  Projected solve(const double* margins, double* multipliers, Stop& stop, int thread = 0);

  // Makes the active rows of the last solve the start of the next ones. Until then any number of
  // solves start from the same rows, so that a round that is given up leaves no trace.
  void keep() { kept_ = factor_.rows(); }

  // The kept rows as n numbers: 0 for a row that is not active, or its place 1, 2, ... in their
  // order.
  void save(double* active_order) const;
  void restore(const double* active_order);

  Index samples() const { return factor_.samples(); }
  // rows added to or taken from the factor so far
  std::int64_t updates() const { return updates_; }

 private:
  Index active() const { return factor_.size(); }
  double tolerance(Index row) const;
  void start();
  void settle();
  bool enter(Index row);
  void append(Index row, double squared_distance, double multiplier);
  void drop(Index place);
  void find_slack();
  bool balanced(double tolerances) const;
  bool cancels() const;
  Projected finish(double* multipliers);

  RowFactor factor_;
  std::vector<Index> kept_;
  Index clean_ = 0;           // leading rows of the factor that were appended one after the other
  std::vector<char> inside_;  // whether a row is active
  Vector<double> target_;     // r
  Vector<double> slack_;      // s
  Vector<double> scaled_;     // sqrt(K_jj) lambda_j of the active rows, in their order
  double total_ = 0;          // sum of those
  Vector<double> direction_;  // scratch
  std::int64_t updates_ = 0;
};

// lambda = K^+ residual, the minimum-norm least-squares change A^+ residual of the model.
// Eigenvalues of K below 8 n eps times the largest count as 0: singular values of A below some 1e-7
// of the largest.
class Interpolation {
 public:
  explicit Interpolation(const GramBlock& gram);

  void solve(const double* residual, double* multipliers);

  Index rank() const { return eigenvalues_.size(); }
  Index samples() const { return left_.size(); }

 private:
  const double* gram_;
  Index stride_;
  Vector<double> eigenvalues_;      // those that count
  RowMatrix<double> eigenvectors_;  // rank x n
  Vector<double> left_;             // residual that is not yet interpolated
};

}  // namespace localgd
