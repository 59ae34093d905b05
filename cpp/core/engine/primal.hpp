// Engine "primal": weights everywhere, rows streamed once per local step.
//   local step  4 n_i d flops, n_i d reals read;  round  2 M d;  memory  512 d reals at most
// Clients of many rows come one after the other, the rows of each shared out among the threads, so
// that the rows of only one client compete for the cache while it takes its local steps.
#pragma once

#include "weighted.hpp"

namespace localgd {

template <class Real>
class PrimalEngine final : public WeightedEngine<Real, BaseEngine<Real>> {
  using Weighted = WeightedEngine<Real, BaseEngine<Real>>;
  using Weighted::block;
  using Weighted::data_;
  using Weighted::local_;

 public:
  PrimalEngine(const Data& data, const Matrix<double>& init, const EngineOptions& options)
      : Weighted(data, init, options), base_(data.samples() * init.cols()) {
    if (local_.solve)
      throw std::invalid_argument("engine: the exact local solve needs K_ii: gram or hybrid");
    std::vector<double> costs;
    Index most_chunks = 0, columns = 1;
    for (Index i = 0; i < data.clients(); ++i) {
      const Index rows = this->round_.batch(i) > 0 ? this->round_.batch(i) : data.size(i);
      costs.push_back(4.0 * static_cast<double>(rows) * static_cast<double>(init.size()));
      if (!is_large(i)) continue;
      large_.emplace_back(i, data.size(i), init.rows(), costs.back());
      most_chunks = std::max(most_chunks, large_.back().chunks());
      if (most_rungs(i) > 0 && !first_steps(i)) columns = PrimalRungs<Real>::most;
    }
    work_ = this->round_.groups().work(costs);
    gradients_ = PerClient<Real>(most_chunks, init.rows(), init.cols() * columns);
  }

  bool prepare(Team& team, Stop&) override {
    const auto threads = static_cast<std::size_t>(team.threads());
    const Index d = data_.features(), C = this->outputs_;
    scratch_.assign(threads, PrimalScratch<Real>(d, C, this->largest_batch_));
    if (displaced()) starts_.assign(threads, Matrix<double>(d, C));
    Index large = 0, small = 0;  // rows of those that climb
    for (Index i = 0; i < data_.clients(); ++i)
      if (most_rungs(i) > 0)
        (is_large(i) ? large : small) = std::max(is_large(i) ? large : small, data_.size(i));
    if (std::max(large, small) == 0) return true;
    blocks_.assign(threads, RungBlock<Real>(d, C));
    // The first thread's also serve the large clients.
    for (std::size_t t = 0; t < threads; ++t) {
      const Index rows = t == 0 ? std::max(large, small) : small;
      ladders_.emplace_back(entries_in_blocks<Real>(rows, d, C), false);
      rungs_at_work_.emplace_back(rows, d, C);
    }
    return true;
  }

  Outcome round(const RoundPlan& plan, Team& team, Stop& stop) override {
    this->begin_round(plan, work_);
    if (this->corrections_.any()) this->correct(team, work_, base_);
    const auto steps = [&](Index i, std::int64_t count, std::int64_t done, int thread) {
      if (is_large(i)) return this->round_.steps_taken(i);  // has taken them
      auto& scratch = scratch_[static_cast<std::size_t>(thread)];
      if (done == 0) start_client(i, thread);
      const PrimalClient<Real> client = view(i, thread);
      if (done == 0 && this->climbs(i)) return climb(client, i, thread);
      if (local_.stochastic())
        this->kernels_.primal_batch(client, this->dealers_[static_cast<std::size_t>(i)],
                                    this->round_.batch(i), scratch, count);
      else
        this->kernels_.primal(client, scratch, count, done > 0);
      return count;
    };
    const Work* work = &this->round_.work();
    if (!large_.empty()) {
      small_.select(work_, [&](Index g) { return has_small(g); });
      work = &small_;
      for (const Large& client : large_)
        if (this->round_.has(client.index) && !large_client(client, team, stop))
          return Outcome::stopped;
    }
    const bool complete = this->local_phase(*work, team, stop, steps, [&](Index i, int thread) {
      if (!is_large(i)) finish_client(i, scratch_[static_cast<std::size_t>(thread)].delta);
    });
    if (!complete) return Outcome::stopped;
    this->count_ladders();
    return this->aggregate(team);
  }

 private:
  // A client whose rows are shared out, in chunks that the data alone decides on: the bits must not
  // depend on the number of threads. Each chunk has a gradient of its own, so rows must outweigh
  // it.
  struct Large {
    static constexpr Index bytes = 4 << 20;  // of rows; fewer stay in the caches of their thread
    static constexpr Index chunk_bytes = 512 << 10, fewest_rows = 32;

    Index index, rows;  // of the client; in a chunk but the last
    Work forth, back;   // the chunks, and those from the last to the first

    Large(Index client, Index n, Index d, double cost) : index(client) {
      const Index wanted =
          std::max(fewest_rows, chunk_bytes / (d * static_cast<Index>(sizeof(Real))));
      const Index parts = (n + wanted - 1) / wanted, block = rows_per_block<Real>(d);
      rows = ((n + parts - 1) / parts + block - 1) / block * block;
      std::vector<double> costs;
      for (Index first = 0; first < n; first += rows)
        costs.push_back(cost * static_cast<double>(std::min(rows, n - first)) /
                        static_cast<double>(n));
      forth = Work(std::move(costs));
      back = forth.backwards();
    }
    Index chunks() const { return forth.items(); }
  };

  bool is_large(Index i) const {
    const Index n = data_.size(i), row = data_.features() * static_cast<Index>(sizeof(Real));
    return !local_.stochastic() && n >= 2 * Large::fewest_rows && n * row > Large::bytes;
  }

  // Rungs take memory, for each row as much as so many features.
  int most_rungs(Index i) const override {
    constexpr Index all = PrimalRungs<Real>::most, fewest_features = 32;
    const Index d = data_.features(), L = this->round_.steps(i);
    if (this->takes_every_step() || displaced() ||
        d < std::max(fewest_features, this->outputs_ * all))
      return 0;
    if (first_steps(i)) return L < FirstSteps::fewest ? 0 : static_cast<int>(std::min(all, L - 1));
    return Ladder::most(L);
  }
  bool first_steps(Index i) const { return FirstSteps::suit<Real>(this->round_.steps(i)); }

  bool has_small(Index group) const {
    bool found = false;
    this->round_.participants().for_each(group, [&](Index i) { found = found || !is_large(i); });
    return found;
  }

  // All local steps of a large client. Every other one goes through its rows backwards: it starts
  // with those that are still in the cache.
  bool large_client(const Large& large, Team& team, Stop& stop) {
    const Index i = large.index, n = data_.size(i);
    Matrix<Real>&delta = scratch_.front().delta, &sum = scratch_.front().gradient;
    start_client(i, 0);
    const PrimalClient<Real> client = view(i, 0);
    bool forth = true;
    // Calls task(first row, count, thread, gradients) for all chunks; out: the sum of so many
    // columns for each output.
    const auto pass = [&](Index columns, Real* out, auto&& task) {
      const Index size = columns * sum.size();
      team.for_each(forth ? large.forth : large.back, [&](Index chunk, int thread) {
        if (stop.check(thread)) return;
        Real* gradients = gradients_.data(chunk);
        std::fill_n(gradients, size, Real(0));
        const Index first = chunk * large.rows;
        task(first, std::min(large.rows, n - first), thread, gradients);
      });
      forth = !forth;
      if (stop.requested()) return;
      sum_work_.even(columns, static_cast<double>(large.chunks() * sum.size()));
      team.for_each(sum_work_, [&](Index column, int) {
        Eigen::Map<Vector<Real>> total(out + column * sum.size(), sum.size());
        total.setZero();
        for (Index chunk = 0; chunk < large.chunks(); ++chunk)
          total += Eigen::Map<const Vector<Real>>(gradients_.data(chunk) + column * sum.size(),
                                                  sum.size());
      });
    };
    std::int64_t l = this->climbs(i) ? climb(client, i, 0, pass) : 0;
    for (; l < this->round_.steps_taken(i) && !stop.requested(); ++l) {
      const bool known = l > 0;
      pass(1, sum.data(), [&](Index first, Index count, int thread, Real* gradient) {
        this->kernels_.primal_gradient(client, first, count, known,
                                       scratch_[static_cast<std::size_t>(thread)], gradient);
      });
      take_step(client, sum);
    }
    if (stop.requested()) return false;
    finish_client(i, delta);
    return true;
  }

  // A ladder, or one step. pass as in large_client(); or all rows of a small client on its thread.
  template <class Pass>
  std::int64_t climb(const PrimalClient<Real>& client, Index i, int thread, Pass&& pass) {
    const auto own = static_cast<std::size_t>(thread);
    PrimalRungs<Real>& at = rungs_at_work_[own];
    const auto block_of = [&](int t) -> RungBlock<Real>& {
      return blocks_[static_cast<std::size_t>(t)];
    };
    const auto start = [&](Real* before) {
      pass(1, at.gradients.data(), [&](Index first, Index count, int t, Real* gradient) {
        this->kernels_.primal_start(client, data_.targets.data() + data_.begin(i), at, first, count,
                                    block_of(t), before, gradient);
      });
    };
    const auto changes = [&](const Real* before) {
      std::atomic<Real> most{0};
      pass(at.rungs, at.gradients.data(), [&](Index first, Index count, int t, Real* gradients) {
        const Real moved =
            this->kernels_.primal_changes(client, at, first, count, block_of(t), before, gradients);
        for (Real known = most.load(std::memory_order_relaxed);
             moved > known && !most.compare_exchange_weak(known, moved);) {
        }
      });
      return most.load();
    };
    const PrimalRounds<Real, decltype(start), decltype(changes)> rounds{
        client, at, this->round_.prox_step(), this->round_.tau(i), start, changes};
    const auto take = [&](auto&& ladder) {
      return climb_ladder<Real>(ladder, this->round_.steps(i), most_rungs(i),
                                this->ladder_tolerance(i), ladders_[own],
                                this->rungs_[static_cast<std::size_t>(i)]);
    };
    using Start = decltype(start);
    using Changes = decltype(changes);
    if (first_steps(i)) return take(PrimalFirstSteps<Real, Start, Changes>{rounds});
    return take(PrimalLadder<Real, Start, Changes>{rounds});
  }
  std::int64_t climb(const PrimalClient<Real>& client, Index i, int thread) {
    return climb(client, i, thread, [&](Index columns, Real* out, auto&& task) {
      std::fill_n(out, columns * this->weights_.value.size(), Real(0));
      task(Index{0}, data_.size(i), thread, out);
    });
  }

  bool displaced() const { return this->corrections_.displace(); }

  // A displaced client starts elsewhere, and its steps are counted from there.
  void start_client(Index i, int thread) {
    Matrix<Real>& delta = scratch_[static_cast<std::size_t>(thread)].delta;
    delta.setZero();
    block(this->sums_, i).setZero();
    this->begin_batches(i);
    if (!this->corrections_.any()) return;
    auto q = this->own_parts_.of(i);
    q -= this->shared_;
    if (displaced())
      starts_[static_cast<std::size_t>(thread)] = this->weights_.value + q.template cast<double>();
    else
      q *= static_cast<Real>(this->round_.plan().lr);
  }

  void finish_client(Index i, const Matrix<Real>& delta) {
    this->finish_steps(i);
    this->sums_of_groups_.add(i, this->round_.share(i), delta.data());
  }

  PrimalClient<Real> view(Index i, int thread) {
    const auto own = static_cast<std::size_t>(thread);
    return {this->rows_.of(data_, i),
            this->targets_.data() + data_.begin(i),
            this->outputs_,
            static_cast<Real>(this->round_.step(i)),
            static_cast<Real>(1 - this->round_.prox_step()),
            this->corrections_.pull() ? this->own_parts_.data(i) : nullptr,
            displaced() ? starts_[own] : this->weights_.value,
            block(base_, i).data(),
            scratch_[own].delta.data(),
            block(this->sums_, i).data()};
  }

  Work work_, small_;
  std::vector<Large> large_;
  PerClient<Real> gradients_;            // of the chunks of a large client, and there of all rungs
  Work sum_work_;                        // the columns of these
  std::vector<RungBlock<Real>> blocks_;  // of each thread
  std::vector<PrimalRungs<Real>> rungs_at_work_;
  std::vector<LadderSpace<Real>> ladders_;
  Vector<Real> base_;                   // A w_k, all clients
  std::vector<Matrix<double>> starts_;  // of each thread, where clients are displaced: w_k + q_i
  std::vector<PrimalScratch<Real>> scratch_;
};

}  // namespace localgd
