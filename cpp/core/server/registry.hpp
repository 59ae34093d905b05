// Every server: a new one is one file and one line here.
//
// From the clients' mean change D = sum_i u_i (w_{k,i} - w_k) a server makes the change c of the
// model, number by number. It is a struct with
//   name             for Python
//   coordinate_wise  whether it acts on the weights alone. The others are linear: c depends on D,
//                    x_k - x_0 and the velocity by factors that are those of all numbers, so that
//                    the same step moves weights, coefficients and margins alike
//   keeps            what it remembers of each number
//   visit(show)      show(name, value, limits) for each of its parameters; flags have no limits
//   change(k, D, x)  c in round k, unless there is
//   factor()         f where c = f D, whatever was before the round
//   first_squares()  what squares begin with, if it keeps them
//   idle(k, end)     of linear ones without a factor: what rounds k, ..., end - 1 do to a number
//                    that no client moves
// change() is for track.cpp alone, which is compiled without contraction to fused multiply-adds.
#pragma once

#include <optional>
#include <string_view>
#include <variant>

#include "../named.hpp"
#include "adagrad.hpp"
#include "adam.hpp"
#include "anchored.hpp"
#include "average.hpp"
#include "called.hpp"
#include "sgd.hpp"
#include "yogi.hpp"

namespace localgd {

using KnownServer = std::variant<Average, Anchored, Sgd, Adam, Yogi, Adagrad>;
using Servers = Named<KnownServer>;
using Server = WithOneMore<KnownServer, CalledServer>;

template <class Own>
std::optional<double> factor_of([[maybe_unused]] const Own& server) {
  if constexpr (requires { server.factor(); })
    return server.factor();
  else
    return {};
}

// One of them with its parameters.
struct ServerRule {
  Server server;

  // The one of that name, for visit() to set its parameters; or one that is called, by what is
  // then set.
  static ServerRule named(std::string_view name) {
    if (name == CalledServer::name) return {CalledServer{}};
    return std::visit([](auto own) { return ServerRule{own}; }, Servers::find("server", name));
  }

  template <class Show>
  void visit(Show&& show) {
    std::visit([&](auto& own) { own.visit(show); }, server);
  }

  bool coordinate_wise() const {
    return std::visit([](const auto& own) { return own.coordinate_wise; }, server);
  }
  std::optional<double> factor() const {
    return std::visit([](const auto& own) { return factor_of(own); }, server);
  }
  // Of linear ones.
  Idle idle(double first, double end) const {
    return std::visit(
        [&]<class Own>(const Own& own) {
          if (first == end || factor_of(own)) return Idle{};
          if constexpr (!Own::coordinate_wise && requires { &Own::change; })
            return own.idle(first, end);
          else
            return Idle{};
        },
        server);
  }
};

}  // namespace localgd
