// Rounds from a given state: against those of a run, and frozen ones against their formula.
#include "problems.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

constexpr std::int64_t steps = 3;

// Coefficients, velocity and controls, as map() takes them.
struct State {
  Matrix<double> coefficients, velocity, controls;

  explicit State(Engine& engine) : coefficients(engine.coefficients()) {
    for (const auto& [name, values] : engine.save()) {
      if (name == "velocity") velocity = values;
      if (name == "controls") controls = values;
    }
  }
};

// Calls body for the methods and losses that have a round map.
template <class Body>
void for_each_map(Body&& body) {
  for_each_case([&](const Case& c) {
    const EngineOptions options = c.options(1, 1);
    const bool has_map =
        !options.local.solve && !options.local.stochastic() && !(options.local.l2 > 0);
    if (c.engine == "gram" && has_map) body(c);
  });
}

double tolerance(const Case& c) { return c.single ? 1e-4 : 1e-10; }

}  // namespace

TEST_CASE("the round map continues a run, which it leaves alone") {
  const Problem p = make_problem({1, 7, 3, 10}, 9);
  for_each_map([&](const Case& c) {
    const Data data = p.data(c.loss);
    const Inputs inputs(p, 8, false, 0.3);
    Simulation run(data, p.start(c.loss), c.options(4, steps), {}, {}, 1);
    REQUIRE(run.advance(5, inputs.plans(0, 5), nullptr) == Status::completed);
    State state(run.engine());
    std::vector<Matrix<double>> changes, want;
    for (std::int64_t k = 5; k < 8; ++k) {
      REQUIRE(run.advance(k + 1, inputs.plans(k, k + 1), nullptr) == Status::completed);
      want.push_back(*run.engine().last_round().change);
    }
    const State after(run.engine());
    Simulation map(data, p.start(c.loss), c.options(4, steps), {0}, {}, 2);
    for (int repeat = 0; repeat < 2; ++repeat) {
      changes.clear();
      State at = state;
      REQUIRE(map.map(5, inputs.plans(5, 8).lrs, p.weights.data(), false, 0, at.coefficients,
                      at.velocity, at.controls, changes));
      REQUIRE(changes.size() == 3);
      for (std::size_t k = 0; k < 3; ++k) CHECK(relative_error(changes[k], want[k]) < tolerance(c));
      CHECK(at.velocity.size() == after.velocity.size());
      CHECK(at.controls.size() == after.controls.size());
      if (at.velocity.size()) CHECK(relative_error(at.velocity, after.velocity) < tolerance(c));
      if (at.controls.size()) CHECK(relative_error(at.controls, after.controls) < tolerance(c));
    }
    CHECK(map.round() == 0);
    CHECK(map.participations() == 0);
    CHECK(map.history().round.empty());
  });
}

TEST_CASE("rounds of small steps are nearly frozen") {
  const Problem p = make_problem({1, 7, 3, 10}, 9);
  for_each_map([&](const Case& c) {
    if (c.single) return;
    const Data data = p.data(c.loss);
    Simulation map(data, p.start(c.loss), c.options(4, steps), {}, {}, 1);
    const State start(map.engine());
    std::vector<Matrix<double>> changes[2];
    for (const bool frozen : {false, true}) {
      State at = start;
      REQUIRE(map.map(0, {1e-8, 1e-8}, p.weights.data(), frozen, 0, at.coefficients, at.velocity,
                      at.controls, changes[frozen]));
    }
    for (std::size_t k = 0; k < 2; ++k) CHECK(relative_error(changes[0][k], changes[1][k]) < 1e-5);
  });
}

TEST_CASE("a frozen round takes the first derivative for all steps") {
  const Problem p = make_problem({1, 7, 3, 10}, 9);
  const double lr = 0.4;
  for (const double prox : {0.0, 0.7, 4.0})
    for (const auto& loss : losses) {
      CAPTURE(loss.name);
      CAPTURE(prox);
      LocalRule local;
      local.steps = {3, 1, 5, 2};
      local.prox = prox;
      local.normalize = false;
      const Data data = p.data(loss);
      const Matrix<double> start = p.start(loss), margins = p.rows.lazyProduct(start);
      Simulation map(data, start, {"gram", loss.name, false, local, {}}, {}, {}, 1);
      std::vector<Matrix<double>> changes;
      State at(map.engine());
      REQUIRE(map.map(1e200, {lr}, p.weights.data(), true, 0, at.coefficients, at.velocity,
                      at.controls, changes));
      for (Index i = 0; i < p.clients(); ++i) {
        double tau = 0;  // sum_l (1 - eta mu)^l
        for (std::int64_t l = 0; l < local.steps[std::size_t(i)]; ++l)
          tau += std::pow(1 - lr * prox, double(l));
        for (Index j = data.begin(i); j < data.begin(i + 1); ++j) {
          std::vector<long double> u;
          for (Index c = 0; c < loss.outputs; ++c) u.push_back(margins(j, c));
          for (Index c = 0; c < loss.outputs; ++c) {
            const auto e = static_cast<double>(
                loss.negative_derivative_of(u.data(), p.targets_for(loss), j, c));
            const double want = p.weights[i] * tau * lr / double(data.size(i)) * e;
            CHECK(changes.at(0)(j, c) == doctest::Approx(want).epsilon(1e-12));
          }
        }
      }
    }
}

TEST_CASE("many local steps are extrapolated from few") {
  const Problem p = make_problem({1, 7, 3, 10}, 9);
  for_each_map([&](const Case& c) {
    if (c.single || !facts_of(c.loss).smooth) return;
    const Data data = p.data(c.loss);
    EngineOptions options = c.options(4, 300), every_step = options;
    every_step.local.every_step = true;
    const Matrix<double> start = p.start(c.loss);
    for (const double tolerance : {1e-4, 1e-8}) {
      Simulation exact(data, start, every_step, {}, {}, 1), few(data, start, options, {}, {}, 1);
      CHECK(exact.engine().ladders() == nullptr);
      State one(exact.engine()), other(few.engine());
      std::vector<Matrix<double>> want, got;
      REQUIRE(exact.map(0, {3e-5, 3e-5}, p.weights.data(), false, 0, one.coefficients, one.velocity,
                        one.controls, want));
      REQUIRE(few.map(0, {3e-5, 3e-5}, p.weights.data(), false, tolerance, other.coefficients,
                      other.velocity, other.controls, got));
      REQUIRE(few.engine().ladders());
      CHECK(few.engine().ladders()->rounds == 2);
      CHECK(few.engine().ladders()->others == 0);
      for (std::size_t k = 0; k < 2; ++k) CHECK(relative_error(got[k], want[k]) < tolerance);
      if (one.controls.size()) CHECK(relative_error(other.controls, one.controls) < tolerance);
    }
  });
}

TEST_CASE("all steps are taken of a loss whose second derivative jumps") {
  const Problem p = make_problem({7, 3}, 9);
  for_each_plain_case([&](const Case& c) {
    const Data data = p.data(c.loss);
    const auto engine = make_engine(data, p.start(c.loss), c.options(2, 300));
    if (c.engine != "primal")  // which wants more features for one
      CHECK((engine->ladders() != nullptr) ==
            (facts_of(c.loss).smooth && c.engine != "side_by_side"));
  });
}

TEST_CASE("steps that are too large for a ladder are taken one by one") {
  const Problem p = make_problem({6, 4}, 9);
  LocalRule local;
  local.steps = {100, 100};
  const Data data = p.data(losses.front());
  EngineOptions options{"gram", "exponential", false, local, {}}, every_step = options;
  every_step.local.every_step = true;
  const Matrix<double> start = p.start(losses.front());
  Simulation exact(data, start, every_step, {}, {}, 1), few(data, start, options, {}, {}, 1);
  State at(exact.engine());
  std::vector<Matrix<double>> want, got;
  REQUIRE(exact.map(0, {0.3}, p.weights.data(), false, 0, at.coefficients, at.velocity, at.controls,
                    want));
  REQUIRE(few.map(0, {0.3}, p.weights.data(), false, 1e-12, at.coefficients, at.velocity,
                  at.controls, got));
  CHECK(few.engine().ladders()->others == 1);
  CHECK(want[0] == got[0]);
}

TEST_CASE("a map that is not finite says so") {
  const Problem p = make_problem({4, 3}, 5);
  const LossCase& loss = losses.front();
  const Data data = p.data(loss);
  for_each_engine(loss, methods.front(), [&](const Case& c) {
    if (c.engine != "gram") return;
    Simulation map(data, p.start(loss), c.options(2, steps), {}, {}, 1);
    State at(map.engine());
    std::vector<Matrix<double>> changes;
    CHECK_FALSE(map.map(0, {0.1, 1e250, 0.1}, p.weights.data(), false, 0, at.coefficients,
                        at.velocity, at.controls, changes));
    CHECK(changes.size() < 3);
  });
}

TEST_CASE("a state that is recorded has the measures of the run that it is from") {
  const Problem p = make_problem({1, 7, 3, 10}, 30);
  for_each_map([&](const Case& c) {
    const Data data = p.data(c.loss);
    const Matrix<double> start = p.start(c.loss);
    constexpr std::int64_t last = 300;
    Simulation run(data, start, c.options(4, steps), {last}, start, 1);
    REQUIRE(run.advance(last, plain_plans(p, 0.05), nullptr) == Status::completed);
    const State at(run.engine());
    Simulation other(data, start, c.options(4, steps), {}, start, 2);
    const auto twice = [](const Matrix<double>& m) -> Matrix<double> { return m.replicate(1, 2); };
    const Matrix<double> a = twice(at.coefficients), v = twice(at.velocity), q = twice(at.controls);
    const auto view = [](const Matrix<double>& m) {
      return MatrixView<double>(m.data(), m.rows(), m.cols());
    };
    REQUIRE(other.record_states(17, {{last, 0.05, false}, {last, 0.05, true}}, p.weights.data(), 0,
                                view(a), view(v), view(q)));
    const History &h = other.history(), &want = run.history();
    CHECK(h.round == std::vector<std::int64_t>{17, 18});
    CHECK(h.loss.at(0) == h.loss.at(1));
    CHECK(h.grad_variance.at(0) == h.grad_variance.at(1));
    CHECK(h.loss.at(0) == doctest::Approx(want.loss.at(0)).epsilon(tolerance(c)));
    CHECK(h.norm.at(0) == doctest::Approx(want.norm.at(0)).epsilon(tolerance(c)));
    CHECK(h.angle.at(0) == doctest::Approx(want.angle.at(0)).epsilon(tolerance(c)));
    CHECK(h.grad_variance.at(0) == doctest::Approx(want.grad_variance.at(0)).epsilon(tolerance(c)));
    // From the two rounds that follow, so only about.
    CHECK(h.drift.at(0) == doctest::Approx(want.drift.at(0)).epsilon(0.02));
  });
}

TEST_CASE("states that are recorded together have the bits of any number of them") {
  const Problem p = make_problem({1, 7, 3, 10}, 30);
  for_each_map([&](const Case& c) {
    if (c.single) return;
    const Data data = p.data(c.loss);
    const Matrix<double> start = p.start(c.loss);
    Simulation run(data, start, c.options(4, steps), {}, {}, 1);
    const Index outputs = start.cols();
    constexpr Index models = 70;
    Matrix<double> a(p.rows.rows(), models * outputs), v, q;
    std::vector<StatePlan> plans;
    const State first(run.engine());
    if (first.velocity.size()) v = a;
    if (first.controls.size()) q = a;
    for (Index s = 0; s < models; ++s) {
      REQUIRE(run.advance(s + 1, plain_plans(p, 0.05), nullptr) == Status::completed);
      const State at(run.engine());
      a.middleCols(s * outputs, outputs) = at.coefficients;
      if (v.size()) v.middleCols(s * outputs, outputs) = at.velocity;
      if (q.size()) q.middleCols(s * outputs, outputs) = at.controls;
      plans.push_back({double(s + 1), 0.05, false});
    }
    const auto recorded = [&](Index count) {
      Simulation other(data, start, c.options(4, steps), {}, start, 1);
      const auto view = [&](const Matrix<double>& m) {
        return MatrixView<double>(m.data(), m.rows(), m.size() ? count * outputs : 0);
      };
      REQUIRE(other.record_states(0, {plans.begin(), plans.begin() + count}, p.weights.data(), 0,
                                  view(a), view(v), view(q)));
      return other.history();
    };
    const History all = recorded(models), few = recorded(3);
    CHECK(all.round.size() == std::size_t(models));
    for (std::size_t s = 0; s < 3; ++s) {
      CHECK(all.angle[s] == few.angle[s]);
      CHECK(all.drift[s] == few.drift[s]);
      CHECK(all.grad_alignment[s] == few.grad_alignment[s]);
    }
  });
}

TEST_CASE("engines that work in the weights are not placed") {
  const Problem p = make_problem({4, 3}, 5);
  const LossCase& loss = losses.front();
  const Data data = p.data(loss);
  for_each_engine(loss, methods.front(), [&](const Case& c) {
    if (c.engine == "gram") return;
    Simulation other(data, p.start(loss), c.options(2, steps), {}, {}, 1);
    State at(other.engine());
    std::vector<Matrix<double>> changes;
    CHECK_THROWS_WITH_AS(other.map(0, {0.1}, p.weights.data(), false, 0, at.coefficients,
                                   at.velocity, at.controls, changes),
                         "place: want engine gram", std::logic_error);
  });
}

TEST_CASE("a run with l2 has no round map") {
  const Problem p = make_problem({4, 3}, 5);
  const Case c{losses[1], method_named("l2"), "gram", false};
  const Data data = p.data(c.loss);
  Simulation simulation(data, p.start(c.loss), c.options(2, 3), {}, {}, 1);
  Matrix<double> none;
  std::vector<Matrix<double>> changes;
  CHECK_THROWS_AS(simulation.map(0, {0.1}, p.weights.data(), false, 0, Matrix<double>::Zero(7, 1),
                                 none, none, changes),
                  std::logic_error);
}
