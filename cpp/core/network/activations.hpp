// Every activation by name: a new one is a struct and its name in the list. It has
//   degree     sigma(c p) = c^degree sigma(p) for c > 0, or 0 where there is none
//   value      sigma, of a number or of all lanes of a register; NaN stays NaN
//   times_slope(x, value, p)  x sigma'(p), with the value at p
#pragma once

#include <cmath>
#include <string_view>
#include <type_traits>
#include <variant>

#include "../exp.hpp"
#include "../named.hpp"

namespace localgd {

struct Relu {
  static constexpr std::string_view name = "relu";
  static constexpr int degree = 1;
  template <class V>
  static V value(V p) {
    const V zero{};
    return p < zero ? zero : p;
  }
  template <class V>
  static V times_slope(V x, V value, V /*p*/) {
    const V zero{};
    return value > zero ? x : zero;
  }
};

struct LeakyRelu {
  static constexpr std::string_view name = "leaky_relu";
  static constexpr int degree = 1;
  template <class V>
  static V value(V p) {
    const V zero{}, small = p * leak<V>;
    return p < zero ? small : p;
  }
  template <class V>
  static V times_slope(V x, V value, V /*p*/) {
    const V zero{}, small = x * leak<V>;
    return value > zero ? x : small;
  }

 private:
  template <class V>
  using RealOf = typename detail::ExpTraits<V>::Real;
  template <class V>
  static constexpr auto leak = static_cast<RealOf<V>>(0.01);  // of negative numbers
};

struct Tanh {
  static constexpr std::string_view name = "tanh";
  static constexpr int degree = 0;
  // (exp(2p) - 1) / (exp(2p) + 1); of small numbers Lambert's continued fraction, so that they keep
  // their digits.
  template <class V>
  static V value(V p) {
    const V most = V{} + 20, at_most = p > most ? most : p, x = at_most < -most ? -most : at_most;
    const V q = x * x, power = exp_lane(x + x), limit = V{} + 0.0625f;
    const V above = x * (135135 + q * (17325 + q * (378 + q))),
            below = 135135 + q * (62370 + q * (3150 + q * 28));
    const V numerator = q < limit ? above : power - 1, denominator = q < limit ? below : power + 1;
    return numerator / denominator;
  }
  template <class V>
  static V times_slope(V x, V value, V /*p*/) {
    return x * (1 - value * value);
  }
};

// log(1 + exp(p)) = max(p, 0) + log(1 + z), z = exp(-|p|).
struct Softplus {
  static constexpr std::string_view name = "softplus";
  static constexpr int degree = 0;
  template <class V>
  static V value(V p) {
    const V zero{}, least = p < zero ? p : -p, above = p < zero ? zero : p;
    return above + log_of_1_and(exp_lane(least));
  }
  template <class V>
  static V times_slope(V x, V /*value*/, V p) {
    return x / (1 + exp_lane(-p));
  }

 private:
  // log(1 + z) = 2 artanh(z / (2 + z)) for z from 0 to 1, by its series.
  template <class V>
  static V log_of_1_and(V z) {
    constexpr int terms = sizeof(typename detail::ExpTraits<V>::Real) == sizeof(float) ? 9 : 18;
    const V s = z / (2 + z), q = s * s;
    V sum = V{} + 1 / static_cast<typename detail::ExpTraits<V>::Real>(2 * terms - 1);
    for (int t = terms - 1; t > 0; --t)
      sum = sum * q + 1 / static_cast<typename detail::ExpTraits<V>::Real>(2 * t - 1);
    return 2 * s * sum;
  }
};

struct Quadratic {
  static constexpr std::string_view name = "quadratic";
  static constexpr int degree = 2;
  template <class V>
  static V value(V p) {
    return p * p;
  }
  template <class V>
  static V times_slope(V x, V /*value*/, V p) {
    return x * (p + p);
  }
};

using Activations = Named<std::variant<Relu, LeakyRelu, Tanh, Softplus, Quadratic>>;

// Calls visitor with an object of the activation of that name and returns what it returns.
template <class Visitor>
auto with_activation(std::string_view name, Visitor&& visitor) {
  return std::visit(visitor, Activations::find("activation", name));
}

}  // namespace localgd
