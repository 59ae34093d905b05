// Products of many rows with a few columns, for matrices that do not stay in the cache: A x by
// tiles, and A^T e by panels. What comes from memory is asked for long before it is read.
//
// Tiles of a few rows and up to three vectors of columns: twelve registers of sums, so that the
// rows are read once and in order, without packing, against entries of the columns that were put
// row by row into the first-level cache. Loads take any alignment, so the bits never depend on it.
#pragma once

#include <algorithm>

#include "../products.hpp"

namespace localgd {

inline constexpr Index several_columns = 4;  // from which on tiles and panels pay
// of rows, that are fetched into the second-level cache
inline constexpr int tiles_ahead = 3;

namespace detail {

// out += scale A x of R rows and W vectors of columns, of which `columns` count, x row by row; and
// of the X columns after them, `stride` apart, as dot products: a register more would be nearly
// empty.
template <int R, int W, int X, class Stored, class Real>
void add_tile(const Stored* a, Index row, Index depth, const Real* x, const Real* after,
              Index stride, Index columns, Real scale, Real* out, Index out_stride) {
  constexpr Index wide = W * lanes<Real>, line = 64 / static_cast<Index>(sizeof(Stored));
  Register<Real> sums[R][W], dots[R][X + 1];
  for (int r = 0; r < R; ++r) {
    for (int w = 0; w < W; ++w) sums[r][w] = Register<Real>{};
    for (int c = 0; c < X; ++c) dots[r][c] = Register<Real>{};
  }
  for (Index t = 0; t < depth;) {
    if constexpr (X > 0)
      for (Index u = t; u + lanes<Real> <= std::min(t + line, depth); u += lanes<Real>)
        for (int r = 0; r < R; ++r) {
          const Register<Real> entries = load_as<Real>(a + r * row + u);
          for (int c = 0; c < X; ++c) dots[r][c] += entries * load(after + c * stride + u);
        }
#if defined(__GNUC__)
    for (int r = 0; r < R; ++r) __builtin_prefetch(a + (tiles_ahead * R + r) * row + t, 0, 2);
#endif
    for (const Index end = std::min(t + line, depth); t < end; ++t, x += wide) {
      Register<Real> entries[W];
      for (int w = 0; w < W; ++w) entries[w] = load(x + w * lanes<Real>);
      for (int r = 0; r < R; ++r) {
        const Register<Real> factor = all_lanes(static_cast<Real>(a[r * row + t]));
        for (int w = 0; w < W; ++w) sums[r][w] += factor * entries[w];
      }
    }
  }
  Real moves[R * wide];
  for (int r = 0; r < R; ++r)
    for (int w = 0; w < W; ++w) store(moves + r * wide + w * lanes<Real>, scale * sums[r][w]);
  for (Index c = 0; c < columns; ++c)
    for (int r = 0; r < R; ++r) out[c * out_stride + r] += moves[r * wide + c];
  if constexpr (X > 0)
    for (int r = 0; r < R; ++r)
      for (int c = 0; c < X; ++c) {
        Real dot = sum_of_lanes<Real>(dots[r][c]);
        for (Index t = depth / lanes<Real> * lanes<Real>; t < depth; ++t)
          dot = multiply_add(static_cast<Real>(a[r * row + t]), after[c * stride + t], dot);
        Real& sum = out[(columns + c) * out_stride + r];
        sum = multiply_add(scale, dot, sum);
      }
}

template <int W, int X, class Stored, class Real>
LOCALGD_ONE_COPY void add_tiles(const Stored* a, Index rows, Index depth, Index row, const Real* x,
                                Index columns, Index x_stride, Real scale, Real* out,
                                Index out_stride) {
  constexpr int most = 12 / (W + X);
  constexpr Index wide = W * lanes<Real>,
                  deepest = 64 * 1024 / (wide * static_cast<Index>(sizeof(Real)));
  Real block[deepest * wide];  // of x, row by row
  for (Index from = 0; from < depth; from += deepest) {
    const Index count = std::min(deepest, depth - from);
    for (Index c = 0; c < wide; ++c)
      for (Index t = 0; t < count; ++t)
        block[t * wide + c] = c < columns ? x[c * x_stride + from + t] : Real(0);
    const Real* entries = block;
    in_pieces<most, 2, 1>(rows, [=](Index first, auto R) {
      add_tile<R, W, X>(a + first * row + from, row, count, entries, x + wide * x_stride + from,
                        x_stride, columns, scale, out + first, out_stride);
    });
  }
}

}  // namespace detail

// out += scale A x in the type of x: rows of A (rows x depth) `row` apart, columns of x and out as
// given.
template <class Stored, class Real>
void add_product_by_tiles(const Stored* a, Index rows, Index depth, Index row, const Real* x,
                          Index columns, Index x_stride, Real scale, Real* out, Index out_stride) {
  if constexpr (registers >= 32) {  // ten classes are eight and two
    const Index rest = columns - lanes<Real>;
    if (rest == 1)
      return detail::add_tiles<1, 1>(a, rows, depth, row, x, lanes<Real>, x_stride, scale, out,
                                     out_stride);
    if (rest == 2)
      return detail::add_tiles<1, 2>(a, rows, depth, row, x, lanes<Real>, x_stride, scale, out,
                                     out_stride);
  }
  const Index vectors = (columns + lanes<Real> - 1) / lanes<Real>, parts = (vectors + 2) / 3;
  const Index width = (vectors + parts - 1) / parts;
  for (Index first = 0; first < columns; first += width * lanes<Real>) {
    const Index count = std::min(width * lanes<Real>, columns - first);
    const auto add = [&](auto tiles) {
      tiles(a, rows, depth, row, x + first * x_stride, count, x_stride, scale,
            out + first * out_stride, out_stride);
    };
    if (width == 1) add(detail::add_tiles<1, 0, Stored, Real>);
    if (width == 2) add(detail::add_tiles<2, 0, Stored, Real>);
    if (width == 3) add(detail::add_tiles<3, 0, Stored, Real>);
  }
}

// Compiled in row_products.cpp alone.
extern template void add_product_by_tiles(const double*, Index, Index, Index, const double*, Index,
                                          Index, double, double*, Index);
extern template void add_product_by_tiles(const float*, Index, Index, Index, const float*, Index,
                                          Index, float, float*, Index);
extern template void add_product_by_tiles(const float*, Index, Index, Index, const double*, Index,
                                          Index, double, double*, Index);

// Up to twelve columns as panels of a matrix meet them: row by row in the first-level cache, in one
// half or two, so that two registers of the matrix and six columns have twelve sums, which stay in
// registers while the panel passes. A panel is read for the second half where the first has left
// it.
template <class Real>
class FewColumns {
 public:
  static constexpr Index most = 12, deepest = 12 * 1024 / (most * static_cast<Index>(sizeof(Real)));

  // Of each column, `stride` apart, that many numbers times scale.
  void put(const Real* e, Index columns, Index stride, Index depth, Real scale) {
    columns_ = columns;
    depth_ = depth;
    const Index halves = (columns + half - 1) / half;
    first_ = (columns + halves - 1) / halves;
    for (Index from = 0; from < columns; from += first_) {
      const Index width = std::min(first_, columns - from);
      Real* to = entries_ + from * depth;
      for (Index c = 0; c < width; ++c)
        for (Index t = 0; t < depth; ++t) to[t * width + c] = scale * e[(from + c) * stride + t];
    }
  }

  // x_c += sum_t e_tc k_t of V registers k_t, `row` apart, and all columns c. next: what follows,
  // to be read into the second-level cache meanwhile, a register of each row in each of two halves,
  // or both in one.
  template <int V>
  void add_panel(const Real* k, Index row, const Real* next, Real* x, Index x_stride) const {
    for (Index from = 0; from < columns_; from += first_, next += lanes<Real>)
      with_size<half>(std::min(first_, columns_ - from), [&](auto W) {
        const auto add = [&](auto fetched) {
          add_half<V, W.value, fetched.value>(k, row, next, entries_ + from * depth_,
                                              x + from * x_stride, x_stride);
        };
        if (first_ == columns_)
          add(std::integral_constant<int, V>{});
        else
          add(std::integral_constant<int, 1>{});
      });
  }

 private:
  static constexpr int half = most / 2;

  template <int V, int W, int fetched>
  void add_half(const Real* k, Index row, const Real* next, const Real* e, Real* x,
                Index x_stride) const {
    Register<Real> sums[W][V];
    for (int w = 0; w < W; ++w)
      for (int v = 0; v < V; ++v) sums[w][v] = load(x + w * x_stride + v * lanes<Real>);
    for (Index t = 0; t < depth_; ++t, k += row, next += row, e += W) {
#if defined(__GNUC__)
      for (int v = 0; v < fetched; ++v) __builtin_prefetch(next + v * lanes<Real>, 0, 2);
#endif
      Register<Real> entries[V];
      for (int v = 0; v < V; ++v) entries[v] = load(k + v * lanes<Real>);
      for (int w = 0; w < W; ++w) {
        const Register<Real> factor = all_lanes(e[w]);
        for (int v = 0; v < V; ++v) sums[w][v] += factor * entries[v];
      }
    }
    for (int w = 0; w < W; ++w)
      for (int v = 0; v < V; ++v) store(x + w * x_stride + v * lanes<Real>, sums[w][v]);
  }

  Index columns_ = 0, first_ = 0, depth_ = 0;
  Real entries_[most * deepest];
};

// Calls task(first, count) for columns in as few parts of FewColumns as there can be.
template <class Real, class Task>
void in_few_columns(Index columns, Task&& task) {
  constexpr Index most = FewColumns<Real>::most;
  const Index parts = (columns + most - 1) / most;
  for (Index part = 0; part < parts; ++part) {
    const Index first = columns * part / parts;
    task(first, columns * (part + 1) / parts - first);
  }
}

// g += A^T e of rows (rows x d) one after the other, e and g column by column, those of e `stride`
// apart. Blocks of rows come in ranges of features for which g stays in the first-level cache.
template <class Real>
LOCALGD_ONE_COPY void add_weighted_rows_by_panels(const Real* a, Index rows, Index d, Index columns,
                                                  const Real* e, Index stride, Real* g) {
  constexpr Index block = 32, width = 2 * lanes<Real>,
                  wanted = 2048 / static_cast<Index>(sizeof(Real)), ahead = wanted / 2;
  const Index ranges = std::max<Index>((d + wanted / 2) / wanted, 1);
  const Index range = (d + ranges * width - 1) / (ranges * width) * width;
  FewColumns<Real> few;
  in_few_columns<Real>(columns, [&](Index c, Index count) {
    Real* to = g + c * d;
    for (Index begin = 0; begin < d; begin += range)
      for (Index first = 0; first < rows; first += block) {
        const Index depth = std::min(block, rows - first), end = std::min(begin + range, d);
        const Real* from = a + first * d;
        const Real* after = first + block < rows ? from + block * d + begin : a + end;
        const auto later = [&](Index j) {
          return j + ahead < end ? from + j + ahead : after + (j + ahead - end);
        };
        few.put(e + c * stride + first, count, stride, depth, Real(1));
        Index j = begin;
        for (; j + width <= end; j += width)
          few.template add_panel<2>(from + j, d, later(j), to + j, d);
        if (j + lanes<Real> <= end) {
          few.template add_panel<1>(from + j, d, later(j), to + j, d);
          j += lanes<Real>;
        }
        for (; j < end; ++j)
          for (Index w = 0; w < count; ++w)
            for (Index t = 0; t < depth; ++t)
              to[w * d + j] =
                  multiply_add(e[(c + w) * stride + first + t], from[t * d + j], to[w * d + j]);
      }
  });
}

}  // namespace localgd
