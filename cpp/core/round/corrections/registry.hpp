// Every correction by its name: a new one is one file and one line here. One of them is none.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "control.hpp"
#include "displacement.hpp"

namespace localgd {

template <class Kind>
std::unique_ptr<Correction> new_correction() {
  return std::make_unique<Kind>();
}

struct CorrectionKind {
  std::string_view name;
  std::unique_ptr<Correction> (*make)();
};
inline constexpr CorrectionKind correction_kinds[] = {
    {"none", [] { return std::unique_ptr<Correction>(); }},
    {"control", new_correction<Control>},
    {"displacement", new_correction<Displacement>},
};

inline std::unique_ptr<Correction> make_correction(std::string_view name) {
  for (const auto& kind : correction_kinds)
    if (kind.name == name) return kind.make();
  throw std::invalid_argument("correction: there is none named '" + std::string(name) + "'");
}

}  // namespace localgd
