// The one list of losses, engines, methods and number types that drives the tests: a new loss,
// engine or method is one line here, and every test takes it up.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "core/engine.hpp"
#include "core/loss/registry.hpp"
#include "core/round/corrections/registry.hpp"

namespace localgd::testing {

constexpr Index classes = 3;  // of the softmax loss

// A loss by its formula, in long double and without the core's code: of one row's
// outputs u. negative_derivative is that by output c.
struct LossCase {
  using Number = long double;
  std::string name;
  bool signed_rows;  // false: the target counts
  Index outputs;
  Number (*value)(const Number* u, Number y);
  Number (*negative_derivative)(const Number* u, Number y, Index c);
  bool independent = false;  // outputs, each with a target: the formulas are of one of them

  Index targets() const { return independent ? outputs : 1; }  // of a row
  // By all targets of the rows.
  Number value_of(const Number* u, const MatrixView<double>& y, Index row) const {
    if (!independent) return value(u, y(row, 0));
    Number sum = 0;
    for (Index c = 0; c < outputs; ++c) sum += value(u + c, y(row, c));
    return sum;
  }
  Number negative_derivative_of(const Number* u, const MatrixView<double>& y, Index row,
                                Index c) const {
    return independent ? negative_derivative(u + c, y(row, c), 0)
                       : negative_derivative(u, y(row, 0), c);
  }
  std::string label() const {
    return independent ? name + " of " + std::to_string(outputs) + " outputs" : name;
  }
};

inline LossCase of_outputs(LossCase loss, Index outputs) {
  loss.outputs = outputs;
  loss.independent = true;
  return loss;
}

// Sum of exp(u_c - shift) over the classes but one.
inline long double sum_of_exp(const long double* u, long double shift, Index without) {
  long double sum = 0;
  for (Index c = 0; c < classes; ++c)
    if (c != without) sum += std::exp(u[c] - shift);
  return sum;
}

inline const std::vector<LossCase> losses_of_one_target{
    {"exponential", true, 1, [](const long double* m, long double) { return std::exp(-*m); },
     [](const long double* m, long double, Index) { return std::exp(-*m); }},
    {"logistic", true, 1,
     [](const long double* m, long double) { return std::log1p(std::exp(-*m)); },
     [](const long double* m, long double, Index) { return 1 / (1 + std::exp(*m)); }},
    {"squared", false, 1,
     [](const long double* u, long double y) { return (*u - y) * (*u - y) / 2; },
     [](const long double* u, long double y, Index) { return y - *u; }},
    {"squared_hinge", true, 1,
     [](const long double* m, long double) {
       const long double left = std::max(1 - *m, 0.0L);
       return left * left / 2;
     },
     [](const long double* m, long double, Index) { return std::max(1 - *m, 0.0L); }},
    {"huber", false, 1,
     [](const long double* u, long double y) {
       const long double size = std::abs(*u - y);
       return size <= 1 ? size * size / 2 : size - 0.5L;
     },
     [](const long double* u, long double y, Index) { return std::clamp(y - *u, -1.0L, 1.0L); }},
    {"poisson", false, 1,
     [](const long double* u, long double y) { return std::exp(*u) - (y == 0 ? 0 : y * *u); },
     [](const long double* u, long double y, Index) { return y - std::exp(*u); }},
    {"softmax", false, classes,
     [](const long double* u, long double y) {
       const auto own = static_cast<Index>(y);
       return std::log1p(sum_of_exp(u, u[own], own));  // log(1 + sum of exp(u_c - u_y))
     },
     [](const long double* u, long double y, Index c) {
       const auto own = static_cast<Index>(y);
       const long double all = sum_of_exp(u, u[own], -1);
       return (c == own ? sum_of_exp(u, u[own], own) : -std::exp(u[c] - u[own])) / all;
     }},
};

// And those of regression with several targets of a row; softmax is the last.
inline const std::vector<LossCase> losses = [] {
  std::vector<LossCase> all = losses_of_one_target;
  for (const LossCase& loss : losses_of_one_target)
    if (!loss.signed_rows && loss.outputs == 1)
      all.insert(all.end() - 1, of_outputs(loss, classes));
  return all;
}();

inline const LossFacts& facts_of(const LossCase& loss) {
  return *with_loss(loss.name, [](auto own) { return &decltype(own)::facts; });
}

inline const std::vector<std::string> engines{"gram", "hybrid", "primal", "side_by_side"};

// A method: what it changes in Local-GD with a given number of steps on every client.
struct MethodCase {
  std::string name;
  std::function<void(LocalRule& local, ServerRule& server)> set;
};

inline void set_batches(LocalRule& local, bool replacement) {
  local.replacement = replacement;
  for (std::size_t i = 0; i < local.steps.size(); ++i) {
    local.batches.push_back(1 + Index(i) % 3);
    local.keys.push_back({i, 77});
  }
}

inline void set_client_steps(LocalRule& local) {
  for (std::size_t i = 0; i < local.steps.size(); ++i) local.steps[i] += std::int64_t(i) % 3;
}

inline void set_control(LocalRule& local) { local.correction = std::make_shared<Control>(); }
constexpr double beta = 0.3;  // of displacements
inline void set_displacement(LocalRule& local) {
  local.correction = std::make_shared<Displacement>(beta);
}

inline const std::vector<MethodCase> methods{
    {"local-gd", [](LocalRule&, ServerRule&) {}},
    {"client steps", [](LocalRule& local, ServerRule&) { set_client_steps(local); }},
    {"client steps, plain mean",
     [](LocalRule& local, ServerRule&) {
       set_client_steps(local);
       local.normalize = false;
     }},
    {"batches in epochs", [](LocalRule& local, ServerRule&) { set_batches(local, false); }},
    {"batches with replacement", [](LocalRule& local, ServerRule&) { set_batches(local, true); }},
    {"prox, client steps",
     [](LocalRule& local, ServerRule&) {
       set_client_steps(local);
       local.prox = 0.7;
     }},
    {"prox, batches, nesterov",
     [](LocalRule& local, ServerRule& server) {
       set_batches(local, false);
       local.prox = 0.7;
       server = {Sgd{0.8, 0.9, true}};
     }},
    {"control", [](LocalRule& local, ServerRule&) { set_control(local); }},
    {"control, client steps, batches, momentum",
     [](LocalRule& local, ServerRule& server) {
       set_control(local);
       set_client_steps(local);
       set_batches(local, true);
       server = {Sgd{0.7, 0.9}};
     }},
    {"displacement", [](LocalRule& local, ServerRule&) { set_displacement(local); }},
    {"displacement, client steps, batches, anchored",
     [](LocalRule& local, ServerRule& server) {
       set_displacement(local);
       set_client_steps(local);
       set_batches(local, false);
       server = {Anchored{}};
     }},
    {"anchored", [](LocalRule&, ServerRule& server) { server = {Anchored{}}; }},
    {"server rate", [](LocalRule&, ServerRule& server) { server = {Sgd{0.6}}; }},
    {"exact solve", [](LocalRule& local, ServerRule&) { local.solve = true; }},
    {"exact solve, anchored",
     [](LocalRule& local, ServerRule& server) {
       local.solve = true;
       server = {Anchored{}};
     }},
    {"adam", [](LocalRule&, ServerRule& server) { server = {Adam{0.1, 0.9, 0.95, 0.01}}; }},
    {"yogi, batches",
     [](LocalRule& local, ServerRule& server) {
       set_batches(local, false);
       server = {Yogi{0.1, 0.9, 0.95, 0.01}};
     }},
    {"adagrad, control",
     [](LocalRule& local, ServerRule& server) {
       set_control(local);
       server = {Adagrad{0.1, 0, 0.01}};
     }},
    {"l2", [](LocalRule& local, ServerRule&) { local.l2 = 0.2; }},
    {"l2, prox, client steps, nesterov",
     [](LocalRule& local, ServerRule& server) {
       set_client_steps(local);
       local.l2 = 0.3;
       local.prox = 0.7;
       server = {Sgd{0.8, 0.9, true}};
     }},
    {"l2, control", [](LocalRule& local, ServerRule&) { set_control(local), local.l2 = 0.2; }},
    {"l2, control, client steps, batches, momentum",
     [](LocalRule& local, ServerRule& server) {
       set_control(local);
       set_client_steps(local);
       set_batches(local, true);
       local.l2 = 0.2;
       server = {Sgd{0.7, 0.9}};
     }},
    {"l2, displacement, plain mean",
     [](LocalRule& local, ServerRule&) {
       set_displacement(local);
       set_client_steps(local);
       local.l2 = 0.2;
       local.normalize = false;
     }},
    {"l2, displacement, batches, anchored",
     [](LocalRule& local, ServerRule& server) {
       set_displacement(local);
       set_client_steps(local);
       set_batches(local, false);
       local.l2 = 0.2;
       server = {Anchored{}};
     }},
    {"l2, adam",
     [](LocalRule& local, ServerRule& server) {
       local.l2 = 0.2;
       server = {Adam{0.1, 0.9, 0.95, 0.01}};
     }},
};

struct Rules {
  LocalRule local;
  ServerRule server;
};

inline Rules rules(const MethodCase& method, Index clients, std::int64_t steps) {
  Rules rules;
  rules.local.steps.assign(static_cast<std::size_t>(clients), steps);
  method.set(rules.local, rules.server);
  return rules;
}

struct Case {
  const LossCase& loss;
  const MethodCase& method;
  std::string engine;
  bool single;

  std::string name() const {
    return method.name + ", " + engine + ", " + loss.label() + (single ? ", float" : ", double");
  }
  EngineOptions options(Index clients, std::int64_t steps) const {
    Rules r = rules(method, clients, steps);
    return {engine, loss.name, single, std::move(r.local), r.server};
  }
};

// Whether there is such a method for the loss, and an engine for it.
inline bool has_loss(const MethodCase& method, const LossCase& loss) {
  const bool solvable = loss.outputs == loss.targets() && facts_of(loss).has_exact_solve;
  return solvable || !rules(method, 1, 1).local.solve;
}
inline bool has_engine(const MethodCase& method, const LossCase& loss, const std::string& engine) {
  const Rules r = rules(method, 3, 1);
  if (engine == "primal") return !r.local.solve;
  const bool plain = loss.outputs == 1 && !r.local.solve && !r.local.stochastic() &&
                     !r.local.correction && r.local.equal_steps() && !(r.local.l2 > 0);
  return !r.server.coordinate_wise() && (engine != "side_by_side" || plain);
}

inline const MethodCase& method_named(const std::string& name) {
  return *std::find_if(methods.begin(), methods.end(),
                       [&](const auto& m) { return m.name == name; });
}

// Calls body(case) for the engines and number types of a loss and a method; a failure names the
// case.
template <class Body>
void for_each_engine(const LossCase& loss, const MethodCase& method, Body&& body,
                     const std::vector<std::string>& of = engines) {
  if (!has_loss(method, loss)) return;
  for (const auto& engine : of)
    for (const bool single : {false, true}) {
      if (!has_engine(method, loss, engine)) continue;
      const Case c{loss, method, engine, single};
      const std::string name = c.name();
      CAPTURE(name);
      body(c);
    }
}

// The same for every loss and method, or with the first method alone.
template <class Body>
void for_each_case(Body&& body) {
  for (const auto& method : methods)
    for (const auto& loss : losses) for_each_engine(loss, method, body);
}
template <class Body>
void for_each_plain_case(Body&& body) {
  for (const auto& loss : losses) for_each_engine(loss, methods.front(), body);
}

// Where a large client's local steps take different paths, in the engine that shares its rows out.
template <class Body>
void for_each_primal_case(Body&& body) {
  for (const auto& name :
       {"local-gd", "client steps", "prox, client steps", "control", "displacement"})
    for (const auto& loss : losses)
      if (loss.name != "squared") for_each_engine(loss, method_named(name), body, {"primal"});
}

}  // namespace localgd::testing
