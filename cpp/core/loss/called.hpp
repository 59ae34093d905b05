// A loss by functions of the caller's, each of which takes many rows at once.
#pragma once

#include <algorithm>
#include <atomic>
#include <concepts>
#include <string_view>

#include "../lanes.hpp"
#include "facts.hpp"
#include "targets.hpp"

namespace localgd {

// What a function gives for n rows, from their margins, and their targets if the loss takes them.
// Rows are independent of each other, and any thread may call.
struct RowFunction {
  void (*call)(const void* context, const double* margins, const double* targets, Index n,
               double* out) = nullptr;
  const void* context = nullptr;

  void operator()(const double* margins, const double* targets, Index n, double* out) const {
    call(context, margins, targets, n, out);
  }
};

struct LossFunctions {
  RowFunction values, slopes;  // l and l'
  bool signed_rows = true;     // as of a loss of the registry; then targets need not be read
  bool has_exact_solve = false;
  // Set by a function that could not give its numbers: the round is given up.
  mutable std::atomic<bool> failed{false};

  // l of n rows, the sum over their outputs, whose margins are `stride` apart.
  Vector<double> values_of_rows(const double* margins, Index stride, Targets<double> targets,
                                Index n, Index outputs) const {
    Vector<double> sums(n), own(n);
    values(margins, targets.column(0), n, sums.data());
    for (Index k = 1; k < outputs; ++k) {
      values(margins + k * stride, targets.column(k), n, own.data());
      sums += own;
    }
    return sums;
  }
};

// Which loss: one of the registry by its name, or one of functions.
struct LossChoice {
  std::string_view name;
  const LossFunctions* functions = nullptr;

  // A name is a loss.
  template <std::convertible_to<std::string_view> Name>
  LossChoice(const Name& known) : name(known) {}
  explicit LossChoice(const LossFunctions& own) : functions(&own) {}

  bool failed() const { return functions && functions->failed.load(std::memory_order_relaxed); }
};

// What stands for it beside the types of the registry. Local steps are never extrapolated: how
// smooth it is, and how exact its differences are, nobody knows.
struct Called {
  static constexpr bool multiclass = false;
  LossFacts facts{.tasks = {}, .curvature = 1, .smooth = false, .has_exact_solve = false};
  bool signed_rows = true;

  explicit Called(const LossFunctions& own) : signed_rows(own.signed_rows) {
    facts.has_exact_solve = own.has_exact_solve;
  }
};
template <class Loss>
inline constexpr bool is_called = std::is_same_v<Loss, Called>;

// e = -l' of n rows, so many at a time that they stay in the first-level cache, with margin(j) and
// target(j) of the j-th; take(j, e).
template <class Margin, class Target, class Take>
void derive_by(const LossFunctions& functions, Index n, Margin&& margin, Target&& target,
               Take&& take) {
  constexpr Index piece = 512;
  alignas(64) double margins[piece], targets[piece], out[piece];
  for (Index first = 0; first < n; first += piece) {
    const Index count = std::min(piece, n - first);
    for (Index j = 0; j < count; ++j) margins[j] = margin(first + j);
    for (Index j = 0; j < count && !functions.signed_rows; ++j) targets[j] = target(first + j);
    functions.slopes(margins, targets, count, out);
    for (Index j = 0; j < count; ++j) take(first + j, -out[j]);
  }
}

// -l' of n rows in Real. e may be where the margins are.
template <class Real>
struct CalledDerivatives {
  const LossFunctions* functions;

  void operator()(const Real* margins, Targets<Real> targets, Index n, Index outputs,
                  Real* e) const {
    for (Index k = 0; k < outputs; ++k, margins += n, e += n)
      derive_by(
          *functions, n, [=](Index j) { return static_cast<double>(margins[j]); },
          [y = targets.column(k)](Index j) { return static_cast<double>(y[j]); },
          [=](Index j, double of_row) { e[j] = static_cast<Real>(of_row); });
  }
};

// Of margins in float64: what Real does not hold of them.
template <class Real>
void rest_of_margins(const double* margins, Targets<double> /*targets*/, Index n, Index outputs,
                     Index stride, Real* rest) {
  for (Index k = 0; k < outputs; ++k, margins += n, rest += stride)
    for (Index j = 0; j < n; ++j)
      rest[j] = static_cast<Real>(margins[j] - static_cast<double>(static_cast<Real>(margins[j])));
}

// The margin base + delta in float64, from what base lacks of it.
template <class Real>
double called_margin(Real base, Real rest, Real delta) {
  return static_cast<double>(base) + (static_cast<double>(rest) + static_cast<double>(delta));
}

}  // namespace localgd
