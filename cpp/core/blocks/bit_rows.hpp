// Rows whose entries are all 1, as a bit for each place, entry or not. Of `mask_bits` columns a
// row's part of a product is one of few sums (mask_table.hpp), so that a permutation and a sum take
// 80 places in float32, 32 in float64: less work than the entries where more than one place in some
// dozens has one. Empty where there are no such permutations.
#pragma once

#include <limits>
#include <vector>

#include "../pages.hpp"
#include "mask_table.hpp"

namespace localgd {

#if defined(__AVX512F__) && defined(__GNUC__)
template <class Real>
class BitRows {
 public:
  static constexpr bool there = true;
  static constexpr Index bits = mask_bits<Real>;

  BitRows() = default;
  BitRows(Index rows, Index columns) : blocks_(blocks(rows)), groups_(groups(columns)) {
    const Index size = blocks_ * words() * lanes<Real>;
    words_ = LargeArray<Word>(size, 16 * LargeArray<Word>::page);
    std::fill_n(words_.data(), size, Word{0});
  }

  // Vector instructions of a product.
  static double instructions(Index rows, Index columns) {
    constexpr Index table = bits + 1, block = 3;
    const Index b = blocks(rows), runs = (b + at_once - 1) / at_once;
    return static_cast<double>(groups(columns) * (table * runs + block * b));
  }

  void set(Index row, Index column) {
    const Index block = row / lanes<Real>, first = block / at_once * at_once, group = column / bits,
                word = group / per_word;
    words_.data()[(first * words() + word * together(first) + block - first) * lanes<Real> +
                  row % lanes<Real>] |= Word{1} << (group % per_word * bits + column % bits);
  }

  // Calls take(first row, sums) for the products of a register of rows after the other with x,
  // which is read as far as whole groups of columns go.
  template <class Take>
  LOCALGD_IN_PLACE void multiply(const Real* x, Take&& take) const {
    Real sums[at_once * lanes<Real>];
    for (Index first = 0; first < blocks_; first += at_once) {
      const Index count = together(first);
      with_size<at_once>(count, [&](auto R) { add_up<R.value>(from(first), groups_, x, sums); });
      for (Index r = 0; r < count; ++r)
        take((first + r) * lanes<Real>, load(sums + r * lanes<Real>));
    }
  }

  // The same in float64.
  template <class Take>
  LOCALGD_IN_PLACE void multiply(const double* x, Take&& take) const
    requires std::is_same_v<Real, float>
  {
    constexpr Index half = at_once / 2;
    double sums[half * lanes<Real>];
    for (Index first = 0; first < blocks_; first += half) {
      const Index whole = first / at_once * at_once, count = std::min(half, blocks_ - first);
      with_size<half>(count, [&](auto R) {
        add_up_wide<R.value>(from(whole) + (first - whole) * lanes<Real>, together(whole), groups_,
                             x, sums);
      });
      for (Index j = 0; j < count * lanes<Real>; j += lanes<double>)
        take(first * lanes<Real> + j, load(sums + j));
    }
  }

 private:
  using Word = typename detail::ChoicesOf<Real>::Number;
  static constexpr Index per_word = static_cast<Index>(8 * sizeof(Word)) / bits;  // groups
  static constexpr Index at_once = 8;  // registers of rows that share a table

  static Index blocks(Index rows) { return (rows + lanes<Real> - 1) / lanes<Real>; }
  static Index groups(Index columns) { return (columns + bits - 1) / bits; }
  Index words() const { return (groups_ + per_word - 1) / per_word; }
  Index together(Index first) const { return std::min(at_once, blocks_ - first); }
  const Word* from(Index block) const { return words_.data() + block * words() * lanes<Real>; }

  static Choices<Real> choices(const Word* words) {
    return *reinterpret_cast<const Choices<Real>*>(words);
  }

  template <int R>
  LOCALGD_ONE_COPY static void add_up(const Word* words, Index groups, const Real* x, Real* out) {
    Register<Real> sums[R] = {};
    for (; groups > 0; groups -= per_word, words += R * lanes<Real>) {
      Choices<Real> chosen[R];
      unrolled<R>([&](auto r)
                      LOCALGD_LAMBDA_IN_PLACE { chosen[r] = choices(words + r * lanes<Real>); });
      for (Index g = std::min(groups, per_word); g > 0; --g, x += bits) {
        const MaskTable<Real> table = mask_table(x);
        unrolled<R>([&](auto r) LOCALGD_LAMBDA_IN_PLACE {
          sums[r] += pick(table, chosen[r]);
          chosen[r] >>= bits;
        });
      }
    }
    unrolled<R>([&](auto r) LOCALGD_LAMBDA_IN_PLACE { store(out + r * lanes<Real>, sums[r]); });
  }

  // The words of even and odd lanes as those of float64, whose tables are of a number less.
  template <int R>
  LOCALGD_ONE_COPY static void add_up_wide(const Word* words, Index stride, Index groups,
                                           const double* x, double* out) {
    constexpr int last = mask_bits<double>;
    __m512d sums[R][2] = {};
    for (; groups > 0; groups -= per_word, words += stride * lanes<Real>) {
      Choices<Real> chosen[R];
      unrolled<R>([&](auto r)
                      LOCALGD_LAMBDA_IN_PLACE { chosen[r] = choices(words + r * lanes<Real>); });
      for (Index g = std::min(groups, per_word); g > 0; --g, x += bits) {
        const MaskTable<double> table = mask_table(x);
        const __m512d more = _mm512_set1_pd(x[last]);
        unrolled<R>([&](auto r) LOCALGD_LAMBDA_IN_PLACE {
          unrolled<2>([&](auto odd) LOCALGD_LAMBDA_IN_PLACE {
            const Choices<double> own = (Choices<double>)chosen[r] >> (32 * odd);
            const __mmask8 has = _mm512_test_epi64_mask((__m512i)own, _mm512_set1_epi64(1 << last));
            __m512d& sum = sums[r][odd];
            sum = _mm512_add_pd(sum, (__m512d)pick(table, own));
            sum = _mm512_mask_add_pd(sum, has, sum, more);
          });
          chosen[r] >>= bits;
        });
      }
    }
    const __m512i low = _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0),
                  high = _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4);
    for (int r = 0; r < R; ++r, out += lanes<Real>) {
      store(out, (Register<double>)_mm512_permutex2var_pd(sums[r][0], low, sums[r][1]));
      store(out + lanes<double>,
            (Register<double>)_mm512_permutex2var_pd(sums[r][0], high, sums[r][1]));
    }
  }

  Index blocks_ = 0, groups_ = 0;
  // A bit for each column of a group in each word, `per_word` groups; of `at_once` registers of
  // rows word after word.
  LargeArray<Word> words_;
};
#else
template <class Real>
class BitRows {
 public:
  static constexpr bool there = false;
  static constexpr Index bits = 1;

  BitRows() = default;
  BitRows(Index, Index) {}
  static double instructions(Index, Index) { return std::numeric_limits<double>::infinity(); }
  void set(Index, Index) {}
  template <class Number, class Take>
  void multiply(const Number*, Take&&) const {}
};
#endif

}  // namespace localgd
