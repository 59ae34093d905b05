// Sparse rows in slices: as many rows as a register has numbers side by side, each in its lane, the
// longest rows first. A product with a vector loads one entry of each of them at a time and needs
// no sums over lanes. (SELL-C-σ of Kreutzer et al., arXiv:1307.6209, with C the width of a register
// and σ all rows.)
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

  SlicedRows() = default;

  // Entries of row j are begins[j] to begins[j + 1] - 1 of places and values (null: all are 1); row
  // order[p] stands at place p, and none is longer than those before it. zero: the place of a 0 in
  // every x.
  SlicedRows(const std::vector<Index>& begins, const std::vector<Place>& places, const Real* values,
             const std::vector<Place>& order, Index zero)
      : begins_{0} {
    const auto rows = static_cast<Index>(order.size());
    for (Index p = 0; p < rows; p += width)
      begins_.push_back(begins_.back() + width * length(begins, at(order, p)));
    const Index size = begins_.back();
    narrow_ = zero < (Index{1} << 16);
    if (narrow_)
      narrow_places_ = LargeArray<std::uint16_t>(size);
    else
      places_ = LargeArray<Place>(size);
    if (values) values_ = LargeArray<Real>(size);
    for (Index p = 0; p < padded<Real>(rows); ++p) {
      const Index slice = begins_[static_cast<std::size_t>(p / width)],
                  end = begins_[static_cast<std::size_t>(p / width) + 1];
      const Index first = p < rows ? begins[static_cast<std::size_t>(at(order, p))] : 0,
                  count = p < rows ? length(begins, at(order, p)) : 0;
      Index t = 0;
      for (Index k = slice + p % width; k < end; k += width, ++t) {
        const bool filled = t < count;
        put(k, filled ? places[static_cast<std::size_t>(first + t)] : static_cast<Place>(zero));
        if (values) values_.data()[k] = filled ? values[first + t] : Real(0);
      }
    }
  }

  Index slices() const { return static_cast<Index>(begins_.size()) - 1; }
  Index entries() const { return begins_.back(); }  // those that fill up slices among them

  // Calls take(first place, sums) for the products of all slices with x.
  template <class Take>
  LOCALGD_IN_PLACE void multiply(const Real* x, Take&& take) const {
    const auto with_values = [&](auto value, const auto* places) LOCALGD_LAMBDA_IN_PLACE {
      for (Index s = 0; s < slices(); ++s) {
        Register<Real> sums{};
        for (Index k = begins_[static_cast<std::size_t>(s)],
                   end = begins_[static_cast<std::size_t>(s) + 1];
             k < end; k += width)
          sums = value(k, pick(x, places + k), sums);
        take(s * width, sums);
      }
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

  std::vector<Index> begins_{0};  // of the slices
  bool narrow_ = false;           // places fit in 16 bits
  LargeArray<std::uint16_t> narrow_places_;
  LargeArray<Place> places_;
  LargeArray<Real> values_;  // or empty
};

}  // namespace localgd
