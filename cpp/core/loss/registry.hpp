// Every loss by name: a new loss is one file and one line here.
#pragma once

#include <stdexcept>
#include <string_view>

#include "exponential.hpp"
#include "logistic.hpp"
#include "squared.hpp"

namespace localgd {

// Calls visitor with an object of the loss type of that name and returns what it returns.
template <class Visitor>
auto with_loss(std::string_view name, Visitor&& visitor) {
  if (name == "exponential") return visitor(Exponential{});
  if (name == "logistic") return visitor(Logistic{});
  if (name == "squared") return visitor(Squared{});
  throw std::invalid_argument("loss: no loss named '" + std::string(name) + "'");
}

}  // namespace localgd
