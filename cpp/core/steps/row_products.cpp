// In a unit of its own, so that nothing around a product decides how it is rounded: each has one
// use, the sum that it is added to, and is fused with it wherever the processor can.
#include "row_products.hpp"

#include <cstdint>
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

#if defined(__AVX512F__)
// Of a register, as bits.
template <class Real>
using SomeLanes = std::conditional_t<sizeof(Real) == 8, __mmask8, __mmask16>;

// Numbers from x on; 0 in lanes that are not wanted, of which nothing is read.
inline Register<double> load_some(__mmask8 wanted, const double* x) {
  return (Register<double>)_mm512_maskz_loadu_pd(wanted, x);
}
inline Register<float> load_some(__mmask16 wanted, const float* x) {
  return (Register<float>)_mm512_maskz_loadu_ps(wanted, x);
}
inline void store_some(__mmask8 wanted, double* x, Register<double> value) {
  _mm512_mask_storeu_pd(x, wanted, (__m512d)value);
}
inline void store_some(__mmask16 wanted, float* x, Register<float> value) {
  _mm512_mask_storeu_ps(x, wanted, (__m512)value);
}
// x y + z, or z in lanes that are not wanted.
inline Register<double> multiply_add_some(__mmask8 wanted, Register<double> x, Register<double> y,
                                          Register<double> z) {
  return (Register<double>)_mm512_mask3_fmadd_pd((__m512d)x, (__m512d)y, (__m512d)z, wanted);
}
inline Register<float> multiply_add_some(__mmask16 wanted, Register<float> x, Register<float> y,
                                         Register<float> z) {
  return (Register<float>)_mm512_mask3_fmadd_ps((__m512)x, (__m512)y, (__m512)z, wanted);
}
// Lane `by` first, lane 0 after the last.
inline Register<double> turned(Register<double> x, Index by) {
  const __m512i from = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0) + _mm512_set1_epi64(by);
  return (Register<double>)_mm512_permutexvar_pd(from, (__m512d)x);
}
inline Register<float> turned(Register<float> x, Index by) {
  const __m512i from =
      _mm512_add_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                       _mm512_set1_epi32(static_cast<int>(by)));
  return (Register<float>)_mm512_permutexvar_ps(from, (__m512)x);
}

// Rows of whole registers that all begin as far behind a boundary of registers, as those of NumPy's
// large arrays do: a load from boundary to boundary is of one line of the cache, and one from the
// first number on of two. The same bits, as each number meets the same ones in the same order.
template <class Real>
struct BetweenBoundaries {
  Index before;  // how far behind

  BetweenBoundaries(const Real* a, Index d)
      : before(d % lanes<Real> == 0
                   ? static_cast<Index>(reinterpret_cast<std::uintptr_t>(a) / sizeof(Real)) %
                         lanes<Real>
                   : 0) {}

  // task(j, wanted) for the register whose first lane is number j of a row; of the first and the
  // last register only some lanes are of the row. More tasks take those between.
  template <class Some, class Whole>
  LOCALGD_IN_PLACE void for_registers(Index d, Some&& some, Whole&& whole) const {
    const auto others = static_cast<SomeLanes<Real>>((1u << before) - 1);
    some(-before, static_cast<SomeLanes<Real>>(~others));
    Index j = lanes<Real> - before;
    for (; j + lanes<Real> <= d; j += lanes<Real>) whole(j);
    some(j, others);
  }
};

// row_dots() and add_rows() of one column.
template <class Real, int R>
void row_dots(const Real* a, Index d, const Real* x, Real* m, BetweenBoundaries<Real> between) {
  Register<Real> sums[R];
  for (int r = 0; r < R; ++r) sums[r] = Register<Real>{};
  between.for_registers(
      d,
      [&](Index j, SomeLanes<Real> wanted) LOCALGD_LAMBDA_IN_PLACE {
        const Register<Real> column = load_some(wanted, x + j);
        for (int r = 0; r < R; ++r)
          sums[r] = multiply_add_some(wanted, load_some(wanted, a + r * d + j), column, sums[r]);
      },
      [&](Index j) LOCALGD_LAMBDA_IN_PLACE {
        const Register<Real> column = load(x + j);
        for (int r = 0; r < R; ++r) sums[r] += load(a + r * d + j) * column;
      });
  for (int r = 0; r < R; ++r) m[r] = sum_of_lanes<Real>(turned(sums[r], between.before));
}
template <class Real, int R>
void add_rows(const Real* a, Index d, const Real* e, Real* g, BetweenBoundaries<Real> between) {
  Register<Real> factors[R];
  for (int r = 0; r < R; ++r) factors[r] = all_lanes(e[r]);
  between.for_registers(
      d,
      [&](Index j, SomeLanes<Real> wanted) LOCALGD_LAMBDA_IN_PLACE {
        Register<Real> sum = load_some(wanted, g + j);
        for (int r = 0; r < R; ++r)
          sum = multiply_add(load_some(wanted, a + r * d + j), factors[r], sum);
        store_some(wanted, g + j, sum);
      },
      [&](Index j) LOCALGD_LAMBDA_IN_PLACE {
        Register<Real> sum = load(g + j);
        for (int r = 0; r < R; ++r) sum = multiply_add(load(a + r * d + j), factors[r], sum);
        store(g + j, sum);
      });
}
#endif

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
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<Stored, Real>)
    if (const detail::BetweenBoundaries<Real> between(a, d); outputs == 1 && between.before > 0)
      return in_pieces<8, 4, 1>(rows, [&](Index r, auto R) {
        detail::row_dots<Real, R.value>(a + r * d, d, x, m + r, between);
      });
#endif
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
#if defined(__AVX512F__)
  if (const detail::BetweenBoundaries<Real> between(a, d); outputs == 1 && between.before > 0)
    return in_pieces<8, 4, 1>(rows, [&](Index r, auto R) {
      detail::add_rows<Real, R.value>(a + r * d, d, e + r, g, between);
    });
#endif
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
