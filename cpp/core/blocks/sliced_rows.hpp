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

#if defined(__AVX__) && defined(__GNUC__)
namespace detail {
// x at places, in half of the lanes of V, and so on down to 16 bytes: each place is read where it
// is wanted, or there are too few registers for them.
template <class V, class Real, class Place>
LOCALGD_IN_PLACE V pick_halves(const Real* x, const Place* places) {
  if constexpr (sizeof(V) == 16 && sizeof(Real) == 4) {
    __m128 four = _mm_load_ss(x + places[0]);
    four = _mm_insert_ps(four, _mm_load_ss(x + places[1]), 0x10);
    four = _mm_insert_ps(four, _mm_load_ss(x + places[2]), 0x20);
    return (V)_mm_insert_ps(four, _mm_load_ss(x + places[3]), 0x30);
  } else if constexpr (sizeof(V) == 16) {
    return (V)_mm_loadh_pd(_mm_load_sd(x + places[0]), x + places[1]);
  } else {
    typedef Real Half __attribute__((vector_size(sizeof(V) / 2)));
    constexpr std::size_t count = sizeof(Half) / sizeof(Real);
    const Half low = pick_halves<Half>(x, places), high = pick_halves<Half>(x, places + count);
    return [&]<std::size_t... l>(std::index_sequence<l...>) LOCALGD_LAMBDA_IN_PLACE {
      return V{low[l]..., high[l]...};
    }(std::make_index_sequence<count>{});
  }
}
}  // namespace detail
#endif

// x at the places of the lanes, by single loads: instructions that gather are slower on many
// processors, up to five times.
template <class Real, class Place>
LOCALGD_IN_PLACE Register<Real> pick(const Real* x, const Place* places) {
#if defined(__AVX__) && defined(__GNUC__)
  return detail::pick_halves<Register<Real>>(x, places);
#else
  if constexpr (lanes<Real> == 1)
    return x[*places];
  else
    return [&]<std::size_t... l>(std::index_sequence<l...>)
               LOCALGD_LAMBDA_IN_PLACE -> Register<Real> {
                 return Register<Real>{x[places[l]]...};
               }(std::make_index_sequence<static_cast<std::size_t>(lanes<Real>)>{});
#endif
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

  // Calls take(first place, sums) for the products of a register of rows after the other with x, in
  // the type of x: Real or float64.
  template <class Number, class Take>
  LOCALGD_IN_PLACE void multiply(const Number* x, Take&& take) const {
    constexpr bool wide = width > lanes<Number>;  // in two registers, each half of the lanes
    struct Sums {
      Register<Number> low, high;
    };
    const auto with_values = [&](auto value, const auto* places) LOCALGD_LAMBDA_IN_PLACE {
      const auto sum = [&](Index part) LOCALGD_LAMBDA_IN_PLACE {
        Sums sums{};
        for (Index k = begin(part), end = begin(part + 1); k < end; k += width) {
          sums.low = value(k, pick(x, places + k), sums.low);
          if constexpr (wide) {
            const Index half = k + lanes<Number>;
            sums.high = value(half, pick(x, places + half), sums.high);
          }
        }
        return sums;
      };
      for (Index p = 0; p < alone_; p += width) {
        Number sums[width];
        for (Index l = 0; l < width; ++l) {
          const Sums own = sum(p + l);
          sums[l] = sum_of_lanes<Number>(wide ? own.low + own.high : own.low);
        }
        take(p, load(sums));
        if constexpr (wide) take(p + lanes<Number>, load(sums + lanes<Number>));
      }
      for (Index part = alone_; part < parts(); ++part) {
        const Index p = alone_ + (part - alone_) * width;
        const Sums sums = sum(part);
        take(p, sums.low);
        if constexpr (wide) take(p + lanes<Number>, sums.high);
      }
    };
    const auto by_index = [&](const auto* places) LOCALGD_LAMBDA_IN_PLACE {
      if (const Real* v = values_.data())
        with_values(
            [v](Index k, Register<Number> picked, Register<Number> sums) LOCALGD_LAMBDA_IN_PLACE {
              return multiply_add(load_as<Number>(v + k), picked, sums);
            },
            places);
      else
        with_values([](Index, Register<Number> picked, Register<Number> sums)
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
