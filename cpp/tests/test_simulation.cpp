// Ends of a run: completed, diverged, interrupted; and what it refuses.
#include "problems.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

Vector<double> state_after(const Case& c, const Problem& p, const Data& data, std::int64_t local_steps,
                           double lr, std::int64_t rounds) {
  Simulation simulation(data, p.init, options(c, local_steps), {}, {}, 1);
  REQUIRE(simulation.advance(rounds, {lr}, nullptr) == Status::completed);
  return snapshot(simulation.engine());
}

// A learning rate with which a run over rows of length about 2 gets out of hand.
double too_large(const LossCase& loss) { return loss.signed_rows ? 1e4 : 50; }

}  // namespace

TEST_CASE("chosen rounds are recorded, the rest is not") {
  const Problem p = make_problem({4, 3}, 5);
  const Data data = p.data();
  for_each_case([&](const Case& c) {
    Simulation simulation(data, p.init, options(c, 2), {0, 1, 5, 6, 100}, p.init, 1);
    REQUIRE(simulation.advance(10, {0.1}, nullptr) == Status::completed);
    CHECK(simulation.round() == 10);
    const History& h = simulation.history();
    CHECK(h.round == std::vector<std::int64_t>{0, 1, 5, 6});
    CHECK(std::isnan(h.drift[0]));
    CHECK(h.drift[1] > 0);
    CHECK(h.angle[0] == doctest::Approx(0).epsilon(1e-7));
    CHECK(h.loss[3] < h.loss[0]);
    simulation.record_now();
    simulation.record_now();
    CHECK(h.round == std::vector<std::int64_t>{0, 1, 5, 6, 10});
  });
}

TEST_CASE("each round has its learning rate") {
  const Problem p = make_problem({4, 3}, 5);
  const Data data = p.data();
  for_each_case([&](const Case& c) {
    Simulation listed(data, p.init, options(c, 2), {}, {}, 1), single(data, p.init, options(c, 2), {}, {}, 1);
    REQUIRE(listed.advance(2, {0.4, 0.1}, nullptr) == Status::completed);
    REQUIRE(listed.advance(5, {0.1, 0.3, 0.2}, nullptr) == Status::completed);
    std::int64_t round = 0;
    for (const double lr : {0.4, 0.1, 0.1, 0.3, 0.2})
      REQUIRE(single.advance(++round, {lr}, nullptr) == Status::completed);
    CHECK(same_bits(snapshot(listed.engine()), snapshot(single.engine())));
    CHECK_FALSE(same_bits(snapshot(listed.engine()), state_after(c, p, data, 2, 0.4, 5)));
  });
}

TEST_CASE("a run that diverges keeps the state of its last whole round") {
  const Problem p = make_problem({4, 3, 1}, 5);
  const Data data = p.data();
  for_each_case([&](const Case& c) {
    if (c.loss.name == "logistic") return;  // bounded gradients: it oscillates but stays finite
    const double lr = too_large(c.loss);
    for (const int threads : {1, 3}) {
      Simulation simulation(data, p.init, options(c, 3), {0, 1'000}, {}, threads);
      CHECK(simulation.advance(1'000, {lr}, nullptr) == Status::diverged);
      CHECK(simulation.round() < 1'000);
      const auto left = snapshot(simulation.engine());
      CHECK(left.allFinite());
      CHECK(same_bits(left, state_after(c, p, data, 3, lr, simulation.round())));
      CHECK(simulation.history().round.front() == 0);
      // It stays where it is when asked again, and goes on from there with a smaller step.
      const auto round = simulation.round();
      CHECK(simulation.advance(1'000, {lr}, nullptr) == Status::diverged);
      CHECK(simulation.round() == round);
      CHECK(same_bits(left, snapshot(simulation.engine())));
      CHECK(simulation.advance(round + 1, {1e-300}, nullptr) == Status::completed);
    }
  });
}

TEST_CASE("a start of infinite loss is reported before any round") {
  Problem p = make_problem({4, 3}, 5);
  p.init = -1e5 * p.rows.row(0).transpose();
  const Data data = p.data();
  for (const auto& engine : engines)
    for (const bool single : {false, true}) {
      Simulation simulation(data, p.init, {engine, "exponential", single, 2}, {0}, {}, 1);
      CHECK(simulation.advance(10, {0.1}, nullptr) == Status::diverged);
      CHECK(simulation.round() == 0);
      CHECK(simulation.history().round.empty());
      CHECK(same_bits(simulation.engine().weights(), p.init));
    }
}

TEST_CASE("a round that takes for ever is stopped and leaves the state alone") {
  const Problem p = make_problem({6, 5, 4}, 8);
  const Data data = p.data();
  for_each_case([&](const Case& c) {
    if (&c.loss != &losses.front()) return;  // each takes a while, and losses have no part in it
    for (const int threads : {1, 3}) {
      CAPTURE(threads);
      Simulation simulation(data, p.init, options(c, std::int64_t{1} << 60), {0}, {}, threads);
      const auto before = snapshot(simulation.engine());
      std::int64_t asked = -1;
      const auto wanted = [&](std::int64_t round) {
        asked = round;
        return true;
      };
      CHECK(simulation.advance(3, {0.1}, wanted) == Status::interrupted);
      CHECK(asked == 0);
      CHECK(simulation.round() == 0);
      CHECK(same_bits(before, snapshot(simulation.engine())));
    }
  });
}

TEST_CASE("a run stopped between rounds goes on with the same bits") {
  const Problem p = make_problem({6, 5, 4}, 8);
  const Data data = p.data();
  for_each_case([&](const Case& c) {
    if (&c.loss != &losses.front()) return;
    Simulation simulation(data, p.init, options(c, 50), {}, {}, 2);
    const auto always = [](std::int64_t) { return true; };
    REQUIRE(simulation.advance(std::int64_t{1} << 60, {0.01}, always) == Status::interrupted);
    const auto stopped = simulation.round();
    REQUIRE(simulation.advance(stopped + 3, {0.01}, nullptr) == Status::completed);
    CHECK(same_bits(snapshot(simulation.engine()), state_after(c, p, data, 50, 0.01, stopped + 3)));
  });
}

TEST_CASE("rounds and learning rates that do not fit are refused") {
  const Problem p = make_problem({4, 3}, 5);
  const Data data = p.data();
  Simulation simulation(data, p.init, {}, {}, {}, 1);
  REQUIRE(simulation.advance(4, {0.1}, nullptr) == Status::completed);
  CHECK_THROWS_WITH_AS(simulation.advance(3, {0.1}, nullptr), "until: the run is past that round",
                       std::invalid_argument);
  for (const auto& lrs : {std::vector<double>{}, {0.1, 0.1}, {0.1, 0.1, 0.1, 0.1}})
    CHECK_THROWS_WITH_AS(simulation.advance(7, lrs, nullptr),
                         "lrs: want one learning rate, or one for each round", std::invalid_argument);
  CHECK(simulation.round() == 4);
  CHECK(simulation.advance(4, {}, nullptr) == Status::completed);
}
