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

template <class Number>
using ArrayOf = py::array_t<Number, py::array::c_style | py::array::forcecast>;

using Array = ArrayOf<double>;
using Columns =
    py::array_t<double, py::array::f_style | py::array::forcecast>;  // one after another
using Indices = ArrayOf<Index>;

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
  // rows: an array of two dimensions, or of compressed sparse rows the tuple (where rows begin,
  // columns of their entries, values, number of features, whether they are read in place). signs:
  // whether the targets, -1 or +1, are signs of the rows, too. targets: (N,), or (N, C).
  // row_weights: omega, or none if all are 1. sharing: clients that all hold the same rows, or 0.
  HeldData(py::object rows, Columns targets, const Indices& offsets, const Array& weights,
           bool signs, const std::optional<Array>& row_weights, bool free_intercept,
           Index sharing = 0, std::shared_ptr<const Ranks> ranks = nullptr)
      : rows_(std::move(rows)),
        targets_(std::move(targets)),
        row_weights_(row_weights.value_or(Array(0))),
        data_(view(offsets, weights, signs, free_intercept, sharing)) {
    data_.ranks = std::move(ranks);
  }
  HeldData(const HeldData&) = delete;

 private:
  Data view(const Indices& offsets, const Array& weights, bool signs, bool free_intercept,
            Index sharing) {
    if (targets_.ndim() != 1 && targets_.ndim() != 2)
      throw std::invalid_argument("targets: want one dimension, or two");
    const VectorView<double> targets(targets_.data(), targets_.size());
    return Data(source(signs ? targets : VectorView<double>(nullptr, 0)), targets,
                numbers<Index>(offsets), vector(weights),
                VectorView<double>(row_weights_.data(), row_weights_.size()), free_intercept,
                sharing);
  }
  std::shared_ptr<const RowSource> source(const VectorView<double>& signs) {
    if (py::isinstance<py::tuple>(rows_)) {
      const auto values = rows_.cast<py::tuple>()[2];
      return is_single(values) ? sparse<float>(signs) : sparse<double>(signs);
    }
    return is_single(rows_) ? dense<float>(signs) : dense<double>(signs);
  }
  static bool is_single(const py::handle& array) {
    return py::isinstance<py::array_t<float>>(array);
  }
  template <class Number>
  std::shared_ptr<const RowSource> dense(const VectorView<double>& signs) {
    const auto array = ArrayOf<Number>::ensure(rows_);
    if (!array || array.ndim() != 2) throw std::invalid_argument("rows: want two dimensions");
    rows_ = array;
    return dense_rows(RowsView<Number>(array.data(), array.shape(0), array.shape(1)), signs);
  }

  template <class Number>
  std::shared_ptr<const RowSource> sparse(const VectorView<double>& signs) {
    const auto parts = rows_.cast<py::tuple>();
    if (parts.size() != 5) throw std::invalid_argument("rows: want a tuple of five");
    const auto begins = parts[0].cast<Indices>();
    const auto columns = parts[1].cast<ArrayOf<std::int32_t>>();
    const auto values = parts[2].cast<ArrayOf<Number>>();
    const auto features = parts[3].cast<Index>();
    rows_ = py::make_tuple(begins, columns, values);
    const Index count = begins.size() - 1;
    if (count < 0 || columns.size() != values.size() || begins.data()[count] != values.size())
      throw std::invalid_argument("rows: begins, columns and values do not fit");
    return sparse_rows(
        SparseView<Number>{begins.data(), columns.data(), values.data(), count, features}, signs,
        parts[4].cast<bool>());
  }

  py::object rows_;  // kept, as the core has views of what is in there
  Columns targets_;
  Array row_weights_;

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

// By the names that functions of the state ask for.
inline py::dict by_name(const Recorder::Seen& seen) {
  py::dict all;
  all["loss"] = seen.loss;
  all["grad_norm"] = seen.grad_norm;
  all["norm"] = seen.norm;
  return all;
}

// weights: with the column of that name, one row for each record.
inline py::dict history_columns(const History& h, bool weights = false) {
  py::dict columns;
  h.visit([&]<class Value>(const char* name, const std::vector<Value>& values, const Measure&) {
    columns[name] = py::array_t<Value>(static_cast<py::ssize_t>(values.size()), values.data());
  });
  if (weights) {
    const auto records = static_cast<py::ssize_t>(h.round.size());
    columns["weights"] = py::array_t<double>(
        {records, records ? static_cast<py::ssize_t>(h.weights.size()) / records : 0},
        h.weights.data());
  }
  return columns;
}

// What a run needs to go on, to Python and back.
inline py::dict by_name(const Arrays& arrays) {
  py::dict all;
  for (const auto& [name, values] : arrays) all[py::str(name)] = values;
  return all;
}
inline Arrays arrays_by_name(const py::dict& all) {
  Arrays arrays;
  for (const auto& [name, values] : all)
    arrays.emplace_back(name.cast<std::string>(), values.cast<Matrix<double>>());
  return arrays;
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
