// Formulas of the core that Python takes from here.
#pragma once

#include "convert.hpp"
#include "core/loss/registry.hpp"
#include "core/round/options.hpp"

namespace localgd {

// l and l' of rows with given margins, (N, C).
inline py::tuple loss_of_rows(const std::string& loss, const Matrix<double>& margins,
                              const Array& targets) {
  if (targets.ndim() != 1 || targets.shape(0) != margins.rows())
    throw std::invalid_argument("targets: want one number for each row of margins");
  Vector<double> values(margins.rows());
  Matrix<double> slopes(margins.rows(), margins.cols());
  with_loss(loss, [&]<class Loss>(const Loss&) {
    if (!Loss::multiclass && margins.cols() != 1)
      throw std::invalid_argument("margins: want one column for this loss");
    for (Index j = 0; j < margins.rows(); ++j) {
      const double y = targets.data()[j];
      if (Loss::multiclass && !(y >= 0 && y < static_cast<double>(margins.cols())))
        throw std::invalid_argument("targets: want classes 0 to C - 1");
      values[j] = loss_value<Loss>(margins.data() + j, margins.rows(), margins.cols(), y);
    }
  });
  negative_derivatives_of(loss)(margins.data(), targets.data(), margins.rows(), margins.cols(),
                                slopes.data());
  return py::make_tuple(values, -slopes);
}

inline void bind_formulas(py::module_& m) {
  m.def("loss_of_rows", &loss_of_rows, py::arg("loss"), py::arg("margins"), py::arg("targets"),
        "Values and derivatives of a loss at the margins of some rows, (N,) and (N, C).");
  m.def("sum_of_decays", py::vectorize(sum_of_decays), py::arg("decay"), py::arg("steps"),
        "The sum of (1 - decay)^l over so many steps l.");
}

}  // namespace localgd
