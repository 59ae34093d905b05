// A server of Python's.
#pragma once

#include "convert.hpp"
#include "core/server/called.hpp"

namespace localgd {

// Calls step(w, D, k) of an object, which gives the next model, (d, C), and then its commit(). It
// is called by the thread that runs the rounds, which takes the GIL for it.
class PythonServer final : public ServerFunction {
 public:
  explicit PythonServer(py::object stepping) : stepping_(std::move(stepping)) {}

  bool step(double k, const Matrix<double>& w, const Matrix<double>& D,
            Matrix<double>& next) override {
    const py::gil_scoped_acquire gil;
    try {
      next = stepping_.attr("step")(w, D, static_cast<std::int64_t>(k)).cast<Matrix<double>>();
      return next.rows() == w.rows() && next.cols() == w.cols();
    } catch (...) {
      raised_ = std::current_exception();
      return false;
    }
  }
  void commit() override {
    const py::gil_scoped_acquire gil;
    stepping_.attr("commit")();
  }
  const py::object& stepping() const { return stepping_; }
  void raise_errors() {
    if (raised_) std::rethrow_exception(std::exchange(raised_, nullptr));
  }

 private:
  py::object stepping_;
  std::exception_ptr raised_;
};

// That of the first of some runs, or null.
inline std::shared_ptr<PythonServer> python_server(const std::vector<RunOptions>& runs) {
  if (runs.empty()) return nullptr;
  const auto* called = std::get_if<CalledServer>(&runs.front().rule.server.server);
  return called ? std::dynamic_pointer_cast<PythonServer>(called->function) : nullptr;
}

}  // namespace localgd
