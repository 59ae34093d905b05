#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "core/team.hpp"

using namespace localgd;

namespace {

// Hands out the items of one phase and counts how often each was done, and by a thread of the team.
void check_phase(Team& team, const Work& work) {
  std::vector<std::atomic<int>> count(static_cast<std::size_t>(work.items()));
  std::atomic<bool> strangers{false};
  team.for_each(work, [&](Index item, int thread) {
    count[static_cast<std::size_t>(item)].fetch_add(1, std::memory_order_relaxed);
    if (thread < 0 || thread >= team.threads()) strangers = true;
  });
  bool once = true;
  for (const auto& c : count) once = once && c.load(std::memory_order_relaxed) == 1;
  REQUIRE(once);
  REQUIRE_FALSE(strangers);
}

Work equal_work(std::size_t items) { return Work(std::vector<double>(items, 1.0)); }

void busy(int turns) {
  std::atomic<int> t{0};
  while (t.fetch_add(1, std::memory_order_relaxed) < turns) {
  }
}

}  // namespace

TEST_CASE("work hands out the most expensive items first") {
  const Work work({2, 5, 1, 5, 3});
  CHECK(work.order == std::vector<Index>{1, 3, 4, 0, 2});
  CHECK(work.total == 16);
  CHECK(work.largest == 5);
  CHECK(work.items() == 5);
  const Work none{std::vector<double>{}};
  CHECK(none.items() == 0);
  CHECK(none.largest == 0);
}

TEST_CASE("even work forgets what it was before") {
  Work work({2, 5, 1});
  for (const Index items : {4, 4, 0, 7, 3}) {
    const double cost = static_cast<double>(items);
    work.even(items, cost);
    CHECK(work.items() == items);
    CHECK(work.order == equal_work(static_cast<std::size_t>(items)).order);
    CHECK(work.chunks == equal_work(static_cast<std::size_t>(items)).chunks);
    CHECK(work.largest == cost);
    CHECK(work.total == cost * cost);
    Team::run(3, [&](Team& team) { check_phase(team, work); });
  }
}

TEST_CASE("many cheap items are handed out in chunks, expensive ones alone") {
  CHECK(equal_work(0).tickets() == 0);
  CHECK(equal_work(1000).tickets() == 1000);
  const Work many = equal_work(100'000);  // 97.6 a chunk
  CHECK(many.tickets() == 1031);
  CHECK(many.chunks.back() == many.items());
  std::vector<double> costs(100'000, 1.0);
  costs[7] = 1e5;  // a chunk may cost 195
  const Work uneven(costs);
  CHECK(uneven.order.front() == 7);
  CHECK(uneven.chunks[1] == 1);
  CHECK(uneven.chunks[2] == 196);
  Work some;
  some.select(many, [](Index item) { return item < 50'000; });
  CHECK(some.items() == 50'000);
  CHECK(some.tickets() == 1042);  // 48 a chunk
}

TEST_CASE("a thread takes every other chunk, and on the way back those that it had last") {
  for (const int items : {1, 2, 5, 6}) {
    const Work forth = equal_work(static_cast<std::size_t>(items)), back = forth.backwards();
    const auto from_front = [](const Work& work) {  // of two threads
      std::vector<Index> all;
      for (Index position = 0; 2 * position < work.tickets(); ++position)
        all.push_back(work.order[std::size_t(work.queue[std::size_t(position)])]);
      return all;
    };
    std::vector<Index> there = from_front(forth), again = from_front(back);
    for (std::size_t k = 0; k < there.size(); ++k) CHECK(there[k] == Index(2 * k));
    std::reverse(again.begin(), again.end());
    CHECK(again == there);
    CHECK(back.spent.back() == forth.spent.back());
    Team::run(3, [&](Team& team) { check_phase(team, back); });
  }
  const Work uneven({8, 1, 2, 4});  // the most expensive at both ends
  CHECK(uneven.order == std::vector<Index>{0, 3, 2, 1});
  CHECK(uneven.queue == std::vector<Index>{0, 2, 3, 1});
  CHECK(uneven.spent == std::vector<double>{0, 8, 10, 11, 15});
}

TEST_CASE("work in order leaves neighbours to the same thread, unless few items are expensive") {
  std::vector<double> costs;
  for (int i = 0; i < 500; ++i) costs.push_back(i % 3 + 1.0);
  const Work work = Work::in_order(costs);
  CHECK(work.items() == 500);
  for (Index i = 0; i < 500; ++i) CHECK(work.order[std::size_t(i)] == i);
  for (Index h = 0; h < work.tickets(); ++h) CHECK(work.queue[std::size_t(h)] == h);
  CHECK(work.spent.back() == work.total);
  for (const int threads : {1, 2, 3})
    Team::run(threads, [&](Team& team) { check_phase(team, work); });
  Work some;
  some.select(work, [](Index item) { return item % 2 > 0; });
  CHECK(some.largest == 3);
  for (Index i = 0; i < some.items(); ++i)
    CHECK(some.order[std::size_t(some.queue[std::size_t(i)])] == 2 * i + 1);

  costs[77] = 100;  // a tenth of all
  CHECK(Work::in_order(costs).order == Work(costs).order);
  CHECK(Work::in_order(costs).queue == Work(costs).queue);
}

TEST_CASE("a selection keeps the order and forgets the one before") {
  const Work all({2, 5, 1, 4, 3});
  Work some;
  some.select(all, [](Index item) { return item != 1; });
  CHECK(some.order == std::vector<Index>{3, 4, 0, 2});
  CHECK(some.total == 10);
  CHECK(some.largest == 4);
  some.select(all, [](Index item) { return item <= 1; });
  CHECK(some.order == std::vector<Index>{1, 0});
  CHECK(some.total == 7);
  CHECK(some.largest == 5);
  some.select(all, [](Index) { return false; });
  CHECK(some.items() == 0);
  CHECK(some.total == 0);
  CHECK(some.largest == 0);
}

TEST_CASE("the items of a selection are done, the others are not") {
  const Work all = equal_work(40);
  Work some;
  some.select(all, [](Index item) { return item % 3 == 1; });
  for (const int threads : {1, 3})
    Team::run(threads, [&](Team& team) {
      std::vector<std::atomic<int>> count(40);
      team.for_each(some, [&](Index item, int) { ++count[static_cast<std::size_t>(item)]; });
      for (std::size_t item = 0; item < 40; ++item) CHECK(count[item] == (item % 3 == 1));
    });
}

TEST_CASE("every item is done exactly once") {
  for (const int threads : {1, 2, 3, 7, 16})
    Team::run(threads, [&](Team& team) {
      CHECK(team.threads() == (has_openmp() ? threads : 1));
      for (const std::size_t items : {0u, 1u, 2u, 3u, 17u, 1000u, 5000u})
        for (int repeat = 0; repeat < 20; ++repeat) check_phase(team, equal_work(items));
    });
}

TEST_CASE("helpers take part") {
  // The leader sleeps in its item, so a helper that stands by gets some of the others.
  Team::run(3, [](Team& team) {
    std::atomic<int> by_helpers{0};
    for (int phase = 0; phase < 5; ++phase)
      team.for_each(equal_work(6), [&](Index, int thread) {
        by_helpers += thread > 0;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      });
    if (has_openmp())
      CHECK(by_helpers > 0);
    else
      CHECK(by_helpers == 0);
  });
}

// A team that met a stall works alone for a while, so the many short phases are those of many
// teams.
TEST_CASE("what items wrote is seen after the phase, and what the leader wrote inside it") {
  // Plain numbers, no atomics: a lost happens-before shows as a wrong sum.
  const Work work = equal_work(13);
  std::vector<std::int64_t> in(13), out(13);
  for (int repeat = 0; repeat < 100; ++repeat)
    Team::run(2 + repeat % 3, [&](Team& team) {
      for (std::int64_t phase = 0; phase < 500; ++phase) {
        std::iota(in.begin(), in.end(), phase);
        team.for_each(work, [&](Index item, int) {
          out[static_cast<std::size_t>(item)] = 2 * in[static_cast<std::size_t>(item)];
        });
        const auto sum = std::accumulate(out.begin(), out.end(), std::int64_t{0});
        REQUIRE(sum == 26 * phase + 156);
      }
    });
}

TEST_CASE("phases of changing size follow each other without a mix-up") {
  const std::vector<Work> works{equal_work(2), equal_work(9), equal_work(1), equal_work(40)};
  for (int repeat = 0; repeat < 50; ++repeat)
    Team::run(2 + repeat % 3, [&](Team& team) {
      for (std::size_t phase = 0; phase < 200; ++phase)
        check_phase(team, works[phase % works.size()]);
    });
}

TEST_CASE("helpers that fell asleep wake up") {
  Team::run(3, [](Team& team) {
    for (int phase = 0; phase < 30; ++phase) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      check_phase(team, equal_work(5));
    }
  });
}

// Of 20,000 teams one ends in the very moment about every second time; the test would hang.
TEST_CASE("helpers that are falling asleep are dismissed") {
  for (int k = 0; k < 20'000; ++k)
    Team::run(2, [&](Team&) {
      const int pauses = Team::spins_before_sleep - 100 + k % 700;
      for (int spin = 0; spin < pauses; ++spin) Team::pause();
    });
}

TEST_CASE("items of unequal length on more threads than cores") {
  Team::run(16, [](Team& team) {
    std::vector<double> costs;
    for (int i = 0; i < 24; ++i) costs.push_back(i % 5 == 0 ? 50 : 1);
    const Work work(costs);
    for (int phase = 0; phase < 200; ++phase) {
      std::atomic<int> done{0};
      team.for_each(work, [&](Index item, int) {
        busy(item % 5 == 0 ? 5'000 : 100);
        ++done;
      });
      REQUIRE(done == 24);
    }
  });
}

TEST_CASE("teams of several callers do not meet") {
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([&wrong] {
      Team::run(3, [&](Team& team) {
        const Work work = equal_work(7);
        for (int phase = 0; phase < 1'000; ++phase) {
          std::atomic<int> done{0};
          team.for_each(work, [&](Index, int) { ++done; });
          if (done != 7) ++wrong;
        }
      });
    });
  for (auto& caller : callers) caller.join();
  CHECK(wrong == 0);
}

TEST_CASE("a team inside a team works") {
  Team::run(2,
            [](Team&) { Team::run(3, [](Team& inner) { check_phase(inner, equal_work(11)); }); });
}

TEST_CASE("the leader's exception comes through and the next team works") {
  for (const int threads : {1, 2, 5}) {
    const auto raising = [&] {
      Team::run(threads, [](Team& team) {
        check_phase(team, equal_work(4));
        throw std::runtime_error("from the leader");
      });
    };
    CHECK_THROWS_WITH_AS(raising(), "from the leader", std::runtime_error);
    Team::run(threads, [](Team& team) { check_phase(team, equal_work(4)); });
  }
}

TEST_CASE("an item's exception comes through and the team goes on") {
  for (const int threads : {1, 2, 5}) {
    CAPTURE(threads);
    Team::run(threads, [](Team& team) {
      for (Index bad = 0; bad < 12; ++bad) {
        const auto raising = [&] {
          team.for_each(equal_work(12), [&](Index item, int) {
            if (item % 3 == bad % 3 || item == bad) throw std::runtime_error("from an item");
          });
        };
        CHECK_THROWS_WITH_AS(raising(), "from an item", std::runtime_error);
        check_phase(team, equal_work(12));
      }
    });
  }
}

TEST_CASE("the leader runs on the calling thread") {
  const auto caller = std::this_thread::get_id();
  for (const int threads : {1, 4})
    Team::run(threads, [&](Team& team) {
      CHECK(std::this_thread::get_id() == caller);
      team.for_each(equal_work(6), [&](Index, int thread) {
        if ((std::this_thread::get_id() == caller) != (thread == 0)) std::abort();
      });
    });
}

TEST_CASE("one thread is what a build without OpenMP offers") {
  if (has_openmp())
    CHECK(available_threads() >= 1);
  else
    CHECK(available_threads() == 1);
}
