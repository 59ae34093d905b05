// Products of rows with a panel. Of sparse ones an entry takes or gives a row of the panel at once,
// so that what is contiguous is so here, too.
#pragma once

#include "kernels.hpp"

namespace localgd {

template <class Real, int V>
LOCALGD_ONE_COPY void sparse_rows_times(const SparseView<Real>& x, const StepRows& rows,
                                        const PanelFactor<Real>& of) {
  constexpr Index width = V * lanes<Real>;
  const auto alpha = all_lanes(of.alpha), keep = all_lanes(of.keep);
  for (Index t = 0; t < rows.count; ++t) {
    const Index row = rows.of(t);
    Register<Real> sums[V] = {};
    for (Index k = x.begin(row); k < x.begin(row + 1); ++k) {
      const auto value = all_lanes(x.values[k]);
      const Real* b = of.b + x.columns[k] * width;
      unrolled<V>([&](auto v) LOCALGD_LAMBDA_IN_PLACE {
        sums[v] = multiply_add(value, load(b + v * lanes<Real>), sums[v]);
      });
    }
    unrolled<V>([&](auto v) LOCALGD_LAMBDA_IN_PLACE {
      const Index at = t * width + v * lanes<Real>;
      Register<Real> base{};
      if (of.keep != Real(0)) base = keep * load(of.c + at);
      if (of.shift) base += load(of.shift + at);
      store(of.c + at, multiply_add(alpha, sums[v], base));
    });
  }
}

template <class Real, int V>
LOCALGD_ONE_COPY void sparse_transposed_times(const SparseView<Real>& x, const StepRows& rows,
                                              const PanelFactor<Real>& of) {
  constexpr Index width = V * lanes<Real>;
  const Index numbers = x.features * width;
  if (of.keep == Real(0))
    std::fill_n(of.c, numbers, Real(0));
  else if (of.keep != Real(1))
    for (Index j = 0; j < numbers; ++j) of.c[j] *= of.keep;
  if (of.shift)
    for (Index j = 0; j < numbers; ++j) of.c[j] += of.shift[j];
  for (Index t = 0; t < rows.count; ++t) {
    const Index row = rows.of(t);
    Register<Real> g[V];
    unrolled<V>([&](auto v) LOCALGD_LAMBDA_IN_PLACE {
      g[v] = all_lanes(of.alpha) * load(of.b + t * width + v * lanes<Real>);
    });
    for (Index k = x.begin(row); k < x.begin(row + 1); ++k) {
      const auto value = all_lanes(x.values[k]);
      Real* c = of.c + x.columns[k] * width;
      unrolled<V>([&](auto v) LOCALGD_LAMBDA_IN_PLACE {
        store(c + v * lanes<Real>, multiply_add(value, g[v], load(c + v * lanes<Real>)));
      });
    }
  }
}

template <class Real>
void NetworkKernels<Real>::rows_times(const NetworkRows<Real>& x, const StepRows& rows,
                                      const PanelFactor<Real>& of) {
  if (x.dense)
    return multiply(Stored::by_rows,
                    {rows.count, x.features, of.width, x.dense + rows.first * x.features,
                     x.features, of.b, of.alpha, of.keep, of.shift, of.c});
  with_size<static_cast<int>(panel_registers<Real>)>(of.width / lanes<Real>, [&](auto V) {
    sparse_rows_times<Real, V.value>(x.sparse, rows, of);
  });
}

template <class Real>
void NetworkKernels<Real>::transposed_times(const NetworkRows<Real>& x, const StepRows& rows,
                                            const PanelFactor<Real>& of) {
  if (x.dense)
    return multiply(Stored::by_columns,
                    {x.features, rows.count, of.width, x.dense + rows.first * x.features,
                     x.features, of.b, of.alpha, of.keep, of.shift, of.c});
  with_size<static_cast<int>(panel_registers<Real>)>(of.width / lanes<Real>, [&](auto V) {
    sparse_transposed_times<Real, V.value>(x.sparse, rows, of);
  });
}

}  // namespace localgd
