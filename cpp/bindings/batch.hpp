#pragma once

#include "convert.hpp"
#include "core/batch/batch.hpp"

namespace localgd {

inline std::vector<RunOptions> run_options(const py::list& runs) {
  std::vector<RunOptions> all;
  for (const py::handle& entry : runs) {
    const auto options = entry.cast<py::dict>();
    all.push_back({options["init"].cast<Matrix<double>>(), server_rule(options["server"]),
                   options["prox"].cast<double>(), options["rounds"].cast<std::int64_t>(),
                   options["record_rounds"].cast<std::vector<std::int64_t>>(),
                   options["reference"].cast<Matrix<double>>()});
  }
  return all;
}

class BatchSession : HeldData {
 public:
  BatchSession(Array rows, Array targets, const Indices& offsets, const Array& weights,
               const py::list& runs, const std::string& loss, bool single, std::int64_t steps,
               bool every_step, int threads)
      : HeldData(std::move(rows), std::move(targets), offsets, weights),
        batch_(data_, BatchOptions{loss, single, steps, every_step}, run_options(runs), threads) {}

  void advance(std::int64_t until, const std::vector<std::vector<double>>& lrs,
               const py::object& progress) {
    without_gil(progress,
                [&](const auto& stop_wanted) { return batch_.advance(until, lrs, stop_wanted); });
  }

  Batch& batch() { return batch_; }

 private:
  Batch batch_;
};

inline void bind_batch(py::module_& m) {
  // module_local: the modules of several instruction sets may be loaded side by side.
  py::class_<BatchSession>(m, "Batch", py::module_local(),
                           "Several runs over the same rows, side by side (engine gram).")
      .def(py::init<Array, Array, const Indices&, const Array&, const py::list&, const std::string&,
                    bool, std::int64_t, bool, int>(),
           py::arg("rows"), py::arg("targets"), py::arg("offsets"), py::arg("weights"),
           py::arg("runs"), py::kw_only(), py::arg("loss"), py::arg("single"), py::arg("steps"),
           py::arg("every_step"), py::arg("threads"))
      .def(
          "advance", &BatchSession::advance, py::arg("until"), py::arg("lrs"), py::arg("progress"),
          "Take all runs to a round, or to their own end before it. Raises what progress(round) or "
          "Ctrl-C raises.")
      .def(
          "record_now", [](BatchSession& s, Index run) { s.batch().record_now(run); },
          py::arg("run"), "Record the present round of a run unless it is the last one recorded.")
      .def(
          "history",
          [](BatchSession& s, Index run) { return history_columns(s.batch().history(run)); },
          py::arg("run"), "The records of a run so far, as columns.")
      .def(
          "weights", [](BatchSession& s, Index run) { return s.batch().weights(run); },
          py::arg("run"))
      .def(
          "coefficients", [](BatchSession& s, Index run) { return s.batch().coefficients(run); },
          py::arg("run"))
      .def(
          "status", [](BatchSession& s, Index run) { return name_of(s.batch().status(run)); },
          py::arg("run"), "'running', 'completed' or 'diverged'.")
      .def(
          "round_of", [](BatchSession& s, Index run) { return s.batch().round(run); },
          py::arg("run"), "The last whole round of a run.")
      .def_property_readonly(
          "round", [](BatchSession& s) { return s.batch().round(); },
          "That of the runs that go on.")
      .def_property_readonly(
          "running", [](BatchSession& s) { return s.batch().running(); }, "Whether any goes on.");
}

}  // namespace localgd
