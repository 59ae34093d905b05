// The product with G of a ReLU network with one output in less than its flops. A column of G is
// s v_j times numbers e_k of which some are 0, so what a row of the product takes of a few k is one
// of few sums: two registers of 2^(bits - 1) numbers hold all sums of `bits` of them, and one
// permutation picks those of many hidden units. Five float32 rows cost a permutation and a sum in
// place of five multiply-adds, and as many more for the table, which serves a whole panel.
#pragma once

#include "../blocks/mask_table.hpp"
#include "client.hpp"

namespace localgd {

#if defined(__AVX512F__) && defined(__GNUC__)
// e_k in the places s of a register whose bit for k is 1, for all k in groups of `bits`; of the
// last of a group in all places.
template <class Real>
void spread(const Real* e, Index count, Real* spread_e) {
  constexpr int bits = mask_bits<Real>;
  for (Index k = 0; k < (count + bits - 1) / bits * bits; ++k, spread_e += lanes<Real>)
    for (Index s = 0; s < lanes<Real>; ++s) {
      const bool present = k % bits == bits - 1 || (s >> (k % bits) & 1);
      spread_e[s] = k < count && present ? e[k] : Real(0);
    }
}

// Which of the sums each hidden unit of a panel takes, by H > 0; and S += G.
template <class Real>
LOCALGD_ONE_COPY void choose(const StepRows& rows, Index width, const Real* values, const Real* e,
                             const Real* scaled_second, Choices<Real>* choices, Real* sums) {
  constexpr int bits = mask_bits<Real>;
  using Number = typename detail::ChoicesOf<Real>::Number;
  const Register<Real> zero{};
  for (Index first = 0; first < rows.count; first += bits)
    for (Index j = 0; j < width; j += lanes<Real>, ++choices) {
      Choices<Real> chosen{};
      const Register<Real> v = load(scaled_second + j);
      for (int i = 0; i < bits && first + i < rows.count; ++i) {
        const Index t = first + i;
        const auto positive = load(values + t * width + j) > zero;
        chosen |= positive & (Choices<Real>{} + (Number{1} << i));
        Real* sum = sums + rows.of(t) * width + j;
        store(sum, load(sum) + (positive ? e[t] * v : zero));
      }
      *choices = chosen;
    }
}

// See PanelProduct; B = G, of which alpha s V is what each column has in common.
template <class Real>
struct MaskedProduct {
  Index rows, depth, width;
  const Real* a;  // A(r, k) = a[k stride + r]
  Index stride;
  const Real* spread_e;
  const Choices<Real>* choices;
  const Real* scale;  // alpha s V of the panel
  Real keep;
  const Real* shift;
  Real* c;
};

template <class Real, int R, int V>
LOCALGD_ONE_COPY void masked_tile(const MaskedProduct<Real>& of, Index first, Index group,
                                  Index end, Real keep, const Real* shift) {
  constexpr int bits = mask_bits<Real>;
  constexpr Index width = V * lanes<Real>;
  Register<Real> sums[R][V] = {};
  const Real *a = of.a + group * bits * of.stride + first,
             *e = of.spread_e + group * bits * lanes<Real>;
  const Choices<Real>* choices = of.choices + group * V;
  // The k of a group; left(i): A of the i-th from the first row on.
  const auto add = [&](auto&& left) LOCALGD_LAMBDA_IN_PLACE {
    MaskTable<Real> tables[R];
    unrolled<bits>([&](auto i) LOCALGD_LAMBDA_IN_PLACE {
      const Register<Real> part = load(e + i * lanes<Real>);
      const Real* numbers = left(i);
      __builtin_prefetch(numbers + lanes<Real>);  // for one of the next tiles
      unrolled<R>([&](auto r) LOCALGD_LAMBDA_IN_PLACE {
        auto& [without, with] = tables[r];
        const auto number = all_lanes(numbers[r]);
        if constexpr (i == 0)
          without = number * part;
        else if constexpr (i + 1 < bits)
          without = multiply_add(number, part, without);
        else
          with = multiply_add(number, part, without);
      });
    });
    unrolled<V>([&](auto v) LOCALGD_LAMBDA_IN_PLACE {
      const Choices<Real> chosen = choices[v];
      unrolled<R>([&](auto r) LOCALGD_LAMBDA_IN_PLACE { sums[r][v] += pick(tables[r], chosen); });
    });
    e += bits * lanes<Real>;
    choices += V;
  };
  for (; group < end && (group + 1) * bits <= of.depth; ++group, a += bits * of.stride)
    add([&](Index i) LOCALGD_LAMBDA_IN_PLACE { return a + i * of.stride; });
  if (group < end) {  // e is 0 beyond the last
    const Index last = of.depth - 1 - group * bits;
    add([&](Index i) LOCALGD_LAMBDA_IN_PLACE { return a + std::min(i, last) * of.stride; });
  }
  Real* c = of.c + first * width;
  unrolled<R>([&](auto r) LOCALGD_LAMBDA_IN_PLACE {
    unrolled<V>([&](auto v) LOCALGD_LAMBDA_IN_PLACE {
      const Index at = r * width + v * lanes<Real>;
      Register<Real> base = load(c + at);
      if (keep != Real(1)) base *= all_lanes(keep);
      if (shift) base += load(shift + first * width + at);
      store(c + at, multiply_add(load(of.scale + v * lanes<Real>), sums[r][v], base));
    });
  });
}

template <class Real>
void multiply_masked(const MaskedProduct<Real>& of) {
  constexpr Index block = 32;  // groups whose choices stay in the first-level cache
  const Index groups = (of.depth + mask_bits<Real> - 1) / mask_bits<Real>;
  with_size<static_cast<int>(panel_registers<Real>)>(of.width / lanes<Real>, [&](auto V) {
    for (Index g = 0; g < groups; g += block)
      in_pieces<5, 2, 1>(of.rows, [&](Index first, auto R) {
        masked_tile<Real, R.value, V.value>(of, first, g, std::min(g + block, groups),
                                            g == 0 ? of.keep : Real(1),
                                            g == 0 ? of.shift : nullptr);
      });
  });
}
#else
template <class Real>
inline constexpr int mask_bits = 0;  // of this instruction set there is no such product
template <class Real>
using Choices = Real;
#endif

}  // namespace localgd
