// What the core knows by name, as plain values: Python reads it here and says nothing of it again.
#pragma once

#include <cmath>
#include <type_traits>

#include "convert.hpp"
#include "core/blocks/panels.hpp"
#include "core/loss/registry.hpp"
#include "core/network/activations.hpp"
#include "core/network/client.hpp"
#include "core/network/forms.hpp"
#include "core/round/corrections/registry.hpp"

namespace localgd {

template <class Options>
py::list names_of(Options options) {
  py::list names;
  options.visit([&](const char* name, auto&&...) { names.append(name); });
  return names;
}

inline py::dict losses_of_core() {
  py::dict losses;
  Losses::for_each([&]<class Loss>(const Loss&) {
    const LossFacts& facts = Loss::facts;
    py::list tasks;
    for (const auto task : facts.tasks)
      if (!task.empty()) tasks.append(task);
    py::object tail = py::none();
    if (facts.tail.rate > 0) tail = py::make_tuple(facts.tail.rate, facts.tail.factor);
    losses[py::str(Loss::name)] =
        py::dict(py::arg("tasks") = py::tuple(tasks), py::arg("signed") = Loss::signed_rows,
                 py::arg("curvature") = facts.curvature, py::arg("tail") = tail,
                 py::arg("bounded") = facts.bounded, py::arg("overflows") = facts.overflows,
                 py::arg("least_target") = facts.least_target, py::arg("smooth") = facts.smooth,
                 py::arg("has_exact_solve") = facts.has_exact_solve);
  });
  return losses;
}

inline py::dict limits_of(const Limits& limits) {
  py::dict some(py::arg(limits.open ? "above" : "minimum") = limits.least);
  if (std::isfinite(limits.below)) some["below"] = limits.below;
  return some;
}

inline py::dict servers_of_core() {
  py::dict servers;
  Servers::for_each([&]<class Own>(Own own) {
    py::dict parameters;
    own.visit([&]<class Value>(const char* name, const Value&, const Limits& limits = {}) {
      if constexpr (std::is_same_v<Value, bool>)
        parameters[name] = py::none();
      else
        parameters[name] = limits_of(limits);
    });
    servers[py::str(Own::name)] = py::dict(py::arg("coordinate_wise") = Own::coordinate_wise,
                                           py::arg("parameters") = parameters);
  });
  return servers;
}

inline py::dict corrections_of_core() {
  py::dict corrections;
  for (const auto& kind : correction_kinds) {
    py::list names;
    if (const auto made = kind.make())
      made->visit([&](const char* name, double&) { names.append(name); });
    corrections[py::str(kind.name)] = names;
  }
  return corrections;
}

inline py::dict measures_of_core() {
  py::dict measures;
  History().visit([&](const char* name, const auto&, const Measure& measure) {
    measures[name] = py::dict(py::arg("title") = measure.title, py::arg("unit") = measure.unit,
                              py::arg("wants_reference") = measure.wants_reference,
                              py::arg("wants_labels") = measure.wants_labels);
  });
  return measures;
}

inline py::dict thresholds_of_core() {
  return py::dict(py::arg("strip_width") = py::dict(py::arg("float64") = strip_width<double>,
                                                    py::arg("float32") = strip_width<float>),
                  py::arg("sparse_cost") = Network::sparse_cost,
                  py::arg("shared_flops") = NetworkForms::shared_flops,
                  py::arg("rows_of_part") = rows_of_part);
}

// The degree of each, sigma(c p) = c^degree sigma(p) for c > 0, or 0.
inline py::dict activations_of_core() {
  py::dict activations;
  Activations::for_each([&]<class Activation>(const Activation&) {
    activations[py::str(Activation::name)] = Activation::degree;
  });
  return activations;
}

inline py::dict schema() {
  return py::dict(
      py::arg("losses") = losses_of_core(), py::arg("servers") = servers_of_core(),
      py::arg("activations") = activations_of_core(),
      py::arg("corrections") = corrections_of_core(), py::arg("local") = names_of(LocalRule{}),
      py::arg("run") = names_of(RunOptions{}), py::arg("network") = names_of(Network{}),
      py::arg("measures") = measures_of_core(), py::arg("thresholds") = thresholds_of_core());
}

inline void bind_schema(py::module_& m) {
  m.def("schema", &schema,
        "Losses, servers, corrections, options, measures and thresholds of the core, by name.");
}

}  // namespace localgd
