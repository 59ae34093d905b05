// Products with a panel: tiles of some rows and the panel's registers, whose sums stay in registers
// while the depth passes in blocks that the first-level cache holds.
#pragma once

#include "kernels.hpp"

namespace localgd {

template <class Real, Stored stored, int R, int V>
LOCALGD_ONE_COPY void tile(const PanelProduct<Real>& of, Index first, Index depth, const Real* a,
                           const Real* b, Real keep, const Real* shift) {
  constexpr Index width = V * lanes<Real>;
  const Index stride = of.stride;
  a += stored == Stored::by_rows ? first * stride : first;
  Register<Real> sums[R][V] = {};
  for (Index k = 0; k < depth; ++k, b += width) {
    Register<Real> right[V];
    unrolled<V>([&](auto v) LOCALGD_LAMBDA_IN_PLACE { right[v] = load(b + v * lanes<Real>); });
    unrolled<R>([&](auto r) LOCALGD_LAMBDA_IN_PLACE {
      const auto left =
          all_lanes(stored == Stored::by_rows ? a[r * stride + k] : a[k * stride + r]);
      unrolled<V>([&](auto v) LOCALGD_LAMBDA_IN_PLACE {
        sums[r][v] = multiply_add(left, right[v], sums[r][v]);
      });
    });
  }
  Real* c = of.c + first * width;
  const auto alpha = all_lanes(of.alpha), kept = all_lanes(keep);
  unrolled<R>([&](auto r) LOCALGD_LAMBDA_IN_PLACE {
    unrolled<V>([&](auto v) LOCALGD_LAMBDA_IN_PLACE {
      const Index at = r * width + v * lanes<Real>;
      Register<Real> base{};
      if (keep == Real(1))
        base = load(c + at);
      else if (keep != Real(0))
        base = kept * load(c + at);
      if (shift) base += load(shift + first * width + at);
      store(c + at, multiply_add(alpha, sums[r][v], base));
    });
  });
}

template <class Real, Stored stored, int V>
void multiply_panel(const PanelProduct<Real>& of) {
  constexpr Index block = 128, width = V * lanes<Real>;
  constexpr int R = V == 4 ? 6 : V == 2 && registers < 32 ? 6 : 8;
  Index k = 0;
  do {
    const Index depth = std::min(block, of.depth - k);
    const Real *a = of.a + (stored == Stored::by_rows ? k : k * of.stride), *b = of.b + k * width;
    const Real keep = k == 0 ? of.keep : Real(1);
    const Real* shift = k == 0 ? of.shift : nullptr;
    in_pieces<R, 4, 2, 1>(of.rows, [&](Index first, auto size) {
      tile<Real, stored, size.value, V>(of, first, depth, a, b, keep, shift);
    });
    k += depth;
  } while (k < of.depth);
}

template <class Real>
void NetworkKernels<Real>::multiply(Stored stored, const PanelProduct<Real>& of) {
  with_size<static_cast<int>(panel_registers<Real>)>(of.width / lanes<Real>, [&](auto V) {
    if (stored == Stored::by_rows)
      multiply_panel<Real, Stored::by_rows, V.value>(of);
    else
      multiply_panel<Real, Stored::by_columns, V.value>(of);
  });
}

}  // namespace localgd
