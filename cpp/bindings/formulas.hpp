// Formulas of the core that Python takes from here.
#pragma once

#include "convert.hpp"
#include "core/loss/registry.hpp"
#include "core/round/options.hpp"
#include "losses.hpp"

namespace localgd {

// l and l' of rows with given margins, (N, C).
inline py::tuple loss_of_rows(const py::object& loss, const Matrix<double>& margins,
                              const Array& targets) {
  if (targets.ndim() != 1 || targets.shape(0) != margins.rows())
    throw std::invalid_argument("targets: want one number for each row of margins");
  Vector<double> values(margins.rows());
  Matrix<double> slopes(margins.rows(), margins.cols());
  HeldLoss held(loss);
  const LossChoice choice = held.choice();
  with_chosen_loss(choice, [&]<class Loss>(const Loss&) {
    if (!Loss::multiclass && margins.cols() != 1)
      throw std::invalid_argument("margins: want one column for this loss");
    if constexpr (is_called<Loss>)
      return choice.functions->values(margins.data(), targets.data(), margins.rows(),
                                      values.data());
    else
      for (Index j = 0; j < margins.rows(); ++j) {
        const double y = targets.data()[j];
        if (Loss::multiclass && !(y >= 0 && y < static_cast<double>(margins.cols())))
          throw std::invalid_argument("targets: want classes 0 to C - 1");
        values[j] = loss_value<Loss>(margins.data() + j, margins.rows(), margins.cols(), y);
      }
  });
  negative_derivatives_of(choice)(margins.data(), targets.data(), margins.rows(), margins.cols(),
                                  slopes.data());
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
  Vector<double> found(n);
  held.callable(failed)(margins.data(), targets ? targets->data() : nullptr, n, found.data());
  if (const auto raised = held.take_error()) std::rethrow_exception(raised);
  return found;
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
