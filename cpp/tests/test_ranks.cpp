// Clients that are spread over ranks, here threads: the bits of one process that has them all.
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "core/ranks/ranks.hpp"
#include "problems.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

// What the ranks tell each other, in the memory that they share.
class Meeting {
 public:
  explicit Meeting(int ranks) : told_(static_cast<std::size_t>(ranks)) {}

  // All numbers, once all ranks have told theirs.
  std::vector<double> gather(int rank, std::vector<double> own) {
    std::unique_lock lock(mutex_);
    const auto turn = turn_;
    told_[static_cast<std::size_t>(rank)] = std::move(own);
    if (++here_ == told_.size()) {
      all_.clear();
      for (const auto& numbers : told_) all_.insert(all_.end(), numbers.begin(), numbers.end());
      here_ = 0;
      ++turn_;
      changed_.notify_all();
    } else {
      changed_.wait(lock, [&] { return turn_ != turn; });
    }
    return all_;
  }

  void send(int from, int to, std::vector<double> numbers) {
    const std::lock_guard lock(mutex_);
    sent_.insert({{from, to}, std::move(numbers)});
    changed_.notify_all();
  }
  std::vector<double> receive(int from, int to) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return sent_.contains({from, to}); });
    auto found = sent_.extract(sent_.lower_bound({from, to}));
    return std::move(found.mapped());
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::vector<double>> told_;
  std::vector<double> all_;
  std::multimap<std::pair<int, int>, std::vector<double>> sent_;
  std::size_t here_ = 0, turn_ = 0;
};

class Attendance final : public Exchange {
 public:
  Attendance(Meeting& meeting, int own) : meeting_(meeting), own_(own) {}

  void gather(const double* own, const std::vector<Index>& counts, double* all) override {
    const auto found = meeting_.gather(own_, {own, own + counts[static_cast<std::size_t>(own_)]});
    std::copy(found.begin(), found.end(), all);
  }
  void send(int to, const double* numbers, Index count) override {
    meeting_.send(own_, to, {numbers, numbers + count});
  }
  void receive(int from, double* numbers, Index count) override {
    const auto found = meeting_.receive(from, own_);
    REQUIRE(static_cast<Index>(found.size()) == count);
    std::copy(found.begin(), found.end(), numbers);
  }

 private:
  Meeting& meeting_;
  int own_;
};

using Holders = std::vector<int>;

// Consecutive clients on each rank: as many, or more and more of them.
Holders consecutive(Index clients, int ranks, bool even = true) {
  Holders holders;
  for (Index i = 0; i < clients; ++i) {
    const double at = static_cast<double>(i) / static_cast<double>(clients);
    holders.push_back(static_cast<int>((even ? at : std::sqrt(at)) * ranks));
  }
  return holders;
}
Holders interleaved(Index clients, int ranks) {
  Holders holders;
  for (Index i = 0; i < clients; ++i) holders.push_back(static_cast<int>(i % ranks));
  return holders;
}

// The numbers of some, in their order.
template <class Number>
std::vector<Number> chosen(const std::vector<Number>& all, const std::vector<Index>& which) {
  std::vector<Number> found;
  for (const Index i : which)
    if (!all.empty()) found.push_back(all[static_cast<std::size_t>(i)]);
  return found;
}

// The clients of one rank, with their weights among all.
Problem part(const Problem& p, const std::vector<Index>& clients) {
  std::vector<Index> rows;
  Problem own;
  own.offsets = {0};
  own.weights.resize(static_cast<Index>(clients.size()));
  for (std::size_t k = 0; k < clients.size(); ++k) {
    const auto i = static_cast<std::size_t>(clients[k]);
    for (Index j = p.offsets[i]; j < p.offsets[i + 1]; ++j) rows.push_back(j);
    own.offsets.push_back(static_cast<Index>(rows.size()));
    own.weights[static_cast<Index>(k)] = p.weights[clients[k]];
  }
  own.rows = p.rows(rows, Eigen::all);
  own.targets = p.targets(rows, Eigen::all);
  own.labels = p.labels(rows);
  if (p.row_weights.size()) own.row_weights = p.row_weights(rows);
  own.starts = p.starts;
  own.free_intercept = p.free_intercept;
  return own;
}

Problem sparse(Problem p) {
  auto given = std::make_shared<Given>();
  given->plain = p.rows;
  given->signs = Vector<double>::Ones(p.rows.rows());
  given->begins = {0};
  for (Index j = 0; j < p.rows.rows(); ++j) {
    for (Index k = 0; k < p.rows.cols(); ++k)
      if (p.rows(j, k) != 0) {
        given->columns.push_back(static_cast<std::int32_t>(k));
        given->values.push_back(p.rows(j, k));
      }
    given->begins.push_back(static_cast<Index>(given->values.size()));
  }
  p.given = given;
  return p;
}

std::vector<Index> sizes_of(const Problem& p) {
  std::vector<Index> sizes;
  for (std::size_t i = 1; i < p.offsets.size(); ++i)
    sizes.push_back(p.offsets[i] - p.offsets[i - 1]);
  return sizes;
}

EngineOptions options_of(const EngineOptions& all, const std::vector<Index>& clients) {
  EngineOptions own = all;
  own.local.steps = chosen(all.local.steps, clients);
  own.local.batches = chosen(all.local.batches, clients);
  own.local.keys = chosen(all.local.keys, clients);
  return own;
}

Plans plans_of(const Plans& all, const Ranks& ranks) {
  Plans own{all.lrs, {}};
  if (all.offsets.empty()) {
    own.shares = chosen(all.shares, ranks.numbers());
    own.present = {
        std::count_if(all.shares.begin(), all.shares.end(), [](double u) { return u > 0; })};
    return own;
  }
  own.offsets = {0};
  for (std::size_t k = 0; k + 1 < all.offsets.size(); ++k) {
    for (auto at = static_cast<std::size_t>(all.offsets[k]);
         at < static_cast<std::size_t>(all.offsets[k + 1]); ++at) {
      if (ranks.holder(all.clients[at]) != ranks.own()) continue;
      const auto& numbers = ranks.numbers();
      own.clients.push_back(std::lower_bound(numbers.begin(), numbers.end(), all.clients[at]) -
                            numbers.begin());
      own.shares.push_back(all.shares[at]);
    }
    own.offsets.push_back(static_cast<Index>(own.clients.size()));
    own.present.push_back(all.offsets[k + 1] - all.offsets[k]);
  }
  return own;
}

struct Ended {
  Status status;
  Vector<double> numbers;  // weights and all columns
};

Ended ended(Simulation& simulation, Status status) {
  std::vector<Vector<double>> parts{simulation.weights().reshaped()};
  simulation.history().visit([&](const char*, const auto& column, const Measure&) {
    Vector<double> numbers(static_cast<Index>(column.size()));
    for (std::size_t k = 0; k < column.size(); ++k)
      numbers[static_cast<Index>(k)] = static_cast<double>(column[k]);
    parts.push_back(numbers);
  });
  parts.push_back(Vector<double>::Constant(1, simulation.drift()));
  parts.push_back(Vector<double>::Constant(1, static_cast<double>(simulation.participations())));
  return {status, joined(parts)};
}

struct Wanted {
  const Problem& problem;
  const LossCase& loss;
  EngineOptions options;
  std::vector<Plans> plans;  // of calls of advance(), one round each or as many as are listed
  std::vector<std::int64_t> until, records;
  bool is_sparse = false;
};

Ended alone(const Wanted& run) {
  const Problem p = run.is_sparse ? sparse(run.problem) : run.problem;
  const Data data = p.data(run.loss);
  Simulation simulation(data, p.start(run.loss), run.options, run.records, {}, 2);
  Status status{};
  for (std::size_t call = 0; call < run.plans.size(); ++call)
    status = simulation.advance(run.until[call], run.plans[call], nullptr);
  return ended(simulation, status);
}

std::vector<Ended> over_ranks(const Wanted& run, const Holders& holders) {
  const int count = *std::max_element(holders.begin(), holders.end()) + 1;
  Meeting meeting(count);
  std::vector<Ended> found(static_cast<std::size_t>(count));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < count; ++rank)
    threads.emplace_back([&, rank] {
      const auto ranks = std::make_shared<const Ranks>(std::make_shared<Attendance>(meeting, rank),
                                                       rank, holders, sizes_of(run.problem));
      Problem p = part(run.problem, ranks->numbers());
      if (run.is_sparse) p = sparse(p);
      Data data = p.data(run.loss);
      data.ranks = ranks;
      Simulation simulation(data, p.start(run.loss), options_of(run.options, ranks->numbers()),
                            run.records, {}, 1);
      Status status{};
      for (std::size_t call = 0; call < run.plans.size(); ++call)
        status = simulation.advance(run.until[call], plans_of(run.plans[call], *ranks), nullptr);
      found[static_cast<std::size_t>(rank)] = ended(simulation, status);
    });
  for (auto& thread : threads) thread.join();
  return found;
}

void check_same(const Wanted& run, const std::vector<Holders>& spread) {
  const Ended want = alone(run);
  for (const Holders& holders : spread)
    for (const Ended& got : over_ranks(run, holders)) {
      CHECK(got.status == want.status);
      CHECK(same_bits(got.numbers, want.numbers));
    }
}

// All clients in one call, some of them in the next.
Wanted usual(const Case& c, const Problem& p, const Inputs& inputs, std::int64_t steps) {
  return {p,
          c.loss,
          c.options(p.clients(), steps),
          {plain_plans(p, 0.3), inputs.plans(2, 6), plain_plans(p, 0.2)},
          {2, 6, 8},
          {0, 1, 2, 3, 6, 8}};
}

bool over_ranks_too(const Case& c, Index clients) {
  return c.engine != "primal" || !c.options(clients, 1).local.solve;
}

}  // namespace

TEST_CASE("runs over ranks have the bits of one process, whoever has which clients") {
  for (const bool is_sparse : {false, true}) {
    Problem p = make_problem({4, 3, 1, 5, 2, 9, 30}, 40);
    if (is_sparse) p = stored(p, Storage::sparse), p.given.reset();
    const Inputs inputs(p, 6, true, 0.3);
    for (const auto& method : methods)
      for (const auto& name : {"logistic", "squared", "softmax"}) {
        const auto& loss = *std::find_if(losses.begin(), losses.end(),
                                         [&](const LossCase& l) { return l.name == name; });
        for_each_engine(loss, method,
                        [&](const Case& c) {
                          if (!over_ranks_too(c, p.clients())) return;
                          CAPTURE(is_sparse);
                          Wanted run = usual(c, p, inputs, 12);
                          run.is_sparse = is_sparse;
                          check_same(run, {consecutive(7, 1), consecutive(7, 2, false),
                                           interleaved(7, 3), interleaved(7, 7)});
                        },
                        {"hybrid", "primal"});
      }
  }
}

TEST_CASE("runs over ranks that share groups of clients have the bits of one process") {
  const Index clients = 1500;
  std::vector<Index> sizes;
  for (Index i = 0; i < clients; ++i) sizes.push_back(1 + i % 3);
  Problem p = with_row_weights(make_problem(sizes, 5));
  p.weights[7] = 0;
  const Inputs inputs(p, 6, true, 0.3);
  for (const auto& name : {"local-gd", "control, client steps, batches, momentum",
                           "l2, displacement, plain mean", "displacement", "l2, adam"})
    for_each_engine(losses[1], method_named(name),
                    [&](const Case& c) {
                      EngineOptions options = c.options(clients, 3);
                      if (c.engine == "hybrid" && !options.local.correction) return;  // bundles
                      Wanted run = usual(c, p, inputs, 3);
                      // Few of them: most groups and some ranks are without.
                      run.plans.push_back({{0.1}, {0.25, 0.5, 0.25}, {500, 501, 1499}, {0, 3}});
                      run.until.push_back(9);
                      run.plans.push_back({{0.1}, {}, {}, {0, 0}});
                      run.until.push_back(10);
                      run.records.insert(run.records.end(), {9, 10});
                      check_same(run, {consecutive(clients, 3), consecutive(clients, 7),
                                       consecutive(clients, 11, false)});
                    },
                    {"hybrid", "primal"});
}

TEST_CASE("bundles of small clients have the bits of one process, whichever ranks have them") {
  const Index clients = 20'000, cut = 32;  // some 40 to a group, of which ranks have parts
  std::vector<Index> sizes;
  for (Index i = 0; i < clients; ++i) sizes.push_back(1 + i % 7 / 3);
  const Problem p = with_row_weights(make_problem(sizes, 3));
  Holders several = consecutive(clients, 3), narrow;
  for (Index i = 0; i < clients; ++i) {
    several[static_cast<std::size_t>(i)] = several[static_cast<std::size_t>(i / cut * cut)];
    narrow.push_back(static_cast<int>(std::min<Index>(i / cut, 4)));
  }
  const Inputs inputs(p, 6, true, 0.3);
  for (const auto& name : {"local-gd", "l2", "server rate", "anchored"})
    for_each_engine(losses[1], method_named(name),
                    [&](const Case& c) {
                      Wanted run = usual(c, p, inputs, 3);
                      run.plans.push_back({{0.1}, {0.25, 0.5, 0.25}, {33, 70, 19'999}, {0, 3}});
                      run.until.push_back(9);
                      run.records.push_back(9);
                      check_same(run, {several, narrow});
                    },
                    {"hybrid"});
}

TEST_CASE("where a running sum goes through several ranks it stays the same") {
  const Index clients = 5000;  // ten to a group
  const Problem p = make_problem(std::vector<Index>(clients, 1), 3);
  Holders holders;
  for (Index i = 0; i < clients; ++i) holders.push_back(static_cast<int>(i < 12 ? i / 3 : 4));
  const Inputs inputs(p, 6, true, 0.3);
  for (const auto& name : {"local-gd", "control"})
    check_same(usual({losses[0], method_named(name), "primal", false}, p, inputs, 2), {holders});
}

TEST_CASE("all ranks leave a round that is none on one of them") {
  Problem p = make_problem({4, 3, 2}, 5);
  p.rows.topRows(4) *= 1e200;
  const auto& squared = losses[2];
  const Case c{squared, methods.front(), "primal", false};
  Wanted run{p, squared, c.options(3, 3), {plain_plans(p, 1e3)}, {5}, {0}};
  REQUIRE(alone(run).status == Status::diverged);
  for (const Ended& got : over_ranks(run, {0, 1, 2})) CHECK(got.status == Status::diverged);
}

TEST_CASE("a stop on one rank is one on all of them") {
  const Problem p = make_problem({4, 3, 2}, 5);
  const Case c{losses[1], methods.front(), "primal", false};
  Meeting meeting(3);
  std::vector<Status> status(3);
  std::vector<std::int64_t> rounds(3);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 3; ++rank)
    threads.emplace_back([&, rank] {
      const auto ranks = std::make_shared<const Ranks>(std::make_shared<Attendance>(meeting, rank),
                                                       rank, Holders{0, 1, 2});
      const Problem own = part(p, ranks->numbers());
      Data data = own.data(c.loss);
      data.ranks = ranks;
      Simulation simulation(data, own.start(c.loss), options_of(c.options(3, 2), ranks->numbers()),
                            {}, {}, 1);
      const auto at = static_cast<std::size_t>(rank);
      status[at] = simulation.advance(std::int64_t{1} << 40, plans_of(plain_plans(p, 0.01), *ranks),
                                      [&](std::int64_t) { return rank == 1; });
      rounds[at] = simulation.round();
    });
  for (auto& thread : threads) thread.join();
  CHECK(status == std::vector<Status>(3, Status::interrupted));
  CHECK(rounds == std::vector<std::int64_t>(3, rounds[0]));
}

TEST_CASE("what ranks cannot share is refused") {
  const Problem p = make_problem({4, 3}, 5);
  Data data = p.data(losses[0]);
  Meeting meeting(1);
  data.ranks =
      std::make_shared<const Ranks>(std::make_shared<Attendance>(meeting, 0), 0, Holders{0, 0});
  for (const auto& engine : {"gram", "side_by_side"}) {
    const Case c{losses[0], methods.front(), engine, false};
    CHECK_THROWS_AS(make_engine(data, p.start(losses[0]), c.options(2, 1)), std::invalid_argument);
  }
  CHECK_THROWS_AS(Ranks(nullptr, 1, Holders{0, 0}), std::invalid_argument);
  Data many = make_problem(std::vector<Index>(600, 1), 2).data(losses[0]);
  many.ranks = std::make_shared<const Ranks>(nullptr, 0, interleaved(1200, 2));
  CHECK_THROWS_AS(Groups(many, 1), std::invalid_argument);
}
