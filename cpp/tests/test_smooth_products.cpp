// Products from those of earlier rounds: how far off they are, how many are saved, and when none
// is.
#include <functional>

#include "core/blocks/symmetric_gram.hpp"
#include "core/model/smooth_products.hpp"
#include "problems.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

constexpr Index samples = 40;

using Curve = std::function<Matrix<double>(int k)>;

// Like the clients' mean changes of a run on separable rows, of some outputs.
Curve falling(Index columns) {
  Random random(3);
  const Matrix<double> first = random.matrix(samples, columns),
                       second = random.matrix(samples, columns);
  return [=](int k) -> Matrix<double> {
    const double t = k + 20;
    return (first * std::log(t) + second) / t;
  };
}

struct Counted {
  int products = 0;
  double error = 0;     // largest, of the sum of what was given
  double rounding = 0;  // of K's product with the sum, at the most
};

Counted follow(const Matrix<double>& K, const Curve& x, int rounds, double allowed) {
  const double norm = K.cwiseAbs().rowwise().sum().maxCoeff();
  Matrix<double> sum = Matrix<double>::Zero(samples, x(0).cols()), given = sum, y = sum;
  SmoothProducts products(samples, sum.cols());
  Counted counted;
  for (int k = 0; k < rounds; ++k) {
    counted.products +=
        products.next(x(k), {norm, 1e-16, allowed}, y,
                      [&](const Matrix<double>& in, Matrix<double>& out) { out = K * in; });
    products.commit();
    sum += x(k);
    given += y;
    counted.error = std::max(counted.error, (given - K * sum).lpNorm<Eigen::Infinity>());
  }
  counted.rounding = 1e-16 * samples * norm * sum.lpNorm<Eigen::Infinity>();
  return counted;
}

Matrix<double> some_gram() {
  const Matrix<double> a = Random(1).matrix(samples, 60);
  return a * a.transpose();
}

}  // namespace

TEST_CASE("products of smooth changes follow from earlier ones") {
  const Matrix<double> K = some_gram();
  for (const Index columns : {1, 3})
    for (const double allowed : {1e-7, 1e-10, 1e-12}) {
      CAPTURE(allowed);
      const Counted counted = follow(K, falling(columns), 3000, allowed);
      CHECK(counted.products < 700);
      CHECK(counted.error <= allowed + counted.rounding);
      CHECK(follow(K, falling(columns), 30'000, allowed).products < 2 * counted.products);
    }
}

TEST_CASE("changes that do not follow from one another have products of their own") {
  const Matrix<double> K = some_gram();
  Random random(5);
  std::vector<Matrix<double>> any;
  for (int k = 0; k < 200; ++k) any.push_back(random.matrix(samples, 1));
  const Counted counted = follow(K, [&](int k) { return any[std::size_t(k)]; }, 200, 1e-10);
  CHECK(counted.products == 200);
  SmoothProducts products(samples, 1);
  for (const auto& x : any) {
    Matrix<double> y(samples, 1);
    products.next(x, {1, 0, 0}, y,
                  [&](const Matrix<double>& in, Matrix<double>& out) { out = K * in; });
    products.commit();
    CHECK(same_bits(y, Matrix<double>(K * x)));
  }
}

TEST_CASE("a jump of smooth changes is not overlooked") {
  const Matrix<double> K = some_gram();
  const Curve smooth = falling(1);
  const auto jumping = [&](int k) -> Matrix<double> {
    return smooth(k) * (k % 100 == 99 ? 1 + 1e-6 : 1);
  };
  const Counted counted = follow(K, jumping, 3000, 1e-10);
  CHECK(counted.products < 1500);
  CHECK(counted.error <= 1e-10 + counted.rounding);
}

TEST_CASE("a change that is not finite has a product of its own") {
  const Matrix<double> K = some_gram();
  const Curve smooth = falling(1);
  for (const double value :
       {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    SmoothProducts products(samples, 1);
    Matrix<double> y(samples, 1);
    const auto product = [&](const Matrix<double>& in, Matrix<double>& out) { out = K * in; };
    for (int k = 0; k < 1000; ++k) {
      products.next(smooth(k), {1, 1e-16, 1e-9}, y, product);
      products.commit();
    }
    REQUIRE_FALSE(products.next(smooth(1000), {1, 1e-16, 1e-3}, y, product));
    products.next(smooth(1001) * value, {1, 1e-16, 1e-3}, y, product);
    CHECK_FALSE(y.allFinite());
  }
}

TEST_CASE("the largest row sum of K") {
  for (const Index n : {1, 7, 40, 131}) {
    const Matrix<double> a = Random(2).matrix(n, 9);
    const RowMatrix<double> rows = a;
    const double want = (a * a.transpose()).cwiseAbs().rowwise().sum().maxCoeff();
    Stop stop(nullptr);
    Team::run(2, [&](Team& team) {
      SymmetricGram<double> gram;
      REQUIRE(gram.prepare(RowsView<double>(rows.data(), n, 9), team, stop));
      CHECK(gram.largest_row_sum() == doctest::Approx(want).epsilon(1e-13));
      SymmetricGram<float> single;
      const RowMatrix<float> narrow = rows.cast<float>();
      REQUIRE(single.prepare(RowsView<float>(narrow.data(), n, 9), team, stop));
      CHECK(single.largest_row_sum() == doctest::Approx(want).epsilon(1e-5));
    });
  }
}

TEST_CASE("a run is that of one with all products, to rounding") {
  const Problem p = make_problem({1, 7, 3, 10}, 40);
  const Plans plans = plain_plans(p, 0.05);
  int others = 0;  // runs with other bits
  for (const auto& method : methods)
    for (const auto& loss : losses) {
      if (!has_loss(method, loss)) continue;
      for_each_engine(
          loss, method,
          [&](const Case& c) {
            const Data data = p.data(c.loss);
            EngineOptions options = c.options(p.clients(), 4), every_step = options;
            if (options.local.stochastic()) return;
            every_step.local.every_step = true;
            const Matrix<double> start = p.start(c.loss);
            Simulation run(data, start, options, {}, {}, 1),
                exact(data, start, every_step, {}, {}, 1);
            REQUIRE(run.advance(1500, plans, nullptr) == Status::completed);
            REQUIRE(exact.advance(1500, plans, nullptr) == Status::completed);
            const double tolerance = c.single ? 1e-5 : 1e-11;
            CHECK(relative_error(run.engine().weights(), exact.engine().weights()) < tolerance);
            CHECK(relative_error(run.engine().margins(), p.rows * run.engine().weights()) <
                  tolerance);
            others += !same_bits(run.engine().weights(), exact.engine().weights());
          },
          {"gram"});
    }
  CHECK(others > 20);
}

TEST_CASE("a run that goes on from a saved state has the same bits") {
  const Problem p = make_problem({4, 3}, 9);
  const LossCase& loss = losses.front();
  const Data data = p.data(loss);
  EngineOptions options{"gram", "exponential", false, {}, {}};
  options.local.steps = {5, 5};
  constexpr std::int64_t last = 3000;
  Simulation whole(data, p.start(loss), options, {}, {}, 1);
  REQUIRE(whole.advance(last, plain_plans(p, 0.05), nullptr) == Status::completed);
  for (const std::int64_t half : {1, 1000, 1001, 1002, 1003, 1004, 1005, 2999}) {
    Simulation first(data, p.start(loss), options, {}, {}, 1),
        second(data, p.start(loss), options, {}, {}, 1);
    REQUIRE(first.advance(half, plain_plans(p, 0.05), nullptr) == Status::completed);
    second.engine().load(first.engine().save());
    second.resume(half, 0, 0);
    REQUIRE(second.advance(last, plain_plans(p, 0.05), nullptr) == Status::completed);
    CHECK(same_bits(second.engine().margins(), whole.engine().margins()));
  }
}
