// Every loss by name: a new loss is one file and one line here.
//
// It is a struct with
//   name                 for Python, as what follows
//   facts                see facts.hpp
//   signed_rows          whether it is a function of y x.w alone: rows come with their sign
//   multiclass           whether it is a function of several outputs; functions then take many rows
//                        at once. Of other losses outputs are independent, each with targets
//   exact                whether after_move() and change() need no exp
//   value                l
//   negative_derivative  -l'; of margins alone where targets do not count
//   at_start             what is kept of known margins for -l' near them:
//   after_move, change   -l' at a deviation from them, and by how much it differs, from exp and
//                        exp - 1 of the deviation; of the margin, too, where the target is kept
#pragma once

#include <string_view>
#include <variant>

#include "../named.hpp"
#include "called.hpp"
#include "exponential.hpp"
#include "huber.hpp"
#include "logistic.hpp"
#include "poisson.hpp"
#include "softmax.hpp"
#include "squared.hpp"
#include "squared_hinge.hpp"

namespace localgd {

// The first that fits a task is the one that a run takes if none is asked for.
using Losses =
    Named<std::variant<Exponential, Logistic, SquaredHinge, Squared, Huber, Poisson, Softmax>>;

// Calls visitor with an object of the loss type of that name and returns what it returns.
template <class Visitor>
auto with_loss(std::string_view name, Visitor&& visitor) {
  return std::visit(visitor, Losses::find("loss", name));
}
// The same, or with an object of Called for a loss of functions.
template <class Visitor>
auto with_chosen_loss(const LossChoice& loss, Visitor&& visitor) {
  if (loss.functions) return visitor(Called(*loss.functions));
  return with_loss(loss.name, visitor);
}

// e = -l' for n rows with the given margins; both are n x C, column by column.
template <class Loss, class Real>
void negative_derivatives(const Real* margins, Targets<Real> targets, Index n, Index outputs,
                          Real* e) {
  if constexpr (Loss::multiclass) {
    Loss::negative_derivatives(margins, targets.column(0), n, outputs, n, e);
  } else {
    for (Index k = 0; k < outputs; ++k, margins += n, e += n) {
      const Real* y = targets.column(k);
      for (Index j = 0; j < n; ++j) e[j] = Loss::negative_derivative(margins[j], y[j]);
    }
  }
}

// What after_move() needs of margins (n x C without gaps) to give derivatives close to them; the
// columns of `at_start` are `stride` apart.
template <class Loss, class Real>
void values_at_start(const double* margins, Targets<double> targets, Index n, Index outputs,
                     Index stride, Real* at_start) {
  if constexpr (Loss::multiclass) {
    Loss::values_at_start(margins, n, outputs, stride, at_start);
  } else {
    for (Index k = 0; k < outputs; ++k, margins += n, at_start += stride) {
      const double* y = targets.column(k);
      for (Index j = 0; j < n; ++j)
        at_start[j] = static_cast<Real>(Loss::at_start(margins[j], y[j]));
    }
  }
}

// The loss of one row, whose outputs are `stride` apart: the sum over those that are independent.
template <class Loss>
double loss_value(const double* margins, Index stride, Index outputs, Targets<double> targets) {
  if constexpr (Loss::multiclass) {
    return Loss::value(margins, stride, outputs, targets[0]);
  } else {
    double sum = Loss::value(*margins, targets[0]);
    for (Index k = 1; k < outputs; ++k) sum += Loss::value(margins[k * stride], *targets.column(k));
    return sum;
  }
}

}  // namespace localgd
