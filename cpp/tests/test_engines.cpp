#include "oracle.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

// A^T g, what the corrections have in common in the weights; 0 without any.
Matrix<double> common_of(const Problem& p, const LastRound& last) {
  if (!last.common.size()) return Matrix<double>::Zero(p.rows.cols(), last.local_changes.cols());
  return last.common_in_weights ? last.common : p.rows.transpose() * last.common;
}

// w_{k,i} of the engine's last round: w_k + A_i^T b_i - kappa_i A^T g - shrinkage_i w_k.
Matrix<double> local_model(const Problem& p, const LastRound& last, Index i, Matrix<double> model) {
  const Index first = p.offsets[std::size_t(i)], n = p.offsets[std::size_t(i) + 1] - first;
  model += p.rows.middleRows(first, n).transpose() * last.local_changes.middleRows(first, n);
  if (last.common.size()) model -= last.kappa(i, 0) * common_of(p, last);
  if (last.shrinkage.size()) model -= last.shrinkage[i] * last.before;
  if (last.intercepts.size())
    model.bottomRows(1) = last.before.bottomRows(1) + last.intercepts.col(i).transpose();
  return model;
}

void check_last_round(const Problem& p, const Oracle& oracle, const RoundPlan& plan, Engine& engine,
                      double tolerance) {
  const LastRound& last = engine.last_round();
  const double scale = oracle.w.norm();
  Matrix<double> change = *last.change;
  if (!last.change_in_weights) change = p.rows.transpose() * *last.change;
  change -= last.mean_kappa * common_of(p, last);
  if (last.start) change += last.start_change * *last.start;
  if (last.intercepts.size()) change.bottomRows(1) = last.intercept_change.transpose();
  if (last.shrinkage.size())
    CHECK((last.before - oracle.before).norm() < tolerance * oracle.before.norm());
  CHECK((change - (oracle.w - oracle.before)).norm() < tolerance * scale);
  CHECK(same_bits(last.shares, VectorView<double>(plan.shares, p.clients())));
  for (Index i = 0; i < p.clients(); ++i) {
    CAPTURE(i);
    if (plan.shares[i] > 0)
      CHECK((local_model(p, last, i, oracle.before) - oracle.models[std::size_t(i)]).norm() <
            tolerance * scale);
    else
      CHECK(last.local_changes
                .middleRows(p.offsets[std::size_t(i)],
                            p.offsets[std::size_t(i) + 1] - p.offsets[std::size_t(i)])
                .isZero(0));
  }
}

void check_engine(const Case& c, const Problem& p, const Oracle& oracle, const Inputs& inputs,
                  std::int64_t steps, int rounds) {
  const Data data = p.data(c.loss);
  const Matrix<double> start = p.start(c.loss);
  const auto engine = make_engine(data, start, c.options(p.clients(), steps));
  Stop stop(nullptr);
  Team::run(1, [&](Team& team) {
    REQUIRE(engine->prepare(team, stop));
    CHECK(same_bits(engine->weights(), start));
    CHECK(relative_error(engine->margins(), p.rows * start) < 1e-14);
    CHECK(engine->last_round().shares.size() == 0);
    for (int k = 0; k < rounds; ++k)
      REQUIRE(engine->round(inputs.plan(k), team, stop) == Outcome::done);
  });
  const double tolerance = c.single ? 2e-5 : 2e-12;
  CHECK(relative_error(engine->weights(), oracle.w) < tolerance);
  CHECK(relative_error(engine->margins(), oracle.margins()) < tolerance);
  check_last_round(p, oracle, inputs.plan(rounds - 1), *engine, tolerance);
  const EngineOptions options = c.options(p.clients(), steps);
  if (options.server.coordinate_wise() || options.local.l2 > 0) return;
  // The coefficients describe the weights: w = w_0 + A^T a.
  const Matrix<double> described = start + p.rows.transpose() * engine->coefficients();
  CHECK(relative_error(described, engine->weights()) < (c.single ? 2e-6 : 1e-14));
}

// Every engine and number type of a method and loss against one run of the plain loops.
void check(const MethodCase& method, const LossCase& loss, const Problem& p, std::int64_t steps,
           int rounds, bool sampled, const std::vector<std::string>& of = engines) {
  CAPTURE(method.name);
  CAPTURE(loss.name);
  const Rules r = rules(method, p.clients(), steps);
  if (!has_loss(method, loss) || (r.local.solve && p.largest_client() > p.rows.cols())) return;
  const Inputs inputs(p, rounds, sampled, 0.3);
  Oracle oracle(p, loss, r);
  for (int k = 0; k < rounds; ++k) oracle.round(inputs.plan(k));
  REQUIRE(oracle.w.allFinite());
  for_each_engine(
      loss, method, [&](const Case& c) { check_engine(c, p, oracle, inputs, steps, rounds); }, of);
}

// Rounds 0 to rounds - 1 of an engine; another that is saved and loaded on the way ends the same.
template <class Make, class PlanOf>
std::unique_ptr<Engine> whole_and_resumed(Make&& make, PlanOf&& plan, int rounds, int cut) {
  auto whole = make(), first = make(), second = make();
  Stop stop(nullptr);
  Team::run(2, [&](Team& team) {
    const auto run = [&](Engine& engine, int from, int until) {
      REQUIRE(engine.prepare(team, stop));
      for (int k = from; k < until; ++k)
        REQUIRE(engine.round(plan(k), team, stop) == Outcome::done);
    };
    run(*whole, 0, rounds);
    run(*first, 0, cut);
    second->load(first->save());
    run(*second, cut, rounds);
  });
  CHECK(same_bits(snapshot(*whole), snapshot(*second)));
  return whole;
}

// One thread, and two that are saved and loaded on the way, in every engine.
void same_for_threads_and_resumed(const Problem& p, const LossCase& loss,
                                  const MethodCase& method) {
  const Inputs inputs(p, 6, true, 0.3);
  const Data data = p.data(loss);
  for_each_engine(
      loss, method,
      [&](const Case& c) {
        const auto make = [&] { return make_engine(data, p.start(loss), c.options(4, 5)); };
        const auto two = whole_and_resumed(make, [&](int k) { return inputs.plan(k); }, 6, 3);
        auto one = make();
        Stop stop(nullptr);
        Team::run(1, [&](Team& team) {
          REQUIRE(one->prepare(team, stop));
          for (int k = 0; k < 6; ++k)
            REQUIRE(one->round(inputs.plan(k), team, stop) == Outcome::done);
        });
        CHECK(same_bits(snapshot(*one), snapshot(*two)));
      },
      {"gram", "hybrid", "primal"});
}

}  // namespace

TEST_CASE("engines follow the plain loops in every shape") {
  for (const auto& shape : shapes())
    for (const std::int64_t steps : {1, 5}) {
      const Problem p = make_problem(shape.sizes, shape.features);
      CAPTURE(shape.features);
      CAPTURE(steps);
      for (const auto& loss : losses) check(methods.front(), loss, p, steps, 6, false);
    }
}

TEST_CASE("every method follows the plain loops") {
  for (const Shape& shape : {Shape{{1, 7, 3, 10}, 9}, Shape{{9, 1, 6}, 520}})
    for (const bool sampled : {false, true}) {
      const Problem p = make_problem(shape.sizes, shape.features);
      CAPTURE(shape.features);
      CAPTURE(sampled);
      for (const auto& method : methods)
        for (const auto& loss : losses) check(method, loss, p, 4, 6, sampled);
    }
}

TEST_CASE("every method follows the plain loops with weights of the rows") {
  const Problem p = with_row_weights(make_problem({1, 7, 3, 10, 40}, 9));
  for (const auto& method : methods)
    for (const auto& loss : losses)
      for (const std::int64_t steps : {4, 30})
        check(method, loss, p, steps, 4, true, {"gram", "hybrid", "primal"});
}

TEST_CASE("every method follows the plain loops however rows are stored") {
  for (const Storage storage : storages)
    for (const Shape& shape : {Shape{{1, 7, 3, 10, 40}, 9}, Shape{{9, 1, 6}, 520}}) {
      Problem p = make_problem(shape.sizes, shape.features);
      if (shape.features == 9) p = with_row_weights(p);
      p = stored(p, storage);
      CAPTURE(static_cast<int>(storage));
      CAPTURE(shape.features);
      for (const auto& method : methods)
        for (const auto& loss : losses)
          check(method, loss, p, shape.features == 9 ? 30 : 4, 4, true,
                {"gram", "hybrid", "primal"});
    }
}

TEST_CASE("sparse rows give the same bits for any number of threads, saved and loaded") {
  const Problem p = stored(make_problem({1, 7, 30, 10}, 40), Storage::sparse);
  for (const auto& method : methods)
    for (const auto& loss : losses)
      if (has_loss(method, loss) && !rules(method, 4, 5).local.solve)
        same_for_threads_and_resumed(p, loss, method);
}

TEST_CASE("lambda leaves an intercept alone in every method, engine and storage") {
  for (const Storage storage : storages)
    for (const bool weighted : {false, true}) {
      Problem p = make_problem({1, 7, 3, 10, 40}, weighted ? 9 : 41);
      if (weighted) p = with_row_weights(p);
      p = stored(p, storage);
      p.free_intercept = true;
      CAPTURE(static_cast<int>(storage));
      CAPTURE(weighted);
      for (const auto& method : methods)
        if (method.name.starts_with("l2") || method.name == "control")
          for (const auto& loss : losses)
            for (const std::int64_t steps : {1, 9})
              check(method, loss, p, steps, 4, weighted, {"gram", "hybrid", "primal"});
    }
  Problem many = make_problem(std::vector<Index>(60, 3), 5);  // bundles leave it to others
  many.free_intercept = true;
  Problem large = large_problem();
  large.free_intercept = true;
  for (const auto& loss : losses) {
    check(method_named("l2"), loss, many, 6, 3, true, {"gram", "hybrid", "primal"});
    if (loss.name == "logistic")
      check(method_named("l2, control"), loss, large, 3, 2, true, {"primal"});
  }
}

TEST_CASE("a free intercept gives the same bits for any number of threads, saved and loaded") {
  for (const Storage storage : {Storage::dense, Storage::sparse}) {
    Problem p = stored(make_problem({1, 7, 30, 10}, 40), storage);
    p.free_intercept = true;
    for (const auto& method : methods) {
      if (!method.name.starts_with("l2")) continue;
      for (const auto& loss : losses) same_for_threads_and_resumed(p, loss, method);
    }
  }
}

TEST_CASE("clients whose rows are shared out follow the plain loops") {
  const Problem p = large_problem();
  for (const auto& name :
       {"local-gd", "client steps", "prox, client steps", "control", "displacement",
        "batches in epochs", "adam", "l2", "l2, control", "l2, displacement, plain mean"})
    for (const auto& loss : losses)
      if (loss.name == "logistic" || loss.name == "softmax") {
        check(method_named(name), loss, p, 3, 2, true, {"primal"});
        check(method_named(name), loss, with_row_weights(p), 3, 2, true, {"primal"});
        check(method_named(name), loss, stored(p, Storage::single), 3, 2, true, {"primal"});
      }
}

TEST_CASE("many clients follow the plain loops") {
  const Problem p = make_problem(std::vector<Index>(2100, 2), 3);
  for (const auto& name : {"local-gd", "control", "displacement"})
    for (const auto& loss : losses)
      if (!facts_of(loss).overflows)  // it overflows on a few of so many rows
        check(method_named(name), loss, p, 3, 2, true, {"hybrid", "primal"});
}

TEST_CASE("clients that seldom take part follow the plain loops, whatever the server") {
  const Problem p = make_problem({3, 1, 2, 4, 1, 2, 3, 1, 2, 1, 5, 2}, 9);
  constexpr int rounds = 90, cut = 41;
  std::vector<Vector<double>> shares;
  for (int k = 0; k < rounds; ++k) {  // two of them; now and then all
    shares.push_back(Vector<double>::Zero(p.clients()));
    shares.back()[(7 * k + k / 5) % p.clients()] = 0.3;
    shares.back()[(5 * k + 3) % p.clients()] += 0.7;
    if (k % 30 == 25) shares.back() = p.weights;
  }
  const auto plan = [&](int k) {
    return RoundPlan{static_cast<double>(k), 0.3, shares[std::size_t(k)].data()};
  };
  const std::vector<MethodCase> servers{
      {"average", [](LocalRule&, ServerRule&) {}},
      {"anchored", [](LocalRule&, ServerRule& server) { server = {Anchored{}}; }},
      {"momentum", [](LocalRule&, ServerRule& server) { server = {Sgd{0.3, 0.7}}; }},
      {"nesterov", [](LocalRule&, ServerRule& server) { server = {Sgd{0.3, 0.7, true}}; }}};
  for (const auto& server : servers)
    for (const std::shared_ptr<Correction>& correction :
         {std::shared_ptr<Correction>(), std::shared_ptr<Correction>(new Control),
          std::shared_ptr<Correction>(new Displacement(beta)),
          std::shared_ptr<Correction>(new FedLin)}) {
      CAPTURE(server.name);
      const MethodCase method{server.name, [&](LocalRule& local, ServerRule& rule) {
                                local.correction = correction;
                                server.set(local, rule);
                              }};
      const LossCase& loss = losses[1];
      Oracle oracle(p, loss, rules(method, p.clients(), 3));
      for (int k = 0; k < rounds; ++k) oracle.round(plan(k));
      for_each_engine(loss, method, [&](const Case& c) {
        const Data data = p.data(c.loss);
        const Matrix<double> start = p.start(c.loss);
        const auto whole = whole_and_resumed(
            [&] { return make_engine(data, start, c.options(p.clients(), 3)); }, plan, rounds, cut);
        const double tolerance = c.single ? 2e-5 : 1e-12;
        CHECK(relative_error(whole->weights(), oracle.w) < tolerance);
        check_last_round(p, oracle, plan(rounds - 1), *whole, tolerance);
        const Matrix<double> described = start + p.rows.transpose() * whole->coefficients();
        CHECK(relative_error(described, whole->weights()) < (c.single ? 1e-5 : 1e-13));
      });
    }
}

TEST_CASE("an output of regression is as exact as alone, in whatever units the others are") {
  const std::vector<double> units{1, 1e5, 1e-5};
  constexpr int rounds = 6;
  const auto weights = [](const Problem& p, const Case& c, std::int64_t steps) {
    const Data data = p.data(c.loss);
    const Inputs inputs(p, rounds, true, 0.3);
    const auto engine = make_engine(data, p.start(c.loss), c.options(p.clients(), steps));
    Stop stop(nullptr);
    Team::run(2, [&](Team& team) {
      REQUIRE(engine->prepare(team, stop));
      for (int k = 0; k < rounds; ++k)
        REQUIRE(engine->round(inputs.plan(k), team, stop) == Outcome::done);
    });
    return engine->weights();
  };
  for (const auto* name : {"squared", "huber", "poisson"}) {
    const bool scales = name == std::string("squared");
    const auto is_case = [&](bool independent) {
      return *std::find_if(losses.begin(), losses.end(), [&](const LossCase& loss) {
        return loss.name == name && loss.independent == independent;
      });
    };
    const LossCase all = is_case(true), alone = is_case(false);
    for (const Index features : {9, 64})
      for (const std::int64_t steps : {6, 12, 60}) {
        Problem p = make_problem({9, 3, 130}, features);
        for (Index c = 0; c < classes; ++c) {
          p.targets.col(c) *= scales ? units[std::size_t(c)] : 1;
          p.starts.col(c) *= scales ? units[std::size_t(c)] : 1;
        }
        for_each_engine(all, methods.front(),
                        [&](const Case& c) {
                          CAPTURE(steps);
                          const Matrix<double> got = weights(p, c, steps);
                          for (Index k = 0; k < classes; ++k) {
                            Problem own = p;
                            own.targets.col(0) = p.targets.col(k);
                            own.starts.col(0) = p.starts.col(k);
                            const Case one{alone, c.method, c.engine, c.single};
                            CHECK(relative_error(got.col(k), weights(own, one, steps)) <
                                  (c.single ? 1e-5 : 1e-13));
                          }
                        },
                        {"gram", "hybrid", "primal"});
      }
  }
}

TEST_CASE("corrections written elsewhere follow the plain loops") {
  const Problem p = make_problem({1, 7, 3, 10}, 9);
  const MethodCase fedlin{"FedLin", [](LocalRule& local, ServerRule&) {
                            local.correction = std::make_shared<FedLin>();
                            set_client_steps(local);
                          }};
  const MethodCase fedsplit{"FedSplit", [](LocalRule& local, ServerRule& server) {
                              local.correction = std::make_shared<FedSplit>();
                              local.prox = 0.9;
                              server = {Sgd{2.0}};
                            }};
  for (const auto& loss : losses) {
    for (const bool sampled : {false, true}) check(fedlin, loss, p, 4, 8, sampled);
    if (!facts_of(loss).overflows) check(fedsplit, loss, p, 4, 8, false);
  }
}

TEST_CASE("a compressor with error feedback follows the plain loops") {
  Problem p = make_problem({1, 7, 3, 10, 2, 1}, 12);
  constexpr int rounds = 9, cut = 4;
  const Inputs inputs(p, rounds, true, 0.3);
  for (const auto& name : {"local-gd", "client steps", "control", "displacement", "adam", "l2",
                           "l2, control", "l2, displacement, plain mean"})
    for (const auto& loss : losses) {
      const MethodCase& method = method_named(name);
      if (!has_loss(method, loss)) continue;
      CAPTURE(name);
      CAPTURE(loss.name);
      p.free_intercept = std::string_view(name).starts_with("l2, ");
      Oracle oracle(p, loss, rules(method, p.clients(), 4));
      oracle.largest = 3;
      for (int k = 0; k < rounds; ++k) oracle.round(inputs.plan(k));
      const Data data = p.data(loss);
      const Matrix<double> start = p.start(loss);
      for_each_engine(loss, method, [&](const Case& c) {
        EngineOptions options = c.options(p.clients(), 4);
        options.uplink = [](const Data& of, Index outputs) {
          return std::make_unique<TopK>(of, outputs, 3);
        };
        const auto make = [&] { return make_engine(data, start, options); };
        if (options.engine != "hybrid" && options.engine != "primal") {
          CHECK_THROWS_AS(make(), std::invalid_argument);
          return;
        }
        const auto whole =
            whole_and_resumed(make, [&](int k) { return inputs.plan(k); }, rounds, cut);
        const double tolerance = c.single ? 2e-5 : 2e-12;
        CHECK(relative_error(whole->weights(), oracle.w) < tolerance);
        check_last_round(p, oracle, inputs.plan(rounds - 1), *whole, tolerance);
      });
    }
}

TEST_CASE("small clients side by side follow the plain loops") {
  std::vector<Index> sizes;  // the last bundle is not full
  for (Index i = 0; i < 100; ++i) sizes.push_back(i < 45 ? 9 + i % 4 : 4 + i % 3);
  const Problem p = make_problem(sizes, 11);
  const std::vector<MethodCase> with_all_rows{
      {"local-gd", [](LocalRule&, ServerRule&) {}},
      {"prox", [](LocalRule& local, ServerRule&) { local.prox = 0.7; }},
      {"server rate", [](LocalRule&, ServerRule& server) { server = {Sgd{0.8}}; }},
      {"nesterov", [](LocalRule&, ServerRule& server) { server = {Sgd{0.8, 0.9, true}}; }},
      {"l2, nesterov",
       [](LocalRule& local, ServerRule& server) {
         local.l2 = 0.4;
         server = {Sgd{0.8, 0.9, true}};
       }},
      {"l2, prox", [](LocalRule& local, ServerRule&) { local.l2 = 0.4, local.prox = 0.7; }}};
  for (const auto& method : with_all_rows)
    for (const auto& loss : losses)
      for (const bool sampled : {false, true})
        for (const std::int64_t steps : {1, 6, 18}) {
          check(method, loss, p, steps, 3, sampled, {"gram", "hybrid"});
          check(method, loss, with_row_weights(p), steps, 3, sampled, {"gram", "hybrid"});
        }
  for (const auto& loss : losses) check(method_named("adam"), loss, p, 6, 3, false, {"hybrid"});
}

TEST_CASE("bundles of one to six rows follow the plain loops") {
  for (Index most = 1; most <= 6; ++most) {
    std::vector<Index> sizes;
    for (Index i = 0; i < 100; ++i) sizes.push_back(i % 40 > 0 && most > 1 ? most - 1 : most);
    const Problem p = make_problem(sizes, 7);
    const MethodCase prox{"prox", [](LocalRule& local, ServerRule&) { local.prox = 0.7; }};
    for (const auto& method : {methods.front(), prox, method_named("l2")})
      for (const auto& loss : losses)
        for (const std::int64_t steps : {1, 7}) {
          check(method, loss, p, steps, 3, true, {"hybrid"});
          check(method, loss, with_row_weights(p), steps, 3, true, {"hybrid"});
        }
  }
}

TEST_CASE("every method follows the plain loops for many rounds") {
  const Problem p = make_problem({1, 6, 3, 4}, 12);
  for (const auto& method : methods)
    for (const auto& loss : losses) check(method, loss, p, 2, 100, true);
}

TEST_CASE("a client of weight 0 does not count") {
  Problem p = make_problem({4, 6, 5}, 8);
  p.weights << 0.25, 0, 0.75;
  for (const auto& method : methods)
    for (const auto& loss : losses) check(method, loss, p, 4, 10, false);
}

TEST_CASE("proximal terms of any size are weighed as FedNova says") {
  // From pulls that vanish beside 1 to steps that go beyond w_k.
  const std::vector<MethodCase> pulls{
      {"mu 1e-30",
       [](LocalRule& local, ServerRule&) { set_client_steps(local), local.prox = 1e-30; }},
      {"mu 1e-11",
       [](LocalRule& local, ServerRule&) { set_client_steps(local), local.prox = 1e-11; }},
      {"mu 1/eta",
       [](LocalRule& local, ServerRule&) { set_client_steps(local), local.prox = 1 / 0.3; }},
      {"mu 5", [](LocalRule& local, ServerRule&) { set_client_steps(local), local.prox = 5; }},
  };
  const Problem p = make_problem({1, 7, 3, 10}, 9);
  for (const auto& method : pulls)
    for (const auto& loss : losses) check(method, loss, p, 4, 6, true);
}

TEST_CASE("what does not fit is refused") {
  Problem p = make_problem({4, 2}, 3);
  EngineOptions good;
  good.local.steps = {1, 1};
  const auto refused = [&](const char* why, auto change, const LossCase& loss = losses.front()) {
    const Data data = p.data(loss);
    EngineOptions options = good;
    options.loss = loss.name;
    Matrix<double> init = p.start(loss);
    REQUIRE_NOTHROW(make_engine(data, init, options));
    change(options, init);
    CAPTURE(why);
    CHECK_THROWS_WITH_AS(make_engine(data, init, options), why, std::invalid_argument);
  };
  using Options = EngineOptions;
  using Model = Matrix<double>;
  const auto& softmax = losses.back();
  refused("init: want one row for each feature", [](Options&, Model& w) { w = Model::Zero(2, 1); });
  refused("init: want one row for each feature", [](Options&, Model& w) { w.resize(3, 0); });
  refused("init: want one column for each target of a row",
          [](Options&, Model& w) { w = Model::Zero(3, 2); });
  const char* steps = "steps: want one number for each client";
  refused(steps, [](Options& o, Model&) { o.local.steps = {1}; });
  refused(steps, [](Options& o, Model&) { o.local.steps = {1, 1, 1}; });
  refused("steps: want at least 1", [](Options& o, Model&) { o.local.steps = {1, 0}; });
  refused("batches: want one number for each client",
          [](Options& o, Model&) { o.local.batches = {2}; });
  const char* batches = "batches: want rows on every client, or 0 on every client";
  refused(batches, [](Options& o, Model&) { o.local.batches = {2, 0}; });
  refused(batches, [](Options& o, Model&) { o.local.batches = {0, 2}; });
  refused(batches, [](Options& o, Model&) { o.local.batches = {0, -1}; });
  refused("keys: want one for each client that draws batches",
          [](Options& o, Model&) { o.local.batches = {2, 2}; });
  refused("engine: no engine named 'dual'", [](Options& o, Model&) { o.engine = "dual"; });
  refused("loss: no loss named 'hinge'", [](Options& o, Model&) { o.loss = "hinge"; });
  refused("engine: the exact local solve needs K_ii: gram or hybrid", [](Options& o, Model&) {
    o.engine = "primal";
    o.local.solve = true;
  });
  for (const auto& engine : engines)
    for (const auto name : {"adam", "yogi", "adagrad"})
      if (engine != "primal")
        refused("server: a coordinate-wise one leaves the span: want primal",
                [&](Options& o, Model&) {
                  o.engine = engine;
                  o.server = ServerRule::named(name);
                });
  const char* labels = "targets: want classes 0 to C - 1";
  refused(labels, [](Options&, Model& w) { w = Model::Zero(3, 1); }, softmax);
  for (const double wrong : {-1.0, 3.0, std::numeric_limits<double>::quiet_NaN()}) {
    refused(labels, [&](Options&, Model&) { p.labels[4] = wrong; }, softmax);
    p.labels[4] = 0;
  }
}

TEST_CASE("several targets of a row want a loss and a start with as many outputs") {
  const Problem p = make_problem({4, 2}, 3);
  const auto several = std::find_if(losses.begin(), losses.end(),
                                    [](const LossCase& loss) { return loss.independent; });
  const Data data = p.data(*several);
  const auto refused = [&](const char* why, const std::string& loss, Index columns) {
    const EngineOptions options{"gram", loss, false, rules(methods.front(), 2, 1).local, {}};
    CHECK_THROWS_WITH_AS(make_engine(data, Matrix<double>::Zero(3, columns), options), why,
                         std::invalid_argument);
  };
  const char* one = "targets: want one of each row for this loss";
  for (const auto* loss : {"exponential", "squared_hinge", "softmax"}) refused(one, loss, classes);
  for (const Index columns : {1, 2, 4})
    refused("init: want one column for each target of a row", "squared", columns);
}

TEST_CASE("data whose parts do not fit is refused") {
  const Problem good = make_problem({4, 2}, 3);
  const auto refused = [&](auto change, const char* why) {
    Problem p = good;
    change(p);
    CHECK_THROWS_WITH_AS(p.data(losses.front()), why, std::invalid_argument);
  };
  const char* misfit = "data: rows, targets, offsets and weights do not fit";
  refused([](Problem& p) { p.targets.conservativeResize(5, 1); }, misfit);
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
