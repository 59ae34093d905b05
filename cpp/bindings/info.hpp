#pragma once

#include <pybind11/pybind11.h>

#include "core/team.hpp"

namespace localgd {

namespace py = pybind11;

#if defined(__clang__)
#define LOCALGD_COMPILER "Clang " __clang_version__
#elif defined(__GNUC__)
#define LOCALGD_COMPILER "GCC " __VERSION__
#elif defined(_MSC_VER)
#define LOCALGD_COMPILER "MSVC"
#else
#define LOCALGD_COMPILER "unknown"
#endif

inline py::dict build_info() {
  py::dict info;
  info["version"] = LOCALGD_VERSION;
  info["compiler"] = LOCALGD_COMPILER;
  info["flags"] = LOCALGD_FLAGS;
  info["build_type"] = LOCALGD_BUILD_TYPE;
  info["eigen"] = std::to_string(EIGEN_WORLD_VERSION) + "." + std::to_string(EIGEN_MAJOR_VERSION) +
                  "." + std::to_string(EIGEN_MINOR_VERSION);
  info["instruction_set"] = LOCALGD_LEVEL;
  info["openmp"] = has_openmp();
  return info;
}

// Whether this machine can run code that was built for the level.
inline bool machine_supports(const std::string& level) {
  if (level == "baseline") return true;
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (level == "avx2") return avx2;
  if (level == "avx512")
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
#endif
  return false;
}

inline void bind_info(py::module_& m) {
  m.def("build_info", &build_info, "How this module was built.");
  m.def("machine_supports", &machine_supports, py::arg("level"),
        "Whether this machine runs code built for an instruction set.");
}

}  // namespace localgd
