// The threads of one call: a leader that runs the rounds and helpers that take clients from it.
//
// OpenMP supplies the threads; the hand-over is our own, because an OpenMP barrier per round of
// some microseconds collapses when other processes want the cores. Here nobody waits for a thread
// that holds no work: the leader takes items too, and if a helper is descheduled while it holds
// one, the leader goes on alone for a while. Which thread does an item never changes the result.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <type_traits>
#include <vector>

#include "types.hpp"

namespace localgd {

// A fixed list of items with their costs (any unit); the most expensive are handed out first. Many
// cheap items are handed out in chunks, from both ends of a queue: every other chunk from the
// front, the rest from the back. So a thread gets much the same items each time, and finds what it
// read of them in its own cache. In order, neighbours go to the same thread.
struct Work {
  std::vector<Index> order;
  std::vector<Index> chunks{0};  // where each begins in the order, and the end
  std::vector<Index> queue;      // the chunks as they wait
  std::vector<double> spent;     // cost of those before each in the queue, and of all
  std::vector<double> costs;     // by item
  double total = 0, largest = 0;
  bool ordered = false;  // as they were given, not the most expensive first

  Work() = default;
  explicit Work(std::vector<double> costs);

  // That many items of the same cost.
  void even(Index count, double cost);

  // In order, if there are so many that it does not matter which comes last.
  static Work in_order(std::vector<double> costs);

  // The same items, those that each thread had last first; not of work in order.
  Work backwards() const;

  // The items of another list that are wanted.
  template <class Wanted>
  void select(const Work& all, Wanted&& wanted) {
    begin_selection(all);
    for (const Index item : all.order)
      if (wanted(item)) add(all, item);
    end_selection(all);
  }
  // The same of work in order where they are known.
  void select_items(const Work& all, const std::vector<Index>& items) {
    begin_selection(all);
    for (const Index item : items) add(all, item);
    end_selection(all);
  }

  // What a chunk may cost: so little that nobody waits for the last one.
  double chunk_cost() const { return total / 1024; }

  Index items() const { return static_cast<Index>(order.size()); }
  Index tickets() const { return static_cast<Index>(chunks.size()) - 1; }

 private:
  void begin_selection(const Work& all) {
    ordered = all.ordered;
    order.clear();
    order.reserve(all.order.size());
    total = largest = 0;
  }
  void add(const Work& all, Index item) {
    const double cost = all.costs[static_cast<std::size_t>(item)];
    largest = std::max(largest, cost);
    order.push_back(item);
    total += cost;
  }
  void end_selection(const Work& all) {
    for (auto* list : {&chunks, &queue}) list->reserve(order.capacity() + 1);
    spent.reserve(order.capacity() + 1);
    gather(all.costs);
  }

  // from_front: the first chunk that waits at the front, 0 or 1.
  void gather(const std::vector<double>& costs_by_item, Index from_front = 0);
};

class Team {
 public:
  // Runs leader(team) on the calling thread while `threads - 1` helpers stand by. Exceptions of the
  // leader come through. The process-wide OpenMP settings are left alone.
  static void run(int threads, const std::function<void(Team&)>& leader);

  // Calls task(item, thread) for every item of the work, each once, and returns when all are done.
  // If items throw, one of the exceptions comes through then.
  template <class Task>
  void for_each(const Work& work, Task&& task) {
    using Object = std::remove_reference_t<Task>;
    share(
        work, [](void* t, Index item, int thread) { (*static_cast<Object*>(t))(item, thread); },
        const_cast<void*>(static_cast<const void*>(&task)));
  }

  int threads() const { return threads_; }
  // times that the leader found a helper descheduled
  std::int64_t stalls() const { return stalls_; }

  // A helper that has found nothing to do for so many pauses, some 50 microseconds, falls asleep.
  static constexpr int spins_before_sleep = 4000;
  static void pause();

 private:
  using Clock = std::chrono::steady_clock;
  using Call = void (*)(void* task, Index item, int thread);

  explicit Team(int threads) : threads_(threads) {}
  void share(const Work& work, Call call, void* task);
  void alone(const Work& work, Call call, void* task);
  // What of the queue is left, and the number of the phase, so that a late helper can never take a
  // chunk of a phase that it did not see begin. Aligned as a whole: Clang calls a library for what
  // could lie across two words.
  struct alignas(8) Ticket {
    std::uint32_t phase;
    std::uint16_t front, back;  // the first that is left, and the one after the last
    Index left() const { return back - front; }

    // The last one tells helpers to go. It does so itself: told beside it, a helper that looks for
    // both could miss the one and fall asleep on the other.
    static Ticket last(std::uint32_t phase) { return {phase, 1, 0}; }
    bool dismisses() const { return left() < 0; }
  };

  // does chunks of that phase if any are left; how many
  Index take(std::uint32_t phase, int thread);
  Index share_of(Ticket left, bool front) const;  // how many to take at once
  void do_chunks(Index first, Index last, int thread);
  void help(int thread);  // a helper's life
  void rethrow();
  void await_helpers(const Work& work, double seconds_per_cost);
  void dismiss();

  const int threads_;

  // What is handed out. Written by the leader while no item is out, read after taking an item.
  const Work* work_ = nullptr;
  Call call_ = nullptr;
  void* task_ = nullptr;

  alignas(64) std::atomic<Ticket> ticket_{Ticket{0, 0, 0}};
  alignas(64) std::atomic<Index> done_{0};
  alignas(64) std::atomic<bool> failed_{false};
  std::exception_ptr error_;  // of the item that set failed_ first
  std::atomic<int> asleep_{0};

  // Leader only: how long to work alone after a stall.
  Clock::time_point alone_until_{}, last_stall_{};
  Clock::duration penalty_{};
  double rate_ = 0;  // seconds per unit of cost, the best seen lately
  std::int64_t stalls_ = 0;
};

// Whether this build has threads at all, and how many it would use at the most by default.
bool has_openmp();
int available_threads();

}  // namespace localgd
