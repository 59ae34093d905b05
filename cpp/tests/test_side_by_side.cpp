// Runs side by side: each as by itself, whatever stands beside it; ends, and what is refused.
#include "core/batch/batch.hpp"
#include "problems.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

struct BatchCase {
  const LossCase& loss;
  bool single;
  double tolerance() const { return single ? 1e-4 : 1e-11; }
};

template <class Body>
void for_each_batch(Body&& body) {
  for (const auto& loss : losses) {
    if (loss.outputs > 1) continue;
    for (const bool single : {false, true}) {
      CAPTURE(loss.name);
      CAPTURE(single);
      body(BatchCase{loss, single});
    }
  }
}

// Runs that differ in all that they may: more than two strips hold of doubles.
std::vector<RunOptions> many_runs(const Problem& p, Index count) {
  const std::vector<ServerRule> servers{{ServerKind::average},
                                        {ServerKind::anchored},
                                        {ServerKind::sgd, 0.6},
                                        {ServerKind::sgd, 0.7, 0.5},
                                        {ServerKind::sgd, 0.7, 0.5, true}};
  std::vector<RunOptions> runs;
  for (Index r = 0; r < count; ++r) {
    RunOptions run;
    run.init = p.starts.leftCols(1) * (0.1 * static_cast<double>(r % 4));
    run.server = servers[static_cast<std::size_t>(r) % servers.size()];
    run.prox = r % 3 == 2 ? 0.4 : 0;
    run.rounds = 6 + r % 3;
    run.record_rounds = {0, 1 + r % 2, run.rounds};
    if (r % 2) run.reference = p.starts.col(1);
    runs.push_back(run);
  }
  return runs;
}

std::vector<std::vector<double>> rates(Index runs, std::int64_t first, std::int64_t until) {
  std::vector<std::vector<double>> all;
  for (Index r = 0; r < runs; ++r) {
    std::vector<double> own;
    for (std::int64_t k = first; k < until; ++k)
      own.push_back(0.02 * static_cast<double>(1 + r) / (1 + 0.1 * static_cast<double>(k)));
    all.push_back(own);
  }
  return all;
}

Simulation alone(const Data& data, const RunOptions& run, const BatchCase& c, std::int64_t steps) {
  EngineOptions options{"gram", c.loss.name, c.single, {}, run.server};
  options.local.steps.assign(static_cast<std::size_t>(data.clients()), steps);
  options.local.prox = run.prox;
  return Simulation(data, run.init, options, run.record_rounds, run.reference, 1);
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

Vector<double> outcome(const Batch& batch, Index run) {
  const History& h = batch.history(run);
  const auto column = [](const std::vector<double>& v) {
    return Vector<double>(VectorView<double>(v.data(), static_cast<Index>(v.size())));
  };
  return joined(
      {batch.coefficients(run).reshaped(), column(h.loss), column(h.margin), column(h.norm)});
}

}  // namespace

TEST_CASE("runs side by side are those by themselves") {
  for (const auto& shape : shapes()) {
    Problem p = make_problem(shape.sizes, shape.features);
    if (p.clients() > 2) p.weights[1] = 0;
    p.weights /= p.weights.sum();
    const auto runs = many_runs(p, 19);
    for_each_batch([&](const BatchCase& c) {
      const Data data = p.data(c.loss);
      for (const std::int64_t steps : {1, 4}) {
        Batch batch(data, {c.loss.name, c.single, steps}, runs, 1);
        const std::vector<std::vector<double>> none(19, {1.0});
        REQUIRE(batch.advance(0, none, nullptr) == Status::completed);
        REQUIRE(batch.advance(3, rates(19, 0, 3), nullptr) == Status::completed);
        REQUIRE(batch.advance(8, rates(19, 3, 8), nullptr) == Status::completed);
        CHECK(!batch.running());
        for (Index r = 0; r < 19; ++r) {
          CAPTURE(r);
          const RunOptions& run = runs[static_cast<std::size_t>(r)];
          Simulation want = alone(data, run, c, steps);
          const Plans plans{rates(19, 0, run.rounds)[static_cast<std::size_t>(r)],
                            {p.weights.begin(), p.weights.end()}};
          REQUIRE(want.advance(run.rounds, plans, nullptr) == Status::completed);
          CHECK(batch.status(r) == Status::completed);
          CHECK(batch.round(r) == run.rounds);
          CHECK(relative_error(batch.coefficients(r), want.engine().coefficients()) <=
                c.tolerance());
          CHECK(relative_error(batch.weights(r), want.engine().weights()) <= c.tolerance());
          check_equal(batch.history(r), want.history(), 10 * c.tolerance());
        }
      }
    });
  }
}

TEST_CASE(
    "the bits of a model do not depend on the threads, and on its neighbours to rounding only") {
  const Problem p = make_problem({13, 1, 70, 22}, 30);
  const auto runs = many_runs(p, 37);
  for_each_batch([&](const BatchCase& c) {
    const Data data = p.data(c.loss);
    const BatchOptions options{c.loss.name, c.single, 5};
    Batch all(data, options, runs, 1);
    REQUIRE(all.advance(8, rates(37, 0, 8), nullptr) == Status::completed);
    for (const int threads : {2, 3, 8}) {
      Batch again(data, options, runs, threads);
      REQUIRE(again.advance(8, rates(37, 0, 8), nullptr) == Status::completed);
      for (Index r = 0; r < 37; ++r) CHECK(same_bits(outcome(all, r), outcome(again, r)));
    }
    const std::vector<std::size_t> few{36, 3, 17};
    std::vector<RunOptions> chosen;
    std::vector<std::vector<double>> lrs;
    for (const auto r : few) {
      chosen.push_back(runs[r]);
      lrs.push_back(rates(37, 0, 8)[r]);
    }
    Batch less(data, options, chosen, 2);
    REQUIRE(less.advance(8, lrs, nullptr) == Status::completed);
    for (std::size_t s = 0; s < few.size(); ++s)
      CHECK(relative_error(less.coefficients(static_cast<Index>(s)),
                           all.coefficients(static_cast<Index>(few[s]))) < c.tolerance());
  });
}

TEST_CASE("a run that diverges is taken out, the others go on") {
  const Problem p = make_problem({4, 3, 5}, 6);
  for_each_batch([&](const BatchCase& c) {
    const Data data = p.data(c.loss);
    std::vector<RunOptions> runs(5);
    for (auto& run : runs) run = {p.starts.leftCols(1), {}, 0, 400, {0, 200, 400}, {}};
    std::vector<std::vector<double>> lrs(5, {0.1});
    lrs[1] = lrs[4] = {c.loss.signed_rows ? 1e30 : 50};
    if (c.loss.name == "logistic") lrs[1] = lrs[4] = {c.single ? 1e38 : 1e308};
    Batch batch(data, {c.loss.name, c.single, 3}, runs, 2);
    REQUIRE(batch.advance(400, lrs, nullptr) == Status::completed);
    for (Index r = 0; r < 5; ++r) {
      CAPTURE(r);
      Simulation want = alone(data, runs[static_cast<std::size_t>(r)], c, 3);
      const Status status =
          want.advance(400, plain_plans(p, lrs[static_cast<std::size_t>(r)][0]), nullptr);
      CHECK(batch.status(r) == status);
      CHECK(batch.round(r) == want.round());
      want.record_now();
      batch.record_now(r);
      batch.record_now(r);
      CHECK(batch.history(r).round == want.history().round);
      CHECK(batch.coefficients(r).allFinite());
      if (status == Status::completed)
        CHECK(relative_error(batch.coefficients(r), want.engine().coefficients()) <= c.tolerance());
    }
    CHECK(batch.status(0) == Status::completed);
    CHECK(!batch.running());
  });
}

TEST_CASE("a stop leaves all runs at their last whole round") {
  const Problem p = make_problem({6, 5}, 8);
  const Data data = p.data(losses.front());
  std::vector<RunOptions> runs(3);
  for (auto& run : runs) run = {p.starts.leftCols(1), {}, 0, 1 << 30, {0}, {}};
  for (const int threads : {1, 2}) {
    Batch batch(data, {"exponential", false, 50}, runs, threads);
    const std::vector<std::vector<double>> lrs(3, {0.01});
    REQUIRE(batch.advance(1 << 30, lrs, [](std::int64_t k) { return k > 3; }) ==
            Status::interrupted);
    const std::int64_t round = batch.round();
    CHECK(round > 3);
    for (Index r = 0; r < 3; ++r) {
      CHECK(batch.status(r) == Status::running);
      CHECK(batch.round(r) == round);
    }
    // Within a round of steps that no one waits for.
    Batch endless(data, {"exponential", false, std::int64_t{1} << 50}, runs, threads);
    REQUIRE(endless.advance(5, lrs, [](std::int64_t) { return true; }) == Status::interrupted);
    CHECK(endless.round(1) == 0);
    CHECK(endless.coefficients(1).isZero(0));
  }
}

TEST_CASE("what a batch refuses") {
  const Problem p = make_problem({4, 3}, 5);
  const Data data = p.data(losses.front());
  const RunOptions good{p.starts.leftCols(1), {}, 0, 4, {}, {}};
  const auto make = [&](const BatchOptions& options, const RunOptions& run) {
    return Batch(data, options, {good, run}, 1);
  };
  CHECK_THROWS_WITH_AS(make({"softmax", false, 1}, good), "loss: want one of one output",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(make({"squared", false, 0}, good), "steps: want at least 1",
                       std::invalid_argument);
  RunOptions bad = good;
  bad.init = p.starts;
  CHECK_THROWS_WITH_AS(make({}, bad), "init: want one column of one number for each feature",
                       std::invalid_argument);
  bad = good;
  bad.server.kind = ServerKind::adam;
  CHECK_THROWS_WITH_AS(make({}, bad), "server: a coordinate-wise one leaves the span of the rows",
                       std::invalid_argument);
  bad = good;
  bad.rounds = -1;
  CHECK_THROWS_WITH_AS(make({}, bad), "rounds: want at least 0", std::invalid_argument);
  Batch batch = make({}, good);
  CHECK_THROWS_WITH_AS(batch.advance(3, {{0.1}}, nullptr), "lrs: want a list for each run",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(batch.advance(3, {{0.1}, {0.1, 0.1}}, nullptr),
                       "lrs: want one learning rate, or one for each round", std::invalid_argument);
  REQUIRE(batch.advance(3, {{0.1}, {0.1}}, nullptr) == Status::completed);
  CHECK_THROWS_WITH_AS(batch.advance(2, {{0.1}, {0.1}}, nullptr),
                       "until: the runs are past that round", std::invalid_argument);
}
