// Products of a symmetric matrix with several columns at once, the columns in strips.
//
// A strip holds `strip_width` columns row by row, two registers wide: an element of the matrix meets a whole
// row of it. The matrix is stored in panels of at most six rows, column after column, so that six rows
// of twelve registers of sums are made from what is read in order. Each column is computed as it would
// be in any other place of any other strip.
#pragma once

#include <algorithm>

#include "../lanes.hpp"
#include "../matrix_products.hpp"

namespace localgd {

template <class Real>
inline constexpr Index strip_width = 2 * lanes<Real>;

template <class Real>
class Panels {
 public:
  Panels() = default;
  Panels(Index rows, Index depth)
      : rows_(rows), depth_(depth), count_((rows + tallest - 1) / tallest), numbers_(rows * depth) {}

  Index count() const { return count_; }
  Index begin(Index panel) const { return panel * rows_ / count_; }

  // Rows begin(first) to begin(last) - 1 of A A^T.
  void fill(const RowsView<Real>& a, Index first, Index last) {
    const Index from = begin(first);
    RowMatrix<Real> part(begin(last) - from, a.rows());
    multiply_by_rows(a.middleRows(from, part.rows()), a, part);
    for (Index p = first; p < last; ++p) {
      const Index height = begin(p + 1) - begin(p);
      Real* to = numbers_.data() + begin(p) * depth_;
      for (Index t = 0; t < depth_; ++t)
        for (Index h = 0; h < height; ++h) *to++ = part(begin(p) - from + h, t);
    }
  }

  // out += scale * (rows of the panels first to last - 1) e, for strips that lie one after the other:
  // e and out have as many rows as the matrix, scale has one number for each lane.
  void multiply(Index first, Index last, const Real* e, Index strips, const Real* scale,
                Real* out) const {
    for (Index t = 0; t < depth_; t += deepest) {
      const Index depth = std::min(deepest, depth_ - t);
      for (Index s = 0; s < strips; ++s)
        for (Index p = first; p < last; ++p) {
          const Index height = begin(p + 1) - begin(p);
          const Real* k = numbers_.data() + begin(p) * depth_ + t * height;
          multiply(height, k, e + (s * depth_ + t) * strip_width<Real>, depth, scale + s * strip_width<Real>,
                   out + (s * rows_ + begin(p)) * strip_width<Real>);
        }
    }
  }

 private:
  static constexpr Index tallest = 6, deepest = 256;  // 256 rows of a strip stay in the L1 cache

  template <int height>
  static void multiply(const Real* k, const Real* e, Index depth, const Real* scale, Real* out) {
    constexpr Index half = lanes<Real>;
    Register<Real> left[height], right[height];
    for (int h = 0; h < height; ++h) left[h] = right[h] = Register<Real>{};  // "= {}" goes through memory
    for (Index t = 0; t < depth; ++t, k += height, e += 2 * half) {
      const Register<Real> a = load(e), b = load(e + half);
      for (int h = 0; h < height; ++h) {
        left[h] += k[h] * a;
        right[h] += k[h] * b;
      }
    }
    const Register<Real> a = load(scale), b = load(scale + half);
    for (int h = 0; h < height; ++h, out += 2 * half) {
      store(out, load(out) + a * left[h]);
      store(out + half, load(out + half) + b * right[h]);
    }
  }

  static void multiply(Index height, const Real* k, const Real* e, Index depth, const Real* scale,
                       Real* out) {
    switch (height) {
      case 1: return multiply<1>(k, e, depth, scale, out);
      case 2: return multiply<2>(k, e, depth, scale, out);
      case 3: return multiply<3>(k, e, depth, scale, out);
      case 4: return multiply<4>(k, e, depth, scale, out);
      case 5: return multiply<5>(k, e, depth, scale, out);
      default: return multiply<6>(k, e, depth, scale, out);
    }
  }

  Index rows_ = 0, depth_ = 0, count_ = 0;
  Vector<Real> numbers_;
};

}  // namespace localgd
