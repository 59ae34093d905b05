// What each engine would cost, for the choice between them.
#pragma once

#include "convert.hpp"
#include "core/round/corrections/registry.hpp"
#include "losses.hpp"

namespace localgd {

inline py::dict cost(const Cost& cost) {
  py::dict found;
  found["seconds"] = cost.seconds();
  found["flops"] = cost.all_flops();
  found["bytes"] = cost.all_bytes();
  py::dict amounts;
  for (std::size_t kind = 0; kind < Cost::kinds; ++kind)
    amounts[Cost::of_kind[kind].name] = cost.amounts()[kind];
  found["amounts"] = amounts;
  return found;
}

inline py::dict forecast_by_name(const Indices& offsets, Index features, Index outputs,
                                 const py::object& loss, bool single, const Indices& steps,
                                 const Indices& batches, bool solve, bool every_step,
                                 const std::string& correction, const std::string& server,
                                 double rounds, double share, const std::string& rates,
                                 const std::optional<Indices>& entries_before, bool frees_intercept,
                                 Index sharing) {
  Layout layout{numbers<Index>(offsets), features};
  if (entries_before) layout.entries_before = numbers<Index>(*entries_before);
  if (layout.sparse() && layout.entries_before.size() != layout.offsets.size())
    throw std::invalid_argument("entries_before: want as many as offsets");
  layout.free_intercept = frees_intercept;
  layout.sharing = sharing;
  const HeldLoss held(loss);
  EngineOptions options{"", held.choice(), single, {}, ServerRule::named(server)};
  options.local.steps = numbers<std::int64_t>(steps);
  options.local.batches = numbers<Index>(batches);
  options.local.solve = solve;
  options.local.every_step = every_step;
  options.local.l2 = frees_intercept ? 1 : 0;
  options.local.rates = RateRule::named(rates);
  if (correction != "none") options.local.correction = make_correction(correction);
  std::vector<EngineForecast> forecasts;
  {
    py::gil_scoped_release release;
    forecasts = forecast(layout, outputs, options, {rounds, share});
  }
  py::dict engines;
  for (const EngineForecast& of : forecasts) {
    py::dict found;
    found["phase"] = std::string(of.phase);
    found["unable"] = std::string(of.unable);
    found["setup"] = cost(of.cost.setup);
    found["round"] = cost(of.cost.round);
    found["memory"] = of.cost.memory;
    found["parts"] = of.cost.parts;
    engines[py::str(std::string(of.engine))] = found;
  }
  return engines;
}

inline void bind_forecast(py::module_& m) {
  m.def("forecast", &forecast_by_name, py::arg("offsets"), py::arg("features"), py::kw_only(),
        py::arg("outputs"), py::arg("loss"), py::arg("single"), py::arg("steps"),
        py::arg("batches"), py::arg("solve"), py::arg("every_step"), py::arg("correction"),
        py::arg("server"), py::arg("rounds"), py::arg("share"), py::arg("rates") = "given",
        py::arg("entries_before") = py::none(), py::arg("frees_intercept") = false,
        py::arg("sharing") = 0,
        "By engine: the phase that would take the local steps, or of what it is unable; the cost "
        "before the first round and of a round in the mean, bytes of Gram matrices and sums, and "
        "among how many threads a round can be divided. The same on every machine.");
  m.def(
      "nanoseconds",
      [] {
        py::dict found;
        for (std::size_t kind = 0; kind < Cost::kinds; ++kind)
          found[Cost::of_kind[kind].name] = Cost::of_kind[kind].nanoseconds;
        return found;
      },
      "What one of each kind of work takes, as the forecast has it.");
}

}  // namespace localgd
