// A way to stop long work from outside (Ctrl-C, a caller's deadline).
#pragma once

#include <atomic>
#include <chrono>
#include <functional>

namespace localgd {

// The leader asks `wanted` now and then, at most every `interval`; helpers only look at the flag.
class Stop {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Stop(std::function<bool()> wanted, Clock::time_point asked = Clock::now())
      : wanted_(std::move(wanted)), next_(asked + interval) {}

  // Asks as the thread may: the leader is thread 0 of its team.
  bool check(int thread) { return thread == 0 ? poll() : requested(); }

  bool requested() const { return flag_.load(std::memory_order_relaxed); }

  // Leader only (the caller's thread, so that `wanted` may call into Python).
  bool poll() {
    if (!wanted_) return false;
    const auto now = Clock::now();
    if (now >= next_) {
      if (wanted_()) flag_.store(true, std::memory_order_relaxed);
      next_ = now + interval;
    }
    return requested();
  }

  // When it asked last: a later stop goes on from there, however short the calls are.
  Clock::time_point asked() const { return next_ - interval; }

 private:
  static constexpr std::chrono::milliseconds interval{50};
  std::function<bool()> wanted_;
  Clock::time_point next_;
  std::atomic<bool> flag_{false};
};

}  // namespace localgd
