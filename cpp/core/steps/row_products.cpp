// In a unit of its own, so that nothing around a product decides how it is rounded: each has one
// use, the sum that it is added to, and is fused with it wherever the processor can.
#include "row_products.hpp"

#include <type_traits>

#include "../blocks/tiles.hpp"

namespace localgd {

namespace detail {

// m(r, k) = a_r . x_k of R rows and K columns in the type of x; columns of x are d apart, those of
// m `stride`. first: these columns are the first to read the rows, and fetch what is read some
// tiles later, if there is time.
template <class Stored, class Real, int R, int K, bool first>
void row_dots(const Stored* a, Index d, const Real* x, Real* m, Index stride) {
  Register<Real> sums[K][R];
  for (int k = 0; k < K; ++k)
    for (int r = 0; r < R; ++r) sums[k][r] = Register<Real>{};
  Index j = 0;
  for (; j + lanes<Real> <= d; j += lanes<Real>) {
    Register<Real> rows[R];
    for (int r = 0; r < R; ++r) rows[r] = load_as<Real>(a + r * d + j);
#if defined(__GNUC__)
    if constexpr (first && K > 3)
      for (int r = 0; r < R; ++r) __builtin_prefetch(a + (tiles_ahead * R + r) * d + j, 0, 2);
#endif
    for (int k = 0; k < K; ++k) {
      const Register<Real> column = load(x + k * d + j);
      for (int r = 0; r < R; ++r) sums[k][r] += rows[r] * column;
    }
  }
  for (int k = 0; k < K; ++k)
    for (int r = 0; r < R; ++r) {
      Real sum = sum_of_lanes<Real>(sums[k][r]);
      for (Index i = j; i < d; ++i) sum += static_cast<Real>(a[r * d + i]) * x[k * d + i];
      m[k * stride + r] = sum;
    }
}

// g_k += sum_r e(r, k) a_r.
template <class Real, int R, int K>
void add_rows(const Real* a, Index d, const Real* e, Index stride, Real* g) {
  using Packet = typename Eigen::internal::packet_traits<Real>::type;
  constexpr Index width = Eigen::internal::packet_traits<Real>::size;
  Packet factors[R][K];
  for (int r = 0; r < R; ++r)
    for (int k = 0; k < K; ++k) factors[r][k] = Eigen::internal::pset1<Packet>(e[k * stride + r]);
  Index j = 0;
  for (; j + width <= d; j += width) {
    Packet sums[K];
    for (int k = 0; k < K; ++k) sums[k] = Eigen::internal::ploadu<Packet>(g + k * d + j);
    for (int r = 0; r < R; ++r) {
      const Packet row = Eigen::internal::ploadu<Packet>(a + r * d + j);
      for (int k = 0; k < K; ++k) sums[k] = Eigen::internal::pmadd(row, factors[r][k], sums[k]);
    }
    for (int k = 0; k < K; ++k) Eigen::internal::pstoreu(g + k * d + j, sums[k]);
  }
  for (; j < d; ++j)
    for (int k = 0; k < K; ++k)
      for (int r = 0; r < R; ++r) g[k * d + j] += e[k * stride + r] * a[r * d + j];
}

// How many rows and columns meet in registers at once.
template <class Body>
void for_row_groups(Index rows, Index outputs, Body&& body) {
  if (outputs == 1)
    in_pieces<8, 4, 1>(
        rows, [&](Index r, auto R) { body(r, Index{0}, R, std::integral_constant<int, 1>{}); });
  else
    in_pieces<4, 1>(rows, [&](Index r, auto R) {
      in_pieces<2, 1>(outputs, [&](Index k, auto K) { body(r, k, R, K); });
    });
}

}  // namespace detail

template <class Stored, class Real>
void multiply_rows(const Stored* a, Index rows, Index d, Index outputs, const Real* x, Real* m,
                   Index stride) {
  const auto dots = [&](Index r, auto R, Index k, auto K, auto first) {
    detail::row_dots<Stored, Real, R.value, K.value, first.value>(a + r * d, d, x + k * d,
                                                                  m + k * stride + r, stride);
  };
  if (outputs == 1)
    return in_pieces<8, 4, 1>(rows, [&](Index r, auto R) {
      dots(r, R, Index{0}, std::integral_constant<int, 1>{}, std::true_type{});
    });
  // columns whose sums of four rows stay in registers
  constexpr int widest = registers >= 32 ? 5 : 2;
  const Index parts = (outputs + widest - 1) / widest;
  in_pieces<4, 1>(rows, [&](Index r, auto R) {
    for (Index part = 0; part < parts; ++part) {
      const Index k = outputs * part / parts, end = outputs * (part + 1) / parts;
      with_size<widest>(end - k, [&](auto K) {
        part == 0 ? dots(r, R, k, K, std::true_type{}) : dots(r, R, k, K, std::false_type{});
      });
    }
  });
}
template <class Real>
void add_weighted_rows(const Real* a, Index rows, Index d, Index outputs, const Real* e,
                       Index stride, Real* g) {
  if (outputs >= several_columns)
    return add_weighted_rows_by_panels(a, rows, d, outputs, e, stride, g);
  detail::for_row_groups(rows, outputs, [&](Index r, Index k, auto R, auto K) {
    detail::add_rows<Real, decltype(R)::value, decltype(K)::value>(a + r * d, d, e + k * stride + r,
                                                                   stride, g + k * d);
  });
}

template void multiply_rows(const double*, Index, Index, Index, const double*, double*, Index);
template void multiply_rows(const float*, Index, Index, Index, const float*, float*, Index);
template void multiply_rows(const float*, Index, Index, Index, const double*, double*, Index);
template void add_weighted_rows(const double*, Index, Index, Index, const double*, Index, double*);
template void add_weighted_rows(const float*, Index, Index, Index, const float*, Index, float*);
template void add_product_by_tiles(const double*, Index, Index, Index, const double*, Index, Index,
                                   double, double*, Index);
template void add_product_by_tiles(const float*, Index, Index, Index, const float*, Index, Index,
                                   float, float*, Index);
template void add_product_by_tiles(const float*, Index, Index, Index, const double*, Index, Index,
                                   double, double*, Index);

}  // namespace localgd
