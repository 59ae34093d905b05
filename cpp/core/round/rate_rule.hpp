// Where the learning rate of a round comes from.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace localgd {

// The number eta that comes with a round is its rate, or what that is made of:
//   risk      eta / f(w_k)
//   own_risk  eta / f_i(w) on each client, anew at every local step
//   polyak    eta (f(w_k) - least) / |grad f(w_k)|^2
struct RateRule {
  enum class Kind { given, risk, own_risk, polyak };

  Kind kind = Kind::given;
  double least = 0;  // f*, of polyak

  static constexpr std::string_view names[] = {"given", "risk", "own_risk", "polyak"};
  static RateRule named(std::string_view name) {
    for (int kind = 0; kind < 4; ++kind)
      if (names[kind] == name) return {static_cast<Kind>(kind)};
    throw std::invalid_argument("rates: no rule named '" + std::string(name) + "'");
  }

  template <class Show>
  void visit(Show&& show) {
    show("least", least);
  }

  bool given() const { return kind == Kind::given; }
  bool own() const { return kind == Kind::own_risk; }
  // One for all clients, from where the model is.
  bool shared() const { return !given() && !own(); }
};

}  // namespace localgd
