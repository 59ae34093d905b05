// Matrices with a column for each hidden unit, as the kernels read them: panels of some registers'
// width, each with its rows one after the other, so that whatever a product goes through is
// contiguous. Columns are padded to whole registers.
#pragma once

#include <algorithm>

#include "../lanes.hpp"
#include "../pages.hpp"

namespace localgd {

template <class Real>
inline constexpr Index panel_registers = registers >= 32 ? 4 : 2;
template <class Real>
inline constexpr Index panel_width = panel_registers<Real> * lanes<Real>;

template <class Real>
struct UnitPanels {
  Real* data = nullptr;
  Index rows = 0;     // of the whole matrix
  Index columns = 0;  // padded
  Index first = 0;    // the row that it begins with

  Index count() const { return (columns + panel_width<Real> - 1) / panel_width<Real>; }
  Index width(Index panel) const {
    return std::min(panel_width<Real>, columns - panel * panel_width<Real>);
  }
  // The rows of a panel, width() numbers each.
  Real* operator[](Index panel) const {
    return data + panel * panel_width<Real> * rows + first * width(panel);
  }
  UnitPanels from(Index row) const { return {data, rows, columns, first + row}; }
  explicit operator bool() const { return data != nullptr; }

  // Calls task(first column, count, numbers) for the pieces of a row, without the padding beyond
  // `wanted` columns.
  template <class Task>
  void for_pieces(Index row, Index wanted, Task&& task) const {
    for (Index p = 0; p < count(); ++p) {
      const Index column = p * panel_width<Real>;
      if (column < wanted)
        task(column, std::min(width(p), wanted - column), (*this)[p] + row * width(p));
    }
  }
  // Calls task(numbers of this, numbers of the other) for what two of the same columns have in
  // `rows` rows.
  template <class Task>
  void with(const UnitPanels& other, Index count_rows, Task&& task) const {
    for (Index p = 0; p < count(); ++p) {
      Real *own = (*this)[p], *of_other = other[p];
      for (Index j = 0, n = count_rows * width(p); j < n; ++j) task(own[j], of_other[j]);
    }
  }
  void fill(Index count_rows, Real value) const {
    for (Index p = 0; p < count(); ++p) std::fill_n((*this)[p], count_rows * width(p), value);
  }
};

// One that is kept; 0 at first.
template <class Real>
class PanelArray {
 public:
  PanelArray() = default;
  PanelArray(Index rows, Index columns) : numbers_(rows * columns), rows_(rows), columns_(columns) {
    std::fill_n(numbers_.data(), numbers_.size(), Real(0));
  }

  // Const as a pointer is: the numbers may be written to.
  UnitPanels<Real> all() const { return {const_cast<Real*>(numbers_.data()), rows_, columns_}; }
  UnitPanels<Real> from(Index row) const { return all().from(row); }

 private:
  LargeArray<Real> numbers_;
  Index rows_ = 0, columns_ = 0;
};

}  // namespace localgd
