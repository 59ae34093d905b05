#include <pybind11/eigen.h>
#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include "bindings.hpp"
#include "core/simulation.hpp"

namespace py = pybind11;
using namespace localgd;

namespace {

using Array = py::array_t<double, py::array::c_style | py::array::forcecast>;

Vector<double> vector(const Array& a) {
  if (a.ndim() != 1) throw std::invalid_argument("want an array of one dimension");
  return VectorView<double>(a.data(), a.shape(0));
}

Data view(const Array& rows, const Array& targets, const std::vector<Index>& offsets,
          const Array& weights) {
  if (rows.ndim() != 2 || targets.ndim() != 1)
    throw std::invalid_argument("rows: want two dimensions; targets: one");
  return Data(RowsView<double>(rows.data(), rows.shape(0), rows.shape(1)),
              VectorView<double>(targets.data(), targets.shape(0)), offsets, vector(weights));
}

// A Simulation with the arrays that its data view points into.
class Session {
 public:
  Session(Array rows, Array targets, const std::vector<Index>& offsets, const Array& weights,
          const Array& init, const std::string& engine, const std::string& loss, bool single,
          std::int64_t local_steps, std::vector<std::int64_t> record_rounds, const Array& reference,
          int threads, bool keep_weights)
      : rows_(std::move(rows)),
        targets_(std::move(targets)),
        data_(view(rows_, targets_, offsets, weights)),
        simulation_(data_, vector(init), EngineOptions{engine, loss, single, local_steps},
                    std::move(record_rounds), vector(reference), threads, keep_weights),
        keep_weights_(keep_weights) {}
  Session(const Session&) = delete;

  // Nothing of Python is touched without the GIL: the arrays are held and never resized, and the
  // callback takes the GIL for itself, on the calling thread, so that Ctrl-C is seen there.
  std::string advance(std::int64_t until, const std::vector<double>& lrs, const py::object& progress) {
    std::exception_ptr raised;
    const auto stop_wanted = [&](std::int64_t round) {
      py::gil_scoped_acquire gil;
      try {
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
        if (!progress.is_none()) progress(round);
        return false;
      } catch (const py::error_already_set&) {
        raised = std::current_exception();
        return true;
      }
    };
    Status status;
    {
      py::gil_scoped_release release;
      status = simulation_.advance(until, lrs, stop_wanted);
    }
    if (raised) std::rethrow_exception(raised);
    return status == Status::diverged ? "diverged" : "completed";
  }

  py::dict history() const {
    const History& h = simulation_.history();
    py::dict columns;
    columns["round"] = py::array_t<std::int64_t>(static_cast<py::ssize_t>(h.round.size()), h.round.data());
    const auto add = [&](const char* name, const std::vector<double>& values) {
      columns[name] = py::array_t<double>(static_cast<py::ssize_t>(values.size()), values.data());
    };
    add("loss", h.loss);
    add("margin", h.margin);
    add("norm", h.norm);
    add("angle", h.angle);
    add("drift", h.drift);
    if (keep_weights_)
      columns["weights"] = py::array_t<double>(
          {static_cast<py::ssize_t>(h.round.size()), static_cast<py::ssize_t>(data_.features())},
          h.weights.data());
    return columns;
  }

  Simulation& simulation() { return simulation_; }

 private:
  Array rows_, targets_;
  Data data_;
  Simulation simulation_;
  bool keep_weights_;
};

}  // namespace

void bind_simulation(py::module_& m) {
  // module_local: the modules of several instruction sets may be loaded side by side.
  py::class_<Session>(m, "Simulation", py::module_local(),
                      "A run of local steps and aggregation over rows held by clients.")
      .def(py::init<Array, Array, const std::vector<Index>&, const Array&, const Array&,
                    const std::string&, const std::string&, bool, std::int64_t,
                    std::vector<std::int64_t>, const Array&, int, bool>(),
           py::arg("rows"), py::arg("targets"), py::arg("offsets"), py::arg("weights"),
           py::arg("init"), py::kw_only(), py::arg("engine"), py::arg("loss"), py::arg("single"),
           py::arg("local_steps"), py::arg("record_rounds"), py::arg("reference"), py::arg("threads"),
           py::arg("keep_weights") = false)
      .def("advance", &Session::advance, py::arg("until"), py::arg("lrs"), py::arg("progress"),
           "Run to a round; 'completed' or 'diverged'. Raises what progress(round) or Ctrl-C raises.")
      .def("record_now", [](Session& s) { s.simulation().record_now(); },
           "Record the present round unless it is the last one recorded.")
      .def("history", &Session::history, "The records so far, as columns.")
      .def("weights", [](Session& s) { return s.simulation().engine().weights(); })
      .def("coefficients", [](Session& s) { return s.simulation().engine().coefficients(); })
      .def("local_changes", [](Session& s) { return s.simulation().engine().local_changes(); })
      .def("state", [](Session& s) { return s.simulation().engine().state(); },
           "What restore() needs beside the coefficients and local changes.")
      .def("restore",
           [](Session& s, std::int64_t round, const Array& coefficients, const Array& changes,
              const Array& state) {
             s.simulation().restore(round, vector(coefficients), vector(changes), vector(state));
           },
           py::arg("round"), py::arg("coefficients"), py::arg("local_changes"), py::arg("state"))
      .def_property_readonly("round", [](Session& s) { return s.simulation().round(); })
      .def_property_readonly("stalls", [](Session& s) { return s.simulation().stalls(); },
                             "How often the leader found a helper thread descheduled.");
}
