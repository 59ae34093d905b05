#include <limits>

#include "cases.hpp"
#include "core/loss/registry.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

using Function = double (*)(double, double);

// The core's own functions of a loss, by its name in the registry.
struct Functions {
  Function value, negative_derivative;
  float (*negative_derivative_float)(float, float);
  bool signed_rows;
};

Functions functions(const std::string& name) {
  return with_loss(name, [](auto l) {
    using Loss = decltype(l);
    return Functions{&Loss::value, &Loss::template negative_derivative<double>,
                     &Loss::template negative_derivative<float>, Loss::signed_rows};
  });
}

double relative(double got, long double want) {
  const auto scale = std::max(std::abs(want), static_cast<long double>(1e-307));
  return static_cast<double>(std::abs(static_cast<long double>(got) - want) / scale);
}

const std::vector<double> targets{-1, 0.25, 1};

}  // namespace

TEST_CASE("losses agree with their formulas far into both tails") {
  for (const auto& loss : losses) {
    CAPTURE(loss.name);
    const auto core = functions(loss.name);
    CHECK(core.signed_rows == loss.signed_rows);
    for (const double y : targets)
      for (double m = -700; m <= 700; m += 0.37) {
        CAPTURE(m);
        REQUIRE(relative(core.value(m, y), loss.value(m, y)) < 2e-14);
        REQUIRE(relative(core.negative_derivative(m, y), loss.negative_derivative(m, y)) < 2e-15);
      }
  }
}

TEST_CASE("losses in float agree with their formulas") {
  for (const auto& loss : losses) {
    CAPTURE(loss.name);
    const auto core = functions(loss.name);
    for (const double y : targets)
      for (float m = -87; m <= 87; m += 0.171f) {
        CAPTURE(m);
        const double got = core.negative_derivative_float(m, static_cast<float>(y));
        REQUIRE(relative(got, loss.negative_derivative(m, static_cast<float>(y))) < 5e-7);
      }
  }
}

TEST_CASE("losses have the derivative of their values") {
  for (const auto& loss : losses) {
    CAPTURE(loss.name);
    const auto core = functions(loss.name);
    constexpr double h = 1e-5;
    for (const double y : targets)
      for (double m = -6; m <= 6; m += 0.3) {
        const double slope = (core.value(m + h, y) - core.value(m - h, y)) / (2 * h);
        CHECK(-core.negative_derivative(m, y) == doctest::Approx(slope).epsilon(1e-8));
      }
  }
}

TEST_CASE("losses are convex, and margin losses fall") {
  for (const auto& loss : losses) {
    CAPTURE(loss.name);
    const auto core = functions(loss.name);
    for (double m = -705; m < 705; m += 0.5) {
      REQUIRE(core.negative_derivative(m + 0.5, 1) <= core.negative_derivative(m, 1));
      if (!loss.signed_rows) continue;
      REQUIRE(core.negative_derivative(m, 1) > 0);
      REQUIRE(core.value(m + 0.5, 1) <= core.value(m, 1));
      REQUIRE(core.value(m, 1) > 0);
    }
  }
}

TEST_CASE("losses keep NaN and never make one of an infinite margin") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const auto& loss : losses) {
    CAPTURE(loss.name);
    const auto core = functions(loss.name);
    CHECK(std::isnan(core.value(nan, 1)));
    CHECK(std::isnan(core.negative_derivative(nan, 1)));
    CHECK(std::isnan(core.negative_derivative_float(std::nanf(""), 1)));
    CHECK(core.value(-inf, 1) == inf);
    CHECK(!std::isnan(core.negative_derivative(inf, 1)));
    CHECK(!std::isnan(core.negative_derivative(-inf, 1)));
    if (!loss.signed_rows) continue;
    CHECK(core.value(inf, 1) == 0);
    CHECK(core.negative_derivative(inf, 1) == 0);
    CHECK(core.negative_derivative_float(std::numeric_limits<float>::infinity(), 1) == 0);
  }
}

TEST_CASE("an unknown loss is refused by name") {
  CHECK_THROWS_WITH_AS(functions("hinge"), "loss: no loss named 'hinge'", std::invalid_argument);
}
