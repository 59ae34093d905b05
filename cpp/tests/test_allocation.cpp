// Rounds after the first take no memory: neither from Eigen nor from operator new; the loop over
// local steps takes none whatever the method.
#include <atomic>
#include <cstdlib>
#include <new>
#include <optional>

#include "core/network/engine.hpp"
#include "problems.hpp"

namespace {
std::atomic<long> allocations{0};

void* allocate(std::size_t bytes) noexcept {
  ++allocations;
  return std::malloc(bytes ? bytes : 1);
}

void* allocate_or_throw(std::size_t bytes) {
  if (void* memory = allocate(bytes)) return memory;
  throw std::bad_alloc();
}
}  // namespace

// The whole binary's: what the core asks for is counted whichever file asks.
void* operator new(std::size_t bytes) { return allocate_or_throw(bytes); }
void* operator new[](std::size_t bytes) { return allocate_or_throw(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

using namespace localgd;
using namespace localgd::testing;

namespace {

// Eigen aborts the test at any allocation of its own while one of these lives.
struct NoEigenAllocation {
  NoEigenAllocation() { Eigen::internal::set_is_malloc_allowed(false); }
  ~NoEigenAllocation() { Eigen::internal::set_is_malloc_allowed(true); }
};

struct Taken {
  Outcome outcome = Outcome::stopped;
  long memory = -1;  // allocations in the rounds after the first ones
};

// forbid: Eigen aborts the test at an allocation of its own.
Taken rounds(const Case& c, const Problem& p, int threads, std::int64_t steps, bool sampled,
             bool forbid) {
  constexpr int first = 3, count = 5;
  const Data data = p.data(c.loss);
  const EngineOptions options = c.options(p.clients(), steps);
  const Inputs inputs(p, first + count, sampled, 0.1);
  const auto engine = make_engine(data, p.start(c.loss), options);
  Stop stop([] { return false; });
  Taken taken;
  Team::run(threads, [&](Team& team) {
    if (!engine->prepare(team, stop)) return;
    for (int k = 0; k < first; ++k)
      if (engine->round(inputs.plan(k), team, stop) != Outcome::done) return;
    std::optional<NoEigenAllocation> forbidden;
    if (forbid) forbidden.emplace();
    const long before = allocations;
    for (int k = first; k < first + count; ++k)
      taken.outcome = engine->round(inputs.plan(k), team, stop);
    taken.memory = allocations - before;
  });
  return taken;
}

// What a round may not take memory for. Exempt are corrections and several outputs: sums over all
// clients in the server's ranges, and matrix products whose workspace is Eigen's. They are of the
// round: the loop over local steps takes none for any method.
bool exempt(const Case& c) {
  return c.loss.outputs > 1 || c.options(1, 1).local.correction != nullptr;
}

// scratch: what a thread makes for itself at its first client, which may come in any round of those
// that share the work.
void check_rounds(const Case& c, const Problem& p, int threads, bool sampled = false,
                  long scratch = 0) {
  if (c.options(1, 1).local.solve && p.largest_client() > p.rows.cols()) return;
  const bool none = !exempt(c);
  const Taken few = rounds(c, p, threads, 2, sampled, none);
  CHECK(few.outcome == Outcome::done);
  if (none) {
    CHECK(few.memory <= scratch * (threads - 1));
  } else if (threads == 1) {  // otherwise the stack's use differs from thread to thread
    const Taken many = rounds(c, p, threads, 9, sampled, none);
    CHECK(many.outcome == Outcome::done);
    CHECK(many.memory == few.memory);
  }
}

}  // namespace

TEST_CASE("the counters count") {
  const long before = allocations;
  const auto number = std::make_unique<int>(1);
  CHECK(allocations == before + 1);
  CHECK(*number == 1);
}

TEST_CASE("rounds of Local-GD do not allocate in any shape") {
  auto all = shapes();
  all.push_back({{3, 2}, 40'000});  // more than Eigen would put on the stack
  for (const auto& shape : all) {
    const Problem p = make_problem(shape.sizes, shape.features);
    for_each_plain_case([&](const Case& c) {
      for (const int threads : {1, 3}) check_rounds(c, p, threads);
    });
  }
}

TEST_CASE("rounds and steps of every method do not allocate") {
  for (const Shape& shape : {Shape{{1, 7, 3, 20}, 31}, Shape{{9, 1, 6}, 700}}) {
    const Problem p = make_problem(shape.sizes, shape.features);
    for_each_case([&](const Case& c) {
      for (const int threads : {1, 3}) check_rounds(c, p, threads);
      check_rounds(c, p, 1, true);
    });
  }
}

TEST_CASE("rounds and steps on sparse rows do not allocate") {
  const Problem p = stored(make_problem({1, 7, 3, 20}, 60), Storage::sparse);
  for (const auto& method : methods)
    for (const auto& loss : losses)
      for_each_engine(loss, method,
                      [&](const Case& c) {
                        for (const int threads : {1, 3}) check_rounds(c, p, threads, false, 1);
                        check_rounds(c, p, 1, true);
                      },
                      {"hybrid", "primal"});
}

TEST_CASE("rounds of clients whose rows are shared out do not allocate") {
  const Problem p = large_problem();
  for (const auto& name : {"local-gd", "control"})
    for_each_engine(losses.front(), method_named(name),
                    [&](const Case& c) {
                      for (const int threads : {1, 3}) check_rounds(c, p, threads);
                      check_rounds(c, p, 1, true);
                    },
                    {"primal"});
}

TEST_CASE("rounds of many clients do not allocate") {
  const Problem p = make_problem(std::vector<Index>(2500, 1), 3);
  for_each_engine(losses.front(), methods.front(),
                  [&](const Case& c) {
                    for (const int threads : {1, 3}) check_rounds(c, p, threads, true);
                  },
                  {"hybrid", "primal"});
}

TEST_CASE("rounds of clients with many rows do not allocate") {
  const Problem p = make_problem({700, 1}, 6);
  for_each_plain_case([&](const Case& c) { check_rounds(c, p, 1); });
}

TEST_CASE("rounds of networks do not allocate") {
  constexpr int first = 3, count = 4;
  Problem p = make_problem({1, 7, 3, 40}, 9);
  const Inputs in(p, first + count, true, 0.02);
  for (const auto& method : methods) {
    if (rules(method, 1, 1).local.solve) continue;
    p.free_intercept = method.name.starts_with("l2");
    for (const bool single : {false, true})
      for (const int threads : {1, 3}) {
        CAPTURE(method.name);
        const Data data = p.data(losses.back());
        Rules r = rules(method, p.clients(), 5);
        Network network;
        network.hidden = 70;
        network.outputs = classes;
        Random random(1);
        const RunRule run{random.matrix(network.parameters(9), 1), r.server, r.local.prox,
                          r.local.l2};
        const auto engine =
            make_network_engine(data, run, {network, losses.back().name, single, r.local});
        Stop stop([] { return false; });
        Team::run(threads, [&](Team& team) {
          REQUIRE(engine->prepare(team, stop));
          for (int k = 0; k < first; ++k)
            REQUIRE(engine->round(in.plan(k), team, stop) == Outcome::done);
          const NoEigenAllocation forbidden;
          const long before = allocations;
          for (int k = first; k < first + count; ++k) engine->round(in.plan(k), team, stop);
          CHECK(allocations == before);
        });
      }
  }
}
