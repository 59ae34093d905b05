// The one list of losses, engines and number types that drives the tests: a new loss or engine is
// one line here, and every test takes it up.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

namespace localgd::testing {

// A loss by the formula of mathematics.md, in long double and without the core's code.
struct LossCase {
  std::string name;
  bool signed_rows;  // false: its second argument counts
  long double (*value)(long double m, long double y);
  long double (*negative_derivative)(long double m, long double y);
};

inline const std::vector<LossCase> losses{
    {"exponential", true, [](long double m, long double) { return std::exp(-m); },
     [](long double m, long double) { return std::exp(-m); }},
    {"logistic", true, [](long double m, long double) { return std::log1p(std::exp(-m)); },
     [](long double m, long double) { return 1 / (1 + std::exp(m)); }},
    {"squared", false, [](long double u, long double y) { return (u - y) * (u - y) / 2; },
     [](long double u, long double y) { return y - u; }},
};

inline const std::vector<std::string> engines{"gram", "hybrid", "primal"};

struct Case {
  const LossCase& loss;
  std::string engine;
  bool single;

  std::string name() const { return engine + ", " + loss.name + (single ? ", float" : ", double"); }
};

inline std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const auto& loss : losses)
    for (const auto& engine : engines)
      for (const bool single : {false, true}) cases.push_back({loss, engine, single});
  return cases;
}

// Calls body(case) for every combination; a failure names the one it happened in.
template <class Body>
void for_each_case(Body&& body) {
  for (const Case& c : all_cases()) {
    const std::string name = c.name();
    CAPTURE(name);
    body(c);
  }
}

}  // namespace localgd::testing
