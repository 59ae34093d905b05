#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "core/exp.hpp"

using localgd::exp_lane;

namespace {

// Distance from the true value in units of the last place of a Real there (of the smallest
// denormal's place below the normal numbers).
template <class Real>
double ulps(Real got, long double want) {
  int exponent = 0;
  std::frexp(want, &exponent);
  const int lowest = std::numeric_limits<Real>::min_exponent;
  const int digits = std::numeric_limits<Real>::digits;
  const auto place = std::ldexp(1.0L, std::max(exponent, lowest) - digits);
  return static_cast<double>(std::abs(static_cast<long double>(got) - want) / place);
}

template <class Real>
struct Domain;
template <>
struct Domain<double> {
  static constexpr double low = -745, high = 709.7827;
};
template <>
struct Domain<float> {
  static constexpr double low = -103.9, high = 88.722839;
};

template <class Real>
double largest_error(double low, double high, int count) {
  std::mt19937_64 bits(7);
  std::uniform_real_distribution<double> uniform(low, high);
  std::vector<Real> x(static_cast<std::size_t>(count)), y(x.size());
  for (auto& v : x) v = static_cast<Real>(uniform(bits));
  // vector code, as in the kernels
  for (std::size_t j = 0; j < x.size(); ++j) y[j] = exp_lane(x[j]);
  double worst = 0;
  for (std::size_t j = 0; j < x.size(); ++j)
    worst = std::max(worst, ulps(y[j], std::exp(static_cast<long double>(x[j]))));
  return worst;
}

}  // namespace

TEST_CASE_TEMPLATE("exp_lane is within 2 ulp of exp", Real, double, float) {
  const double normal = std::log(static_cast<double>(std::numeric_limits<Real>::min()));
  const double wide = largest_error<Real>(normal, Domain<Real>::high, 400'000);
  const double near = largest_error<Real>(-1, 1, 200'000);
  const double denormal = largest_error<Real>(Domain<Real>::low, normal, 100'000);
  MESSAGE("largest error in ulp: ", wide, " over the range, ", near, " in (-1, 1), ", denormal,
          " where results are denormal");
  CHECK(wide < 2);
  CHECK(near < 2);
  CHECK(denormal < 2);
}

TEST_CASE_TEMPLATE("exp_bounded is within 2 ulp of exp", Real, double, float) {
  double worst = 0;
  for (int j = -160'000; j <= 160'000; ++j) {
    const Real x = static_cast<Real>(j * 1e-4);
    worst = std::max(worst, ulps(localgd::exp_bounded(x), std::exp(static_cast<long double>(x))));
  }
  MESSAGE("largest error in ulp: ", worst);
  CHECK(worst < 2);
  CHECK(std::isnan(localgd::exp_bounded(std::numeric_limits<Real>::quiet_NaN())));
}

TEST_CASE_TEMPLATE("exp_unreduced has the bits of exp_bounded up to its limit", Real, double,
                   float) {
  constexpr Real most = localgd::ShortExp<Real>::unreduced;
  for (int j = -10'000; j <= 10'000; ++j) {
    const Real x = most * static_cast<Real>(j) / 10'000;
    REQUIRE(localgd::exp_unreduced(x) == localgd::exp_bounded(x));
  }
}

TEST_CASE_TEMPLATE("exp_lane at the edges", Real, double, float) {
  using Limits = std::numeric_limits<Real>;
  constexpr Real inf = Limits::infinity();
  CHECK(exp_lane(Real(0)) == Real(1));
  CHECK(exp_lane(-Real(0)) == Real(1));
  CHECK(exp_lane(Limits::denorm_min()) == Real(1));
  CHECK(exp_lane(Limits::epsilon()) == doctest::Approx(1.0));
  CHECK(exp_lane(inf) == inf);
  CHECK(exp_lane(Limits::max()) == inf);
  CHECK(exp_lane(-inf) == Real(0));
  CHECK(exp_lane(Limits::lowest()) == Real(0));
  CHECK(std::isnan(exp_lane(Limits::quiet_NaN())));
  CHECK(std::isnan(exp_lane(-Limits::quiet_NaN())));
  // The last argument with a finite result, and the first without one.
  const Real largest = std::nextafter(static_cast<Real>(std::log(Limits::max())), Real(0));
  CHECK(std::isfinite(exp_lane(largest)));
  CHECK(exp_lane(largest + Real(0.01)) == inf);
  // Around the smallest denormal, which is exp of log(min) - (digits - 1) log 2.
  const double bottom =
      std::log(static_cast<double>(Limits::min())) - (Limits::digits - 1) * std::log(2.0);
  CHECK(exp_lane(static_cast<Real>(bottom)) == Limits::denorm_min());
  CHECK(exp_lane(static_cast<Real>(bottom - 0.8)) == Real(0));
}

TEST_CASE_TEMPLATE("exp_lane does not decrease", Real, double, float) {
  Real before = 0;
  for (double x = Domain<Real>::low; x < Domain<Real>::high; x += 0.013) {
    const Real now = exp_lane(static_cast<Real>(x));
    REQUIRE(now >= before);
    before = now;
  }
}
