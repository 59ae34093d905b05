// Products of a symmetric matrix with several columns at once, the columns in strips.
//
// A strip holds `strip_width` columns row by row: an element of the matrix meets a whole row of it.
// The matrix is stored in panels of a few rows, column after column, so that a panel's rows of a
// strip, twelve or more registers of sums, are made from what is read in order. Each column is
// computed as it would be in any other place of any other strip.
#pragma once

#include <algorithm>

#include "../lanes.hpp"
#include "../rows/rows.hpp"

namespace localgd {

// One register with many rows wants an element from memory for each product, which some processors
// have for nothing; and what a client's steps read and write besides K_ii is half as much then,
// near enough in a first-level cache of 32 KiB.
inline constexpr Index strip_registers = registers == 32 ? 1 : 2;
template <class Real>
inline constexpr Index strip_width = strip_registers * lanes<Real>;

template <class Real>
class Panels {
 public:
  static constexpr Index tallest = registers == 32 ? 14 : 6;  // rows

  Panels() = default;
  Panels(Index rows, Index depth)
      : rows_(rows),
        depth_(depth),
        count_((rows + tallest - 1) / tallest),
        numbers_(rows * depth) {}

  Index count() const { return count_; }
  Index begin(Index panel) const { return panel * rows_ / count_; }

  // Groups of panels, which are made, or multiplied, at once.
  Index groups() const { return (count_ + panels_of_group - 1) / panels_of_group; }
  Index group_begin(Index group) const { return group * panels_of_group; }
  Index group_end(Index group) const { return std::min(group_begin(group + 1), count_); }

  // Those rows of A A^T, A some of all rows, that are in a group of panels.
  void fill(const Rows<Real>& rows, Range of, Index group) {
    const Index first = group_begin(group), last = group_end(group);
    const Index from = begin(first);
    RowMatrix<Real> part(begin(last) - from, of.count);
    rows.gram({of.first + from, part.rows()}, of, part);
    for (Index p = first; p < last; ++p) {
      const Index height = begin(p + 1) - begin(p);
      Real* to = numbers_.data() + begin(p) * depth_;
      for (Index t = 0; t < depth_; ++t)
        for (Index h = 0; h < height; ++h) *to++ = part(begin(p) - from + h, t);
    }
  }

  // out += scale * (rows of the panels first to last - 1) e, for strips that lie one after the
  // other: e and out have as many rows as the matrix, scale has one number for each lane.
  void multiply(Index first, Index last, const Real* e, Index strips, const Real* scale,
                Real* out) const {
    constexpr Index width = strip_width<Real>;
    for (Index t = 0; t < depth_; t += deepest) {
      const Index depth = std::min(deepest, depth_ - t);
      for (Index p = first; p < last; ++p) {
        const Index height = begin(p + 1) - begin(p);
        const Real* k = numbers_.data() + begin(p) * depth_ + t * height;
        with_size<tallest>(height, [&](auto rows) {
          for (Index s = 0; s < strips; ++s)
            multiply<rows.value>(k, e + (s * depth_ + t) * width, depth, scale + s * width,
                                 out + (s * rows_ + begin(p)) * width);
        });
      }
    }
  }

 private:
  static constexpr Index panels_of_group = 60 / tallest;
  // so much of a panel and of a strip stays in the first-level cache
  static constexpr Index deepest = 128;

  template <int height>
  static void multiply(const Real* k, const Real* e, Index depth, const Real* scale, Real* out) {
    Register<Real> sums[height][strip_registers];
    for (auto& row : sums)
      for (auto& sum : row) sum = Register<Real>{};  // "= {}" goes through memory
    for (Index t = 0; t < depth; ++t, k += height, e += strip_width<Real>) {
      Register<Real> part[strip_registers];
      for (Index r = 0; r < strip_registers; ++r) part[r] = load(e + r * lanes<Real>);
      for (int h = 0; h < height; ++h)
        for (Index r = 0; r < strip_registers; ++r) sums[h][r] += k[h] * part[r];
    }
    for (auto& row : sums)
      for (Index r = 0; r < strip_registers; ++r, out += lanes<Real>)
        store(out, load(out) + load(scale + r * lanes<Real>) * row[r]);
  }

  Index rows_ = 0, depth_ = 0, count_ = 0;
  Vector<Real> numbers_;
};

}  // namespace localgd
