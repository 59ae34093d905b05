// What a run costs on one core, foreseen from the sizes of the problem and its options alone: the
// engine is chosen by it, and nothing may depend on the machine, not even on its registers, or bits
// would depend on where one is. Phases and models count their work by kinds (forecast()), and
// `of_kind` says what one of each takes.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "types.hpp"

namespace localgd {

class Cost {
 public:
  enum Kind : std::size_t {
    rounds,
    clients,       // of a round on K_ii or in the weights, or bundles of them
    numbers,       // of rows, for each output: a handful of operations on each
    steps,         // of a client on K_ii: latency
    derivatives,   // of rows in such a step, mostly by short polynomials
    exponentials,  // the same elsewhere, with an exp
    flops,         // of products with Gram matrices; half as many count where reals are float32
    row_flops,     // of products with rows and of rows, likewise
    products,      // with the rows of a client: latency
    second_level,  // bytes read of what does not fit in the first-level cache,
    third_level,   // in the second-level one
    memory,        // and in the third-level one
    draws,         // of a row
    weights,       // numbers that sums over clients, the server or a step in the weights take
    strip_flops,   // of products with Gram matrices for many runs at once
    filled,        // bytes of memory, before the first round
    blocks,        // K_ii, likewise
    entries,       // of sparse rows, a product and a sum each
    kinds
  };
  struct OfKind {
    const char* name;
    double nanoseconds;
  };
  // Least squares of relative errors to the times of 766 problems, taken by `python
  // bench/engine_choice --seed 1` and `--seed 2` on one thread of an AMD EPYC (Zen 5) with AVX-512
  // and fitted by `--calibrate`; those of strips to sweeps of 16 runs. Only their ratios choose.
  static constexpr std::array<OfKind, kinds> of_kind{{
      {"rounds", 130},
      {"clients", 45},
      {"numbers", 0.35},
      {"steps", 14},
      {"derivatives", 0.3},
      {"exponentials", 3.1},
      {"flops", 0.0068},
      {"row_flops", 0.017},
      {"products", 29},
      {"second_level", 0.0037},
      {"third_level", 0.0037},
      {"memory", 0.021},
      {"draws", 3.6},
      {"weights", 0.073},
      {"strip_flops", 0.011},
      {"filled", 0.3},
      {"blocks", 630},
      {"entries", 0.2},
  }};

  void add(Kind kind, double amount) { amounts_[kind] += amount; }
  template <class Real>
  void add_flops(Kind kind, double count) {
    add(kind, count * static_cast<double>(sizeof(Real)) / sizeof(double));
    flops_ += count;
  }
  // Of a set of bytes that are read over and over.
  void read(double bytes, double set) {
    constexpr double level[] = {0x1p15, 0x1p20, 0x1p25};  // of caches that are nobody's
    if (set > level[0]) add(second_level, bytes);
    if (set > level[1]) add(third_level, bytes);
    if (set > level[2]) add(memory, bytes);
    bytes_ += bytes;
  }

  const std::array<double, kinds>& amounts() const { return amounts_; }
  double seconds() const {
    double nanoseconds = 0;
    for (std::size_t kind = 0; kind < kinds; ++kind)
      nanoseconds += amounts_[kind] * of_kind[kind].nanoseconds;
    return 1e-9 * nanoseconds;
  }
  double all_flops() const { return flops_; }
  double all_bytes() const { return bytes_; }

 private:
  std::array<double, kinds> amounts_{};
  double flops_ = 0, bytes_ = 0;
};

// What is known of a run before it begins.
struct Outlook {
  double rounds = 1;  // 1 at least
  double share = 1;   // of the clients that take part in a round

  bool all() const { return share >= 1; }
  // The share of bundles of so many clients of which one takes part.
  double any_of(Index clients) const {
    return all() ? 1 : 1 - std::pow(1 - share, static_cast<double>(clients));
  }

  // The mean of of(k) over the rounds k, nearly.
  template <class Of>
  auto mean(Of&& of) const {
    constexpr int some = 8;
    decltype(of(rounds)) sum{};
    for (int t = 0; t < some; ++t) sum += of((t + 0.5) / some * rounds);
    return sum / some;
  }

  // By how much the margins of N rows in d features move within round k: about 1/k on separable
  // rows, where they grow like log k, and later where rows have few features to agree on.
  static double moves(double samples, double features, double k) {
    const double slow = 10 * std::sqrt(samples / std::max(features, 1.0));
    return std::min(1.0, slow / (k + slow));
  }
};

// The cost of a run in parts: a phase and a model add theirs.
struct Forecast {
  Cost setup, round;  // a round in the mean over those of the run
  double memory = 0;  // bytes of Gram matrices and sums
  Index parts = 1;    // which the work of a round can be divided among
};

// Registers of a forecast are those of AVX-512 on every machine.
template <class Real>
inline constexpr Index usual_lanes = 64 / static_cast<Index>(sizeof(Real));

// n rows of K_ii, each in whole registers.
template <class Real>
double entries_of_block(Index n) {
  constexpr Index lanes = usual_lanes<Real>;
  return static_cast<double>(n) * static_cast<double>((n + lanes - 1) / lanes * lanes);
}

}  // namespace localgd
