// The derivatives of rows whose margins move little: by what is known where they began and a
// polynomial as short as the largest move allows.
#pragma once

#include "../exp.hpp"
#include "../loss/called.hpp"
#include "row_weights.hpp"

namespace localgd {

// Rows whose margins are base + delta: those of a client, or those of a batch.
template <class Real>
struct MovedRows {
  const Real *base, *at_start, *delta;
  Index stride;  // between the columns
  Targets<Real> targets;
  Index n, outputs;
  const LossFunctions* functions = nullptr;  // of a loss that has them: at_start is rest_of_margins
};

// after_move() of a loss of one output, which may take the margin at the start.
template <class Loss, class V, class Exp>
LOCALGD_IN_PLACE V after_move(V at_start, [[maybe_unused]] V base, V delta, Exp power) {
  if constexpr (requires { Loss::after_move(at_start, base, delta, power); })
    return Loss::after_move(at_start, base, delta, power);
  else
    return Loss::after_move(at_start, delta, power);
}
template <class Loss, class V, class Less>
LOCALGD_IN_PLACE V change_after(V at_start, [[maybe_unused]] V base, V delta, Less less_one) {
  if constexpr (requires { Loss::change(at_start, base, delta, less_one); })
    return Loss::change(at_start, base, delta, less_one);
  else
    return Loss::change(at_start, delta, less_one);
}
// -l' at a margin that has moved far: where the target counts it is what is kept of the start.
template <class Loss, class V>
LOCALGD_IN_PLACE V derivative_at(V m, [[maybe_unused]] V at_start) {
  if constexpr (requires { Loss::negative_derivative(m); })
    return Loss::negative_derivative(m);
  else
    return Loss::negative_derivative(m, at_start);
}

// e = of(at_start, base, delta), a register of rows at a time, of all outputs.
template <class Real, class Of>
void for_registers(const MovedRows<Real>& at, Real* __restrict e, Of&& of) {
  for (Index j = 0; j < at.stride * at.outputs; j += lanes<Real>)
    store(e + j, of(load(at.at_start + j), load(at.base + j), load(at.delta + j)));
}

// short_exp(exp) where deviations up to `spread` allow a short one, or the loss needs none, or else
// full_exp(loss): handed to it, as a loss that is exact has no derivative that takes margins alone.
template <class Loss, class Real, class ShortExpBody, class FullExpBody>
LOCALGD_IN_PLACE void by_largest_move(Real spread, ShortExpBody&& short_exp,
                                      FullExpBody&& full_exp) {
  if constexpr (Loss::exact)
    short_exp([](auto x) { return x; });  // is exact
  else if (!with_short_exp(spread, short_exp))
    full_exp(Loss{});
}

// e = -l'(base + delta), in columns as those; spread: the largest |delta|, at least.
template <class Loss, class Real>
void derivatives_after_move(const MovedRows<Real>& at, Real spread, Real* __restrict e) {
  const auto short_exp = [&](auto power) {
    if constexpr (Loss::multiclass) {
      Loss::after_move(at.at_start, at.delta, at.targets.column(0), at.n, at.outputs, at.stride, e,
                       power);
    } else {
      for_registers(at, e, [&](auto at_start, auto base, auto delta) {
        return localgd::after_move<Loss>(at_start, base, delta, power);
      });
    }
  };
  by_largest_move<Loss>(spread, short_exp, [&](auto loss) {
    if constexpr (Loss::multiclass) {
      for (Index j = 0; j < at.stride * at.outputs; ++j) e[j] = at.base[j] + at.delta[j];
      loss.negative_derivatives(e, at.targets.column(0), at.n, at.outputs, at.stride, e);
    } else {
      for_registers(at, e, [](auto at_start, auto base, auto delta) {
        return derivative_at<decltype(loss)>(base + delta, at_start);
      });
    }
  });
}

// The same by functions, of the n rows alone.
template <class Loss, class Real>
  requires is_called<Loss>
void derivatives_after_move(const MovedRows<Real>& at, Real /*spread*/, Real* __restrict e) {
  for (Index k = 0, first = 0; k < at.outputs; ++k, first += at.stride)
    derive_by(
        *at.functions, at.n,
        [&](Index j) {
          const Index t = first + j;
          return called_margin(at.base[t], at.at_start[t], at.delta[t]);
        },
        [y = at.targets.column(k)](Index j) { return static_cast<double>(y[j]); },
        [=](Index j, double of_row) { e[first + j] = static_cast<Real>(of_row); });
}

// What e changes by from base to base + delta, where it is `before`; 0 beyond the n-th row.
template <class Loss, class Real>
void change_after_move(const MovedRows<Real>& at, Real spread, const Real* before,
                       Real* __restrict e) {
  const auto change = [&](auto less_one) {
    if constexpr (Loss::multiclass) {
      Loss::change(at.at_start, at.delta, at.targets.column(0), at.n, at.outputs, at.stride, e,
                   less_one);
    } else {
      for_registers(at, e, [&](auto at_start, auto base, auto delta) {
        return change_after<Loss>(at_start, base, delta, less_one);
      });
    }
  };
  if constexpr (Loss::exact) {
    change([](auto x) { return x; });  // is exact
  } else {
    using Short = ShortExp<Real>;
    if (spread <= Short::tiny)
      return change([](auto x) { return exp_slope<Short::less_of_tiny>(x) * x; });
    if (spread <= Short::small)
      return change([](auto x) { return exp_slope<Short::less_of_small>(x) * x; });
    if (spread <= Short::moderate)
      return change([](auto x) { return exp_slope<Short::less_of_moderate>(x) * x; });
    derivatives_after_move<Loss>(at, spread, e);
    for (Index k = 0; k < at.outputs; ++k)
      for (Index j = 0; j < at.stride; ++j)
        e[k * at.stride + j] =
            j < at.n ? e[k * at.stride + j] - before[k * at.stride + j] : Real(0);
  }
}

// The two of a loss, for what needs to be compiled but once for all of them.
template <class Real>
struct RowDerivatives {
  void (*after_move)(const MovedRows<Real>& at, Real spread, Real* e);
  void (*change)(const MovedRows<Real>& at, Real spread, const Real* before, Real* e);
  bool exact;  // change() does without `before`, however far rows move
};
template <class Loss, class Real>
inline constexpr RowDerivatives<Real> row_derivatives{&derivatives_after_move<Loss, Real>,
                                                      &change_after_move<Loss, Real>, Loss::exact};

// change() of rows with weights omega, where `before` has them, too.
template <class Real>
LOCALGD_ONE_COPY void weighted_change(const RowDerivatives<Real>& of_loss, const Real* weights,
                                      const MovedRows<Real>& at, Real spread, const Real* before,
                                      Real* e) {
  const bool small = of_loss.exact || spread <= ShortExp<Real>::moderate;
  if (small)
    of_loss.change(at, spread, before, e);
  else
    of_loss.after_move(at, spread, e);
  weigh_rows(weights, at.n, at.outputs, at.stride, e);
  if (small) return;
  for (Index k = 0; k < at.outputs; ++k, e += at.stride, before += at.stride)
    for (Index j = 0; j < at.stride; ++j) e[j] = j < at.n ? e[j] - before[j] : Real(0);
}

// The largest |x| of whole registers; less where there is a NaN, which the derivatives will have
// too.
template <class Real>
Real largest(const Real* x, Index n) {
  Register<Real> most{};
  for (Index j = 0; j < n; j += lanes<Real>) {
    const Register<Real> value = load(x + j), turned = -value;
    const Register<Real> size = value > turned ? value : turned;
    most = size > most ? size : most;
  }
  return largest_lane<Real>(most);
}

}  // namespace localgd
