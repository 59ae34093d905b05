// K_ii of a client, and its product with the derivatives of a local step.
//
// 2 n^2 flops for n^2 reals read: a vector of K per fused multiply-add, so that loads are the limit
// (two vectors a cycle, as many as the multipliers take) while the block is in the first-level
// cache. Rows are padded to whole vectors, and the sums of a panel of rows stay in registers while
// the columns pass: no remainders, no reductions.
#pragma once

#include <algorithm>

#include "tiles.hpp"

namespace localgd {

template <class Real>
class PaddedGram {
 public:
  // How many numbers of memory a client of n rows takes, in whole cache lines.
  static Index space(Index n) {
    constexpr Index line = 64 / static_cast<Index>(sizeof(Real));
    return (n * padded<Real>(n) + line - 1) / line * line;
  }

  // Of n rows, in memory of the caller's.
  void place(Index n, Real* memory) {
    arranged_ = false;
    memory_ = memory;
    size_ = n;
    stride_ = padded<Real>(n);
    std::fill_n(memory, n * stride_, Real(0));
    for (const int columns : {1, 2, 4}) {
      const Index vectors = stride() / lanes<Real>, widest = sums_in_registers / columns;
      const Index panels = std::max<Index>((vectors + widest - 1) / widest, 1);
      panels_[columns / 2] = (vectors + panels - 1) / panels;
    }
  }
  Index size() const { return size_; }
  Index stride() const { return stride_; }  // of what add_product() moves
  Index bytes() const { return size_ * stride_ * static_cast<Index>(sizeof(Real)); }
  bool arranged() const { return arranged_; }  // then it has add_product() alone

  auto values() const {
    return Eigen::Map<RowMatrix<Real>, 0, Eigen::OuterStride<>>(memory_, size_, size_,
                                                                Eigen::OuterStride<>(stride_));
  }

  // K e where all rows together fill V registers.
  template <int V>
  void product(const Real* e, Register<Real> (&product)[V]) const {
    columns_times<1, V>(memory_, e, [&](int, int v, Register<Real> sum) { product[v] = sum; });
  }

  // x += sum_t e_t K_{j_t} of some rows j_t; x as in add_product().
  template <class Row>
  LOCALGD_IN_PLACE void add_rows(const Row* rows, Index count, const Real* e, Real scale,
                                 Real* x) const {
    in_pieces<8, 4, 2, 1>(count, [&](Index t, auto R) { add_group<R>(rows + t, e + t, scale, x); });
  }
  template <int R, class Row>
  LOCALGD_IN_PLACE void add_group(const Row* rows, const Real* e, Real scale, Real* x) const {
    const Index size = stride();
    const Real* k[R];
    Register<Real> factors[R];
    for (int r = 0; r < R; ++r) {
      k[r] = row(rows[r]);
      factors[r] = all_lanes(scale * e[r]);
    }
    for (Index i = 0; i < size; i += lanes<Real>) {
      Register<Real> sums[2] = {load(x + i), Register<Real>{}};  // two, for the latency
      for (int r = 0; r < R; ++r) sums[r % 2] += factors[r] * load(k[r] + i);
      store(x + i, R > 1 ? sums[0] + sums[1] : sums[0]);
    }
  }

  // x += scale K e for some columns of n reals, stride() apart. Returns the largest |x| (or less
  // where there is a NaN).
  Real add_product(const Real* e, Index columns, Real scale, Real* x) const;

  // For products with that many columns or more alone, once the values are there: a register or two
  // of K after the other, as a block that does not stay in the cache is best read. False where it
  // is not worth it.
  bool arrange(Index columns) {
    if (columns < several_columns || size() < many_rows) return false;
    const RowMatrix<Real> rows = RowsView<Real>(memory_, size_, stride_);
    Real* to = memory_;
    for_panels([&](Index from, Index depth, Index i, Index width) {
      for (Index t = from; t < from + depth; ++t, to += width)
        std::copy_n(rows.data() + t * stride() + i, width, to);
    });
    return arranged_ = true;
  }

 private:
  const Real* row(Index j) const { return memory_ + j * stride_; }

  static constexpr int sums_in_registers = registers - 2;  // beside an entry of e and what is read

  static constexpr Index many_rows = 96;  // from which on several columns go by tiles or panels

  // Blocks of as many rows of K as FewColumns takes at once, each in panels of two registers.
  template <class Task>
  void for_panels(Task&& task) const {
    constexpr Index deepest = FewColumns<Real>::deepest, width = 2 * lanes<Real>;
    for (Index from = 0; from < size(); from += deepest)
      for (Index i = 0; i < stride(); i += width)
        task(from, std::min(deepest, size() - from), i, std::min(width, stride() - i));
  }

  Real add_arranged(const Real* e, Index columns, Real scale, Real* x) const {
    FewColumns<Real> few;
    in_few_columns<Real>(columns, [&](Index c, Index count) {
      const Real* k = memory_;
      for_panels([&](Index from, Index depth, Index i, Index width) {
        if (i == 0) few.put(e + c * stride() + from, count, stride(), depth, scale);
        Real* to = x + c * stride() + i;
        if (width > lanes<Real>)
          few.template add_panel<2>(k, width, k + depth * width, to, stride());
        else
          few.template add_panel<1>(k, width, k + depth * width, to, stride());
        k += depth * width;
      });
    });
    return Eigen::Map<const Vector<Real>>(x, columns * stride()).cwiseAbs().maxCoeff();
  }

  Real add_tiles(const Real* e, Index columns, Real scale, Real* x) const {
    add_product_by_tiles(memory_, size(), size(), stride(), e, columns, stride(), scale, x,
                         stride());
    const Eigen::Map<const Matrix<Real>, 0, Eigen::OuterStride<>> xs(
        x, size(), columns, Eigen::OuterStride<>(stride()));
    return xs.cwiseAbs().maxCoeff();
  }

  static Register<Real> larger(Register<Real> a, Register<Real> b) { return a > b ? a : b; }

  template <int W>
  LOCALGD_ONE_COPY Register<Real> columns_of(const Real* e, Real scale, Real* x) const {
    Index vectors = stride() / lanes<Real>;
    const Real* k = memory_;
    const Index panel = panels_[W / 2];
    Register<Real> most{};
    while (vectors > 0) {
      const Index take = std::min(panel, vectors);
      most = larger(most, panel_of<W, 1, sums_in_registers / W>(take, k, e, scale, x));
      k += take * lanes<Real>;
      x += take * lanes<Real>;
      vectors -= take;
    }
    return most;
  }

  // Calls take(w, v, sum) for the products of V vectors of rows with W columns of e. Few of them
  // take two entries at a time, for the latency.
  template <int W, int V, class Take>
  LOCALGD_IN_PLACE void columns_times(const Real* gram, const Real* e, Take&& take) const {
    constexpr bool two = V * W <= sums_in_registers / 2;
    const Index n = size(), row = stride();
    Register<Real> sums[W][V], others[W][V];
    for (int w = 0; w < W; ++w)  // "= {}" goes through memory
      for (int v = 0; v < V; ++v) sums[w][v] = others[w][v] = Register<Real>{};
    const auto add = [&](Register<Real>(&to)[W][V], Index j) {
      const Real* k = gram + j * row;
      for (int v = 0; v < V; ++v)
        for (int w = 0; w < W; ++w) to[w][v] += load(k + v * lanes<Real>) * e[w * row + j];
    };
    Index j = 0;
    if constexpr (two)
      for (; j + 2 <= n; j += 2) {
        add(sums, j);
        add(others, j + 1);
      }
    for (; j < n; ++j) add(sums, j);
    for (int w = 0; w < W; ++w)
      for (int v = 0; v < V; ++v) take(w, v, sums[w][v] + others[w][v]);
  }

  template <int W, int V>
  Register<Real> panel(const Real* gram, const Real* e, Real scale, Real* x) const {
    Register<Real> most{};
    columns_times<W, V>(gram, e, [&](int w, int v, Register<Real> sum) {
      Real* out = x + w * stride() + v * lanes<Real>;
      const Register<Real> moved = load(out) + scale * sum, turned = -moved;
      store(out, moved);
      most = larger(most, larger(moved, turned));
    });
    return most;
  }

  // panel<W, vectors>, least <= vectors <= most_vectors.
  template <int W, int least, int most_vectors>
  Register<Real> panel_of(Index vectors, const Real* gram, const Real* e, Real scale,
                          Real* x) const {
    if constexpr (least == most_vectors) {
      return panel<W, least>(gram, e, scale, x);
    } else {
      constexpr int middle = (least + most_vectors) / 2;
      if (vectors <= middle)
        return panel_of<W, least, middle>(vectors, gram, e, scale, x);
      else
        return panel_of<W, middle + 1, most_vectors>(vectors, gram, e, scale, x);
    }
  }

  // vectors of a panel for 1, 2 and 4 columns, which share what is read of K
  Index panels_[3] = {1, 1, 1};
  bool arranged_ = false;
  Real* memory_ = nullptr;  // row by row; K is symmetric: its rows are its columns
  Index size_ = 0, stride_ = 0;
};

template <class Real>
Real PaddedGram<Real>::add_product(const Real* e, Index columns, Real scale, Real* x) const {
  if (arranged_) return add_arranged(e, columns, scale, x);
  if (columns >= several_columns && size() >= many_rows) return add_tiles(e, columns, scale, x);
  Register<Real> most{};
  in_pieces<4, 2, 1>(columns, [&](Index k, auto W) {
    most = larger(most, columns_of<W>(e + k * stride(), scale, x + k * stride()));
  });
  return largest_lane<Real>(most);
}

// Compiled with the kernels alone: steps/kernels_float.cpp, kernels_double.cpp.
extern template float PaddedGram<float>::add_product(const float*, Index, float, float*) const;
extern template double PaddedGram<double>::add_product(const double*, Index, double, double*) const;

}  // namespace localgd
