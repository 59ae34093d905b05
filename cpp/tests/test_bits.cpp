// The same bits whatever the threads, the place of the arrays in memory, and the time of a restart.
#include <cstdlib>
#include <memory>

#include "problems.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

constexpr std::int64_t local_steps = 5;
constexpr int rounds = 20;

Vector<double> run(const Case& c, const Problem& p, const Data& data, int threads) {
  Simulation simulation(data, p.init, options(c, local_steps), {0, 7, rounds}, p.init, threads);
  REQUIRE(simulation.advance(rounds, {0.4}, nullptr) == Status::completed);
  const Vector<double> state = snapshot(simulation.engine());
  const History& h = simulation.history();
  Vector<double> all(state.size() + 15);
  all << state, VectorView<double>(h.loss.data(), 3), VectorView<double>(h.margin.data(), 3),
      VectorView<double>(h.norm.data(), 3), VectorView<double>(h.angle.data(), 3),
      VectorView<double>(h.drift.data(), 3);
  return all;
}

// The same rows at an address `shift` doubles past a multiple of 128 bytes.
struct Shifted {
  explicit Shifted(const Problem& p, Index shift)
      : room(static_cast<double*>(std::aligned_alloc(128, bytes(p))), &std::free) {
    std::copy_n(p.rows.data(), p.rows.size(), room.get() + shift);
    std::copy_n(p.targets.data(), p.targets.size(), targets(p) + shift);
    data = std::make_unique<Data>(RowsView<double>(room.get() + shift, p.rows.rows(), p.rows.cols()),
                                  VectorView<double>(targets(p) + shift, p.targets.size()), p.offsets,
                                  p.weights);
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
  for (const Shape& shape : {Shape{{1, 7, 3, 20, 12, 5, 2}, 31}, Shape{std::vector<Index>(150, 1), 600}}) {
    const Problem p = make_problem(shape.sizes, shape.features);
    const Data data = p.data();
    for_each_case([&](const Case& c) {
      const auto want = run(c, p, data, 1);
      for (const int threads : {1, 2, 3, 7})
        for (int repeat = 0; repeat < 3; ++repeat) {
          CAPTURE(threads);
          CHECK(same_bits(run(c, p, data, threads), want));
        }
    });
  }
}

TEST_CASE("the arrays' place in memory does not change the bits") {
  for (const Shape& shape : {Shape{{1, 7, 20, 12}, 37}, Shape{{5, 4, 1}, 530}}) {
    const Problem p = make_problem(shape.sizes, shape.features);
    for_each_case([&](const Case& c) {
      const auto want = run(c, p, *Shifted(p, 0).data, 1);
      for (Index shift = 1; shift < 8; ++shift) {
        CAPTURE(shift);
        CHECK(same_bits(run(c, p, *Shifted(p, shift).data, 1), want));
      }
    });
  }
}

TEST_CASE("advancing in parts gives the bits of one go") {
  const Problem p = make_problem({1, 7, 3, 20}, 31);
  const Data data = p.data();
  for_each_case([&](const Case& c) {
    Simulation simulation(data, p.init, options(c, local_steps), {}, {}, 2);
    for (const std::int64_t until : {0, 1, 1, 7, 19, 20})
      REQUIRE(simulation.advance(until, {0.4}, nullptr) == Status::completed);
    Simulation whole(data, p.init, options(c, local_steps), {}, {}, 1);
    REQUIRE(whole.advance(20, {0.4}, nullptr) == Status::completed);
    CHECK(same_bits(snapshot(simulation.engine()), snapshot(whole.engine())));
  });
}

TEST_CASE("a restored run goes on with the same bits") {
  const Problem p = make_problem({1, 7, 3, 20}, 31);
  const Data data = p.data();
  for_each_case([&](const Case& c) {
    const auto simulate = [&] {
      return Simulation(data, p.init, options(c, local_steps), {0, 3, 8, 15}, p.init, 2);
    };
    Simulation whole = simulate(), first = simulate(), second = simulate();
    REQUIRE(whole.advance(15, {0.4}, nullptr) == Status::completed);
    REQUIRE(first.advance(8, {0.4}, nullptr) == Status::completed);
    Engine& saved = first.engine();
    second.restore(first.round(), saved.coefficients(), saved.local_changes(), saved.state());
    CHECK(second.round() == 8);
    CHECK(same_bits(snapshot(second.engine()), snapshot(saved)));
    REQUIRE(second.advance(15, {0.4}, nullptr) == Status::completed);
    CHECK(same_bits(snapshot(second.engine()), snapshot(whole.engine())));
    CHECK(second.history().round == std::vector<std::int64_t>{15});  // rounds up to 8 are not due
    CHECK(second.history().loss.back() == whole.history().loss.back());
    CHECK(second.history().drift.back() == whole.history().drift.back());
  });
}
