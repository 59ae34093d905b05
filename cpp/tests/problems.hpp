// Random problems with ragged clients, unequal weights and a start that is not 0; the inputs of
// their rounds.
#pragma once

#include <cstring>
#include <random>

#include "cases.hpp"
#include "core/simulation.hpp"

namespace localgd::testing {

// Uniform numbers in (-1, 1), the same on every platform.
class Random {
 public:
  explicit Random(std::uint64_t seed) : bits_(seed) {}
  double operator()() { return std::ldexp(static_cast<double>(bits_() >> 11), -52) - 1; }
  Vector<double> vector(Index n) {
    return Vector<double>::NullaryExpr(n, [&](Index) { return (*this)(); });
  }
  Matrix<double> matrix(Index n, Index c) { return vector(n * c).reshaped(n, c); }

 private:
  std::mt19937_64 bits_;
};

// The arrays that a Data looks at, for every loss.
struct Problem {
  RowMatrix<double> rows;
  Vector<double> targets, labels;  // numbers, and classes 0 to C - 1
  std::vector<Index> offsets;
  Vector<double> weights;
  Matrix<double> starts;         // d x C
  Vector<double> row_weights{};  // omega, or empty

  Index clients() const { return weights.size(); }
  Index largest_client() const {
    Index largest = 0;
    for (std::size_t i = 1; i < offsets.size(); ++i)
      largest = std::max(largest, offsets[i] - offsets[i - 1]);
    return largest;
  }
  const Vector<double>& targets_for(const LossCase& loss) const {
    return loss.outputs > 1 ? labels : targets;
  }
  Matrix<double> start(const LossCase& loss) const { return starts.leftCols(loss.outputs); }
  std::shared_ptr<const RowSource> source() const {
    return dense_rows(RowsView<double>(rows.data(), rows.rows(), rows.cols()));
  }
  Data data(const LossCase& loss) const {
    const auto& t = targets_for(loss);
    return Data(source(),
                VectorView<double>(t.data(), t.size()), offsets, weights,
                VectorView<double>(row_weights.data(), row_weights.size()));
  }
};

inline Problem make_problem(const std::vector<Index>& sizes, Index features,
                            std::uint64_t seed = 1) {
  Random random(seed);
  Problem p;
  p.offsets = {0};
  for (const Index n : sizes) p.offsets.push_back(p.offsets.back() + n);
  const Index samples = p.offsets.back(), clients = static_cast<Index>(sizes.size());
  p.rows = RowMatrix<double>::NullaryExpr(
      samples, features, [&](Index, Index) { return random() / std::sqrt(double(features) / 4); });
  p.targets = random.vector(samples);
  p.labels = (random.vector(samples).array() * 1.5 + 1.5).floor();
  p.weights = random.vector(clients).array() + 1.1;
  p.weights /= p.weights.sum();
  p.starts = random.matrix(features, classes);
  return p;
}

// The same with weights of the rows, of mean 1 on each client.
inline Problem with_row_weights(Problem p, std::uint64_t seed = 5) {
  Random random(seed);
  p.row_weights = random.vector(p.rows.rows()).array() + 1.2;
  for (std::size_t i = 0; i + 1 < p.offsets.size(); ++i) {
    auto own = p.row_weights.segment(p.offsets[i], p.offsets[i + 1] - p.offsets[i]);
    own /= own.mean();
  }
  return p;
}

// Sizes that reach every path: one row, odd counts, a row more than a block or a vector holds, rows
// that fill several blocks of the primal kernel (8 rows from 256 features on) or panels of a Gram
// matrix (64 rows), more clients than features, and more features than one range of the server
// holds (512 from 128 clients on).
struct Shape {
  std::vector<Index> sizes;
  Index features;
};

inline std::vector<Shape> shapes() {
  return {{{1, 7, 3, 20, 12}, 9},
          {{17, 2, 5}, 64},
          {{9, 1, 6}, 700},
          {{70, 3, 130}, 11},
          {std::vector<Index>(150, 1), 600},
          {{1, 1}, 1}};
}

// Clients whose rows the primal engine shares out in either number type (over 4 MB), and small
// ones.
inline Problem large_problem() { return make_problem({1100, 3, 1061, 8}, 1000); }

// Rates and shares of a run's rounds. In sampled runs one client sits out each round but
// the first, another one each time.
class Inputs {
 public:
  Inputs(const Problem& p, std::int64_t rounds, bool sampled, double lr = 0.5)
      : clients_(p.clients()) {
    for (std::int64_t k = 0; k < rounds; ++k) {
      lrs_.push_back(lr / (1 + 0.1 * static_cast<double>(k)));
      Vector<double> shares = p.weights;
      if (sampled && k > 0 && p.clients() > 1) shares[k % p.clients()] = 0;
      shares /= shares.sum();
      shares_.insert(shares_.end(), shares.begin(), shares.end());
    }
  }

  RoundPlan plan(std::int64_t k) const {
    return {static_cast<double>(k), lrs_[static_cast<std::size_t>(k)],
            shares_.data() + k * clients_};
  }
  // Those of rounds first to until - 1.
  Plans plans(std::int64_t first, std::int64_t until) const {
    Plans plans{{lrs_.begin() + first, lrs_.begin() + until}, {}, {}, {0}};
    for (std::int64_t k = first; k < until; ++k) {
      for (Index i = 0; i < clients_; ++i) {
        const double share = shares_[static_cast<std::size_t>(k * clients_ + i)];
        if (!(share > 0)) continue;
        plans.shares.push_back(share);
        plans.clients.push_back(i);
      }
      plans.offsets.push_back(static_cast<Index>(plans.clients.size()));
    }
    return plans;
  }

 private:
  Index clients_;
  std::vector<double> lrs_, shares_;
};

// The same rate in every round, all clients, no batches.
inline Plans plain_plans(const Problem& p, double lr) {
  return {{lr}, {p.weights.begin(), p.weights.end()}};
}

inline bool same_bits(const Matrix<double>& a, const Matrix<double>& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(double)) == 0;
}

inline Vector<double> joined(const std::vector<Vector<double>>& parts) {
  Index size = 0, at = 0;
  for (const auto& part : parts) size += part.size();
  Vector<double> all(size);
  for (const auto& part : parts) {
    all.segment(at, part.size()) = part;
    at += part.size();
  }
  return all;
}

// All that a restored run begins with, and everything that a run shows at its end.
inline Vector<double> state_of(Engine& engine) {
  std::vector<Vector<double>> parts{engine.weights().reshaped(), engine.margins().reshaped(),
                                    engine.coefficients().reshaped()};
  for (const auto& [name, values] : engine.save()) parts.push_back(values.reshaped());
  return joined(parts);
}
inline Vector<double> snapshot(Engine& engine) {
  const LastRound& last = engine.last_round();
  return joined({state_of(engine), last.shares, last.kappa.reshaped(),
                 last.local_changes.reshaped(), last.common.reshaped(), last.change->reshaped()});
}

inline double relative_error(const Matrix<double>& got, const Matrix<double>& want) {
  return (got - want).norm() / std::max(want.norm(), 1e-300);
}

}  // namespace localgd::testing
