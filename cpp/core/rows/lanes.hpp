// The rows of a bundle's clients side by side, each client in its lane (see steps/bundles.hpp): A_i
// w_k and sum_i u_i A_i^T b_i, with sums over the lanes once for many bundles.
//
// Up to `most` rows at a time, feature after feature: a bundle is one stream, and what is summed
// stays in registers.
#pragma once

#include "../steps/bundles.hpp"

namespace localgd {

template <class Real>
class BundledRows {
 public:
  static constexpr Index width = bundle_width<Real>;

  // The bundles must outlive the rows.
  BundledRows(const Bundles<Real>& bundles, Index features)
      : bundles_(&bundles), features_(features), numbers_(begin(bundles.count())) {
    std::fill_n(numbers_.data(), numbers_.size(), Real(0));
  }

  void put(Index client, const RowMatrix<Real>& rows) {
    Real* to = numbers_.data() + begin(client / width) + client % width;
    in_row_pieces(bundles_->rows(client / width), [&](Index first, auto R) {
      for (Index r = 0; r < R && first + r < rows.rows(); ++r)
        for (Index k = 0; k < features_; ++k)
          to[(first * features_ + k * R + r) * width] = rows(first + r, k);
    });
  }

  // m = A_i w of all clients of a bundle. A part of what comes next is fetched meanwhile.
  void multiply(Index bundle, const double* w, double* m, Fetch& next) const {
    in_row_pieces(bundles_->rows(bundle), [&](Index first, auto R) {
      multiply_piece<R>(begin_of(bundle, first), features_, w, m + first * width, next);
    });
  }

  // To lanes<double> sums of each feature is added what A_i^T b_i is the sum of, for all clients of
  // a bundle.
  void add_weighted(Index bundle, const Real* b, double* sums, Fetch& next) const {
    in_row_pieces(bundles_->rows(bundle), [&](Index first, auto R) {
      add_piece<R>(begin_of(bundle, first), features_, b + first * width, sums, next);
    });
  }

  Fetch fetch(Index bundle) const { return Fetch::of(begin_of(bundle), begin_of(bundle + 1)); }

 private:
  static constexpr Index wide = lanes<double>, parts = width / wide;
  // fetched for each number of w: more would wait for one another
  static constexpr Index lines = parts;
  static constexpr int most = parts == 2 || registers == 32 ? 5 : 3;  // times parts sums

  template <class Body>
  static void in_row_pieces(Index n, Body&& body) {
    if constexpr (most == 5)
      in_pieces<5, 4, 3, 2, 1>(n, body);
    else
      in_pieces<3, 2, 1>(n, body);
  }

  template <int R>
  static void multiply_piece(const Real* a, Index features, const double* w, double* m,
                             Fetch& fetch) {
    Fetch next = fetch;
    Register<double> sums[R][parts];
    for (int r = 0; r < R; ++r)
      for (int p = 0; p < parts; ++p) sums[r][p] = Register<double>{};
    for (Index k = 0; k < features; ++k, a += R * width) {
      const Register<double> factor = all_lanes(w[k]);
      next.some(lines);
      for (int r = 0; r < R; ++r)
        for (int p = 0; p < parts; ++p)
          sums[r][p] += load_as<double>(a + r * width + p * wide) * factor;
    }
    for (int r = 0; r < R; ++r)
      for (int p = 0; p < parts; ++p) store(m + r * width + p * wide, sums[r][p]);
    fetch = next;
  }

  template <int R>
  static void add_piece(const Real* a, Index features, const Real* b, double* sums, Fetch& fetch) {
    constexpr Index half = lanes<Real>;
    Fetch next = fetch;
    Register<Real> first[R], second[R];
    for (int r = 0; r < R; ++r) {
      first[r] = load(b + r * width);
      second[r] = load(b + r * width + half);
    }
    for (Index k = 0; k < features; ++k, a += R * width, sums += wide) {
      Register<Real> one = load(a) * first[0], two = load(a + half) * second[0];
      next.some(2);
      for (int r = 1; r < R; ++r) {
        one = multiply_add(load(a + r * width), first[r], one);
        two = multiply_add(load(a + r * width + half), second[r], two);
      }
      // Of one row both are products: which of them is fused is not left to the compiler.
      const Register<Real> both = R == 1 ? multiply_add(load(a + half), second[0], one) : one + two;
      store(sums, load(sums) + in_wide_lanes<Real>(both));
    }
    fetch = next;
  }

  Index begin(Index bundle) const { return bundles_->begin_of_rows(bundle) * features_; }
  const Real* begin_of(Index bundle, Index row = 0) const {
    return numbers_.data() + begin(bundle) + row * features_ * width;
  }

  const Bundles<Real>* bundles_;
  Index features_;
  LargeArray<Real> numbers_;
};

}  // namespace localgd
