#include "problems.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

// Local-GD as mathematics.md section 1 writes it: every client's weights, one number at a time.
struct Oracle {
  const Problem& p;
  const LossCase& loss;
  std::vector<double> w;
  Vector<double> coefficients, local_changes;

  Oracle(const Problem& problem, const LossCase& loss_)
      : p(problem),
        loss(loss_),
        w(p.init.begin(), p.init.end()),
        coefficients(Vector<double>::Zero(p.rows.rows())),
        local_changes(Vector<double>::Zero(p.rows.rows())) {}

  double margin(Index j, const std::vector<double>& at) const {
    double m = 0;
    for (std::size_t f = 0; f < at.size(); ++f) m += p.rows(j, static_cast<Index>(f)) * at[f];
    return m;
  }

  std::vector<double> local(Index i, std::int64_t local_steps, double lr) {
    std::vector<double> own = w;
    const Index first = p.offsets[std::size_t(i)], end = p.offsets[std::size_t(i) + 1];
    for (Index j = first; j < end; ++j) local_changes[j] = 0;
    for (std::int64_t l = 0; l < local_steps; ++l) {
      std::vector<double> gradient(w.size(), 0.0);
      for (Index j = first; j < end; ++j) {
        const auto e = static_cast<double>(loss.negative_derivative(margin(j, own), p.targets[j])) /
                       static_cast<double>(end - first);
        local_changes[j] += lr * e;
        for (std::size_t f = 0; f < w.size(); ++f) gradient[f] -= e * p.rows(j, static_cast<Index>(f));
      }
      for (std::size_t f = 0; f < w.size(); ++f) own[f] -= lr * gradient[f];
    }
    for (Index j = first; j < end; ++j) coefficients[j] += p.weights[i] * local_changes[j];
    return own;
  }

  void round(std::int64_t local_steps, double lr) {
    std::vector<double> next(w.size(), 0.0);
    for (Index i = 0; i < p.weights.size(); ++i) {
      const auto own = local(i, local_steps, lr);
      for (std::size_t f = 0; f < w.size(); ++f) next[f] += p.weights[i] * own[f];
    }
    w = next;
  }

  Vector<double> weights() const { return VectorView<double>(w.data(), static_cast<Index>(w.size())); }
  Vector<double> margins() const {
    return Vector<double>::NullaryExpr(p.rows.rows(), [&](Index j) { return margin(j, w); });
  }
};

void check_engine(const Case& c, const Problem& p, std::int64_t local_steps, int rounds) {
  const Data data = p.data();
  const auto engine = make_engine(data, p.init, options(c, local_steps));
  Oracle oracle(p, c.loss);
  Stop stop(nullptr);
  Team::run(1, [&](Team& team) {
    REQUIRE(engine->prepare(team, stop));
    CHECK(relative_error(engine->weights(), oracle.weights()) == 0);
    CHECK(relative_error(engine->margins(), oracle.margins()) < 1e-14);
    for (int k = 0; k < rounds; ++k) {
      const double lr = 0.5 / (1 + 0.1 * k);
      REQUIRE(engine->round(lr, team, stop) == Outcome::done);
      oracle.round(local_steps, lr);
    }
  });
  const double tolerance = c.single ? 1e-5 : 1e-12;
  CHECK(relative_error(engine->weights(), oracle.weights()) < tolerance);
  CHECK(relative_error(engine->margins(), oracle.margins()) < tolerance);
  CHECK(relative_error(engine->coefficients(), oracle.coefficients) < tolerance);
  CHECK(relative_error(engine->local_changes(), oracle.local_changes) < tolerance);
  // The coefficients describe the weights: w = w_0 + A^T a.
  const Vector<double> described = p.init + p.rows.transpose() * engine->coefficients();
  CHECK(relative_error(described, engine->weights()) < (c.single ? 1e-6 : 1e-14));
}

}  // namespace

TEST_CASE("engines follow the plain loops") {
  for (const auto& shape : shapes())
    for (const std::int64_t local_steps : {1, 5}) {
      const Problem p = make_problem(shape.sizes, shape.features);
      CAPTURE(shape.features);
      CAPTURE(local_steps);
      for_each_case([&](const Case& c) { check_engine(c, p, local_steps, 12); });
    }
}

TEST_CASE("engines follow the plain loops for many rounds") {
  const Problem p = make_problem({1, 7, 3, 10}, 9);
  for_each_case([&](const Case& c) { check_engine(c, p, 3, 300); });
}

TEST_CASE("a client of weight 0 works but does not count") {
  Problem p = make_problem({4, 6, 5}, 8);
  p.weights << 0.25, 0, 0.75;
  for_each_case([&](const Case& c) { check_engine(c, p, 4, 20); });
}

TEST_CASE("what does not fit is refused") {
  Problem p = make_problem({4, 2}, 3);
  const Data data = p.data();
  EngineOptions o;
  CHECK_THROWS_WITH_AS(make_engine(data, Vector<double>::Zero(2), o),
                       "init: want one number for each feature", std::invalid_argument);
  o.local_steps = 0;
  CHECK_THROWS_WITH_AS(make_engine(data, p.init, o), "local_steps: want at least 1",
                       std::invalid_argument);
  o = {};
  o.engine = "dual";
  CHECK_THROWS_WITH_AS(make_engine(data, p.init, o), "engine: no engine named 'dual'",
                       std::invalid_argument);
  o = {};
  o.loss = "hinge";
  CHECK_THROWS_WITH_AS(make_engine(data, p.init, o), "loss: no loss named 'hinge'",
                       std::invalid_argument);
}

TEST_CASE("data whose parts do not fit is refused") {
  const Problem good = make_problem({4, 2}, 3);
  const auto refused = [&](auto change, const char* why) {
    Problem p = good;
    change(p);
    CHECK_THROWS_WITH_AS(p.data(), why, std::invalid_argument);
  };
  const char* misfit = "data: rows, targets, offsets and weights do not fit";
  refused([](Problem& p) { p.targets.conservativeResize(5); }, misfit);
  refused([](Problem& p) { p.weights.conservativeResize(1); }, misfit);
  refused([](Problem& p) { p.weights.conservativeResize(3); }, misfit);
  refused([](Problem& p) { p.offsets = {0, 4, 5}; }, misfit);
  refused([](Problem& p) { p.offsets = {1, 4, 6}; }, misfit);
  refused([](Problem& p) { p.offsets = {}; }, misfit);
  const char* empty = "data: a client without rows";
  refused([](Problem& p) { p.offsets = {0, 6, 6}; }, empty);
  refused([](Problem& p) { p.offsets = {0, 0, 6}; }, empty);
  refused(
      [](Problem& p) {  // falls on the way
        p.offsets = {0, 5, 3, 6};
        p.weights.setConstant(3, 1.0 / 3);
      },
      empty);
}
