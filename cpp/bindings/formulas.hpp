// Formulas of the core that Python takes from here.
#pragma once

#include "convert.hpp"
#include "core/loss/registry.hpp"
#include "core/round/options.hpp"
#include "losses.hpp"

namespace localgd {

// l and l' of rows with given margins, (N, C); targets: (N,), or (N, C).
inline py::tuple loss_of_rows(const py::object& loss, const Matrix<double>& margins,
                              const Columns& targets) {
  const Index n = margins.rows(), outputs = margins.cols();
  if (targets.ndim() < 1 || targets.ndim() > 2 || targets.shape(0) != n)
    throw std::invalid_argument("targets: want one number for each row of margins");
  const Index of_row = targets.ndim() > 1 ? targets.shape(1) : 1;
  const Targets<double> y(targets.data(), of_row > 1 ? n : 0);
  Vector<double> values(n);
  Matrix<double> slopes(n, outputs);
  HeldLoss held(loss);
  const LossChoice choice = held.choice();
  with_chosen_loss(choice, [&]<class Loss>(const Loss&) {
    if (of_row != (Loss::multiclass ? 1 : outputs))
      throw std::invalid_argument("margins: want one column for each target of a row");
    if constexpr (is_called<Loss>)
      values = choice.functions->values_of_rows(margins.data(), n, y, n, outputs);
    else
      for (Index j = 0; j < n; ++j) {
        if (Loss::multiclass && !(y[j] >= 0 && y[j] < static_cast<double>(outputs)))
          throw std::invalid_argument("targets: want classes 0 to C - 1");
        values[j] = loss_value<Loss>(margins.data() + j, n, outputs, y.from(j));
      }
  });
  negative_derivatives_of(choice)(margins.data(), y, n, outputs, slopes.data());
  held.raise_errors();
  return py::make_tuple(values, -slopes);
}

// What a function of a loss of the caller's gives for rows, with their targets if it takes them.
inline Vector<double> call_rows(const py::dict& function, const Array& margins,
                                const std::optional<Array>& targets) {
  const Index n = margins.size();
  if (targets && targets->size() != n)
    throw std::invalid_argument("targets: want as many as margins");
  std::atomic<bool> failed{false};
  HeldFunction held(function, targets.has_value());
  constexpr Index beyond = 8;  // numbers that it should leave alone
  constexpr double untouched = -6.25e66;
  Vector<double> found = Vector<double>::Constant(n + beyond, untouched);
  found.head(n).setConstant(std::numeric_limits<double>::quiet_NaN());
  held.callable(failed)(margins.data(), targets ? targets->data() : nullptr, n, found.data());
  if (const auto raised = held.take_error()) std::rethrow_exception(raised);
  if ((found.tail(beyond).array() != untouched).any())
    throw std::invalid_argument("function: it wrote beyond the n-th number");
  return found.head(n);
}

inline void bind_formulas(py::module_& m) {
  m.def("loss_of_rows", &loss_of_rows, py::arg("loss"), py::arg("margins"), py::arg("targets"),
        "Values and derivatives of a loss at the margins of some rows, (N,) and (N, C).");
  m.def("call_rows", &call_rows, py::arg("function"), py::arg("margins"),
        py::arg("targets") = py::none(), "What a function of an own loss gives, (n,).");
  m.def("sum_of_decays", py::vectorize(sum_of_decays), py::arg("decay"), py::arg("steps"),
        "The sum of (1 - decay)^l over so many steps l.");
}

}  // namespace localgd
