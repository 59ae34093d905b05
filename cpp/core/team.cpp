#include "team.hpp"

#include <algorithm>
#include <new>
#include <numeric>
#include <system_error>
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

constexpr auto shortest_stall = std::chrono::milliseconds(1);
constexpr auto first_penalty = std::chrono::milliseconds(30);
constexpr auto longest_penalty = std::chrono::seconds(1);

#if defined(_OPENMP) && !defined(LOCALGD_STD_THREADS)
// libgomp ends the process where the system refuses it a thread (a limit on memory or processes).
// So a caller that wants more than there were before first tries how many it allows at once.
int threads_allowed(int wanted) {
  static std::atomic<int> most_before{1};
  if (wanted <= most_before.load()) return wanted;
  std::vector<std::thread> tried;
  std::atomic<bool> leave{false};
  try {
    while (static_cast<int>(tried.size()) < wanted) tried.emplace_back([&] { leave.wait(false); });
  } catch (const std::system_error&) {
  } catch (const std::bad_alloc&) {
  }
  const int found = static_cast<int>(tried.size());
  leave.store(true);
  leave.notify_all();
  for (auto& thread : tried) thread.join();
  const int most = std::max(1, found < wanted ? found / 2 : wanted);  // libgomp takes memory, too
  for (int known = most_before.load();
       most > known && !most_before.compare_exchange_weak(known, most);) {
  }
  return most;
}

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
  // Not std::stable_sort: Clang warns of what GCC 12's header does in it.
  std::sort(order.begin(), order.end(), [&](Index a, Index b) {
    const double x = costs[static_cast<std::size_t>(a)], y = costs[static_cast<std::size_t>(b)];
    return x > y || (x == y && a < b);
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

Work Work::in_order(std::vector<double> costs) {
  constexpr double many = 128;
  Work work(std::move(costs));
  if (work.largest > work.total / many) return work;
  work.ordered = true;
  std::iota(work.order.begin(), work.order.end(), Index{0});
  work.gather(work.costs);
  return work;
}

Work Work::backwards() const {
  Work other = *this;
  std::reverse(other.order.begin(), other.order.end());
  other.gather(costs, tickets() % 2 == 0);
  return other;
}

void Work::gather(const std::vector<double>& costs_by_item, Index from_front) {
  const auto cost_at = [&](Index position) {
    return costs_by_item[static_cast<std::size_t>(order[static_cast<std::size_t>(position)])];
  };
  chunks.clear();
  double cost = 0;
  for (Index at = 0; at < items(); ++at) {
    cost += cost_at(at);
    if (at > 0 && cost <= chunk_cost()) continue;
    chunks.push_back(at);
    cost = cost_at(at);
  }
  chunks.push_back(items());

  queue.resize(chunks.size() - 1);
  if (ordered) {
    std::iota(queue.begin(), queue.end(), Index{0});
  } else {
    auto front = queue.begin(), back = queue.end();
    for (Index h = 0; h < tickets(); ++h) *(h % 2 == from_front ? front++ : --back) = h;
  }

  spent.clear();
  double before = 0;
  for (const Index h : queue) {
    spent.push_back(before);
    for (Index at = chunks[static_cast<std::size_t>(h)];
         at < chunks[static_cast<std::size_t>(h) + 1]; ++at)
      before += cost_at(at);
  }
  spent.push_back(before);
}

#if defined(LOCALGD_STD_THREADS)
// Threads of the standard library, for tools that OpenMP's own waiting confuses.
void Team::run(int threads, const std::function<void(Team&)>& leader) {
  Team team(threads);
  std::vector<std::thread> helpers;
  std::exception_ptr error;
  for (int t = 1; t < threads; ++t) helpers.emplace_back([&team, t] { team.help(t); });
  try {
    leader(team);
  } catch (...) {
    error = std::current_exception();
  }
  team.dismiss();
  for (auto& helper : helpers) helper.join();
  if (error) std::rethrow_exception(error);
}
#else
void Team::run(int threads, const std::function<void(Team&)>& leader) {
#ifdef _OPENMP
  if (threads > 1 && !forked_after_threads()) threads = threads_allowed(threads);
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
#endif

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
  const std::uint32_t phase = ticket_.load(std::memory_order_relaxed).phase + 1;
  // publishes the fields above
  ticket_.store({phase, 0, static_cast<std::uint16_t>(work.tickets())});
  if (asleep_.load() > 0) ticket_.notify_all();

  Index mine = 0;
  while (const Index taken = take(phase, 0)) mine += taken;
  if (done_.load(std::memory_order_acquire) == work.tickets()) return rethrow();
  const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
  // The most expensive chunks go first, so the leader's own share is at least average in cost.
  const double rate =
      elapsed * static_cast<double>(work.tickets()) /
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

// Fewer and fewer as the work runs out: threads hand cache lines over with each taking, and nobody
// may wait long for the last one.
Index Team::share_of(Ticket left, bool front) const {
  const auto spent = [&](Index position) {
    return work_->spent[static_cast<std::size_t>(position)];
  };
  const double fair = (spent(left.back) - spent(left.front)) / (4.0 * threads_);
  const auto cost = [&](Index count) {
    return front ? spent(left.front + count) - spent(left.front)
                 : spent(left.back) - spent(left.back - count);
  };
  Index count = 1;
  while (count < left.left() && cost(count + 1) <= fair) ++count;
  return count;
}

Index Team::take(std::uint32_t phase, int thread) {
  const bool front = thread % 2 == 0;
  const auto without = [front](Ticket all, Index count) {
    auto& end = front ? all.front : all.back;
    end = static_cast<std::uint16_t>(front ? end + count : end - count);
    return all;
  };
  const auto do_last = [&](Ticket rest, Index count) {  // that were taken
    const Index first = front ? rest.front - count : rest.back;
    do_chunks(first, first + count, thread);
  };
  Ticket ticket = ticket_.load(std::memory_order_acquire), one{};
  do {
    if (ticket.phase != phase || ticket.left() == 0) return 0;
    one = without(ticket, 1);
  } while (!ticket_.compare_exchange_weak(ticket, one, std::memory_order_acq_rel));
  // The phase cannot end before this chunk is done, so the fields are those of this phase.
  Index more = 0;
  Ticket rest{};
  do {
    ticket = ticket_.load(std::memory_order_relaxed);
    more = ticket.left() > 0 ? share_of(ticket, front) - 1 : 0;
    rest = without(ticket, more);
  } while (more > 0 && !ticket_.compare_exchange_weak(ticket, rest, std::memory_order_acq_rel));
  do_last(one, 1);
  do_last(rest, more);
  done_.fetch_add(1 + more, std::memory_order_release);
  return 1 + more;
}

// Those of the queue from the first position to the one before the last.
void Team::do_chunks(Index first, Index last, int thread) {
  const auto at = [](const std::vector<Index>& list, Index position) {
    return list[static_cast<std::size_t>(position)];
  };
  for (; first < last; ++first) {
    const Index chunk = at(work_->queue, first);
    for (Index i = at(work_->chunks, chunk); i < at(work_->chunks, chunk + 1); ++i) {
      try {
        call_(task_, at(work_->order, i), thread);
      } catch (...) {  // memory refused by the system, say: it must not end the process
        if (!failed_.exchange(true)) error_ = std::current_exception();
      }
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
  // A helper may rightly be busy with the most expensive chunk; much longer means that it was
  // descheduled.
  const double most_expensive = std::max(work.largest, work.chunk_cost());
  const auto fair = std::chrono::duration<double>(3 * most_expensive * seconds_per_cost);
  if (end - begin < shortest_stall + fair) return;
  ++stalls_;
  const bool again = end - last_stall_ < 2 * penalty_ + first_penalty;
  penalty_ = again ? std::min<Clock::duration>(2 * penalty_, longest_penalty) : first_penalty;
  last_stall_ = end;
  alone_until_ = end + penalty_;
}

void Team::help(int thread) {
  std::uint32_t seen = 0;
  int spins = 0;
  while (true) {
    const Ticket ticket = ticket_.load(std::memory_order_acquire);
    if (ticket.dismisses()) return;
    if (ticket.phase != seen && ticket.left() > 0) {
      seen = ticket.phase;
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

void Team::pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void Team::dismiss() {
  ticket_.store(Ticket::last(ticket_.load().phase + 1));
  ticket_.notify_all();
}

bool has_openmp() {
#if defined(_OPENMP) || defined(LOCALGD_STD_THREADS)
  return true;
#else
  return false;
#endif
}

int available_threads() {
#if defined(LOCALGD_STD_THREADS)
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
#elif defined(_OPENMP)
  return omp_get_num_procs();
#else
  return 1;
#endif
}

}  // namespace localgd
