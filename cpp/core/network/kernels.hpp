// The kernels of an activation, compiled in kernels_float.cpp and kernels_double.cpp alone.
#pragma once

#include <string_view>

#include "client.hpp"

namespace localgd {

// -l' of n rows, see loss/registry.hpp.
template <class Real>
using DerivativesOfRows = void (*)(const Real* margins, Targets<Real> targets, Index n,
                                   Index outputs, Real* e);

// Which index of the left factor of a product counts up in memory.
enum class Stored { by_rows, by_columns };

// C <- keep C + alpha A B + shift of a panel: A rows x depth, B and C of `width` columns, whole
// registers, without gaps. by_rows: A(r, k) = a[r stride + k]; by_columns: a[k stride + r].
template <class Real>
struct PanelProduct {
  Index rows, depth, width;
  const Real* a;
  Index stride;
  const Real* b;
  Real alpha, keep;
  const Real* shift;  // or null
  Real* c;
};

// C <- keep C + alpha X B + shift, or the same with X^T, of a panel; see rows_times().
template <class Real>
struct PanelFactor {
  Index width;
  const Real* b;
  Real alpha, keep;
  const Real* shift;  // or null
  Real* c;
};

template <class Real>
struct NetworkKernels {
  // steps.hpp
  void (*steps)(const NetworkClient<Real>&, NetworkScratch<Real>&, DerivativesOfRows<Real>,
                RowDealer* dealer, Index batch, std::int64_t count, bool fresh, bool last);
  void (*derivatives)(const NetworkClient<Real>&, NetworkScratch<Real>&, DerivativesOfRows<Real>);
  void (*gradient)(const NetworkClient<Real>&, NetworkScratch<Real>&, UnitPanels<Real> first,
                   UnitPanels<Real> second);

  static NetworkKernels of(std::string_view activation);
  // products.hpp
  static void multiply(Stored stored, const PanelProduct<Real>& of);
  // sparse_products.hpp: with some rows of X, of which C has as many, or with their transposed,
  // where C is d x width. Dense rows must not be drawn.
  static void rows_times(const NetworkRows<Real>& x, const StepRows& rows,
                         const PanelFactor<Real>& of);
  static void transposed_times(const NetworkRows<Real>& x, const StepRows& rows,
                               const PanelFactor<Real>& of);
};

extern template struct NetworkKernels<float>;
extern template struct NetworkKernels<double>;

}  // namespace localgd
