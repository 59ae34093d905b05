// Local steps of a bundle of clients (bundles.hpp), as those of one in span_steps.hpp.
#pragma once

#include "bundles.hpp"
#include "moved_rows.hpp"

namespace localgd {

namespace detail {

// What the lower triangle of R rows and columns of K_ii makes of e; `entry` has entries with column
// <= row.
template <int R, class Real, class EntryAt>
LOCALGD_IN_PLACE void multiply_triangle(EntryAt&& entry, const Register<Real> (&e)[R],
                                        Register<Real> (&sums)[R]) {
  unrolled<R>([&](auto r) { sums[r] = entry(r, r) * e[r]; });
  unrolled<R>([&](auto r) {
    unrolled<r>([&](auto c) {
      const Register<Real> both = entry(r, c);
      sums[r] += both * e[c];
      sums[c] += both * e[r];
    });
  });
}

// delta <- keep delta + step sums, in rows `stride` apart. Returns the largest |delta|.
template <int R, class Real>
LOCALGD_IN_PLACE Register<Real> move_rows(const Register<Real> (&sums)[R], Register<Real> step,
                                          Real keep, Real* delta) {
  Register<Real> most{};
  unrolled<R>([&](auto r) {
    Real* to = delta + r * bundle_width<Real>;
    const Register<Real> moved = multiply_add(step, sums[r], keep * load(to)), turned = -moved;
    store(to, moved);
    const Register<Real> size = moved > turned ? moved : turned;
    most = size > most ? size : most;
  });
  return most;
}

// R rows of half of the lanes move by step K_ii e, from `row` on: a number, or a type. Returns the
// largest |delta|.
template <int R, class Row, class Real>
LOCALGD_IN_PLACE Register<Real> move_bundle_rows(const Real* gram, Row row, Index n, const Real* e,
                                                 Register<Real> step, Real keep, Real* delta) {
  constexpr Index width = bundle_width<Real>;
  // j <= i
  const auto entry = [=](Index i, Index j) { return load(gram + (triangle(i) + j) * width); };
  Register<Real> own[R], sums[R];
  unrolled<R>([&](auto r) { own[r] = load(e + (row + r) * width); });
  multiply_triangle<R, Real>([&](auto r, auto c) { return entry(row + r, row + c); }, own, sums);
  for (Index j = 0; j < row; ++j) {
    const Register<Real> other = load(e + j * width);
    unrolled<R>([&](auto r) { sums[r] += entry(row + r, j) * other; });
  }
  for (Index j = row + R; j < n; ++j) {
    const Register<Real> other = load(e + j * width);
    unrolled<R>([&](auto r) { sums[r] += entry(j, row + r) * other; });
  }
  return move_rows<R, Real>(sums, step, keep, delta + row * width);
}

}  // namespace detail

// delta <- keep delta + step K_ii e; the largest |delta|.
template <class Real>
LOCALGD_ONE_COPY Real move_bundle(const BundleClients<Real>& c) {
  Register<Real> most{};
  const auto move = [&](auto row, auto R) {
    for (Index l = 0; l < bundle_width<Real>; l += lanes<Real>) {
      const Register<Real> size =
          detail::move_bundle_rows<R>(c.gram + l, row, c.n, c.at.e.data() + l,
                                      load(c.at.step.data() + l), c.keep, c.at.delta.data() + l);
      most = size > most ? size : most;
    }
  };
  // Where the compiler knows the row it knows all places in the triangle.
  in_pieces<5, 4, 3, 2, 1>(c.n, [&](Index row, auto R) {
    if (row == 0) return move(std::integral_constant<Index, 0>{}, R);
    if (row == 5) return move(std::integral_constant<Index, 5>{}, R);
    move(row, R);
  });
  return largest_lane<Real>(most);
}

// delta <- delta + shift; the largest |delta|.
template <class Real>
LOCALGD_ONE_COPY Real shift_bundle(const BundleClients<Real>& c) {
  Real* delta = c.at.delta.data();
  const Index size = c.n * bundle_width<Real>;
  for (Index t = 0; t < size; t += lanes<Real>)
    store(delta + t, load(delta + t) + load(c.at.shift.data() + t));
  return largest(delta, size);
}

// bundle_steps() of clients with n rows, without weights or a shift: e and K_ii e stay in
// registers.
template <int n, class Loss, class Real>
void small_bundle_steps(BundleClients<Real>& c, std::int64_t steps, bool last) {
  constexpr Index width = bundle_width<Real>;
  const Real *base = c.at.base.data(), *at_start = c.at.at_start.data(), keep = c.keep;
  Real *sums = c.at.sums.data(), *delta = c.at.delta.data();
  Real spread = largest(delta, n * width);
  const Index lines = (c.next.lines() + steps - 1) / steps;  // in each step
  for (std::int64_t l = 0; l < steps; ++l) {
    c.next.some(lines);
    Register<Real> most{};
    const auto step = [&](auto derivative) {
      for (Index h = 0; h < width; h += lanes<Real>) {
        Register<Real> e[n], moved[n];
        unrolled<n>([&](auto r) {
          const Index at = r * width + h;
          e[r] = derivative(at);
          store(sums + at, keep * load(sums + at) + e[r]);
        });
        if (last && l + 1 == steps) continue;
        detail::multiply_triangle<n, Real>(
            [&](auto r, auto k) { return load(c.gram + (detail::triangle(r) + k) * width + h); }, e,
            moved);
        const Register<Real> size =
            detail::move_rows<n, Real>(moved, load(c.at.step.data() + h), keep, delta + h);
        most = size > most ? size : most;
      }
    };
    by_largest_move<Loss>(
        spread,
        [&](auto power) {
          step([&](Index at) {
            return after_move<Loss>(load(at_start + at), load(base + at), load(delta + at), power);
          });
        },
        [&](auto loss) {
          step([&](Index at) {
            return derivative_at<decltype(loss)>(load(base + at) + load(delta + at),
                                                 load(at_start + at));
          });
        });
    spread = largest_lane<Real>(most);
  }
}

// Full batches, as span_steps().
template <class Real, class Loss>
void bundle_steps(BundleClients<Real>& c, std::int64_t steps, bool last) {
  if constexpr (!Loss::multiclass) {
    constexpr int few = 5;
    if (c.n <= few && !c.row_weights && !c.shifted)
      return with_size<few>(c.n,
                            [&](auto n) { small_bundle_steps<n.value, Loss>(c, steps, last); });
    const Index size = c.n * bundle_width<Real>;
    const MovedRows<Real> rows{
        c.at.base.data(), c.at.at_start.data(), c.at.delta.data(), size, nullptr, size, 1};
    Real *sums = c.at.sums.data(), *e = c.at.e.data();
    Real spread = largest(c.at.delta.data(), size);
    const Index lines = (c.next.lines() + steps - 1) / steps;  // in each step
    for (std::int64_t l = 0; l < steps; ++l) {
      c.next.some(lines);
      derivatives_after_move<Loss>(rows, spread, e);
      if (c.row_weights) weigh_rows(c.row_weights, size, 1, size, e);
      for (Index t = 0; t < size; t += lanes<Real>)
        store(sums + t, c.keep * load(sums + t) + load(e + t));
      if (last && l + 1 == steps) return;
      spread = move_bundle(c);
      if (c.shifted) spread = shift_bundle(c);
    }
  }
}

}  // namespace localgd
