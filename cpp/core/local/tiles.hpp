// Products of many rows with a few columns, for matrices that do not stay in the cache.
//
// Tiles of a few rows and up to three vectors of columns: twelve registers of sums, so that the rows are
// read once and in order, without packing, against entries of the columns that were put row by row into
// the first-level cache. Loads take any alignment, so the bits never depend on it.
#pragma once

#include <algorithm>

#include "../lanes.hpp"

namespace localgd {

namespace detail {

// out += scale A x of R rows and W vectors of columns, of which `columns` count; x row by row.
template <int R, int W, class Entry, class Real>
void add_tile(const Entry* a, Index row, Index depth, const Real* x, Index columns, Real scale, Real* out,
              Index out_stride) {
  constexpr Index wide = W * lanes<Real>, line = 64 / static_cast<Index>(sizeof(Entry));
  Register<Real> sums[R][W];
  for (int r = 0; r < R; ++r)
    for (int w = 0; w < W; ++w) sums[r][w] = Register<Real>{};
  for (Index t = 0; t < depth;) {
#if defined(__GNUC__)
    for (int r = 0; r < R; ++r) __builtin_prefetch(a + (R + r) * row + t);  // the next tile
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
}

template <int W, class Entry, class Real>
LOCALGD_ONE_COPY void add_tiles(const Entry* a, Index rows, Index depth, Index row, const Real* x, Index columns,
                                Index x_stride, Real scale, Real* out, Index out_stride) {
  constexpr int sums = 12;
  constexpr Index wide = W * lanes<Real>, deepest = 48 * 1024 / (wide * static_cast<Index>(sizeof(Real)));
  Real block[deepest * wide];  // of x, row by row
  for (Index from = 0; from < depth; from += deepest) {
    const Index count = std::min(deepest, depth - from);
    for (Index c = 0; c < wide; ++c)
      for (Index t = 0; t < count; ++t) block[t * wide + c] = c < columns ? x[c * x_stride + from + t] : Real(0);
    const Real* entries = block;
    in_pieces<sums / W, 2, 1>(rows, [=](Index first, auto R) {
      add_tile<R, W>(a + first * row + from, row, count, entries, columns, scale, out + first, out_stride);
    });
  }
}

}  // namespace detail

// out += scale A x in the type of x: rows of A (rows x depth) `row` apart, columns of x and out as given.
template <class Entry, class Real>
void add_product_by_tiles(const Entry* a, Index rows, Index depth, Index row, const Real* x, Index columns,
                          Index x_stride, Real scale, Real* out, Index out_stride) {
  const Index vectors = (columns + lanes<Real> - 1) / lanes<Real>, parts = (vectors + 2) / 3;
  const Index width = (vectors + parts - 1) / parts;
  for (Index first = 0; first < columns; first += width * lanes<Real>) {
    const Index count = std::min(width * lanes<Real>, columns - first);
    const auto add = [&](auto tiles) {
      tiles(a, rows, depth, row, x + first * x_stride, count, x_stride, scale, out + first * out_stride, out_stride);
    };
    if (width == 1) add(detail::add_tiles<1, Entry, Real>);
    if (width == 2) add(detail::add_tiles<2, Entry, Real>);
    if (width == 3) add(detail::add_tiles<3, Entry, Real>);
  }
}

}  // namespace localgd
