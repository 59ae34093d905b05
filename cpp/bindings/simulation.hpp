#pragma once

#include "convert.hpp"
#include "losses.hpp"
#include "options.hpp"
#include "ranks.hpp"

namespace localgd {

inline std::vector<RunOptions> run_options(const py::list& runs) {
  std::vector<RunOptions> all;
  for (const py::handle& run : runs)
    all.push_back(read_options<RunOptions>("run", run.cast<py::dict>()));
  return all;
}

class SimulationSession : HeldData, HeldLoss {
 public:
  SimulationSession(py::object rows, Columns targets, const Indices& offsets, const Array& weights,
                    const py::list& runs, const std::string& engine, const py::object& loss,
                    bool single, const py::dict& local, int threads, bool signs,
                    const std::optional<Array>& row_weights, bool free_intercept, Index sharing,
                    const py::object& ranks)
      : HeldData(std::move(rows), std::move(targets), offsets, weights, signs, row_weights,
                 free_intercept, sharing, ranks_of(ranks)),
        HeldLoss(loss),
        options_(run_options(runs)),
        server_(python_server(options_)),
        simulation_(
            data_, options_,
            EngineOptions{engine, choice(), single, read_options<LocalRule>("local", local), {}},
            threads) {}

  std::string advance(std::int64_t until, const Array& lrs, const Array& shares,
                      const py::object& progress, const std::optional<Indices>& clients,
                      const std::optional<Indices>& offsets,
                      const std::optional<Indices>& present) {
    Plans plans{numbers<double>(lrs), numbers<double>(shares)};
    if (clients) plans.clients = numbers<Index>(*clients);
    if (offsets) plans.offsets = numbers<Index>(*offsets);
    if (present) plans.present = numbers<Index>(*present);
    const Status status = without_gil(progress, [&](const auto& stop_wanted) {
      return simulation_.advance(until, plans, stop_wanted);
    });
    raise_errors();
    return name_of(status);
  }

  py::dict history(Index run) const {
    return history_columns(simulation_.history(run), simulation_.keeps_weights(run));
  }

  py::dict state() { return by_name(simulation_.engine().save()); }

  void restore(std::int64_t round, std::int64_t participations, double drift,
               const py::dict& state) {
    simulation_.engine().load(arrays_by_name(state));
    simulation_.resume(round, participations, drift);
  }

  // Changes of the coefficients in rounds from a state given by its coefficients, velocity and
  // controls, one row each, and velocity and controls after them; None if numbers are not finite.
  py::object map(double round, const std::vector<double>& lrs, const Array& shares, bool frozen,
                 double tolerance, const Matrix<double>& coefficients, Matrix<double> velocity,
                 Matrix<double> controls) {
    std::vector<Matrix<double>> changes;
    bool finite;
    {
      py::gil_scoped_release release;
      finite = simulation_.map(round, lrs, shares.data(), frozen, tolerance, coefficients, velocity,
                               controls, changes);
    }
    raise_errors();
    if (!finite) return py::none();
    const auto size = static_cast<py::ssize_t>(coefficients.size());
    py::array_t<double> rows({static_cast<py::ssize_t>(changes.size()), size});
    for (std::size_t j = 0; j < changes.size(); ++j)
      std::copy_n(changes[j].data(), size, rows.mutable_data(static_cast<py::ssize_t>(j)));
    return py::make_tuple(rows, velocity, controls);
  }

  // One state in each row, column by column.
  bool record_states(std::int64_t first, const std::vector<double>& rounds,
                     const std::vector<double>& lrs, const Array& shares,
                     const std::vector<bool>& frozen, double tolerance, const Array& coefficients,
                     const Array& velocity, const Array& controls) {
    const auto states = static_cast<Index>(rounds.size());
    if (lrs.size() != rounds.size() || frozen.size() != rounds.size())
      throw std::invalid_argument("lrs, frozen: want one entry for each of the rounds");
    if (shares.size() != data_.clients())
      throw std::invalid_argument("shares: want one number for each client");
    const auto outputs = simulation_.engine().coefficients().cols();
    const auto side_by_side = [&](const Array& a, bool optional) {
      if (optional && a.size() == 0) return MatrixView<double>(nullptr, 0, 0);
      if (a.ndim() != 2 || a.shape(0) != states || a.shape(1) != data_.samples() * outputs)
        throw std::invalid_argument("states: want one row of N C numbers for each of the rounds");
      return MatrixView<double>(a.data(), data_.samples(), states * outputs);
    };
    const auto a = side_by_side(coefficients, false), v = side_by_side(velocity, true),
               c = side_by_side(controls, true);
    if (states == 0) return true;
    std::vector<StatePlan> plans;
    for (std::size_t j = 0; j < rounds.size(); ++j) plans.push_back({rounds[j], lrs[j], frozen[j]});
    bool finite;
    {
      py::gil_scoped_release release;
      finite = simulation_.record_states(first, plans, shares.data(), tolerance, a, v, c);
    }
    raise_errors();
    return finite;
  }

  void record_now(Index run) {
    simulation_.record_now(run);
    raise_errors();
  }

  py::object ladders() {
    const LaddersTaken* taken = simulation_.engine().ladders();
    if (!taken) return py::none();
    return py::dict(py::arg("rounds") = taken->rounds, py::arg("others") = taken->others,
                    py::arg("most_steps") = taken->most_steps);
  }

  // What a server of Python's steps by, or None.
  py::object server() const { return server_ ? server_->stepping() : py::none(); }

  Simulation& simulation() { return simulation_; }

 private:
  void raise_errors() {
    HeldLoss::raise_errors();
    if (server_) server_->raise_errors();
  }

  const std::vector<RunOptions> options_;
  const std::shared_ptr<PythonServer> server_;  // or null
  Simulation simulation_;
};

inline void bind_simulation(py::module_& m) {
  // module_local: the modules of several instruction sets may be loaded side by side.
  py::class_<SimulationSession>(m, "Simulation", py::module_local(),
                                "Runs of local steps and aggregation over rows held by clients: "
                                "one, or several side by side.")
      .def(py::init<py::object, Array, const Indices&, const Array&, const py::list&,
                    const std::string&, const py::object&, bool, const py::dict&, int, bool,
                    const std::optional<Array>&, bool, Index, const py::object&>(),
           py::arg("rows"), py::arg("targets"), py::arg("offsets"), py::arg("weights"),
           py::arg("runs"), py::kw_only(), py::arg("engine"), py::arg("loss"), py::arg("single"),
           py::arg("local"), py::arg("threads"), py::arg("signs") = false,
           py::arg("row_weights") = py::none(), py::arg("free_intercept") = false,
           py::arg("sharing") = 0, py::arg("ranks") = py::none())
      .def(
          "advance", &SimulationSession::advance, py::arg("until"), py::arg("lrs"),
          py::arg("shares"), py::arg("progress"), py::arg("clients") = py::none(),
          py::arg("offsets") = py::none(), py::arg("present") = py::none(),
          "Take all runs that go on to a round, or to their own end before it; 'completed', or "
          "'diverged' or 'infeasible' where none gets there. Raises what progress(round) or Ctrl-C "
          "raises.")
      .def("record_now", &SimulationSession::record_now, py::arg("run") = 0,
           "Record the present round unless it is the last one recorded.")
      .def("history", &SimulationSession::history, py::arg("run") = 0,
           "The records so far, as columns.")
      .def(
          "weights", [](SimulationSession& s, Index run) { return s.simulation().weights(run); },
          py::arg("run") = 0)
      .def(
          "client_models",
          [](SimulationSession& s, Index run) { return s.simulation().client_models(run); },
          py::arg("run") = 0,
          "The clients' models of the last round, a column for each client; NaN of those who were "
          "not in it.")
      .def(
          "coefficients",
          [](SimulationSession& s, Index run) { return s.simulation().coefficients(run); },
          py::arg("run") = 0)
      .def(
          "status",
          [](SimulationSession& s, Index run) { return name_of(s.simulation().status(run)); },
          py::arg("run") = 0, "'running', 'completed', 'diverged' or 'infeasible'.")
      .def(
          "round_of", [](SimulationSession& s, Index run) { return s.simulation().round(run); },
          py::arg("run"), "The last whole round of a run.")
      .def("state", &SimulationSession::state, "All that restore() needs, as arrays by name.")
      .def("map", &SimulationSession::map, py::arg("round"), py::arg("lrs"), py::arg("shares"),
           py::arg("frozen"), py::arg("tolerance"), py::arg("coefficients"), py::arg("velocity"),
           py::arg("controls"),
           "Changes of the coefficients in rounds from a given state (engine gram): the changes, "
           "column "
           "by column, one row per round; then the velocity and the controls after them.")
      .def("record_states", &SimulationSession::record_states, py::arg("first"), py::arg("rounds"),
           py::arg("lrs"), py::arg("shares"), py::arg("frozen"), py::arg("tolerance"),
           py::arg("coefficients"), py::arg("velocity"), py::arg("controls"),
           "Record given states (engine gram) under consecutive numbers.")
      .def_property_readonly("ladders", &SimulationSession::ladders,
                             "In how many rounds so far all local steps were extrapolated from "
                             "fewer, in how many not, "
                             "and the most steps of a rung; None if they never are.")
      .def("restore", &SimulationSession::restore, py::arg("round"), py::arg("participations"),
           py::arg("drift"), py::arg("state"), "Continue another run of the same settings.")
      .def_property_readonly(
          "round", [](SimulationSession& s) { return s.simulation().round(); },
          "That of the runs that go on.")
      .def_property_readonly(
          "running", [](SimulationSession& s) { return s.simulation().running(); },
          "Whether any goes on.")
      .def_property_readonly("participations",
                             [](SimulationSession& s) { return s.simulation().participations(); })
      .def(
          "see",
          [](SimulationSession& s, bool gradient) { return by_name(s.simulation().see(gradient)); },
          py::arg("gradient"),
          "At the present model f, |grad f| (NaN where it is not asked for) and |w|.")
      .def_property_readonly("drift", [](SimulationSession& s) { return s.simulation().drift(); })
      .def_property_readonly(
          "infeasible_client",
          [](SimulationSession& s) { return s.simulation().engine().infeasible_client(); })
      .def_property_readonly("server", &SimulationSession::server,
                             "What a server of Python's steps by, or None.")
      .def_property_readonly(
          "stalls", [](SimulationSession& s) { return s.simulation().stalls(); },
          "How often the leader found a helper thread descheduled.");
}

}  // namespace localgd
