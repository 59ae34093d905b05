// From Python's arrays and dictionaries to the core's types and back.
#pragma once

#include <pybind11/eigen.h>
#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <exception>
#include <string>

#include "core/simulation.hpp"

namespace localgd {

namespace py = pybind11;

using Array = py::array_t<double, py::array::c_style | py::array::forcecast>;

using Indices = py::array_t<Index, py::array::c_style | py::array::forcecast>;

// All of an array, copied.
template <class Number, class From>
std::vector<Number> numbers(const From& array) {
  return {array.data(), array.data() + array.size()};
}

inline Vector<double> vector(const Array& a) {
  if (a.ndim() != 1) throw std::invalid_argument("want an array of one dimension");
  return VectorView<double>(a.data(), a.shape(0));
}

// The arrays of a run, and the view of them that the core has.
class HeldData {
 public:
  // row_weights: omega, or none if all are 1.
  HeldData(Array rows, Array targets, const Indices& offsets, const Array& weights,
           const std::optional<Array>& row_weights)
      : rows_(std::move(rows)),
        targets_(std::move(targets)),
        row_weights_(row_weights.value_or(Array(0))),
        data_(view(offsets, weights)) {}
  HeldData(const HeldData&) = delete;

 private:
  Data view(const Indices& offsets, const Array& weights) const {
    if (rows_.ndim() != 2 || targets_.ndim() != 1)
      throw std::invalid_argument("rows: want two dimensions; targets: one");
    return Data(RowsView<double>(rows_.data(), rows_.shape(0), rows_.shape(1)),
                VectorView<double>(targets_.data(), targets_.shape(0)), numbers<Index>(offsets),
                vector(weights), VectorView<double>(row_weights_.data(), row_weights_.size()));
  }
  Array rows_, targets_, row_weights_;

 protected:
  Data data_;
};

inline const char* name_of(Status status) {
  switch (status) {
    case Status::running:
      return "running";
    case Status::completed:
      return "completed";
    case Status::interrupted:
      return "interrupted";
    case Status::diverged:
      return "diverged";
    default:
      return "infeasible";
  }
}

inline py::dict history_columns(const History& h) {
  py::dict columns;
  h.visit([&]<class Value>(const char* name, const std::vector<Value>& values, const Measure&) {
    columns[name] = py::array_t<Value>(static_cast<py::ssize_t>(values.size()), values.data());
  });
  return columns;
}

// What call(stop_wanted) returns, without the GIL; raises what progress(round) or Ctrl-C raised.
// Nothing of Python is touched there: the arrays are held and never resized, and stop_wanted takes
// the GIL for itself, on the calling thread, so that Ctrl-C is seen there.
template <class Call>
Status without_gil(const py::object& progress, Call&& call) {
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
    status = call(stop_wanted);
  }
  if (raised) std::rethrow_exception(raised);
  return status;
}

}  // namespace localgd
