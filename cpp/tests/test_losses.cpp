#include <limits>

#include "core/loss/registry.hpp"
#include "problems.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

// The core's own functions of a loss, by its name in the registry.
struct Functions {
  double (*loss_value)(const double*, Index, Index, Targets<double>);
  void (*derivatives)(const double*, Targets<double>, Index, Index, double*);
  void (*derivatives_float)(const float*, Targets<float>, Index, Index, float*);
  bool signed_rows, multiclass;

  // Of a loss of one output.
  double value(double m, double y) const { return loss_value(&m, 1, 1, &y); }
  double negative_derivative(double m, double y) const {
    double e;
    derivatives(&m, &y, 1, 1, &e);
    return e;
  }
  float negative_derivative_float(float m, float y) const {
    float e;
    derivatives_float(&m, &y, 1, 1, &e);
    return e;
  }
  // Of classes, whose outputs are `stride` apart.
  double value(const double* u, Index stride, double y) const {
    return loss_value(u, stride, classes, &y);
  }
};

Functions functions(const std::string& name) {
  return with_loss(name, [](auto l) {
    using Loss = decltype(l);
    return Functions{&loss_value<Loss>, &negative_derivatives<Loss, double>,
                     &negative_derivatives<Loss, float>, Loss::signed_rows, Loss::multiclass};
  });
}

// The losses of one margin.
std::vector<LossCase> margin_losses() {
  std::vector<LossCase> found;
  for (const auto& loss : losses)
    if (loss.outputs == 1) found.push_back(loss);
  return found;
}

// part: of what the number is a difference.
double relative(double got, long double want, long double part = 0) {
  const auto scale = std::max({std::abs(want), std::abs(part), static_cast<long double>(1e-307)});
  return static_cast<double>(std::abs(static_cast<long double>(got) - want) / scale);
}

const std::vector<double> targets{-1, 0.25, 1};

}  // namespace

TEST_CASE("facts of a loss are those of its functions") {
  Losses::for_each([]<class Loss>(const Loss&) {
    if constexpr (!Loss::multiclass) {
      CAPTURE(Loss::name);
      const LossFacts& facts = Loss::facts;
      const auto core = functions(std::string(Loss::name));
      const auto slope = [&](double m) { return -core.negative_derivative(m, 1); };
      CHECK(std::isinf(core.value(-800, 1)) == (facts.overflows < 0));
      CHECK(std::isinf(core.value(800, 1)) == (facts.overflows > 0));
      CHECK((std::abs(slope(-800)) <= 1 + 1e-12 && std::abs(slope(800)) <= 1 + 1e-12) ==
            facts.bounded);
      if (facts.tail.rate > 0)
        CHECK(-slope(30) * std::exp(30 * facts.tail.rate) == doctest::Approx(facts.tail.factor));
      else  // none that falls like exp(-m), but perhaps to 0
        CHECK((slope(30) == 0 || std::abs(slope(30)) > 1e-6));
      const double h = 1e-6;
      double largest = 0, jump = 0, before = 0;
      for (double m = facts.overflows ? 0 : -10; m < 10; m += 0.0625) {
        const double curvature = (slope(m + h) - slope(m - h)) / (2 * h);
        largest = std::max(largest, curvature);
        if (m > -9 && !facts.overflows) jump = std::max(jump, std::abs(curvature - before));
        before = curvature;
      }
      if (std::isfinite(facts.curvature))
        CHECK(largest == doctest::Approx(facts.curvature).epsilon(1e-6));
      CHECK((jump < 0.1) == facts.smooth);
    }
  });
}

TEST_CASE("losses agree with their formulas far into both tails") {
  for (const auto& loss : margin_losses()) {
    CAPTURE(loss.name);
    const auto core = functions(loss.name);
    CHECK(core.signed_rows == loss.signed_rows);
    CHECK_FALSE(core.multiclass);
    for (const double y : targets)
      for (double m = -700; m <= 700; m += 0.37) {
        CAPTURE(m);
        const long double wide = m;
        const long double part = loss.name == "poisson" ? y : 0;
        REQUIRE(relative(core.value(m, y), loss.value(&wide, y), part) < 2e-14);
        REQUIRE(relative(core.negative_derivative(m, y), loss.negative_derivative(&wide, y, 0),
                         part) < 2e-15);
      }
  }
}

TEST_CASE("losses in float agree with their formulas") {
  for (const auto& loss : margin_losses()) {
    CAPTURE(loss.name);
    const auto core = functions(loss.name);
    for (const double y : targets)
      for (float m = -87; m <= 87; m += 0.171f) {
        CAPTURE(m);
        const double got = core.negative_derivative_float(m, static_cast<float>(y));
        const long double wide = m;
        const long double part = loss.name == "poisson" ? y : 0;
        REQUIRE(relative(got, loss.negative_derivative(&wide, static_cast<float>(y), 0), part) <
                5e-7);
      }
  }
}

TEST_CASE("losses have the derivative of their values") {
  for (const auto& loss : margin_losses()) {
    CAPTURE(loss.name);
    const auto core = functions(loss.name);
    constexpr double h = 1e-5;
    for (const double y : targets)
      for (double m = -6.05; m <= 6; m += 0.3) {
        const double slope = (core.value(m + h, y) - core.value(m - h, y)) / (2 * h);
        CHECK(-core.negative_derivative(m, y) == doctest::Approx(slope).epsilon(1e-8));
      }
  }
}

TEST_CASE("losses are convex, and margin losses fall") {
  for (const auto& loss : margin_losses()) {
    CAPTURE(loss.name);
    const auto core = functions(loss.name);
    for (double m = -705; m < 705; m += 0.5) {
      REQUIRE(core.negative_derivative(m + 0.5, 1) <= core.negative_derivative(m, 1));
      if (!loss.signed_rows) continue;
      const bool ends = loss.name == "squared_hinge" && m >= 1;  // and others never do
      REQUIRE((core.negative_derivative(m, 1) > 0) == !ends);
      REQUIRE(core.value(m + 0.5, 1) <= core.value(m, 1));
      REQUIRE((core.value(m, 1) > 0) == !ends);
    }
  }
}

TEST_CASE("losses keep NaN and never make one of an infinite margin") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const auto& loss : margin_losses()) {
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

namespace {

const LossCase& softmax = losses.back();

// Outputs of many rows, n x C: every class far below, near and far above the others. Differences
// are exact in float, so that what the loss loses is not the subtraction's.
template <class Real>
Matrix<Real> output_grid(double reach) {
  std::vector<double> far{0, 0.125, 1, 3.5, reach / 8, reach / 2, reach};
  for (double& x : far) x = std::floor(x * 64) / 64;
  std::vector<double> levels = far;
  for (const double x : far) levels.push_back(-x);
  Matrix<Real> u(static_cast<Index>(levels.size() * levels.size()), classes);
  Index row = 0;
  for (const double a : levels)
    for (const double b : levels) {
      u.row(row) << static_cast<Real>(a), static_cast<Real>(b), Real(0.25);
      ++row;
    }
  return u;
}

struct Wide {
  long double u[classes];
  template <class Real>
  Wide(const Matrix<Real>& from, Index row) {
    for (Index c = 0; c < classes; ++c) u[c] = from(row, c);
  }
};

template <class Real>
Matrix<Real> derivatives(const Matrix<Real>& u, const Vector<Real>& y) {
  Matrix<Real> e(u.rows(), classes);
  const auto core = functions("softmax");
  if constexpr (std::is_same_v<Real, double>)
    core.derivatives(u.data(), y.data(), u.rows(), classes, e.data());
  else
    core.derivatives_float(u.data(), y.data(), u.rows(), classes, e.data());
  return e;
}

}  // namespace

TEST_CASE_TEMPLATE("softmax agrees with its formulas far into both tails", Real, double, float) {
  // Of probabilities that are not denormal, every class keeps its digits however small it is.
  const double reach = std::is_same_v<Real, double> ? 340 : 40;
  const Matrix<Real> u = output_grid<Real>(reach);
  const double tolerance = std::is_same_v<Real, double> ? 2e-15 : 1e-6;
  const auto core = functions("softmax");
  CHECK(core.multiclass);
  CHECK_FALSE(core.signed_rows);
  CHECK(u.rows() > 128);  // several blocks
  for (Index own = 0; own < classes; ++own) {
    const Vector<Real> y = Vector<Real>::Constant(u.rows(), static_cast<Real>(own));
    const Matrix<Real> e = derivatives<Real>(u, y);
    for (Index j = 0; j < u.rows(); ++j) {
      const Wide wide(u, j);
      CAPTURE(own);
      CAPTURE(j);
      for (Index c = 0; c < classes; ++c) {
        const long double want =
            softmax.negative_derivative(wide.u, static_cast<long double>(own), c);
        REQUIRE(relative(static_cast<double>(e(j, c)), want) < tolerance);
      }
      REQUIRE(std::abs(e.row(j).sum()) <= 2 * std::numeric_limits<Real>::epsilon());
      const Matrix<double> row = u.row(j).template cast<double>();
      REQUIRE(relative(core.value(row.data(), 1, static_cast<double>(own)),
                       softmax.value(wide.u, static_cast<long double>(own))) < 2e-14);
    }
  }
}

TEST_CASE("softmax of outputs too far apart for a power is finite") {
  const Vector<double> y{{0.0, 1.0, 2.0}};
  Matrix<double> u(3, classes);
  u << 2000, -2000, 0, 1e300, -1e300, 0, -5000, 1e5, 1e5;
  const Matrix<double> e = derivatives<double>(u, y);
  Matrix<double> want(3, classes);
  want << 0, 0, 0, -1, 1, 0, 0, -0.5, 0.5;
  CHECK(e.isApprox(want, 0));
  const auto core = functions("softmax");
  const auto value = [&](Index j) { return core.value(&u(j, 0), 3, y[j]); };
  CHECK(value(0) == 0);
  CHECK(value(1) == 2e300);
  CHECK(value(2) == doctest::Approx(std::log(2.0)).epsilon(1e-15));
}

TEST_CASE("softmax does not depend on the rows beside a row") {
  const Matrix<double> u = output_grid<double>(300);
  const Vector<double> y = (Random(4).vector(u.rows()).array() * 1.5 + 1.5).floor();
  const Matrix<double> all = derivatives<double>(u, y);
  for (Index j = 0; j < u.rows(); ++j) {
    const Matrix<double> own = derivatives<double>(u.row(j), y.segment(j, 1));
    REQUIRE(relative_error(own, all.row(j)) < 1e-15);
  }
}

TEST_CASE("softmax has the derivative of its values, and it is monotone") {
  Random random(12);
  const auto core = functions("softmax");
  constexpr double h = 1e-5;
  for (int repeat = 0; repeat < 50; ++repeat) {
    const Matrix<double> u = 4 * random.matrix(1, classes), v = 4 * random.matrix(1, classes);
    const Vector<double> y = Vector<double>::Constant(1, repeat % classes);
    const Matrix<double> e = derivatives<double>(u, y);
    for (Index c = 0; c < classes; ++c) {
      Matrix<double> up = u, down = u;
      up(0, c) += h;
      down(0, c) -= h;
      const auto value = [&](const Matrix<double>& at) { return core.value(at.data(), 1, y[0]); };
      CHECK(-e(0, c) == doctest::Approx((value(up) - value(down)) / (2 * h)).epsilon(1e-8));
    }
    CHECK((e - derivatives<double>(v, y)).cwiseProduct(u - v).sum() <= 0);
  }
}

TEST_CASE("softmax keeps NaN in any place, and takes -inf for a class that is ruled out") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const auto core = functions("softmax");
  for (Index own = 0; own < classes; ++own) {
    const Vector<double> y = Vector<double>::Constant(1, double(own));
    for (Index c = 0; c < classes; ++c) {
      Matrix<double> u{{0.5, -1.0, 2.0}};
      u(0, c) = std::numeric_limits<double>::quiet_NaN();
      CHECK(derivatives<double>(u, y).array().isNaN().all());
      CHECK(std::isnan(core.value(u.data(), 1, double(own))));
      u(0, c) = -inf;
      CHECK(derivatives<double>(u, y).allFinite());
      const double value = core.value(u.data(), 1, double(own));
      CHECK((value == inf) == (own == c));
      CHECK(value > 0);
    }
  }
}

TEST_CASE("an unknown loss is refused by name") {
  CHECK_THROWS_WITH_AS(functions("hinge"), "loss: no loss named 'hinge'", std::invalid_argument);
}
