// l(u, y) = log sum_c exp(u_c) - u_y, cross-entropy over C classes with u = W^T x.
#pragma once

#include <algorithm>
#include <cmath>

#include "../exp.hpp"
#include "facts.hpp"

namespace localgd {

struct Softmax {
  static constexpr std::string_view name = "softmax";
  // The tail of differences of two outputs.
  static constexpr LossFacts facts{
      .tasks = {"multiclass"}, .curvature = 0.5, .tail = {.rate = 1}, .bounded = true};
  static constexpr bool signed_rows = false;
  static constexpr bool exact = false;
  static constexpr bool multiclass = true;

  // e = onehot(y) - softmax(u) for n rows; the columns of u and e are `stride` apart. The entry of
  // the own class is the sum of the others, so that it keeps its digits when they are small.
  template <class Real>
  static void negative_derivatives(const Real* u, const Real* y, Index n, Index classes,
                                   Index stride, Real* e) {
    constexpr Index block = 64;
    Real largest[block], others[block], total[block];
    for (Index first = 0; first < n; first += block) {
      const Index count = std::min(block, n - first);
      std::copy_n(u + first, count, largest);
      for (Index c = 1; c < classes; ++c)
        for (Index j = 0; j < count; ++j) {
          const Real value = u[c * stride + first + j];
          largest[j] = value > largest[j] || value != value ? value : largest[j];
        }
      std::fill_n(others, count, Real(0));
      std::fill_n(total, count, Real(0));
      for (Index c = 0; c < classes; ++c)
        for (Index j = 0; j < count; ++j) {
          const Real power = exp_lane(u[c * stride + first + j] - largest[j]);
          e[c * stride + first + j] = power;
          total[j] += power;
          others[j] += y[first + j] == static_cast<Real>(c) ? Real(0) : power;
        }
      divide(others, total, y + first, count, classes, stride, e + first);
    }
  }

  // The powers in e become the derivatives, from the sums over the other classes and over all.
  template <class Real>
  static void divide(const Real* others, Real* total, const Real* y, Index count, Index classes,
                     Index stride, Real* e) {
    for (Index j = 0; j < count; ++j) total[j] = 1 / total[j];
    for (Index c = 0; c < classes; ++c)
      for (Index j = 0; j < count; ++j) {
        const bool own = y[j] == static_cast<Real>(c);
        e[c * stride + j] = (own ? others[j] : -e[c * stride + j]) * total[j];
      }
  }

  // Of u_0 (n x C without gaps): at_start of a row is exp(u_0 - max u_0).
  template <class Real>
  static void values_at_start(const double* u, Index n, Index classes, Index stride,
                              Real* at_start) {
    for (Index j = 0; j < n; ++j) {
      double largest = u[j];
      for (Index c = 1; c < classes; ++c)
        largest = u[c * n + j] > largest || u[c * n + j] != u[c * n + j] ? u[c * n + j] : largest;
      for (Index c = 0; c < classes; ++c)
        at_start[c * stride + j] = static_cast<Real>(exp_lane(u[c * n + j] - largest));
    }
  }

  // e at u_0 + delta.
  template <class Real, class Exp>
  static void after_move(const Real* at_start, const Real* delta, const Real* y, Index n,
                         Index classes, Index stride, Real* e, Exp power) {
    constexpr Index block = 64;
    Real others[block], total[block];
    for (Index first = 0; first < n; first += block) {
      const Index count = std::min(block, n - first);
      std::fill_n(others, count, Real(0));
      std::fill_n(total, count, Real(0));
      for (Index c = 0; c < classes; ++c)
        for (Index j = 0; j < count; ++j) {
          const Real p = at_start[c * stride + first + j] * power(delta[c * stride + first + j]);
          e[c * stride + first + j] = p;
          total[j] += p;
          others[j] += y[first + j] == static_cast<Real>(c) ? Real(0) : p;
        }
      divide(others, total, y + first, count, classes, stride, e + first);
    }
  }

  // What e changes by on the way; less_one(x) = exp(x) - 1. With p_c = o_c / T, X = sum_c o_c x_c:
  // the other classes' p change by (o_c x_c - p_c X) / (T + X).
  template <class Real, class Less>
  static void change(const Real* at_start, const Real* delta, const Real* y, Index n, Index classes,
                     Index stride, Real* e, Less less_one) {
    constexpr Index block = 64;
    Real others[block], total[block], moved[block];
    for (Index first = 0; first < n; first += block) {
      const Index count = std::min(block, n - first);
      std::fill_n(others, count, Real(0));
      std::fill_n(total, count, Real(0));
      std::fill_n(moved, count, Real(0));
      for (Index c = 0; c < classes; ++c)
        for (Index j = 0; j < count; ++j) {
          const Real o = at_start[c * stride + first + j];
          const Real x = o * less_one(delta[c * stride + first + j]);
          e[c * stride + first + j] = x;
          total[j] += o;
          moved[j] += x;
        }
      for (Index j = 0; j < count; ++j) {
        const Real before = total[j];
        total[j] = 1 / (before + moved[j]);
        moved[j] /= before;
      }
      for (Index c = 0; c < classes; ++c)
        for (Index j = 0; j < count; ++j) {
          const bool own = y[first + j] == static_cast<Real>(c);
          const Real x =
              (e[c * stride + first + j] - at_start[c * stride + first + j] * moved[j]) * total[j];
          e[c * stride + first + j] = -x;
          others[j] += own ? Real(0) : x;
        }
      for (Index c = 0; c < classes; ++c)
        for (Index j = 0; j < count; ++j)
          if (y[first + j] == static_cast<Real>(c)) e[c * stride + first + j] = others[j];
    }
  }

  // One row; its outputs are `stride` apart.
  static double value(const double* u, Index stride, Index classes, double y) {
    const Index own = static_cast<Index>(y);
    double largest = u[0];
    for (Index c = 1; c < classes; ++c) largest = std::max(largest, u[c * stride]);
    if (u[own * stride] == largest) {  // log(1 + sum of the others): keeps small losses
      double others = 0;
      for (Index c = 0; c < classes; ++c)
        if (c != own) others += std::exp(u[c * stride] - largest);
      return std::log1p(others);
    }
    double sum = 0;
    for (Index c = 0; c < classes; ++c) sum += std::exp(u[c * stride] - largest);
    return std::log(sum) + (largest - u[own * stride]);
  }
};

}  // namespace localgd
