// The servers as mathematics.md writes them, number by number.
#pragma once

#include <cmath>

#include "core/server/registry.hpp"

namespace localgd::testing {

// One number of the model through the rounds of a server.
struct ServedNumber {
  double start, x = start, v = 0, s = -1, c = 0;  // s: -1 before the first round

  // x_{k+1} = x_k + c, for the clients' mean change d.
  void round(const ServerRule& rule, double k, double d) {
    c = std::visit([&](const auto& server) { return change(server, k, d); }, rule.server);
    x += c;
  }

 private:
  double change(const Average&, double, double d) { return d; }
  double change(const Anchored&, double k, double d) {
    const double a = (k + 1) / (k + 2);
    return (1 - a) * start + a * (x + d) - x;
  }
  double change(const Sgd& server, double, double d) {
    v = server.momentum * v + d;
    return server.lr * (server.nesterov ? d + server.momentum * v : v);
  }
  double change(const Adam& server, double, double d) {
    begin(server.tau);
    s = server.beta2 * s + (1 - server.beta2) * d * d;
    return adaptive(server, d);
  }
  double change(const Yogi& server, double, double d) {
    begin(server.tau);
    s += (1 - server.beta2) * (d * d > s ? d * d : d * d < s ? -d * d : 0);
    return adaptive(server, d);
  }
  double change(const Adagrad& server, double, double d) {
    begin(server.tau);
    s += d * d;
    return adaptive(server, d);
  }
  double change(const CalledServer&, double, double) {
    throw std::logic_error("server: want one of the core");
  }

  void begin(double tau) {
    if (s < 0) s = tau * tau;
  }
  template <class Adaptive>
  double adaptive(const Adaptive& server, double d) {
    v = server.beta1 * v + (1 - server.beta1) * d;
    return server.lr * v / (std::sqrt(s) + server.tau);
  }
};

}  // namespace localgd::testing
