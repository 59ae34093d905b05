// A way to stop long work from outside (Ctrl-C, a caller's deadline).
#pragma once

#include <atomic>
#include <chrono>
#include <functional>

namespace localgd {

// The leader asks `wanted` now and then, at most every `interval`; helpers only look at the flag.
class Stop {
 public:
  explicit Stop(std::function<bool()> wanted) : wanted_(std::move(wanted)) {}

  // Asks as the thread may: the leader is thread 0 of its team.
  bool check(int thread) { return thread == 0 ? poll() : requested(); }

  bool requested() const { return flag_.load(std::memory_order_relaxed); }

  // Leader only (the caller's thread, so that `wanted` may call into Python).
  bool poll() {
    if (!wanted_) return false;
    const auto now = std::chrono::steady_clock::now();
    if (now >= next_) {
      if (wanted_()) flag_.store(true, std::memory_order_relaxed);
      next_ = now + interval;
    }
    return requested();
  }

 private:
  static constexpr std::chrono::milliseconds interval{50};
  std::function<bool()> wanted_;
  std::chrono::steady_clock::time_point next_ = std::chrono::steady_clock::now() + interval;
  std::atomic<bool> flag_{false};
};

}  // namespace localgd
