// Runs of networks, with the names that a Simulation has.
#pragma once

#include "convert.hpp"
#include "core/network/simulation.hpp"
#include "options.hpp"

namespace localgd {

class NetworkSession : HeldData {
 public:
  NetworkSession(py::object rows, Columns targets, const Indices& offsets, const Array& weights,
                 const py::dict& run, const py::dict& network, const std::string& loss, bool single,
                 const py::dict& local, int threads, const std::optional<Array>& row_weights,
                 bool free_intercept)
      : HeldData(std::move(rows), std::move(targets), offsets, weights, false, row_weights,
                 free_intercept),
        simulation_(data_, read_options<RunOptions>("run", run),
                    NetworkOptions{read_options<Network>("network", network), loss, single,
                                   read_options<LocalRule>("local", local)},
                    threads) {}

  std::string advance(std::int64_t until, const Array& lrs, const Array& shares,
                      const py::object& progress, const std::optional<Indices>& clients,
                      const std::optional<Indices>& offsets) {
    Plans plans{numbers<double>(lrs), numbers<double>(shares)};
    if (clients) plans.clients = numbers<Index>(*clients);
    if (offsets) plans.offsets = numbers<Index>(*offsets);
    return name_of(without_gil(progress, [&](const auto& stop_wanted) {
      return simulation_.advance(until, plans, stop_wanted);
    }));
  }

  py::dict history(Index /*run*/) const {
    return history_columns(simulation_.history(), simulation_.keeps_weights());
  }

  py::dict state() { return by_name(simulation_.engine().save()); }
  void restore(std::int64_t round, std::int64_t participations, double drift,
               const py::dict& state) {
    simulation_.engine().load(arrays_by_name(state));
    simulation_.resume(round, participations, drift);
  }

  NetworkSimulation& simulation() { return simulation_; }

 private:
  NetworkSimulation simulation_;
};

inline void bind_network(py::module_& m) {
  using Session = NetworkSession;
  py::class_<Session>(m, "NetworkSimulation", py::module_local(),
                      "Rounds of local steps of a two-layer network over rows held by clients.")
      .def(py::init<py::object, Array, const Indices&, const Array&, const py::dict&,
                    const py::dict&, const std::string&, bool, const py::dict&, int,
                    const std::optional<Array>&, bool>(),
           py::arg("rows"), py::arg("targets"), py::arg("offsets"), py::arg("weights"),
           py::arg("run"), py::kw_only(), py::arg("network"), py::arg("loss"), py::arg("single"),
           py::arg("local"), py::arg("threads"), py::arg("row_weights") = py::none(),
           py::arg("free_intercept") = false)
      .def("advance", &Session::advance, py::arg("until"), py::arg("lrs"), py::arg("shares"),
           py::arg("progress"), py::arg("clients") = py::none(), py::arg("offsets") = py::none(),
           "Take the run to a round, or to its end before it; 'completed', or 'diverged'. Raises "
           "what progress(round) or Ctrl-C raises.")
      .def(
          "record_now", [](Session& s) { s.simulation().record_now(); },
          "Record the present round unless it is the last one recorded.")
      // run: 0, the only one
      .def("history", &Session::history, py::arg("run") = 0, "The records so far, as columns.")
      .def(
          "weights", [](Session& s, Index) { return s.simulation().engine().parameters(); },
          py::arg("run") = 0, "W (d, h) and V (h, C), row by row, in one column.")
      .def(
          "status", [](Session& s, Index) { return name_of(s.simulation().status()); },
          py::arg("run") = 0, "'running', 'completed' or 'diverged'.")
      .def(
          "round_of", [](Session& s, Index) { return s.simulation().round(); }, py::arg("run"),
          "The last whole round.")
      .def_property_readonly(
          "ladders", [](Session&) { return py::none(); }, "Local steps are never extrapolated.")
      .def("state", &Session::state, "All that restore() needs, as arrays by name.")
      .def("restore", &Session::restore, py::arg("round"), py::arg("participations"),
           py::arg("drift"), py::arg("state"), "Continue another run of the same settings.")
      .def_property_readonly(
          "round", [](Session& s) { return s.simulation().round(); }, "The last whole round.")
      .def_property_readonly(
          "running", [](Session& s) { return s.simulation().running(); }, "Whether it goes on.")
      .def_property_readonly("participations",
                             [](Session& s) { return s.simulation().participations(); })
      .def(
          "see", [](Session& s, bool gradient) { return by_name(s.simulation().see(gradient)); },
          py::arg("gradient"),
          "At the present parameters f, |grad f| (NaN where it is not asked for) and |theta|.")
      .def_property_readonly("drift", [](Session& s) { return s.simulation().drift(); })
      .def_property_readonly(
          "in_span", [](Session& s) { return s.simulation().engine().in_span(); },
          "How many clients take their steps in the span of their rows.")
      .def_property_readonly(
          "stalls", [](Session& s) { return s.simulation().stalls(); },
          "How often the leader found a helper thread descheduled.");
}

}  // namespace localgd
