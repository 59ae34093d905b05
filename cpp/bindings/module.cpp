#include "bindings.hpp"

// The same sources are built once per instruction set; localgd/_backend.py picks one at import.
PYBIND11_MODULE(LOCALGD_MODULE, m) {
  m.doc() = "The C++ core of localgd, built for the instruction set '" LOCALGD_LEVEL "'.";
  bind_batch(m);
  bind_info(m);
  bind_simulation(m);
}
