// Local steps of one client in the span of its rows, w = w_k + A_i^T (step * s): margins move by
// K_ii alone. With e = -omega l'(m) on all rows or on those of a batch, omega the weights of the
// rows, keep = 1 - eta (lambda + mu), shift = eta A_i (q_i - lambda w_k):
//
//   m = A_i w_k + delta,   s <- keep s + e,   delta <- keep delta + step K_ii e + shift
//
// What moves is the deviation delta from the start of the round, so that float32 keeps its digits
// when steps become smaller than an ulp of a margin. Most rounds hardly move the margins: e follows
// there from what is known at A_i w_k by a short polynomial (after_move() of the losses) in place
// of an exp.
//
// Where lambda leaves an intercept alone, z in each row, the margins get back what it took of the
// intercept's deviation beta: delta <- delta + eta lambda beta z, and beta moves on by itself.
//
// The kernels start from given deviations and sums, so that the steps of a round may be taken in
// pieces.
#pragma once

#include "moved_rows.hpp"
#include "span_client.hpp"

namespace localgd {

// delta <- delta + shift; the largest |delta|.
template <class Real>
Real shift_margins(const SpanClient<Real>& c, Real* delta) {
  const Index size = c.gram.stride() * c.outputs;
  for (Index j = 0; j < size; ++j) delta[j] += c.shift[j];
  return largest(delta, size);
}

template <class Real>
MovedRows<Real> moved_rows(const SpanClient<Real>& c) {
  return {c.base,    c.at_start,  c.delta,   c.gram.stride(),
          c.targets, c.gram.size, c.outputs, c.functions};
}

// span_steps() of a client whose rows fill V registers. K e stays in them, and all else where a
// number known to the compiler finds it: a step takes less time than the calls that it is made of
// otherwise.
template <class Real, class Loss, int V>
void register_steps(const SpanClient<Real>& c, std::int64_t steps, bool last) {
  const Index n = c.gram.size;
  const Real keep = c.keep(), step = c.step;
  Real entries[V * lanes<Real>] = {};
  std::copy_n(c.sums, n, entries);
  Register<Real> delta[V], sums[V], e[V];
  for (int v = 0; v < V; ++v) {
    delta[v] = load(c.delta + v * lanes<Real>);
    sums[v] = load(entries + v * lanes<Real>);
  }
  for (std::int64_t l = 0; l < steps; ++l) {
    Register<Real> most{};
    for (int v = 0; v < V; ++v) {
      const Register<Real> turned = -delta[v], size = delta[v] > turned ? delta[v] : turned;
      most = size > most ? size : most;
    }
    const auto short_exp = [&](auto power) {
      for (int v = 0; v < V; ++v)
        e[v] = after_move<Loss>(load(c.at_start + v * lanes<Real>), load(c.base + v * lanes<Real>),
                                delta[v], power);
    };
    by_largest_move<Loss>(largest_lane<Real>(most), short_exp, [&](auto loss) {
      for (int v = 0; v < V; ++v)
        e[v] = derivative_at<decltype(loss)>(load(c.base + v * lanes<Real>) + delta[v],
                                             load(c.at_start + v * lanes<Real>));
    });
    if (c.row_weights)
      for (int v = 0; v < V; ++v) e[v] *= load(c.row_weights + v * lanes<Real>);
    for (int v = 0; v < V; ++v) {
      sums[v] = keep * sums[v] + e[v];
      store(entries + v * lanes<Real>, e[v]);
    }
    if (last && l + 1 == steps) break;
    Register<Real> moved[V];
    c.gram.whole->template product<V>(entries, moved);
    for (int v = 0; v < V; ++v) {
      delta[v] = multiply_add(all_lanes(step), moved[v], keep * delta[v]);
      if (c.shift) delta[v] += load(c.shift + v * lanes<Real>);
    }
  }
  for (int v = 0; v < V; ++v) {
    store(c.delta + v * lanes<Real>, delta[v]);
    store(entries + v * lanes<Real>, sums[v]);
  }
  std::copy_n(entries, n, c.sums);
}

// delta <- keep delta + step K e + shift, of a client whose rows fill V registers; the largest
// |delta|.
template <class Real, int V>
LOCALGD_ONE_COPY Real move_registers(const SpanClient<Real>& c, const Real* e) {
  const Real keep = c.keep(), step = c.step;
  Register<Real> moved[V], most{};
  c.gram.whole->template product<V>(e, moved);
  for (int v = 0; v < V; ++v) {
    Real* to = c.delta + v * lanes<Real>;
    Register<Real> delta = multiply_add(all_lanes(step), moved[v], keep * load(to));
    if (c.shift) delta += load(c.shift + v * lanes<Real>);
    store(to, delta);
    const Register<Real> turned = -delta, size = delta > turned ? delta : turned;
    most = size > most ? size : most;
  }
  return largest_lane<Real>(most);
}

// span_steps() of a client whose rows fill more than `few` registers, up to `most`: all but K e is
// in memory, and of all losses there is one copy of the product.
template <class Real, class Loss, int few, int most>
void panel_steps(const SpanClient<Real>& c, std::int64_t steps, bool last) {
  const Index n = c.gram.size, size = c.gram.stride();
  const Real keep = c.keep();
  Real (*move)(const SpanClient<Real>&, const Real*) = nullptr;
  with_size<most - few>(size / lanes<Real> - few,
                        [&](auto more) { move = &move_registers<Real, few + more.value>; });
  alignas(64) Real sums[most * lanes<Real>] = {}, e[most * lanes<Real>];
  std::copy_n(c.sums, n, sums);
  Real spread = largest(c.delta, size);
  for (std::int64_t l = 0; l < steps; ++l) {
    const auto derive = [&](auto derivative) {
      for (Index j = 0; j < size; j += lanes<Real>) {
        Register<Real> own = derivative(j);
        if (c.row_weights) own *= load(c.row_weights + j);
        store(sums + j, keep * load(sums + j) + own);
        store(e + j, own);
      }
    };
    const auto short_exp = [&](auto power) {
      derive([&](Index j) {
        return after_move<Loss>(load(c.at_start + j), load(c.base + j), load(c.delta + j), power);
      });
    };
    by_largest_move<Loss>(spread, short_exp, [&](auto loss) {
      derive([&](Index j) {
        return derivative_at<decltype(loss)>(load(c.base + j) + load(c.delta + j),
                                             load(c.at_start + j));
      });
    });
    if (last && l + 1 == steps) break;
    spread = move(c, e);
  }
  std::copy_n(sums, n, c.sums);
}

// delta <- delta + eta lambda beta z, beta <- (keep + eta lambda) beta + step z_rows^T e + shift, e
// of `count` rows in columns `stride` apart, the t-th of which is row(t).
template <class Real, class Row>
LOCALGD_ONE_COPY void move_intercept(const SpanClient<Real>& c, const Real* e, Index stride,
                                     Index count, Row&& row) {
  const FreeIntercept<Real>& own = c.intercept;
  for (Index k = 0; k < c.outputs; ++k) {
    double& moved = own.moved[k];
    const Real kept = static_cast<Real>(own.l2_step * moved);
    Real* delta = c.delta + k * c.gram.stride();
    for (Index j = 0; j < c.gram.size; ++j) delta[j] += kept * own.column[j];
    double sum = 0;
    for (Index t = 0; t < count; ++t)
      sum += static_cast<double>(own.column[row(t)]) * static_cast<double>(e[k * stride + t]);
    moved = (1 - c.decay + own.l2_step) * moved + static_cast<double>(c.step) * sum;
    if (own.shift) moved += own.shift[k];
  }
}

// last <- last + sign * the sum of the columns before it, each of whole registers.
template <class Real>
void add_columns_before(Real* last, Index columns, Index stride, Real sign) {
  for (Index j = 0; j < stride; j += lanes<Real>) {
    Register<Real> sum{};
    for (Index k = 1; k <= columns; ++k) sum += load(last - k * stride + j);
    store(last + j, load(last + j) + sign * sum);
  }
}

// delta <- delta + step K e + shift; the largest |delta|. The derivatives of several classes sum to
// 0 in each row, so that the last class moves by what the others do, turned: one product less.
template <class Loss, class Real>
Real move_margins(const SpanClient<Real>& c, const Real* e, Real* delta) {
  Real spread;
  if constexpr (Loss::multiclass) {
    const Index stride = c.gram.stride(), others = c.outputs - 1;
    Real* last = delta + others * stride;
    add_columns_before(last, others, stride, Real(1));
    spread = c.gram.add_product(e, others, c.step, delta);
    add_columns_before(last, others, stride, Real(-1));
    spread = std::max(spread, largest(last, stride));
  } else {
    spread = c.gram.add_product(e, c.outputs, c.step, delta);
  }
  return c.shift ? shift_margins(c, delta) : spread;
}

// Full batches: 2 n_i^2 C flops, n_i^2 reals read per step. last: nobody reads the margins after
// the last step, so its matrix product is left out.
template <class Real, class Loss>
void span_steps(const SpanClient<Real>& c, std::int64_t steps, bool last) {
  if constexpr (!Loss::multiclass) {
    // What stays in registers: delta, sums and K e, beside what is read.
    constexpr int most = 14, few = is_called<Loss> ? most : (registers - 3) / 3;
    const Index filled = c.gram.stride() / lanes<Real>;
    const bool fits = c.gram.whole && filled <= most && !c.intercept.column;
    if (fits && c.outputs == 1) {
      if constexpr (few < most)
        if (filled > few) return panel_steps<Real, Loss, few, most>(c, steps, last);
      return with_size<few>(filled,
                            [&](auto V) { register_steps<Real, Loss, V.value>(c, steps, last); });
    }
  }
  const Index n = c.gram.size, stride = c.gram.stride(), moving = stride * c.outputs;
  const MovedRows<Real> rows = moved_rows(c);
  const Real keep = c.keep();
  Real spread = largest(c.delta, moving);
  for (std::int64_t l = 0; l < steps; ++l) {
    derivatives_after_move<Loss>(rows, spread, c.scratch);
    if (c.row_weights) weigh_rows(c.row_weights, n, c.outputs, stride, c.scratch);
    for (Index k = 0; k < c.outputs; ++k) {
      Real* __restrict sums = c.sums + k * n;
      const Real* __restrict e = c.scratch + k * stride;
      for (Index j = 0; j < n; ++j) sums[j] = keep * sums[j] + e[j];
    }
    const bool moves = !last || l + 1 < steps;
    if (moves && keep != Real(1))
      for (Index j = 0; j < moving; ++j) c.delta[j] *= keep;
    if (c.intercept.column) move_intercept(c, c.scratch, stride, n, [](Index j) { return j; });
    if (!moves) return;
    spread = move_margins<Loss>(c, c.scratch, c.delta);
  }
}

}  // namespace localgd
