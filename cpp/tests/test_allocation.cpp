// Rounds after the first take no memory: neither from Eigen nor from operator new.
#include <atomic>
#include <cstdlib>
#include <new>

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

void check_rounds(const Case& c, const Problem& p, int threads) {
  const Data data = p.data();
  const auto engine = make_engine(data, p.init, options(c, 4));
  Stop stop([] { return false; });
  long taken = -1;
  Outcome outcome = Outcome::stopped;
  Team::run(threads, [&](Team& team) {
    if (!engine->prepare(team, stop) || engine->round(0.1, team, stop) != Outcome::done) return;
    const NoEigenAllocation forbidden;
    const long before = allocations;
    for (int k = 0; k < 5; ++k) outcome = engine->round(0.1, team, stop);
    taken = allocations - before;
  });
  CHECK(outcome == Outcome::done);
  CHECK(taken == 0);
}

}  // namespace

TEST_CASE("the counters count") {
  const long before = allocations;
  const auto number = std::make_unique<int>(1);
  CHECK(allocations == before + 1);
  CHECK(*number == 1);
}

TEST_CASE("rounds do not allocate") {
  auto all = shapes();
  all.push_back({{3, 2}, 40'000});  // more than Eigen would put on the stack
  for (const auto& shape : all) {
    const Problem p = make_problem(shape.sizes, shape.features);
    for_each_case([&](const Case& c) {
      for (const int threads : {1, 3}) check_rounds(c, p, threads);
    });
  }
}

TEST_CASE("rounds of clients with many rows do not allocate") {
  const Problem p = make_problem({700, 1}, 6);
  for_each_case([&](const Case& c) { check_rounds(c, p, 1); });
}
