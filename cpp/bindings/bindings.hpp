// One bind_* function per concept; module.cpp lists them.
#pragma once

#include <pybind11/pybind11.h>

void bind_batch(pybind11::module_& m);
void bind_info(pybind11::module_& m);
void bind_simulation(pybind11::module_& m);
