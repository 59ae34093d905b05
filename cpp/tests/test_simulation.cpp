// Ends of a run: completed, diverged, interrupted; and what it refuses.
#include "oracle.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

Vector<double> state_after(const Case& c, const Problem& p, const Data& data, std::int64_t steps,
                           double lr, std::int64_t rounds) {
  Simulation simulation(data, p.start(c.loss), c.options(p.clients(), steps), {}, {}, 1);
  REQUIRE(simulation.advance(rounds, plain_plans(p, lr), nullptr) == Status::completed);
  return snapshot(simulation.engine());
}

// A learning rate with which a run over rows of length about 2 gets out of hand.
double too_large(const LossCase& loss) { return loss.signed_rows ? 1e4 : 50; }

}  // namespace

TEST_CASE("chosen rounds are recorded, the rest is not") {
  const Problem p = make_problem({4, 3}, 5);
  for_each_plain_case([&](const Case& c) {
    const Data data = p.data(c.loss);
    const Matrix<double> start = p.start(c.loss);
    Simulation simulation(data, start, c.options(2, 2), {0, 1, 5, 6, 100}, start, 1);
    REQUIRE(simulation.advance(10, plain_plans(p, 0.1), nullptr) == Status::completed);
    CHECK(simulation.round() == 10);
    CHECK(simulation.participations() == 20);
    const History& h = simulation.history();
    CHECK(h.round == std::vector<std::int64_t>{0, 1, 5, 6});
    CHECK(h.participations == std::vector<std::int64_t>{0, 2, 10, 12});
    CHECK(std::isnan(h.drift[0]));
    CHECK(h.drift[1] > 0);
    CHECK(h.angle[0] == doctest::Approx(0).epsilon(1e-7));
    CHECK(h.loss[3] < h.loss[0]);
    simulation.record_now();
    simulation.record_now();
    CHECK(h.round == std::vector<std::int64_t>{0, 1, 5, 6, 10});
  });
}

TEST_CASE("the recorded drift is that of the plain loops") {
  Problem p = make_problem({4, 3, 1, 5}, 8);
  const Inputs inputs(p, 4, true, 0.3);
  const auto check = [&](const MethodCase& method) {
    for (const auto& loss : losses) {
      if (!has_loss(method, loss)) continue;
      Oracle oracle(p, loss, rules(method, 4, 3));
      for (int k = 0; k < 4; ++k) oracle.round(inputs.plan(k));
      const double want = oracle.drift(inputs.plan(3).shares);
      const Data data = p.data(loss);
      for_each_engine(loss, method, [&](const Case& c) {
        Simulation simulation(data, p.start(loss), c.options(4, 3), {4}, {}, 1);
        REQUIRE(simulation.advance(4, inputs.plans(0, 4), nullptr) == Status::completed);
        CHECK(simulation.drift() == doctest::Approx(want).epsilon(c.single ? 1e-4 : 1e-11));
        CHECK(simulation.history().drift.back() == simulation.drift());
        CHECK(simulation.participations() == 4 + 3 * 3);
      });
    }
  };
  for (const auto& method : methods) check(method);
  p.free_intercept = true;
  for (const auto& method : methods)
    if (method.name.starts_with("l2")) check(method);
}

TEST_CASE("each round has its learning rate, shares and words") {
  const Problem p = make_problem({4, 3, 1, 4}, 5);
  for_each_case([&](const Case& c) {
    const Data data = p.data(c.loss);
    const EngineOptions options = c.options(4, 2);
    const Inputs inputs(p, 5, true, 0.3);
    Simulation listed(data, p.start(c.loss), options, {}, {}, 1),
        single(data, p.start(c.loss), options, {}, {}, 1);
    REQUIRE(listed.advance(2, inputs.plans(0, 2), nullptr) == Status::completed);
    REQUIRE(listed.advance(5, inputs.plans(2, 5), nullptr) == Status::completed);
    for (std::int64_t round = 0; round < 5; ++round)
      REQUIRE(single.advance(round + 1, inputs.plans(round, round + 1), nullptr) ==
              Status::completed);
    CHECK(same_bits(snapshot(listed.engine()), snapshot(single.engine())));
    CHECK(listed.participations() == 16);  // of 20
  });
}

TEST_CASE("one learning rate, and one list of shares, is for all rounds") {
  const Problem p = make_problem({4, 3}, 5);
  for_each_plain_case([&](const Case& c) {
    const Data data = p.data(c.loss);
    Simulation simulation(data, p.start(c.loss), c.options(2, 2), {}, {}, 1);
    Plans plans = plain_plans(p, 0);
    plans.lrs = {0.2, 0.2, 0.2};
    REQUIRE(simulation.advance(3, plans, nullptr) == Status::completed);
    CHECK(same_bits(snapshot(simulation.engine()), state_after(c, p, data, 2, 0.2, 3)));
  });
}

TEST_CASE("a round of listed clients has the bits of one in which all others have no share") {
  int completed = 0, wanted = 0;
  for (const auto& p :
       {make_problem({4, 3, 1, 5, 2}, 6), make_problem(std::vector<Index>(150, 2), 9)})
    for_each_case([&](const Case& c) {
      const Data data = p.data(c.loss);
      const EngineOptions options = c.options(p.clients(), 2);
      Simulation listed(data, p.start(c.loss), options, {6}, {}, 2),
          dense(data, p.start(c.loss), options, {6}, {}, 1);
      // Few clients, all, then few again: what others wrote before must be gone.
      const std::vector<std::vector<Index>> rounds{{0, 3}, {}, {1}, {1, 2}, {}, {4}};
      Plans all = plain_plans(p, 0.05);
      wanted += static_cast<int>(rounds.size());
      for (std::size_t k = 0; k < rounds.size(); ++k) {
        const auto until = static_cast<std::int64_t>(k) + 1;
        Plans some = all, list = all;
        if (!rounds[k].empty()) {
          const auto count = static_cast<Index>(rounds[k].size());
          const double share = 1.0 / static_cast<double>(count);
          list = {all.lrs, std::vector<double>(rounds[k].size(), share), rounds[k], {0, count}};
          some.shares.assign(all.shares.size(), 0);
          for (const Index i : rounds[k]) some.shares[static_cast<std::size_t>(i)] = share;
        }
        const Status status = listed.advance(until, list, nullptr);
        CHECK(dense.advance(until, some, nullptr) == status);
        if (status != Status::completed) break;
        ++completed;
      }
      CHECK(same_bits(state_of(listed.engine()), state_of(dense.engine())));
      CHECK(listed.participations() == dense.participations());
      CHECK(listed.history().drift == dense.history().drift);
      CHECK(listed.history().loss == dense.history().loss);
    });
  CHECK(completed > 0.9 * wanted);  // some of the displaced diverge
}

TEST_CASE("a round without anybody counts, and leaves model, server and drift as they are") {
  const Problem p = make_problem({4, 3, 1, 5}, 6);
  for_each_case([&](const Case& c) {
    const Data data = p.data(c.loss);
    Simulation simulation(data, p.start(c.loss), c.options(4, 2), {0, 2, 3, 4}, {}, 2);
    const double lr = 0.05;
    const Plans some{{lr, lr}, {0.5, 0.5, 1}, {0, 2, 1}, {0, 2, 3}};
    if (simulation.advance(2, some, nullptr) != Status::completed) return;
    const Matrix<double> w = simulation.weights(), a = simulation.coefficients();
    const double drift = simulation.drift();
    REQUIRE(simulation.advance(3, {{lr}, {}, {}, {0, 0}}, nullptr) == Status::completed);
    CHECK(simulation.weights() == w);
    CHECK(relative_error(simulation.coefficients(), a) < 1e-14);
    CHECK(simulation.drift() == drift);
    CHECK(simulation.history().round == std::vector<std::int64_t>{0, 2, 3});
    CHECK(simulation.history().loss[2] == simulation.history().loss[1]);
    CHECK(simulation.participations() == 3);
    // Between two rounds with somebody it makes no difference.
    Simulation together(data, p.start(c.loss), c.options(4, 2), {}, {}, 1);
    const Plans all{{lr, lr, lr}, {0.5, 0.5, 1}, {0, 2, 1}, {0, 2, 3, 3}};
    REQUIRE(together.advance(3, all, nullptr) == Status::completed);
    CHECK(same_bits(state_of(together.engine()), state_of(simulation.engine())));
  });
}

TEST_CASE("clients whose rows no model meets are named, and the state stays") {
  Problem p = make_problem({2, 3, 2}, 6);
  p.rows.row(3) = -p.rows.row(2);  // both in client 1
  const Data data = p.data(losses.front());
  for (const auto& method : methods)
    for_each_engine(losses.front(), method, [&](const Case& c) {
      const EngineOptions options = c.options(3, 1);
      if (!options.local.solve) return;
      for (const int threads : {1, 3}) {
        Simulation simulation(data, p.start(c.loss), options, {}, {}, threads);
        CHECK(simulation.engine().infeasible_client() == -1);
        const auto before = state_of(simulation.engine());
        CHECK(simulation.advance(5, plain_plans(p, 1), nullptr) == Status::infeasible);
        CHECK(simulation.engine().infeasible_client() == 1);
        CHECK(simulation.round() == 0);
        CHECK(same_bits(before, state_of(simulation.engine())));
        // Without that client the others go on.
        Plans others = plain_plans(p, 1);
        others.shares = {0.5, 0, 0.5};
        CHECK(simulation.advance(5, others, nullptr) == Status::completed);
      }
    });
}

TEST_CASE("a run that diverges keeps the state of its last whole round") {
  const Problem p = make_problem({4, 3, 1}, 5);
  const auto check = [&](const Case& c) {
    // Bounded gradients: it oscillates but stays finite.
    if (facts_of(c.loss).bounded) return;
    const Data data = p.data(c.loss);
    const double lr = too_large(c.loss);
    for (const int threads : {1, 3}) {
      Simulation simulation(data, p.start(c.loss), c.options(3, 3), {0, 1'000}, {}, threads);
      CHECK(simulation.advance(1'000, plain_plans(p, lr), nullptr) == Status::diverged);
      CHECK(simulation.round() < 1'000);
      const auto left = snapshot(simulation.engine());
      CHECK(left.allFinite());
      CHECK(same_bits(left, state_after(c, p, data, 3, lr, simulation.round())));
      CHECK(simulation.history().round.front() == 0);
      // It stays where it is when asked again, and goes on from there with a smaller step.
      const auto round = simulation.round();
      CHECK(simulation.advance(1'000, plain_plans(p, lr), nullptr) == Status::diverged);
      CHECK(simulation.round() == round);
      CHECK(same_bits(left, snapshot(simulation.engine())));
      CHECK(simulation.advance(round + 1, plain_plans(p, 1e-300), nullptr) == Status::completed);
    }
  };
  for (const auto name : {"local-gd", "l2"})
    for (const auto& loss : losses) for_each_engine(loss, method_named(name), check);
}

TEST_CASE("a start of infinite loss is reported before any round") {
  Problem p = make_problem({4, 3}, 5);
  p.starts.col(0) = -1e5 * p.rows.row(0).transpose();
  const LossCase& loss = losses.front();
  const Data data = p.data(loss);
  for_each_engine(loss, methods.front(), [&](const Case& c) {
    Simulation simulation(data, p.start(loss), c.options(2, 2), {0}, {}, 1);
    CHECK(simulation.advance(10, plain_plans(p, 0.1), nullptr) == Status::diverged);
    CHECK(simulation.round() == 0);
    CHECK(simulation.history().round.empty());
    CHECK(same_bits(simulation.engine().weights(), p.start(loss)));
  });
}

TEST_CASE("a round that takes for ever is stopped and leaves the state alone") {
  const Problem p = make_problem({6, 5, 4}, 8);
  const LossCase& loss = losses.front();  // each takes a while, and losses have no part in it
  const Data data = p.data(loss);
  for_each_engine(loss, methods.front(), [&](const Case& c) {
    for (const int threads : {1, 3}) {
      CAPTURE(threads);
      Simulation simulation(data, p.start(loss), c.options(3, std::int64_t{1} << 60), {0}, {},
                            threads);
      const auto before = snapshot(simulation.engine());
      std::int64_t asked = -1;
      const auto wanted = [&](std::int64_t round) {
        asked = round;
        return true;
      };
      CHECK(simulation.advance(3, plain_plans(p, 0.1), wanted) == Status::interrupted);
      CHECK(asked == 0);
      CHECK(simulation.round() == 0);
      CHECK(same_bits(before, snapshot(simulation.engine())));
    }
  });
}

TEST_CASE("local steps on rows that are shared out are stopped") {
  const Problem p = large_problem();
  const LossCase& loss = losses.front();
  const Data data = p.data(loss);
  for_each_engine(
      loss, methods.front(),
      [&](const Case& c) {
        for (const int threads : {1, 3}) {
          CAPTURE(threads);
          Simulation simulation(data, p.start(loss), c.options(4, std::int64_t{1} << 60), {}, {},
                                threads);
          const auto before = snapshot(simulation.engine());
          const auto always = [](std::int64_t) { return true; };
          CHECK(simulation.advance(3, plain_plans(p, 1e-9), always) == Status::interrupted);
          CHECK(simulation.round() == 0);
          CHECK(same_bits(before, snapshot(simulation.engine())));
        }
      },
      {"primal"});
}

TEST_CASE("a run stopped between rounds goes on with the same bits") {
  const Problem p = make_problem({6, 5, 4}, 8);
  const LossCase& loss = losses.front();
  const Data data = p.data(loss);
  for_each_engine(loss, methods.front(), [&](const Case& c) {
    Simulation simulation(data, p.start(loss), c.options(3, 50), {}, {}, 2);
    const auto always = [](std::int64_t) { return true; };
    REQUIRE(simulation.advance(std::int64_t{1} << 60, plain_plans(p, 0.01), always) ==
            Status::interrupted);
    const auto stopped = simulation.round();
    REQUIRE(simulation.advance(stopped + 3, plain_plans(p, 0.01), nullptr) == Status::completed);
    CHECK(same_bits(snapshot(simulation.engine()), state_after(c, p, data, 50, 0.01, stopped + 3)));
  });
}

TEST_CASE("rounds and plans that do not fit are refused") {
  const Problem p = make_problem({4, 3}, 5);
  const LossCase& loss = losses.front();
  const Data data = p.data(loss);
  Simulation simulation(data, p.start(loss), {"gram", loss.name, false, {{1, 1}, {}}, {}}, {}, {},
                        1);
  REQUIRE(simulation.advance(4, plain_plans(p, 0.1), nullptr) == Status::completed);
  CHECK_THROWS_WITH_AS(simulation.advance(3, plain_plans(p, 0.1), nullptr),
                       "until: the run is past that round", std::invalid_argument);
  Plans plans = plain_plans(p, 0.1);
  for (const auto& lrs : {std::vector<double>{}, {0.1, 0.1}, {0.1, 0.1, 0.1, 0.1}}) {
    plans.lrs = lrs;
    CHECK_THROWS_WITH_AS(simulation.advance(7, plans, nullptr),
                         "lrs: want one learning rate, or one for each round",
                         std::invalid_argument);
  }
  const auto refused = [&] {
    CHECK_THROWS_WITH_AS(
        simulation.advance(7, plans, nullptr),
        "shares: want one number for each client, or clients of each round with theirs",
        std::invalid_argument);
  };
  plans = plain_plans(p, 0.1);
  for (const std::size_t numbers : {0u, 1u, 3u, 4u, 8u}) {
    plans.shares.assign(numbers, 0.5);
    refused();
  }
  const Plans listed{{0.1}, {0.5, 0.5, 1, 1}, {0, 1, 1, 0}, {0, 2, 3, 4}};
  const auto with = [&](auto&& change) {
    plans = listed;
    change(plans);
    refused();
  };
  with([](Plans& wrong) { wrong.offsets.pop_back(); });
  with([](Plans& wrong) { wrong.offsets = {0, 3, 2, 4}; });
  with([](Plans& wrong) { wrong.offsets = {0, 5, 3, 4}; });
  with([](Plans& wrong) { wrong.offsets.front() = 1; });
  with([](Plans& wrong) { wrong.offsets.back() = 3; });
  with([](Plans& wrong) { wrong.shares.pop_back(); });
  with([](Plans& wrong) { wrong.shares[1] = 0; });
  with([](Plans& wrong) { wrong.clients = {1, 0, 1, 0}; });
  with([](Plans& wrong) { wrong.clients = {0, 0, 1, 0}; });
  with([](Plans& wrong) { wrong.clients = {0, 1, 2, 0}; });
  with([](Plans& wrong) { wrong.clients = {-1, 1, 1, 0}; });
  CHECK(simulation.round() == 4);
  CHECK(simulation.participations() == 8);
  CHECK(simulation.advance(4, {}, nullptr) == Status::completed);
}

TEST_CASE(
    "bundles of small clients keep the last whole round, and its drift, through stops and copies") {
  const Problem p = make_problem(std::vector<Index>(150, 3), 9);
  for (const auto& loss : losses) {
    if (loss.name == "softmax") continue;
    const Data data = p.data(loss);
    for (const bool single : {false, true}) {
      const Case c{loss, methods.front(), "hybrid", single};
      CAPTURE(loss.name);
      CAPTURE(single);
      const auto make = [&] {
        return std::make_unique<Simulation>(data, p.start(loss), c.options(150, 4),
                                            std::vector<std::int64_t>{}, Matrix<double>(), 2);
      };
      const Inputs inputs(p, 6, true, 0.1);
      auto whole = make(), pieces = make(), copy = make();
      REQUIRE(whole->advance(6, inputs.plans(0, 6), nullptr) == Status::completed);
      REQUIRE(pieces->advance(3, inputs.plans(0, 3), nullptr) == Status::completed);

      // A round that comes to nothing.
      const auto before = snapshot(pieces->engine());
      const double drift = pieces->drift();
      CHECK(drift > 0);
      Plans wild = inputs.plans(3, 4);
      wild.lrs = {1e300};
      if (!facts_of(loss).bounded) {
        CHECK(pieces->advance(4, wild, nullptr) == Status::diverged);
        CHECK(same_bits(snapshot(pieces->engine()), before));
        CHECK(pieces->drift() == drift);
      }

      // Another engine goes on from its state, and so does the one that was read.
      copy->engine().load(pieces->engine().save());
      CHECK(same_bits(copy->engine().coefficients(), pieces->engine().coefficients()));
      copy->resume(3, pieces->participations(), drift);
      CHECK(copy->drift() == drift);
      for (auto* next : {pieces.get(), copy.get()}) {
        REQUIRE(next->advance(6, inputs.plans(3, 6), nullptr) == Status::completed);
        CHECK(same_bits(snapshot(next->engine()), snapshot(whole->engine())));
        CHECK(next->drift() == whole->drift());
        CHECK(next->participations() == whole->participations());
      }
    }
  }
}

TEST_CASE("whether to stop is asked however short the calls are") {
  const Problem p = make_problem({2, 2}, 3);
  for_each_plain_case([&](const Case& c) {
    const Data data = p.data(c.loss);
    Simulation simulation(data, p.start(c.loss), c.options(2, 1), {}, {}, 1);
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    bool asked = false;
    for (std::int64_t k = 1; !asked && std::chrono::steady_clock::now() < until; ++k)
      simulation.advance(k, plain_plans(p, 0.1), [&](std::int64_t) { return asked = true; });
    CHECK(asked);
  });
}
