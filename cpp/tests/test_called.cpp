// Losses and servers by functions, beside those of the core that they are copies of.
#include <doctest/doctest.h>

#include "cases.hpp"
#include "oracle.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

// A loss of the core, by calls.
struct Calls {
  LossFunctions functions;

  explicit Calls(const LossCase& loss) {
    functions.signed_rows = loss.signed_rows;
    functions.has_exact_solve = facts_of(loss).has_exact_solve;
    functions.values = {&values, &loss};
    functions.slopes = {&slopes, &loss};
  }

  static double target(const double* targets, Index j) { return targets ? targets[j] : 1.0; }
  static void values(const void* of, const double* m, const double* y, Index n, double* out) {
    const auto& loss = *static_cast<const LossCase*>(of);
    for (Index j = 0; j < n; ++j) {
      const long double u = m[j];
      out[j] = static_cast<double>(loss.value(&u, target(y, j)));
    }
  }
  static void slopes(const void* of, const double* m, const double* y, Index n, double* out) {
    const auto& loss = *static_cast<const LossCase*>(of);
    for (Index j = 0; j < n; ++j) {
      const long double u = m[j];
      out[j] = static_cast<double>(-loss.negative_derivative(&u, target(y, j), 0));
    }
  }
};

Matrix<double> weights_after(const Problem& p, const Data& data, const EngineOptions& options,
                             const Matrix<double>& start, int rounds, Outcome& outcome) {
  const Inputs inputs(p, rounds, true, 0.1);
  const auto engine = make_engine(data, start, options);
  Stop stop(nullptr);
  Team::run(2, [&](Team& team) {
    REQUIRE(engine->prepare(team, stop));
    for (int k = 0; k < rounds && outcome == Outcome::done; ++k)
      outcome = engine->round(inputs.plan(k), team, stop);
  });
  return engine->weights();
}

TEST_CASE("a loss by functions is that of the core") {
  for_each_case([](const Case& c) {
    if (c.loss.outputs > c.loss.targets() || c.engine == "side_by_side") return;
    const Problem p = make_problem({3, 1, 7, 2}, 9);
    const Data data = p.data(c.loss);
    EngineOptions options = c.options(p.clients(), 4);
    const Calls calls(c.loss);
    Outcome outcome = Outcome::done;
    const auto want = weights_after(p, data, options, p.start(c.loss), 6, outcome);
    options.loss = LossChoice(calls.functions);
    const auto got = weights_after(p, data, options, p.start(c.loss), 6, outcome);
    CHECK(outcome == Outcome::done);
    CHECK(relative_error(got, want) < (c.single ? 1e-4 : 1e-11));
  });
}

TEST_CASE("a function that fails stops the round, and the state is as before") {
  for_each_plain_case([](const Case& c) {
    if (c.loss.outputs > c.loss.targets() || c.engine == "side_by_side") return;
    const Problem p = make_problem({3, 1, 7, 2}, 9);
    const Data data = p.data(c.loss);
    EngineOptions options = c.options(p.clients(), 4);
    Calls calls(c.loss);
    calls.functions.failed = true;
    options.loss = LossChoice(calls.functions);
    Outcome outcome = Outcome::done;
    const auto weights = weights_after(p, data, options, p.start(c.loss), 1, outcome);
    CHECK(outcome == Outcome::stopped);
    CHECK(same_bits(weights, p.start(c.loss)));
  });
}

// w + 0.5 D, which stops in round `last`.
struct Half final : ServerFunction {
  double last = 1e9;
  int committed = 0;

  bool step(double k, const Matrix<double>& w, const Matrix<double>& D,
            Matrix<double>& next) override {
    next = w + 0.5 * D;
    return k < last;
  }
  void commit() override { ++committed; }
};

TEST_CASE("a server that is called makes the next model, and its state counts with it") {
  const LossCase& loss = losses.front();
  const Problem p = make_problem({3, 1, 7, 2}, 9);
  const Data data = p.data(loss);
  const Case c{loss, methods.front(), "primal", false};
  EngineOptions options = c.options(p.clients(), 4);
  options.server = {Sgd{.lr = 0.5}};
  Outcome outcome = Outcome::done;
  const auto want = weights_after(p, data, options, p.start(loss), 6, outcome);
  const auto half = std::make_shared<Half>();
  options.server = {CalledServer{half}};
  CHECK(relative_error(weights_after(p, data, options, p.start(loss), 6, outcome), want) < 1e-13);
  CHECK(outcome == Outcome::done);
  CHECK(half->committed == 6);
  half->last = 3;
  half->committed = 0;
  weights_after(p, data, options, p.start(loss), 6, outcome);
  CHECK(outcome == Outcome::stopped);
  CHECK(half->committed == 3);
  options.engine = "hybrid";
  CHECK_THROWS_AS(make_engine(data, p.start(loss), options), std::invalid_argument);
}

}  // namespace
