// Sparse rows in slices: as many rows as a register has numbers side by side, each in its lane, the
// longest rows first. A product with a vector loads one entry of each of them at a time and needs
// no sums over lanes. (SELL-C-σ of Kreutzer et al., arXiv:1307.6209, with C the width of a register
// and σ all rows.) The longest rows differ so much in length that filling up their slices would
// cost more than sums over lanes: each of those has the register for itself.
#pragma once

#include <cstdint>
#include <vector>

#include "../lanes.hpp"
#include "../pages.hpp"

namespace localgd {

// x at the places of the lanes, by single loads: instructions that gather are slower on many
// processors, up to five times.
template <class Real, class Place>
LOCALGD_IN_PLACE Register<Real> pick(const Real* x, const Place* places) {
  if constexpr (lanes<Real> == 1)
    return x[*places];
  else
    return [&]<std::size_t... l>(std::index_sequence<l...>) -> Register<Real> {
      return Register<Real>{x[places[l]]...};
    }(std::make_index_sequence<static_cast<std::size_t>(lanes<Real>)>{});
}

template <class Real>
class SlicedRows {
 public:
  using Place = std::int32_t;
  static constexpr Index width = lanes<Real>;
  // Bytes from which on arrays have large pages: each client has some arrays, whose last pages
  // would take more than the rows otherwise.
  static constexpr std::size_t large = 16 * LargeArray<Real>::page;

  SlicedRows() = default;

  // Entries of row j are begins[j] to begins[j + 1] - 1 of places and values (null: all are 1); row
  // order[p] stands at place p, and none is longer than those before it. zero: the place of a 0 in
  // every x.
  SlicedRows(const std::vector<Index>& begins, const std::vector<Place>& places, const Real* values,
             const std::vector<Place>& order, Index zero)
      : alone_(count_alone(begins, order)) {
    const auto rows = static_cast<Index>(order.size());
    for (Index p = 0; p < alone_; ++p)
      begins_.push_back(begins_.back() + padded<Real>(length(begins, at(order, p))));
    for (Index p = alone_; p < rows; p += width)
      begins_.push_back(begins_.back() + width * length(begins, at(order, p)));
    const Index size = begins_.back();
    narrow_ = zero < (Index{1} << 16);
    if (narrow_)
      narrow_places_ = LargeArray<std::uint16_t>(size, large);
    else
      places_ = LargeArray<Place>(size, large);
    if (values) values_ = LargeArray<Real>(size, large);
    for (Index p = 0; p < padded<Real>(rows); ++p) {
      const bool sliced = p >= alone_;
      const Index part = sliced ? alone_ + (p - alone_) / width : p;
      const Index first = p < rows ? begins[static_cast<std::size_t>(at(order, p))] : 0,
                  count = p < rows ? length(begins, at(order, p)) : 0;
      Index t = 0;
      for (Index k = begin(part) + (sliced ? p % width : 0); k < begin(part + 1);
           k += sliced ? width : 1, ++t) {
        const bool filled = t < count;
        put(k, filled ? places[static_cast<std::size_t>(first + t)] : static_cast<Place>(zero));
        if (values) values_.data()[k] = filled ? values[first + t] : Real(0);
      }
    }
  }

  // Calls take(first place, sums) for the products of a register of rows after the other with x.
  template <class Take>
  LOCALGD_IN_PLACE void multiply(const Real* x, Take&& take) const {
    const auto with_values = [&](auto value, const auto* places) LOCALGD_LAMBDA_IN_PLACE {
      const auto sum = [&](Index part) LOCALGD_LAMBDA_IN_PLACE {
        Register<Real> sums{};
        for (Index k = begin(part), end = begin(part + 1); k < end; k += width)
          sums = value(k, pick(x, places + k), sums);
        return sums;
      };
      for (Index p = 0; p < alone_; p += width) {
        Real sums[width];
        for (Index l = 0; l < width; ++l) sums[l] = sum_of_lanes<Real>(sum(p + l));
        take(p, load(sums));
      }
      for (Index part = alone_; part < parts(); ++part)
        take(alone_ + (part - alone_) * width, sum(part));
    };
    const auto by_index = [&](const auto* places) LOCALGD_LAMBDA_IN_PLACE {
      if (const Real* v = values_.data())
        with_values([v](Index k, Register<Real> picked, Register<Real> sums)
                        LOCALGD_LAMBDA_IN_PLACE { return multiply_add(load(v + k), picked, sums); },
                    places);
      else
        with_values([](Index, Register<Real> picked, Register<Real> sums)
                        LOCALGD_LAMBDA_IN_PLACE { return sums + picked; },
                    places);
    };
    if (narrow_)
      by_index(narrow_places_.data());
    else
      by_index(places_.data());
  }

 private:
  // Of the longest rows, whole registers of them.
  static Index count_alone(const std::vector<Index>& begins, const std::vector<Place>& order) {
    Index count = 0;
    for (Index p = 0; p + width <= static_cast<Index>(order.size()); p += width) {
      Index by_itself = width * width;  // the sums over lanes
      for (Index l = 0; l < width; ++l) by_itself += padded<Real>(length(begins, at(order, p + l)));
      if (by_itself >= width * length(begins, at(order, p))) break;
      count = p + width;
    }
    return count;
  }

  Index parts() const { return static_cast<Index>(begins_.size()) - 1; }
  Index begin(Index part) const { return begins_[static_cast<std::size_t>(part)]; }
  static Index length(const std::vector<Index>& begins, Index row) {
    const auto j = static_cast<std::size_t>(row);
    return begins[j + 1] - begins[j];
  }
  static Index at(const std::vector<Place>& order, Index p) {
    return order[static_cast<std::size_t>(p)];
  }
  void put(Index k, Place place) {
    if (narrow_)
      narrow_places_.data()[k] = static_cast<std::uint16_t>(place);
    else
      places_.data()[k] = place;
  }

  Index alone_ = 0;
  std::vector<Index> begins_{0};  // of the rows that stand alone, then of the slices
  bool narrow_ = false;           // places fit in 16 bits
  LargeArray<std::uint16_t> narrow_places_;
  LargeArray<Place> places_;
  LargeArray<Real> values_;  // or empty
};

}  // namespace localgd
