// Losses as Python gives them: a name, or functions of Python's or of native code.
#pragma once

#include <deque>
#include <mutex>

#include "convert.hpp"

namespace localgd {

// l or l' of many rows: {"rows": function of arrays}, or {"native": capsule of a function pointer,
// "kind": which}. Targets are given where there are any.
class HeldFunction {
 public:
  HeldFunction(const py::dict& given, bool with_targets) : with_targets_(with_targets) {
    if (given.contains("rows")) {
      function_ = given["rows"];
      call_ = with_gil;
      return;
    }
    function_ = given["native"];
    pointer_ = PyCapsule_GetPointer(function_.ptr(), PyCapsule_GetName(function_.ptr()));
    if (!pointer_) throw py::error_already_set();
    const bool each = given["of_one_row"].cast<bool>();
    if (with_targets)
      call_ = each ? of_one_row_with_targets : of_rows_with_targets;
    else
      call_ = each ? of_one_row : of_rows;
  }

  // What the core calls; errors go to `failed` and to raised().
  RowFunction callable(std::atomic<bool>& failed) {
    failed_ = &failed;
    return {call_, this};
  }
  // What a function of Python's has raised since the last time, or nothing.
  std::exception_ptr take_error() {
    const std::lock_guard lock(mutex_);
    return std::exchange(raised_, nullptr);
  }

 private:
  static const HeldFunction& self(const void* context) {
    return *static_cast<const HeldFunction*>(context);
  }
  template <class Function>
  static Function pointer(const void* context) {
    return reinterpret_cast<Function>(self(context).pointer_);
  }

  static void of_rows(const void* context, const double* margins, const double*, Index n,
                      double* out) {
    pointer<void (*)(const double*, double*, std::intptr_t)>(context)(margins, out, n);
  }
  static void of_rows_with_targets(const void* context, const double* margins,
                                   const double* targets, Index n, double* out) {
    pointer<void (*)(const double*, const double*, double*, std::intptr_t)>(context)(
        margins, targets, out, n);
  }
  static void of_one_row(const void* context, const double* margins, const double*, Index n,
                         double* out) {
    const auto function = pointer<double (*)(double)>(context);
    for (Index j = 0; j < n; ++j) out[j] = function(margins[j]);
  }
  static void of_one_row_with_targets(const void* context, const double* margins,
                                      const double* targets, Index n, double* out) {
    const auto function = pointer<double (*)(double, double)>(context);
    for (Index j = 0; j < n; ++j) out[j] = function(margins[j], targets[j]);
  }

  // The threads of a round come here without the GIL, and wait for it one after the other. Once a
  // call has failed no other is made: all give NaN until the round has been given up.
  static void with_gil(const void* context, const double* margins, const double* targets, Index n,
                       double* out) {
    const HeldFunction& own = self(context);
    if (!own.failed_->load()) {
      const py::gil_scoped_acquire gil;
      try {
        own.call(margins, targets, n, out);
        return;
      } catch (...) {  // also what is raised for a result of another shape
        const std::lock_guard lock(own.mutex_);
        if (!own.raised_) own.raised_ = std::current_exception();
        own.failed_->store(true);
      }
    }
    std::fill_n(out, n, std::numeric_limits<double>::quiet_NaN());
  }
  void call(const double* margins, const double* targets, Index n, double* out) const {
    const py::array_t<double> u(n, margins);  // copies, which may be kept
    const py::object result =
        with_targets_ ? function_(u, py::array_t<double>(n, targets)) : function_(u);
    const auto numbers = result.cast<Array>();
    if (numbers.ndim() != 1 || numbers.shape(0) != n)
      throw std::invalid_argument("loss: want one number for each row");
    std::copy_n(numbers.data(), n, out);
  }

  py::object function_;
  void* pointer_ = nullptr;
  bool with_targets_;
  void (*call_)(const void*, const double*, const double*, Index, double*);
  std::atomic<bool>* failed_ = nullptr;
  mutable std::mutex mutex_;
  mutable std::exception_ptr raised_;
};

// A loss by name, or by {"value": …, "slope": …, "signed": …, "has_exact_solve": …}.
class HeldLoss {
 public:
  explicit HeldLoss(const py::object& given) {
    if (py::isinstance<py::str>(given)) {
      name_ = given.cast<std::string>();
      return;
    }
    const auto loss = given.cast<py::dict>();
    own_.signed_rows = loss["signed"].cast<bool>();
    own_.has_exact_solve = loss["has_exact_solve"].cast<bool>();
    for (const char* name : {"value", "slope"})
      functions_.emplace_back(loss[name].cast<py::dict>(), !own_.signed_rows);
    own_.values = functions_[0].callable(own_.failed);
    own_.slopes = functions_[1].callable(own_.failed);
  }
  HeldLoss(const HeldLoss&) = delete;

  LossChoice choice() const { return functions_.empty() ? LossChoice(name_) : LossChoice(own_); }

  // Raises what a function has raised, so that the next call begins anew.
  void raise_errors() {
    if (!own_.failed.exchange(false)) return;
    std::exception_ptr first;
    for (auto& function : functions_)
      if (const auto raised = function.take_error(); !first) first = raised;
    if (first) std::rethrow_exception(first);
  }

 private:
  std::string name_;
  LossFunctions own_;
  std::deque<HeldFunction> functions_;  // which stay where they are
};

}  // namespace localgd
