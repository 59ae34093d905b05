#include "team.hpp"

#include <algorithm>
#include <numeric>
#include <thread>
#include <utility>

#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace localgd {

namespace {

constexpr std::uint64_t ticket_mask = 0xffffffffu;
constexpr int spins_before_sleep = 4000;  // about 50 microseconds of pauses
constexpr auto shortest_stall = std::chrono::milliseconds(1);
constexpr auto first_penalty = std::chrono::milliseconds(30);
constexpr auto longest_penalty = std::chrono::seconds(1);

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

#ifdef _OPENMP
// libgomp cannot start threads in a child that was forked after its parent used some: such a child
// works on one thread instead of hanging.
bool forked_after_threads() {
#if defined(__unix__) || defined(__APPLE__)
  static std::atomic<long> owner{0};
  const long self = static_cast<long>(getpid());
  long nobody = 0;
  return !owner.compare_exchange_strong(nobody, self) && nobody != self;
#else
  return false;
#endif
}
#endif

}  // namespace

Work::Work(std::vector<double> costs_) : order(costs_.size()), costs(std::move(costs_)) {
  std::iota(order.begin(), order.end(), Index{0});
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
    return costs[static_cast<std::size_t>(a)] > costs[static_cast<std::size_t>(b)];
  });
  total = std::accumulate(costs.begin(), costs.end(), 0.0);
  if (!costs.empty()) largest = *std::max_element(costs.begin(), costs.end());
  gather(costs);
}

void Work::even(Index count, double cost) {
  if (items() == count && largest == cost) return;
  order.resize(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), Index{0});
  costs.assign(order.size(), cost);
  largest = cost;
  total = cost * static_cast<double>(count);
  gather(costs);
}

void Work::gather(const std::vector<double>& costs_by_item) {
  handfuls.clear();
  spent.clear();
  double cost = 0, before = 0;
  for (Index at = 0; at < items(); ++at) {
    const double next = costs_by_item[static_cast<std::size_t>(order[static_cast<std::size_t>(at)])];
    cost += next;
    if (at == 0 || cost > handful()) {
      handfuls.push_back(at);
      spent.push_back(before);
      cost = next;
    }
    before += next;
  }
  handfuls.push_back(items());
  spent.push_back(before);
}

void Team::run(int threads, const std::function<void(Team&)>& leader) {
#ifdef _OPENMP
  if (threads > 1 && !forked_after_threads()) {
    std::exception_ptr error;
    // The size is asked for here and read back inside: the runtime may give fewer.
    Team team(threads);
#pragma omp parallel num_threads(threads) default(shared)
    {
      if (omp_get_thread_num() == 0) {
        try {
          leader(team);
        } catch (...) {
          error = std::current_exception();
        }
        team.dismiss();
      } else {
        team.help(omp_get_thread_num());
      }
    }
    if (error) std::rethrow_exception(error);
    return;
  }
#else
  (void)threads;
#endif
  Team team(1);
  leader(team);
}

void Team::alone(const Work& work, Call call, void* task) {
  for (Index item : work.order) call(task, item, 0);
}

void Team::share(const Work& work, Call call, void* task) {
  if (threads_ == 1 || work.tickets() < 2) return alone(work, call, task);
  const auto start = Clock::now();
  if (start < alone_until_) return alone(work, call, task);

  work_ = &work;
  call_ = call;
  task_ = task;
  done_.store(0, std::memory_order_relaxed);
  const std::uint64_t phase = (ticket_.load(std::memory_order_relaxed) >> 32) + 1;
  ticket_.store(phase << 32 | static_cast<std::uint64_t>(work.tickets()));  // publishes the fields above
  if (asleep_.load() > 0) ticket_.notify_all();

  Index mine = 0;
  while (const Index taken = take(phase, 0)) mine += taken;
  if (done_.load(std::memory_order_acquire) == work.tickets()) return rethrow();
  const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
  // The dearest handfuls go first, so the leader's own share is at least average in cost.
  const double rate = elapsed * static_cast<double>(work.tickets()) /
                      (static_cast<double>(std::max<Index>(mine, 1)) * std::max(work.total, 1e-300));
  rate_ = rate_ == 0 ? rate : std::min(rate_ * 1.01, rate);
  await_helpers(work, rate_);
  rethrow();
}

void Team::rethrow() {
  if (failed_.load(std::memory_order_acquire)) {
    failed_.store(false);
    std::rethrow_exception(std::exchange(error_, nullptr));
  }
}

// Fewer and fewer as the work runs out: threads hand cache lines over with each taking, and nobody may
// wait long for the last one.
Index Team::share_of(Index taken) const {
  const auto spent = [&](Index handful) { return work_->spent[static_cast<std::size_t>(handful)]; };
  const Index all = work_->tickets();
  const double fair = (spent(all) - spent(taken)) / (4.0 * threads_);
  Index count = 1;
  while (taken + count < all && spent(taken + count + 1) - spent(taken) <= fair) ++count;
  return count;
}

Index Team::take(std::uint64_t phase, int thread) {
  std::uint64_t ticket = ticket_.load(std::memory_order_acquire);
  const auto left = [&] { return static_cast<Index>(ticket & ticket_mask); };
  do {
    if (ticket >> 32 != phase || left() == 0) return 0;
  } while (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel));
  // The phase cannot end before this handful is done, so the fields are those of this phase.
  const Index first = work_->tickets() - left();
  Index more = 0;
  do {
    ticket = ticket_.load(std::memory_order_relaxed);
    more = left() > 0 ? share_of(work_->tickets() - left()) - 1 : 0;
  } while (more > 0 && !ticket_.compare_exchange_weak(ticket, ticket - static_cast<std::uint64_t>(more),
                                                      std::memory_order_acq_rel));
  do_handfuls(first, first + 1, thread);
  const Index next = work_->tickets() - left();
  do_handfuls(next, next + more, thread);
  done_.fetch_add(1 + more, std::memory_order_release);
  return 1 + more;
}

void Team::do_handfuls(Index first, Index last, int thread) {
  const auto at = [](const std::vector<Index>& list, Index place) {
    return list[static_cast<std::size_t>(place)];
  };
  for (Index i = at(work_->handfuls, first); i < at(work_->handfuls, last); ++i) {
    try {
      call_(task_, at(work_->order, i), thread);
    } catch (...) {  // memory refused by the system, say: it must not end the process
      if (!failed_.exchange(true)) error_ = std::current_exception();
    }
  }
}

void Team::await_helpers(const Work& work, double seconds_per_cost) {
  const auto finished = [&] { return done_.load(std::memory_order_acquire) == work.tickets(); };
  for (int spin = 0; spin < spins_before_sleep; ++spin) {
    if (finished()) return;
    pause();
  }
  const auto begin = Clock::now();
  while (!finished()) std::this_thread::yield();
  const auto end = Clock::now();
  // A helper may rightly be busy with the dearest handful; much longer means that it was descheduled.
  const double dearest = std::max(work.largest, work.handful());
  const auto fair = std::chrono::duration<double>(3 * dearest * seconds_per_cost);
  if (end - begin < shortest_stall + fair) return;
  ++stalls_;
  const bool again = end - last_stall_ < 2 * penalty_ + first_penalty;
  penalty_ = again ? std::min<Clock::duration>(2 * penalty_, longest_penalty) : first_penalty;
  last_stall_ = end;
  alone_until_ = end + penalty_;
}

void Team::help(int thread) {
  std::uint64_t seen = 0;
  int spins = 0;
  while (!dismissed_.load(std::memory_order_acquire)) {
    const std::uint64_t ticket = ticket_.load(std::memory_order_acquire);
    if (ticket >> 32 != seen && (ticket & ticket_mask) != 0) {
      seen = ticket >> 32;
      while (take(seen, thread)) {
      }
      spins = 0;
    } else if (++spins < spins_before_sleep) {
      pause();
    } else {
      asleep_.fetch_add(1);
      ticket_.wait(ticket);
      asleep_.fetch_sub(1);
      spins = 0;
    }
  }
}

void Team::dismiss() {
  dismissed_.store(true);
  ticket_.fetch_add(std::uint64_t{1} << 32);  // a change to wake up for; no items are left in it
  ticket_.notify_all();
}

bool has_openmp() {
#ifdef _OPENMP
  return true;
#else
  return false;
#endif
}

int available_threads() {
#ifdef _OPENMP
  return omp_get_num_procs();
#else
  return 1;
#endif
}

}  // namespace localgd
