// Random problems with ragged clients, unequal weights and a start that is not 0.
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

 private:
  std::mt19937_64 bits_;
};

// The arrays that a Data looks at.
struct Problem {
  RowMatrix<double> rows;
  Vector<double> targets;
  std::vector<Index> offsets;
  Vector<double> weights, init;

  Data data() const {
    return Data(RowsView<double>(rows.data(), rows.rows(), rows.cols()),
                VectorView<double>(targets.data(), targets.size()), offsets, weights);
  }
};

inline Problem make_problem(const std::vector<Index>& sizes, Index features, std::uint64_t seed = 1) {
  Random random(seed);
  Problem p;
  p.offsets = {0};
  for (const Index n : sizes) p.offsets.push_back(p.offsets.back() + n);
  const Index samples = p.offsets.back(), clients = static_cast<Index>(sizes.size());
  p.rows = RowMatrix<double>::NullaryExpr(
      samples, features, [&](Index, Index) { return random() / std::sqrt(double(features) / 4); });
  p.targets = random.vector(samples);
  p.weights = random.vector(clients).array() + 1.1;
  p.weights /= p.weights.sum();
  p.init = random.vector(features);
  return p;
}

// Sizes that reach every path: one row, odd counts, a row more than a block or a vector holds, rows
// that fill several blocks of the primal kernel (4 rows from 512 features on) or panels of a Gram
// matrix (64 rows), more clients than features, and more features than one range of the server holds
// (512 from 128 clients on).
struct Shape {
  std::vector<Index> sizes;
  Index features;
};

inline std::vector<Shape> shapes() {
  return {{{1, 7, 3, 20, 12}, 9}, {{17, 2, 5}, 64}, {{9, 1, 6}, 700}, {{70, 3, 130}, 11},
          {std::vector<Index>(150, 1), 600}, {{1, 1}, 1}};
}

inline EngineOptions options(const Case& c, std::int64_t local_steps) {
  return {c.engine, c.loss.name, c.single, local_steps};
}

inline bool same_bits(const Vector<double>& a, const Vector<double>& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(double)) == 0;
}

// Everything that a run shows at its end, as one vector.
inline Vector<double> snapshot(Engine& engine) {
  const std::vector<Vector<double>> parts{engine.weights(), engine.margins(), engine.coefficients(),
                                          engine.local_changes(), engine.state()};
  Index size = 0, at = 0;
  for (const auto& part : parts) size += part.size();
  Vector<double> all(size);
  for (const auto& part : parts) {
    all.segment(at, part.size()) = part;
    at += part.size();
  }
  return all;
}

inline double relative_error(const Vector<double>& got, const Vector<double>& want) {
  return (got - want).norm() / std::max(want.norm(), 1e-300);
}

}  // namespace localgd::testing
