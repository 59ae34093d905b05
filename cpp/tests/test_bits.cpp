// The same bits whatever the threads, the place of the arrays in memory, and the time of a restart.
#include <cstdlib>
#include <memory>

#include "problems.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

constexpr std::int64_t local_steps = 4;
constexpr int rounds = 12;

EngineOptions options(const Case& c, const Problem& p) {
  return c.options(p.clients(), local_steps);
}

// Clients sit out in turn, rates differ. Exact solves ask for fewer rows than features in a client.
Inputs inputs(const Problem& p) { return Inputs(p, rounds, true, 0.1); }

Vector<double> records(const History& h) {
  std::vector<Vector<double>> columns;
  for (const auto* column : {&h.loss, &h.margin, &h.norm, &h.angle, &h.drift, &h.grad_variance,
                             &h.grad_alignment, &h.grad_dissimilarity})
    columns.push_back(VectorView<double>(column->data(), static_cast<Index>(column->size())));
  return joined(columns);
}

Vector<double> run(const Case& c, const Problem& p, const Data& data, int threads,
                   std::int64_t until = rounds) {
  const Inputs in = inputs(p);
  Simulation simulation(data, p.start(c.loss), options(c, p), {0, 7, rounds}, p.start(c.loss),
                        threads);
  REQUIRE(simulation.advance(until, in.plans(0, until), nullptr) == Status::completed);
  return joined({snapshot(simulation.engine()), records(simulation.history())});
}

// The same rows at an address `shift` doubles past a multiple of 128 bytes.
struct Shifted {
  Shifted(const Problem& p, const LossCase& loss, Index shift)
      : room(static_cast<double*>(std::aligned_alloc(128, bytes(p))), &std::free) {
    std::copy_n(p.rows.data(), p.rows.size(), room.get() + shift);
    const auto wanted = p.targets_for(loss);
    std::copy_n(wanted.data(), wanted.size(), targets(p) + shift);
    data = std::make_unique<Data>(
        dense_rows(RowsView<double>(room.get() + shift, p.rows.rows(), p.rows.cols())),
        VectorView<double>(targets(p) + shift, wanted.size()), p.offsets, p.weights);
  }
  static std::size_t bytes(const Problem& p) {
    return (static_cast<std::size_t>(p.rows.size() + p.targets.size()) * 8 / 128 + 4) * 128;
  }
  double* targets(const Problem& p) { return room.get() + (p.rows.size() / 16 + 2) * 16; }

  std::unique_ptr<double, decltype(&std::free)> room;
  std::unique_ptr<Data> data;
};

}  // namespace

TEST_CASE("any number of threads gives the same bits") {
  const Problem p = make_problem({1, 7, 3, 20, 12, 5, 2}, 31);
  for_each_case([&](const Case& c) {
    const Data data = p.data(c.loss);
    const auto want = run(c, p, data, 1);
    CHECK(want.size() > 100);
    for (const int threads : {1, 2, 3}) {
      CAPTURE(threads);
      CHECK(same_bits(run(c, p, data, threads), want));
    }
  });
}

TEST_CASE("any number of threads gives the same bits with many clients and ranges of features") {
  const Problem p = make_problem(std::vector<Index>(150, 1), 600);
  const int repeats = has_openmp() ? 3 : 1;
  for_each_plain_case([&](const Case& c) {
    const Data data = p.data(c.loss);
    const auto want = run(c, p, data, 1);
    for (const int threads : {2, 3, 7})
      for (int repeat = 0; repeat < repeats; ++repeat) {
        CAPTURE(threads);
        CHECK(same_bits(run(c, p, data, threads), want));
      }
  });
}

TEST_CASE("any number of threads gives the same bits where the rows of a client are shared out") {
  const Problem p = large_problem();
  for_each_primal_case([&](const Case& c) {
    const Data data = p.data(c.loss);
    const auto want = run(c, p, data, 1, 2);
    for (int threads = 2; has_openmp() && threads <= 3; ++threads) {
      CAPTURE(threads);
      CHECK(same_bits(run(c, p, data, threads, 2), want));
    }
    CHECK(same_bits(run(c, p, *Shifted(p, c.loss, 3).data, 2, 2), want));
  });
}

TEST_CASE(
    "any number of threads gives the same bits where changes are summed in groups of clients") {
  const Problem p = make_problem(std::vector<Index>(2500, 1), 3);
  for (const auto& name : {"local-gd", "control"})
    for (const auto& loss : losses)
      for_each_engine(loss, method_named(name),
                      [&](const Case& c) {
                        const Data data = p.data(c.loss);
                        const auto want = run(c, p, data, 1, 2);
                        for (const int threads : {2, 3}) {
                          CAPTURE(threads);
                          CHECK(same_bits(run(c, p, data, threads, 2), want));
                        }
                      },
                      {"hybrid", "primal"});
}

TEST_CASE("the arrays' place in memory does not change the bits") {
  for (const Shape& shape :
       {Shape{{1, 7, 20, 12}, 37}, Shape{{5, 4, 1}, 530}, Shape{{9, 3, 1}, 48}}) {
    const Problem p = make_problem(shape.sizes, shape.features);
    for_each_case([&](const Case& c) {
      const auto want = run(c, p, *Shifted(p, c.loss, 0).data, 1);
      for (const Index shift : {1, 2, 5}) {
        CAPTURE(shift);
        CHECK(same_bits(run(c, p, *Shifted(p, c.loss, shift).data, 1), want));
      }
    });
  }
}

TEST_CASE("advancing in parts gives the bits of one go") {
  const Problem p = make_problem({1, 7, 3, 20}, 31);
  for_each_case([&](const Case& c) {
    const Data data = p.data(c.loss);
    const Inputs in = inputs(p);
    Simulation simulation(data, p.start(c.loss), options(c, p), {}, {}, 2);
    for (const std::int64_t until : {0, 1, 1, 7, 11, rounds})
      REQUIRE(simulation.advance(until, in.plans(simulation.round(), until), nullptr) ==
              Status::completed);
    Simulation whole(data, p.start(c.loss), options(c, p), {}, {}, 1);
    REQUIRE(whole.advance(rounds, in.plans(0, rounds), nullptr) == Status::completed);
    CHECK(same_bits(snapshot(simulation.engine()), snapshot(whole.engine())));
    CHECK(simulation.participations() == whole.participations());
  });
}

TEST_CASE("a restored run goes on with the same bits") {
  const Problem p = make_problem({1, 7, 3, 20}, 31);
  for_each_case([&](const Case& c) {
    const Data data = p.data(c.loss);
    const Inputs in = inputs(p);
    const Matrix<double> start = p.start(c.loss);
    const auto simulate = [&] {
      return Simulation(data, start, options(c, p), {0, 3, 8, rounds}, start, 2);
    };
    Simulation whole = simulate(), first = simulate(), second = simulate();
    REQUIRE(whole.advance(rounds, in.plans(0, rounds), nullptr) == Status::completed);
    REQUIRE(first.advance(8, in.plans(0, 8), nullptr) == Status::completed);
    const Arrays saved = first.engine().save();
    second.engine().load(saved);
    second.resume(first.round(), first.participations(), first.drift());
    CHECK(second.round() == 8);
    CHECK(second.drift() == first.drift());
    CHECK(same_bits(state_of(second.engine()), state_of(first.engine())));
    REQUIRE(second.advance(rounds, in.plans(8, rounds), nullptr) == Status::completed);
    CHECK(same_bits(snapshot(second.engine()), snapshot(whole.engine())));
    CHECK(second.participations() == whole.participations());
    const History &h = second.history(), &all = whole.history();
    CHECK(h.round == std::vector<std::int64_t>{rounds});  // rounds up to 8 are not due
    CHECK(h.participations.back() == all.participations.back());
    CHECK(h.loss.back() == all.loss.back());
    CHECK(h.drift.back() == all.drift.back());
    CHECK(h.grad_variance.back() == all.grad_variance.back());
  });
}
