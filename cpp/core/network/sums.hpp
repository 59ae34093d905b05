// Sums over clients of X_i^T b_i: threads share the features, or of sparse rows the hidden units,
// so that the order of the rows is that of the data whatever the threads.
#pragma once

#include "../round/groups.hpp"
#include "kernels.hpp"

namespace localgd {

template <class Real>
class RowSums {
 public:
  RowSums(const Data& data, const NetworkRows<Real>& rows, Index columns)
      : data_(data), rows_(rows) {
    stretches_.reserve(static_cast<std::size_t>(data.clients()));
    const Index items = rows.dense ? (data.features() + range - 1) / range : columns / lanes<Real>;
    const double entries = static_cast<double>(data.rows->entries_before(data.samples()));
    work_ = Work(std::vector<double>(
        static_cast<std::size_t>(items),
        2.0 * entries * static_cast<double>(columns) / static_cast<double>(items)));
  }

  // out = sum_i factor(i) X_i^T b_i over those that for_each(task) calls task(i) for, in order.
  template <class ForEach, class Factor>
  void sum(Team& team, ForEach&& for_each, Factor&& factor, const UnitPanels<Real>& b,
           const UnitPanels<Real>& out) {
    stretches_.clear();
    for_each([&](Index i) {
      const Real f = static_cast<Real>(factor(i));
      if (f == Real(0)) return;
      if (!stretches_.empty() && stretches_.back().factor == f &&
          stretches_.back().first + stretches_.back().count == data_.begin(i))
        stretches_.back().count += data_.size(i);
      else
        stretches_.push_back({data_.begin(i), data_.size(i), f});
    });
    team.for_each(work_, [&](Index item, int) {
      if (rows_.dense)
        sum_range(item * range, b, out);
      else
        sum_units(item * lanes<Real>, b, out);
    });
  }

 private:
  static constexpr Index range = 48;   // features of a work item
  static constexpr Index block = 128;  // rows of them that are brought together, for all panels

  // Consecutive rows of clients with the same factor.
  struct Stretch {
    Index first, count;
    Real factor;
  };

  void sum_range(Index first, const UnitPanels<Real>& b, const UnitPanels<Real>& out) const {
    const Index d = data_.features(), count = std::min(range, d - first);
    if (stretches_.empty())
      for (Index p = 0; p < out.count(); ++p)
        std::fill_n(out[p] + first * out.width(p), count * out.width(p), Real(0));
    Real numbers[block * range], keep = 0;
    for (const Stretch& s : stretches_)
      for (Index row = 0; row < s.count; row += block, keep = 1) {
        const Index depth = std::min(block, s.count - row);
        for (Index k = 0; k < depth; ++k)
          std::copy_n(rows_.dense + (s.first + row + k) * d + first, count, numbers + k * count);
        for (Index p = 0; p < out.count(); ++p) {
          const Index width = out.width(p);
          NetworkKernels<Real>::multiply(
              Stored::by_columns,
              {count, depth, width, numbers, count, b[p] + (s.first + row) * width, s.factor, keep,
               nullptr, out[p] + first * width});
        }
      }
  }

  // Of a register of hidden units, by sparse rows.
  void sum_units(Index first, const UnitPanels<Real>& b, const UnitPanels<Real>& out) const {
    const Index p = first / panel_width<Real>, width = out.width(p), unit = first % width;
    const SparseView<Real>& x = rows_.sparse;
    Real* sum = out[p] + unit;
    for (Index r = 0; r < data_.features(); ++r) store(sum + r * width, Register<Real>{});
    for (const Stretch& s : stretches_)
      for (Index j = s.first; j < s.first + s.count; ++j) {
        const Register<Real> own = all_lanes(s.factor) * load(b[p] + j * width + unit);
        for (Index t = x.begin(j); t < x.begin(j + 1); ++t) {
          Real* at = sum + x.columns[t] * width;
          store(at, multiply_add(all_lanes(x.values[t]), own, load(at)));
        }
      }
  }

  const Data& data_;
  const NetworkRows<Real> rows_;
  Work work_;
  std::vector<Stretch> stretches_;
};

}  // namespace localgd
