// Runs side by side: each as by itself, whatever stands beside it; ends, and what is refused.
#include "problems.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

struct StripCase {
  const LossCase& loss;
  bool single;
  double tolerance() const { return single ? 1e-4 : 1e-11; }
  EngineOptions options(const Data& data, std::int64_t steps) const {
    EngineOptions options{"side_by_side", loss.name, single, {}, {}};
    options.local.steps.assign(static_cast<std::size_t>(data.clients()), steps);
    return options;
  }
};

template <class Body>
void for_each_strip_case(Body&& body) {
  for (const auto& loss : losses) {
    if (loss.outputs > 1) continue;
    for (const bool single : {false, true}) {
      CAPTURE(loss.name);
      CAPTURE(single);
      body(StripCase{loss, single});
    }
  }
}

// Runs that differ in all that they may: more than two strips hold of doubles.
std::vector<RunOptions> many_runs(const Problem& p, Index count) {
  const std::vector<ServerRule> servers{
      {Average{}}, {Anchored{}}, {Sgd{0.6}}, {Sgd{0.7, 0.5}}, {Sgd{0.7, 0.5, true}}};
  std::vector<RunOptions> runs;
  for (Index r = 0; r < count; ++r) {
    RunOptions run;
    run.rule = {p.starts.leftCols(1) * (0.1 * static_cast<double>(r % 4)),
                servers[static_cast<std::size_t>(r) % servers.size()], r % 3 == 2 ? 0.4 : 0};
    run.rounds = 6 + r % 3;
    run.record_rounds = {0, 1 + r % 2, run.rounds};
    if (r % 2) run.reference = p.starts.col(1);
    runs.push_back(run);
  }
  return runs;
}

double rate(Index run, std::int64_t round) {
  return 0.02 * static_cast<double>(1 + run) / (1 + 0.1 * static_cast<double>(round));
}

// Of some runs in rounds first to until - 1, with all clients.
Plans plans_of(const Problem& p, const std::vector<Index>& runs, std::int64_t first,
               std::int64_t until) {
  Plans plans{{}, {p.weights.begin(), p.weights.end()}};
  for (std::int64_t k = first; k < until; ++k)
    for (const Index r : runs) plans.lrs.push_back(rate(r, k));
  return plans;
}

std::vector<Index> numbers(Index count) {
  std::vector<Index> all;
  for (Index r = 0; r < count; ++r) all.push_back(r);
  return all;
}

Simulation alone(const Data& data, const RunOptions& run, const StripCase& c, std::int64_t steps) {
  EngineOptions options = c.options(data, steps);
  options.engine = "gram";
  return Simulation(data, {run}, options, 1);
}

void check_equal(const History& got, const History& want, double tolerance) {
  CHECK(got.round == want.round);
  CHECK(got.participations == want.participations);
  for (const auto column :
       {&History::loss, &History::margin, &History::norm, &History::angle, &History::drift,
        &History::grad_variance, &History::grad_alignment, &History::grad_dissimilarity}) {
    REQUIRE((got.*column).size() == (want.*column).size());
    for (std::size_t j = 0; j < want.round.size(); ++j) {
      const double a = (got.*column)[j], b = (want.*column)[j];
      CHECK(std::isnan(a) == std::isnan(b));
      if (!std::isnan(b)) CHECK(std::abs(a - b) <= tolerance * (1 + std::abs(b)));
    }
  }
}

Vector<double> outcome(Simulation& runs, Index run) {
  const History& h = runs.history(run);
  const auto column = [](const std::vector<double>& v) {
    return Vector<double>(VectorView<double>(v.data(), static_cast<Index>(v.size())));
  };
  return joined(
      {runs.coefficients(run).reshaped(), column(h.loss), column(h.margin), column(h.norm)});
}

}  // namespace

TEST_CASE("runs side by side are those by themselves") {
  for (const auto& shape : shapes()) {
    Problem p = make_problem(shape.sizes, shape.features);
    if (p.clients() > 2) p.weights[1] = 0;
    p.weights /= p.weights.sum();
    const auto runs = many_runs(p, 19);
    const auto all = numbers(19);
    for_each_strip_case([&](const StripCase& c) {
      const Data data = p.data(c.loss);
      for (const std::int64_t steps : {1, 4}) {
        Simulation beside(data, runs, c.options(data, steps), 1);
        REQUIRE(beside.advance(0, plans_of(p, all, 0, 1), nullptr) == Status::completed);
        REQUIRE(beside.advance(3, plans_of(p, all, 0, 3), nullptr) == Status::completed);
        REQUIRE(beside.advance(8, plans_of(p, all, 3, 8), nullptr) == Status::completed);
        CHECK(!beside.running());
        for (const Index r : all) {
          CAPTURE(r);
          const RunOptions& run = runs[static_cast<std::size_t>(r)];
          Simulation want = alone(data, run, c, steps);
          REQUIRE(want.advance(run.rounds, plans_of(p, {r}, 0, run.rounds), nullptr) ==
                  Status::completed);
          CHECK(beside.status(r) == Status::completed);
          CHECK(beside.round(r) == run.rounds);
          CHECK(beside.participations(r) == want.participations());
          CHECK(relative_error(beside.coefficients(r), want.coefficients()) <= c.tolerance());
          CHECK(relative_error(beside.weights(r), want.weights()) <= c.tolerance());
          check_equal(beside.history(r), want.history(), 10 * c.tolerance());
        }
      }
    });
  }
}

TEST_CASE("clients may sit rounds out") {
  const Problem p = make_problem({4, 9, 1, 30}, 12);
  const Inputs inputs(p, 6, true, 0.1);
  for_each_strip_case([&](const StripCase& c) {
    const Data data = p.data(c.loss);
    std::vector<RunOptions> runs = many_runs(p, 3);
    for (auto& run : runs) run.rounds = 6, run.record_rounds = {0, 3, 6};
    Simulation beside(data, runs, c.options(data, 3), 2);
    Plans plans = inputs.plans(0, 6);
    const std::vector<double> lrs = plans.lrs;
    plans.lrs.clear();
    for (const double lr : lrs) plans.lrs.insert(plans.lrs.end(), {lr, 0.5 * lr, 2 * lr});
    REQUIRE(beside.advance(6, plans, nullptr) == Status::completed);
    for (Index r = 0; r < 3; ++r) {
      Simulation want = alone(data, runs[static_cast<std::size_t>(r)], c, 3);
      plans.lrs = lrs;
      for (double& lr : plans.lrs)
        lr *= std::vector<double>{1, 0.5, 2}[static_cast<std::size_t>(r)];
      REQUIRE(want.advance(6, plans, nullptr) == Status::completed);
      CHECK(relative_error(beside.coefficients(r), want.coefficients()) <= c.tolerance());
      check_equal(beside.history(r), want.history(), 10 * c.tolerance());
    }
  });
}

TEST_CASE(
    "the bits of a model do not depend on the threads, and on its neighbours to rounding only") {
  const Problem p = make_problem({13, 1, 70, 22}, 30);
  const auto runs = many_runs(p, 37);
  for_each_strip_case([&](const StripCase& c) {
    const Data data = p.data(c.loss);
    const EngineOptions options = c.options(data, 5);
    const Plans plans = plans_of(p, numbers(37), 0, 8);
    Simulation all(data, runs, options, 1);
    REQUIRE(all.advance(8, plans, nullptr) == Status::completed);
    for (const int threads : {2, 3, 8}) {
      Simulation again(data, runs, options, threads);
      REQUIRE(again.advance(8, plans, nullptr) == Status::completed);
      for (Index r = 0; r < 37; ++r) CHECK(same_bits(outcome(all, r), outcome(again, r)));
    }
    const std::vector<Index> few{36, 3, 17};
    std::vector<RunOptions> chosen;
    for (const Index r : few) chosen.push_back(runs[static_cast<std::size_t>(r)]);
    Simulation less(data, chosen, options, 2);
    REQUIRE(less.advance(8, plans_of(p, few, 0, 8), nullptr) == Status::completed);
    for (std::size_t s = 0; s < few.size(); ++s)
      CHECK(relative_error(less.coefficients(static_cast<Index>(s)), all.coefficients(few[s])) <
            c.tolerance());
  });
}

TEST_CASE("a run that diverges is taken out, the others go on") {
  const Problem p = make_problem({4, 3, 5}, 6);
  for_each_strip_case([&](const StripCase& c) {
    const Data data = p.data(c.loss);
    const std::vector<RunOptions> runs(5, {{p.starts.leftCols(1)}, {0, 200, 400}, {}, false, 400});
    Plans plans = plain_plans(p, 0.1);
    plans.lrs.assign(5, 0.1);
    plans.lrs[1] = plans.lrs[4] = c.loss.signed_rows ? 1e30 : 50;
    if (facts_of(c.loss).bounded) plans.lrs[1] = plans.lrs[4] = c.single ? 1e38 : 1e308;
    Simulation beside(data, runs, c.options(data, 3), 2);
    REQUIRE(beside.advance(400, plans, nullptr) == Status::completed);
    for (Index r = 0; r < 5; ++r) {
      CAPTURE(r);
      const auto place = static_cast<std::size_t>(r);
      Simulation want = alone(data, runs[place], c, 3);
      const Status status = want.advance(400, plain_plans(p, plans.lrs[place]), nullptr);
      CHECK(beside.status(r) == status);
      CHECK(want.status(0) == status);
      CHECK(beside.round(r) == want.round());
      want.record_now();
      beside.record_now(r);
      beside.record_now(r);
      CHECK(beside.history(r).round == want.history().round);
      CHECK(beside.history(r).participations == want.history().participations);
      CHECK(beside.coefficients(r).allFinite());
      if (status == Status::completed)
        CHECK(relative_error(beside.coefficients(r), want.coefficients()) <= c.tolerance());
    }
    CHECK(beside.status(0) == Status::completed);
    CHECK(!beside.running());
  });
}

TEST_CASE("where all runs diverge the first one tells, and those of the last round may try again") {
  const Problem p = make_problem({4, 3, 5}, 6);
  const StripCase c{losses.front(), false};
  const Data data = p.data(c.loss);
  Simulation beside(data, std::vector<RunOptions>(2, {{p.starts.leftCols(1)}}), c.options(data, 3),
                    1);
  Plans plans = plain_plans(p, 1e30);
  plans.lrs = {0.1, 1e30, 1e30, 0.1};
  CHECK(beside.advance(2, plans, nullptr) == Status::diverged);
  CHECK(beside.round(0) == 1);
  CHECK(beside.round(1) == 0);
  plans.lrs = {0.1, 0.1};
  CHECK(beside.advance(4, plans, nullptr) == Status::completed);
  CHECK(beside.round(0) == 4);
  CHECK(beside.status(1) == Status::diverged);
  CHECK(beside.round(1) == 0);
}

TEST_CASE("a stop leaves all runs at their last whole round") {
  const Problem p = make_problem({6, 5}, 8);
  const StripCase c{losses.front(), false};
  const Data data = p.data(c.loss);
  const std::vector<RunOptions> runs(3, {{p.starts.leftCols(1)}, {0}, {}, false, 1 << 30});
  Plans plans = plain_plans(p, 0.01);
  plans.lrs.assign(3, 0.01);
  for (const int threads : {1, 2}) {
    Simulation beside(data, runs, c.options(data, 50), threads);
    REQUIRE(beside.advance(1 << 30, plans, [](std::int64_t k) { return k > 3; }) ==
            Status::interrupted);
    const std::int64_t round = beside.round();
    CHECK(round > 3);
    for (Index r = 0; r < 3; ++r) {
      CHECK(beside.status(r) == Status::running);
      CHECK(beside.round(r) == round);
    }
    // Within a round of steps that no one waits for.
    Simulation endless(data, runs, c.options(data, std::int64_t{1} << 50), threads);
    REQUIRE(endless.advance(5, plans, [](std::int64_t) { return true; }) == Status::interrupted);
    CHECK(endless.round(1) == 0);
    CHECK(endless.coefficients(1).isZero(0));
  }
}

TEST_CASE("another engine goes on from the state of runs side by side") {
  const Problem p = make_problem({13, 1, 22}, 30);
  const auto runs = many_runs(p, 11);
  std::vector<RunRule> rules;
  for (const auto& run : runs) rules.push_back(run.rule);
  for_each_strip_case([&](const StripCase& c) {
    const Data data = p.data(c.loss);
    Engine first(data, rules, c.options(data, 5)), second(data, rules, c.options(data, 5));
    const auto take = [&](Engine& engine, std::int64_t from, std::int64_t until) {
      Team::run(1, [&](Team& team) {
        Stop never(nullptr);
        REQUIRE(engine.prepare(team, never));
        for (std::int64_t k = from; k < until; ++k) {
          const Plans plans = plans_of(p, numbers(11), k, k + 1);
          RoundPlan plan{static_cast<double>(k), 0, plans.shares.data()};
          plan.lrs = plans.lrs.data();
          REQUIRE(engine.round(plan, team, never) == Outcome::done);
        }
      });
    };
    take(first, 0, 40);  // past a round at which coefficients begin again
    second.load(first.save());
    take(first, 40, 43);
    take(second, 40, 43);
    CHECK(same_bits(snapshot(first), snapshot(second)));
    CHECK(first.weights().cols() == 11);
  });
}

TEST_CASE("what runs side by side refuse") {
  const Problem p = make_problem({4, 3}, 5);
  const RunOptions good{{p.starts.leftCols(1)}, {}, {}, false, 4};
  const StripCase plain{losses.front(), false};
  const Data data = p.data(plain.loss);
  const EngineOptions options = plain.options(data, 1);
  const auto refused = [&](const EngineOptions& of, const RunOptions& run, const char* why) {
    CHECK_THROWS_WITH_AS(Simulation(data, {good, run}, of, 1), why, std::invalid_argument);
  };
  const auto with = [&](auto&& change) {
    EngineOptions other = options;
    change(other);
    return other;
  };
  const char* unfit =
      "engine: side_by_side wants one output, rows without weights, no l2, and full-batch steps "
      "without correction, as many on every client";
  refused(with([](auto& o) { o.local.steps = {1, 2}; }), good, unfit);
  refused(with([](auto& o) { o.local.solve = true; }), good, unfit);
  refused(with([](auto& o) { set_batches(o.local, false); }), good, unfit);
  refused(with([](auto& o) { set_control(o.local); }), good, unfit);
  refused(with([](auto& o) { o.local.steps = {0, 0}; }), good, "steps: want at least 1");
  refused(with([](auto& o) { o.engine = "gram"; }), good, "engine: several runs want side_by_side");
  RunOptions bad = good;
  bad.rule.init = p.starts;
  refused(options, bad, "init: want as many columns in every run");
  bad = good;
  bad.rule.server = {Adam{}};
  refused(options, bad, "server: a coordinate-wise one leaves the span: want primal");
  bad = good;
  bad.rounds = -1;
  refused(options, bad, "rounds: want at least 0");
  CHECK_THROWS_WITH_AS(Simulation(data, {}, options, 1), "runs: want at least one",
                       std::invalid_argument);
  const Data labelled = p.data(losses.back());
  CHECK_THROWS_WITH_AS(Simulation(labelled, {RunOptions{{p.starts}}},
                                  with([](auto& o) { o.loss = losses.back().name; }), 1),
                       unfit, std::invalid_argument);

  Simulation beside(data, {good, good}, options, 1);
  Plans plans = plain_plans(p, 0.1);
  const auto lrs_refused = [&](std::vector<double> lrs) {
    plans.lrs = std::move(lrs);
    CHECK_THROWS_WITH_AS(beside.advance(3, plans, nullptr),
                         "lrs: want one learning rate, or one for each round",
                         std::invalid_argument);
  };
  lrs_refused({0.1});
  lrs_refused({0.1, 0.1, 0.1});
  plans.lrs = {0.1, 0.1};
  REQUIRE(beside.advance(3, plans, nullptr) == Status::completed);
  CHECK_THROWS_WITH_AS(beside.advance(2, plans, nullptr), "until: the run is past that round",
                       std::invalid_argument);
  CHECK_THROWS_AS(beside.weights(2), std::out_of_range);
}
