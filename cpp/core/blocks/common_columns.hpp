// The columns of a client's sparse rows that many of its rows have. All places of them are kept,
// entry or not, so that a product takes a register of rows at a time and looks nothing up: as bits
// where each row has but one value (bit_rows.hpp), else as numbers.
#pragma once

#include <numeric>

#include "bit_rows.hpp"

namespace localgd {

template <class Real>
class CommonColumns {
 public:
  // How far products read beyond the numbers that they are given.
  static constexpr Index beyond = BitRows<Real>::bits - 1;

  CommonColumns() = default;
  // Of n rows. counts: the entries of each of their columns, most first. even: each row has but one
  // value.
  CommonColumns(Index n, const std::vector<Index>& counts, bool even)
      : count_(best_count(n, counts, even)), even_(even), blocks_(blocks(n)) {
    if (!count_) return;
    if (even) {
      bits_ = BitRows<Real>(n, count_);
      transposed_bits_ = BitRows<Real>(count_, n);
      return;
    }
    const Index size = blocks_ * padded<Real>(count_) * lanes<Real>;
    numbers_ = LargeArray<Real>(size, 16 * LargeArray<Real>::page);
    std::fill_n(numbers_.data(), size, Real(0));
  }

  Index count() const { return count_; }  // the first columns: whole registers of them, or all

  void put(Index row, Index column, Real value) {
    if (even_) {
      bits_.set(row, column);
      transposed_bits_.set(column, row);
    } else {
      numbers_.data()[(row / lanes<Real> * padded<Real>(count_) + column) * lanes<Real> +
                      row % lanes<Real>] = value;
    }
  }

  // Calls take(first row, sums) for the products of registers of rows with x, in the type of x:
  // Real or float64. A row counts with 1 for its value where it has but one.
  template <class Number, class Take>
  LOCALGD_IN_PLACE void multiply(const Number* x, Take&& take) const {
    if (!count_) return;
    if (even_) return bits_.multiply(x, take);
    in_pieces<4, 1>(blocks_, [&](Index first, auto R) LOCALGD_LAMBDA_IN_PLACE {
      Number sums[R * lanes<Real>];
      add_up<R.value>(first, x, sums);
      for (Index j = 0; j < R * lanes<Real>; j += lanes<Number>)
        take(first * lanes<Real> + j, load(sums + j));
    });
  }

  // Calls take(first column, sums) for the products of registers of columns with e, which is 0
  // beyond the last row.
  template <class Take>
  LOCALGD_IN_PLACE void multiply_transposed(const Real* e, Take&& take) const {
    if (!count_) return;
    if (even_) return transposed_bits_.multiply(e, take);
    for (Index k = 0; k < count_; k += lanes<Real>) {
      Real sums[lanes<Real>] = {};
      add_up_columns(k, e, sums);
      take(k, load(sums));
    }
  }

 private:
  static Index blocks(Index rows) { return (rows + lanes<Real> - 1) / lanes<Real>; }

  // Cycles: of an entry in slices, of a row or column that has some, of a vector instruction of
  // bits, of a register of numbers; each for one product.
  static Index best_count(Index n, const std::vector<Index>& counts, bool even) {
    constexpr double entry = 1, row = 1, instruction = 0.6, block = 2;
    // No more memory than the entries have in slices.
    constexpr double most_places = 2.0 * (sizeof(Real) + 4) / sizeof(Real);
    if (even && !BitRows<Real>::there) return 0;
    const auto all = static_cast<Index>(counts.size());
    auto sliced = static_cast<double>(std::accumulate(counts.begin(), counts.end(), Index{0}));
    double taken = 0, least = entry * sliced + row * static_cast<double>(n);
    Index best = 0;
    for (Index k = 0; k < all;) {
      for (const Index end = std::min(k + lanes<Real>, all); k < end; ++k)
        taken += static_cast<double>(counts[static_cast<std::size_t>(k)]);
      double cost = entry * (sliced - taken) + (k < all ? row * static_cast<double>(n) : 0);
      if (even) {
        cost += instruction / 2 *
                (BitRows<Real>::instructions(n, k) + BitRows<Real>::instructions(k, n));
      } else {
        if (static_cast<double>(n * k) > most_places * taken) break;
        cost += block * static_cast<double>(blocks(n) * k);
      }
      if (cost >= least) continue;
      least = cost;
      best = k;
    }
    return best;
  }

  const Real* numbers(Index block) const {
    return numbers_.data() + block * padded<Real>(count_) * lanes<Real>;
  }

  // The products of R registers of rows with x.
  template <int R, class Number>
  LOCALGD_ONE_COPY void add_up(Index first, const Number* x, Number* out) const {
    constexpr int wide = static_cast<int>(lanes<Real> / lanes<Number>);
    const Index stride = padded<Real>(count_) * lanes<Real>;
    const Real* a = numbers(first);
    Register<Number> sums[R * wide] = {};
    for (Index k = 0; k < count_; ++k, a += lanes<Real>) {
      const Register<Number> number = all_lanes(x[k]);
      unrolled<R * wide>([&](auto r) LOCALGD_LAMBDA_IN_PLACE {
        const Real* from = a + r / wide * stride + r % wide * lanes<Number>;
        sums[r] = multiply_add(load_as<Number>(from), number, sums[r]);
      });
    }
    for (int r = 0; r < R * wide; ++r) store(out + r * lanes<Number>, sums[r]);
  }

  // sums += the products of a register of columns, from the k-th on, with e.
  LOCALGD_ONE_COPY void add_up_columns(Index k, const Real* e, Real* out) const {
    constexpr int width = static_cast<int>(lanes<Real>);
    const Index stride = padded<Real>(count_) * lanes<Real>;
    const Real* a = numbers(0) + k * lanes<Real>;
    Register<Real> sums[width] = {};
    for (Index block = 0; block < blocks_; ++block, a += stride, e += lanes<Real>) {
      const Register<Real> own = load(e);
      unrolled<width>([&](auto c) LOCALGD_LAMBDA_IN_PLACE {
        sums[c] = multiply_add(load(a + c * lanes<Real>), own, sums[c]);
      });
    }
    add_sums_of_lanes<Real>(sums, out);
  }

  Index count_ = 0;
  bool even_ = false;
  Index blocks_ = 0;  // registers of rows
  BitRows<Real> bits_, transposed_bits_;
  LargeArray<Real> numbers_;  // of a register of rows column after column
};

}  // namespace localgd
