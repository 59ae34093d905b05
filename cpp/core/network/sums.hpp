// Sums over clients of X_i^T b_i: threads share the features, so that the order of the rows is that
// of the data whatever the threads.
#pragma once

#include "../round/groups.hpp"
#include "kernels.hpp"

namespace localgd {

template <class Real>
class RowSums {
 public:
  RowSums(const Data& data, const Real* rows, Index columns) : data_(data), rows_(rows) {
    stretches_.reserve(static_cast<std::size_t>(data.clients()));
    const Index ranges = (data.features() + range - 1) / range;
    work_ = Work(std::vector<double>(
        static_cast<std::size_t>(ranges),
        2.0 * static_cast<double>(data.samples()) * static_cast<double>(range * columns)));
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
    team.for_each(work_, [&](Index item, int) { sum_range(item * range, b, out); });
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
          std::copy_n(rows_ + (s.first + row + k) * d + first, count, numbers + k * count);
        for (Index p = 0; p < out.count(); ++p) {
          const Index width = out.width(p);
          NetworkKernels<Real>::multiply(
              Stored::by_columns,
              {count, depth, width, numbers, count, b[p] + (s.first + row) * width, s.factor, keep,
               nullptr, out[p] + first * width});
        }
      }
  }

  const Data& data_;
  const Real* rows_;
  Work work_;
  std::vector<Stretch> stretches_;
};

}  // namespace localgd
