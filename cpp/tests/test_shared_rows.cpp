// Clients that all hold the same rows, against clients with copies of them.
#include "oracle.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

constexpr Index clients = 21, samples = 11, features = 8;
constexpr std::int64_t steps = 4, rounds = 5;

Problem one_client(Storage storage, bool weighted) {
  Problem p = stored(make_problem({samples}, features), storage);
  return weighted ? with_row_weights(p) : p;
}

Problem shared(Problem p) {
  Random random(9);
  p.sharing = clients;
  p.weights = random.vector(clients).array() + 1.1;
  p.weights /= p.weights.sum();
  return p;
}

// The same with a copy of the rows for each client.
Problem copied(const Problem& of) {
  Problem p = of;
  p.given = nullptr;
  p.sharing = 0;
  p.rows = of.rows.replicate(clients, 1);
  p.targets = of.targets.replicate(clients, 1);
  p.labels = of.labels.replicate(clients, 1);
  p.row_weights = of.row_weights.replicate(of.row_weights.size() ? clients : 0, 1);
  p.offsets.clear();
  for (Index i = 0; i <= clients; ++i) p.offsets.push_back(i * samples);
  return p;
}

const std::vector<MethodCase> batch_methods = [] {
  std::vector<MethodCase> found{
      {"client steps, batches, l2, prox",
       [](LocalRule& local, ServerRule& server) {
         set_client_steps(local);
         set_batches(local, true);
         local.l2 = 0.3;
         local.prox = 0.4;
         server = {Sgd{0.8, 0.9, true}};
       }},
      {"client steps, batches, plain mean", [](LocalRule& local, ServerRule&) {
         set_client_steps(local);
         set_batches(local, false);
         local.normalize = false;
       }}};
  for (const auto& method : methods) {
    const LocalRule local = rules(method, 3, 1).local;
    if (local.stochastic() && !local.correction) found.push_back(method);
  }
  return found;
}();

void check_same(const Problem& own, const Problem& copies, const Case& c) {
  const Data data = own.data(c.loss), apart = copies.data(c.loss);
  const Inputs inputs(own, rounds, true, 0.3);
  const auto run = [&](const Data& of, int threads) {
    Simulation simulation(of, own.start(c.loss), c.options(clients, steps), {0, 1, 3, rounds},
                          own.start(c.loss), threads);
    REQUIRE(simulation.advance(rounds, inputs.plans(0, rounds), nullptr) == Status::completed);
    return simulation;
  };
  Simulation one = run(data, 1), want = run(apart, 1);
  const double tolerance = c.single ? 2e-5 : 1e-12;
  CHECK(relative_error(one.weights(), want.weights()) < tolerance);
  const auto columns = [](const History& h) {
    std::vector<std::vector<double>> all;
    h.visit([&]<class Value>(const char* name, const std::vector<Value>& values, const Measure&) {
      const std::string is = name;
      // The clients' gradients are the same, but for the rounding of copies; angles go by its root.
      if (is != "grad_variance" && is != "angle") all.emplace_back(values.begin(), values.end());
    });
    return all;
  };
  const auto found = columns(one.history()), wanted = columns(want.history());
  for (std::size_t k = 0; k < wanted.size(); ++k)
    for (std::size_t r = 0; r < wanted[k].size(); ++r) {
      CAPTURE(k);
      CAPTURE(r);
      if (std::isnan(wanted[k][r]))
        CHECK(std::isnan(found[k][r]));
      else
        CHECK(found[k][r] == doctest::Approx(wanted[k][r]).epsilon(c.single ? 1e-4 : 1e-10));
    }
  CHECK(one.history().grad_variance.back() < 1e-20);
  Simulation two = run(data, 2);
  CHECK(same_bits(one.weights(), two.weights()));
  CHECK(one.drift() == two.drift());
  // Saved and taken up again.
  Simulation first(data, own.start(c.loss), c.options(clients, steps), {}, {}, 1),
      second(data, own.start(c.loss), c.options(clients, steps), {}, {}, 2);
  REQUIRE(first.advance(2, inputs.plans(0, 2), nullptr) == Status::completed);
  second.engine().load(first.engine().save());
  second.resume(2, first.participations(), first.drift());
  REQUIRE(second.advance(rounds, inputs.plans(2, rounds), nullptr) == Status::completed);
  CHECK(same_bits(one.weights(), second.weights()));
}

}  // namespace

TEST_CASE("clients that share their rows do as clients with copies of them") {
  for (const Storage storage : storages)
    for (const bool weighted : {false, true}) {
      CAPTURE(weighted);
      const Problem own = shared(one_client(storage, weighted)), copies = copied(own);
      for (const auto& method : batch_methods)
        for (const auto& loss : losses)
          for_each_engine(loss, method, [&](const Case& c) { check_same(own, copies, c); },
                          {"primal"});
    }
}

TEST_CASE("the intercept of shared rows that lambda leaves alone") {
  for (const Storage storage : {Storage::dense, Storage::sparse}) {
    Problem own = shared(one_client(storage, true));
    own.free_intercept = true;
    const Problem copies = copied(own);
    for (const auto& loss : losses)
      for_each_engine(loss, batch_methods.front(),
                      [&](const Case& c) { check_same(own, copies, c); }, {"primal"});
  }
}

TEST_CASE("rates over the risk on shared rows") {
  const Problem own = shared(one_client(Storage::dense, false)), copies = copied(own);
  const LossCase& loss = losses.front();
  const Case c{loss, method_named("batches with replacement"), "primal", false};
  for (const auto kind : {RateRule::Kind::risk, RateRule::Kind::polyak}) {
    EngineOptions options = c.options(clients, 3);
    options.local.rates.kind = kind;
    const Data data = own.data(loss), apart = copies.data(loss);
    Simulation one(data, own.start(loss), options, {}, {}, 2),
        want(apart, own.start(loss), options, {}, {}, 1);
    const Inputs inputs(own, rounds, true, 0.1);
    REQUIRE(one.advance(rounds, inputs.plans(0, rounds), nullptr) == Status::completed);
    REQUIRE(want.advance(rounds, inputs.plans(0, rounds), nullptr) == Status::completed);
    CHECK(relative_error(one.weights(), want.weights()) < 1e-12);
  }
}

TEST_CASE("what shared rows refuse") {
  const Problem own = shared(one_client(Storage::dense, false));
  const LossCase& loss = losses.front();
  const Data data = own.data(loss);
  const auto refused = [&](const std::string& method, const std::string& engine) {
    CHECK_THROWS_WITH_AS(
        Simulation(data, own.start(loss),
                   Case{loss, method_named(method), engine, false}.options(clients, 2), {}, {}, 1),
        "data: shared rows want engine primal, batches and no correction", std::invalid_argument);
  };
  refused("local-gd", "primal");
  refused("batches in epochs", "hybrid");
  refused("control, client steps, batches, momentum", "primal");
  Layout layout{{0, samples}, features};
  layout.sharing = clients;
  for (const auto& method : methods) {
    Rules r = rules(method, clients, 2);
    const EngineOptions options{"", loss.name, false, r.local, r.server};
    for (const auto& found : forecast(layout, 1, options, {10, 1})) {
      const bool able =
          found.engine == "primal" && r.local.stochastic() && r.local.correction == nullptr;
      CHECK(found.unable.empty() == able);
    }
  }
}
