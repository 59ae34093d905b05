// What engines are foreseen to cost: which phase, how many flops, and nothing of the machine.
#include "core/steps/ladder.hpp"
#include "problems.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

Layout layout(Index clients, Index rows, Index features) {
  std::vector<Index> offsets;
  for (Index i = 0; i <= clients; ++i) offsets.push_back(i * rows);
  return {offsets, features};
}

EngineOptions full_batches(Index clients, std::int64_t steps, bool every_step = false) {
  EngineOptions options;
  options.loss = "logistic";
  options.local.steps.assign(static_cast<std::size_t>(clients), steps);
  options.local.every_step = every_step;
  return options;
}
EngineOptions batches(Index clients, std::int64_t steps, Index rows) {
  EngineOptions options = full_batches(clients, steps);
  options.local.batches.assign(static_cast<std::size_t>(clients), rows);
  return options;
}

EngineForecast of(std::string_view engine, const Layout& data, const EngineOptions& options,
                  const Outlook& ahead = {1000, 1}, Index outputs = 1) {
  for (const EngineForecast& found : forecast(data, outputs, options, ahead))
    if (found.engine == engine) return found;
  throw std::logic_error("no such engine");
}

}  // namespace

TEST_CASE("phases are those of the engines' table") {
  const Layout many = layout(200, 5, 20), few = layout(4, 50, 20);
  for (const auto* engine : {"gram", "hybrid"}) {
    CAPTURE(engine);
    CHECK(of(engine, many, full_batches(200, 10)).phase == "bundled");
    CHECK(of(engine, many, full_batches(200, 1000)).phase == "stepwise");
    CHECK(of(engine, many, full_batches(200, 1000, true)).phase == "bundled");
    CHECK(of(engine, few, full_batches(4, 10)).phase == "stepwise");
    CHECK(of(engine, few, batches(4, 10, 3)).phase == "turns");
  }
  CHECK(of("primal", few, full_batches(4, 10)).phase == "streamed");
  CHECK(of("primal", few, batches(4, 10, 3)).phase == "streamed");
  CHECK(of("side_by_side", few, full_batches(4, 10)).phase == "strips");
}

TEST_CASE("phases and costs of sparse rows") {
  const auto with_entries = [](Layout rows, Index of_client) {
    for (Index i = 0; i <= rows.clients(); ++i) rows.entries_before.push_back(i * of_client);
    return rows;
  };
  const Layout dense = layout(20, 1000, 40'000), text = with_entries(dense, 74'000);
  CHECK(of("primal", text, full_batches(20, 10)).phase == "factored");
  CHECK(of("primal", text, batches(20, 10, 3)).phase == "drawn");
  CHECK(of("hybrid", text, full_batches(20, 10)).phase == "stepwise");
  CHECK(of("hybrid", with_entries(layout(200, 5, 20), 20), full_batches(200, 10)).phase ==
        "stepwise");
  const auto seconds = [](const char* engine, const Layout& rows) {
    return of(engine, rows, full_batches(20, 10)).cost.round.seconds();
  };
  CHECK(seconds("primal", text) < 0.05 * seconds("primal", dense));
  CHECK(seconds("primal", text) < seconds("hybrid", text));
  // Rows that hold as many entries as there are rows: a block is read faster than its factors.
  const Layout full = with_entries(layout(20, 100, 400), 100 * 400);
  CHECK(seconds("hybrid", full) < seconds("primal", full));
}

TEST_CASE("the phase that is foreseen is the one that an engine has") {
  const Problem p = make_problem(std::vector<Index>(200, 3), 7);
  const LossCase& loss = losses.front();
  const Data data = p.data(loss);
  for (const auto& options : {full_batches(200, 10), full_batches(200, 1000), batches(200, 10, 2)})
    for (const bool single : {false, true})
      for (const auto* engine : {"gram", "hybrid", "primal"}) {
        EngineOptions own = options;
        own.engine = engine;
        own.single = single;
        if (own.local.stochastic()) own.local.keys.resize(200);
        CHECK(Engine(data, p.start(loss), own).phase() == of(engine, data, own).phase);
      }
}

TEST_CASE("what an engine is unable to do") {
  const Layout data = layout(4, 5, 20);
  EngineOptions solve = full_batches(4, 1), adam = full_batches(4, 10);
  solve.local.solve = true;
  adam.server = ServerRule::named("adam");
  CHECK(of("gram", data, solve).phase == "solves");
  CHECK(of("gram", data, solve).unable.empty());
  CHECK(of("primal", data, solve).unable == "solve");
  CHECK(of("primal", data, solve).phase.empty());
  EngineOptions classified = solve;
  classified.loss = "softmax";
  CHECK(of("gram", data, classified, {1000, 1}, 3).unable == "outputs");
  for (const auto* engine : {"gram", "hybrid", "side_by_side"})
    CHECK(of(engine, data, adam).unable == "server");
  CHECK(of("primal", data, adam).unable.empty());
  CHECK(of("side_by_side", data, batches(4, 10, 2)).unable == "steps");
  EngineOptions longer = full_batches(4, 10);
  longer.local.steps.back() = 11;
  CHECK(of("side_by_side", data, longer).unable == "steps");
}

TEST_CASE("flops of every step are those of the products") {
  const double M = 4, n = 48, d = 20, L = 7, N = M * n;  // whole registers of any number
  const Layout data = layout(4, 48, 20);
  const EngineOptions options = full_batches(4, 7, true);
  const double steps = M * (L - 1) * 2 * n * n;  // without the product after the last
  CHECK(of("gram", data, options).cost.round.all_flops() == doctest::Approx(steps + 2 * N * N));
  CHECK(of("hybrid", data, options).cost.round.all_flops() == doctest::Approx(steps + 4 * N * d));
  CHECK(of("primal", data, options).cost.round.all_flops() == doctest::Approx(L * 4 * N * d));
  CHECK(of("gram", data, options).cost.setup.all_flops() ==
        doctest::Approx(N * N * d + 2 * M * n * n * d));
  CHECK(of("primal", data, options).cost.setup.all_flops() == 0);
  // A tenth of the clients: the server of the gram engine takes as long.
  const Outlook tenth{1000, 0.1};
  CHECK(of("gram", data, options, tenth).cost.round.all_flops() ==
        doctest::Approx(0.1 * steps + 2 * N * N));
  CHECK(of("primal", data, options, tenth).cost.round.all_flops() ==
        doctest::Approx(0.1 * L * 4 * N * d));
  // Batches of 3 of the 48 rows.
  CHECK(of("hybrid", data, batches(4, 7, 3)).cost.round.all_flops() ==
        doctest::Approx(M * L * 2 * 3 * n + 4 * N * d));
}

TEST_CASE("late rounds extrapolate their steps, and the server its products") {
  const Layout data = layout(10, 50, 600);
  const EngineOptions some = full_batches(10, 100), all = full_batches(10, 100, true);
  for (const auto* engine : {"gram", "hybrid"}) {
    CAPTURE(engine);
    const auto round = [&](const EngineOptions& options, double rounds) {
      return of(engine, data, options, {rounds, 1}).cost.round;
    };
    double before = round(some, 10).seconds();
    for (const double rounds : {1e3, 1e5, 1e9}) {
      CHECK(round(some, rounds).seconds() < before);
      before = round(some, rounds).seconds();
    }
    // After 10^9 rounds hardly any steps are left of a hundred.
    const double steps = 99 * 10 * 2 * 50 * 56.0;  // rows of seven registers
    CHECK(round(all, 1e9).all_flops() - round(some, 1e9).all_flops() > 0.95 * steps);
    CHECK(round(all, 1e9).all_flops() == round(all, 10).all_flops());
  }
  // Of sampled clients changes are not smooth: no product is left out.
  const double N = 500;
  CHECK(of("gram", data, some, {1e9, 0.5}).cost.round.all_flops() > 2 * N * N);
  CHECK(of("gram", data, some, {1e9, 1}).cost.round.all_flops() < N * N);
}

TEST_CASE("steps that are foreseen of a ladder") {
  const auto likely = [](std::int64_t L, double moves, double tolerance) {
    return Ladder::likely(L, moves, tolerance, Ladder::most(L), [](int) { return 0.0; });
  };
  CHECK(likely(100, 1, 1e-14) == 0);
  CHECK(likely(100, 1e-9, 1e-14) == Ladder::least);
  int before = Ladder::least;
  for (const double moves : {1e-3, 1e-2, 0.05, 0.1}) {
    CHECK(likely(100, moves, 1e-14) >= before);
    before = likely(100, moves, 1e-14);
  }
  CHECK(FirstSteps::likely(16, 1, 1e-16, 9) == 0);
  CHECK(FirstSteps::likely(16, 1e-9, 1e-16, 9) == Ladder::least);
  CHECK(Ladder::steps(0) == 0);
  CHECK(Ladder::steps(3) == 1 + 1 + 2);  // the first is that of all rungs
  CHECK(Ladder::longest(3) == 3);
}

TEST_CASE("levels of caches, float32 and parts") {
  Cost near, far;
  near.read(100, 1 << 14);
  far.read(100, 1 << 30);
  CHECK(near.seconds() == 0);
  CHECK(far.seconds() > 0);
  CHECK(far.all_bytes() == 100);
  const Layout data = layout(2, 2000, 500);  // 8 MB of rows each
  EngineOptions options = full_batches(2, 10, true);
  const double seconds = of("primal", data, options).cost.round.seconds();
  CHECK(of("primal", data, options).cost.parts > 2);
  CHECK(of("gram", data, options).cost.parts == 2);
  options.single = true;
  CHECK(of("primal", data, options).cost.round.seconds() < 0.8 * seconds);
  CHECK(of("gram", data, options).cost.memory == 4 * (2 * 2000.0 * 2000 + 4000.0 * 4000 / 2));
}

// The same numbers whatever this file is compiled for.
TEST_CASE("forecasts are those of every machine") {
  const Layout data = layout(200, 15, 30);
  const auto seconds = [&](std::string_view engine, const EngineOptions& options) {
    return 1e6 * of(engine, data, options, {3000, 0.5}).cost.round.seconds();
  };
  CHECK(seconds("gram", full_batches(200, 10)) == doctest::Approx(1176.4168578).epsilon(1e-9));
  CHECK(seconds("hybrid", full_batches(200, 10)) == doctest::Approx(30.0028637665).epsilon(1e-9));
  CHECK(seconds("primal", full_batches(200, 10)) == doctest::Approx(121.92714).epsilon(1e-9));
  CHECK(seconds("hybrid", batches(200, 10, 3)) == doctest::Approx(32.75094).epsilon(1e-9));
}

TEST_CASE("what is no run is refused") {
  const Layout data = layout(4, 5, 20);
  const auto refuses = [&](const EngineOptions& options, const Outlook& ahead) {
    CHECK_THROWS_AS(forecast(data, 1, options, ahead), std::invalid_argument);
  };
  refuses(full_batches(3, 10), {1000, 1});
  refuses(full_batches(4, 10), {0, 1});
  refuses(full_batches(4, 10), {1000, 0});
  refuses(full_batches(4, 10), {1000, 1.5});
  refuses(full_batches(4, 10), {std::nan(""), 1});
}
