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

// Rows as a caller may have them: in float32, sparse, each with its sign.
struct Given {
  RowMatrix<float> single;
  std::vector<Index> begins;
  std::vector<std::int32_t> columns;
  std::vector<double> values;
  std::vector<float> single_values;
  RowMatrix<double> plain;
  Vector<double> signs;
  bool in_place = false;  // sparse rows are read here alone

  std::shared_ptr<const RowSource> source() const {
    const VectorView<double> turned(signs.data(), signs.size());
    const auto count = static_cast<Index>(begins.size()) - 1;
    if (!single_values.empty())
      return sparse_rows(SparseView<float>{begins.data(), columns.data(), single_values.data(),
                                           count, plain.cols()},
                         turned, in_place);
    if (!values.empty())
      return sparse_rows(
          SparseView<double>{begins.data(), columns.data(), values.data(), count, plain.cols()},
          turned, in_place);
    if (single.size())
      return dense_rows(RowsView<float>(single.data(), single.rows(), single.cols()), turned);
    return dense_rows(RowsView<double>(plain.data(), plain.rows(), plain.cols()), turned);
  }
};

// The arrays that a Data looks at, for every loss.
struct Problem {
  RowMatrix<double> rows;
  Matrix<double> targets;  // N x C
  Vector<double> labels;   // classes 0 to C - 1
  std::vector<Index> offsets;
  Vector<double> weights;
  Matrix<double> starts;                 // d x C
  Vector<double> row_weights{};          // omega, or empty
  std::shared_ptr<const Given> given{};  // the same rows in another storage
  bool free_intercept = false;           // lambda leaves the last feature alone
  Index sharing = 0;                     // clients that all hold the same rows

  Index clients() const { return weights.size(); }
  Index largest_client() const {
    Index largest = 0;
    for (std::size_t i = 1; i < offsets.size(); ++i)
      largest = std::max(largest, offsets[i] - offsets[i - 1]);
    return largest;
  }
  MatrixView<double> targets_for(const LossCase& loss) const {
    const double* first = loss.outputs > loss.targets() ? labels.data() : targets.data();
    return {first, targets.rows(), loss.targets()};
  }
  Matrix<double> start(const LossCase& loss) const { return starts.leftCols(loss.outputs); }
  std::shared_ptr<const RowSource> source() const {
    if (given) return given->source();
    return dense_rows(RowsView<double>(rows.data(), rows.rows(), rows.cols()));
  }
  Data data(const LossCase& loss) const {
    const auto t = targets_for(loss);
    return Data(source(), VectorView<double>(t.data(), t.size()), offsets, weights,
                VectorView<double>(row_weights.data(), row_weights.size()), free_intercept,
                sharing);
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
  p.targets.resize(samples, classes);
  p.targets.col(0) = random.vector(samples);
  p.labels = (random.vector(samples).array() * 1.5 + 1.5).floor();
  p.weights = random.vector(clients).array() + 1.1;
  p.weights /= p.weights.sum();
  p.starts = random.matrix(features, classes);
  // Below 0 Poisson's loss falls for ever.
  p.targets.rightCols(classes - 1) = random.matrix(samples, classes - 1).cwiseAbs();
  return p;
}

enum class Storage { dense, single, sparse, sparse_single, one_value, in_place };
inline constexpr Storage storages[] = {Storage::dense,     Storage::single,
                                       Storage::sparse,    Storage::sparse_single,
                                       Storage::one_value, Storage::in_place};

// The same rows, some of whose entries become 0 in sparse storages, each given times a sign.
inline Problem stored(Problem p, Storage storage, std::uint64_t seed = 3) {
  Random random(seed);
  const bool sparse = storage != Storage::dense && storage != Storage::single;
  const bool single = storage == Storage::single || storage == Storage::sparse_single;
  auto given = std::make_shared<Given>();
  const Index n = p.rows.rows(), d = p.rows.cols();
  for (Index j = 0; j < n; ++j)
    for (Index k = 0; k < d; ++k) {
      double& entry = p.rows(j, k);
      if (sparse && random() < 0.3 && k != j % d) entry = 0;
      if (storage == Storage::one_value && entry != 0)
        entry = (1 + 0.1 * double(j % 7)) / std::sqrt(double(d));
      if (single) entry = static_cast<float>(entry);
    }
  given->in_place = storage == Storage::in_place;
  given->signs = random.vector(n).cwiseSign();
  given->plain = given->signs.asDiagonal() * p.rows;
  if (storage == Storage::single) given->single = given->plain.cast<float>();
  if (sparse) {
    given->begins = {0};
    for (Index j = 0; j < n; ++j) {
      for (Index k = 0; k < d; ++k)
        if (given->plain(j, k) != 0) {
          given->columns.push_back(static_cast<std::int32_t>(k));
          given->values.push_back(given->plain(j, k));
        }
      given->begins.push_back(static_cast<Index>(given->values.size()));
    }
    if (single) given->single_values.assign(given->values.begin(), given->values.end());
  }
  p.given = given;
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
