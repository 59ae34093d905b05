// The same sources are built once per instruction set; localgd/_backend.py picks one at import. One
// file compiles all bindings: most of that time goes into pybind11's headers.
#include "forecast.hpp"
#include "formulas.hpp"
#include "info.hpp"
#include "network.hpp"
#include "sampling.hpp"
#include "schema.hpp"
#include "simulation.hpp"

PYBIND11_MODULE(LOCALGD_MODULE, m) {
  m.doc() = "The C++ core of localgd, built for the instruction set '" LOCALGD_LEVEL "'.";
  localgd::bind_forecast(m);
  localgd::bind_info(m);
  localgd::bind_formulas(m);
  localgd::bind_network(m);
  localgd::bind_sampling(m);
  localgd::bind_schema(m);
  localgd::bind_simulation(m);
}
