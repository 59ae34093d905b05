// All that a restored run needs to go on with the same bits.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "types.hpp"

namespace localgd {

// What was saved, by name.
using Arrays = std::vector<std::pair<std::string, Matrix<double>>>;

// Each part of a run shows its own under their names: once, for saving and for loading alike.
using Visit = std::function<void(const std::string& name, Matrix<double>& values)>;

}  // namespace localgd
