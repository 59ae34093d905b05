// Steps in the weights, the rows streamed once per local step.
//   local step  4 n_i d C flops, n_i d reals read
// Clients of many rows come one after the other, the rows of each shared out among the threads, so
// that the rows of only one client compete for the cache while it takes its local steps.
#pragma once

#include <functional>

#include "../model/weight_model.hpp"
#include "../steps/primal_rungs.hpp"
#include "dealers.hpp"
#include "extrapolation.hpp"

namespace localgd {

template <class Real>
class Streamed final : public Phase {
  using Block = typename Clients<Real>::Block;

 public:
  static constexpr std::string_view name = "streamed";
  static constexpr bool in_span = false;
  static constexpr Index multiple = 1;
  static bool suits(const Setting& of) {
    return !of.rule.solve && !of.rule.rates.own() && !of.layout.sparse();
  }

  static void forecast(const Setting& of, const Outlook& ahead, Forecast& forecast) {
    Cost& round = forecast.round;
    const double C = of.columns(), numbers = of.features() * C,
                 all_rows = sizeof(Real) * of.samples() * of.features();
    round.add(Cost::numbers, ahead.share * 5 * of.samples() * C);
    std::int64_t L = 0;
    MeanSteps steps;
    forecast.parts = 0;
    for (Index i = 0; i < of.layout.clients(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      const auto n = static_cast<double>(of.layout.size(i));
      const double rows = sizeof(Real) * n * of.features();
      round.add(Cost::clients, ahead.share);
      round.add(Cost::weights, ahead.share * 2 * numbers);
      forecast.parts += is_large(of.rule, of.layout, i)
                            ? Large(i, of.layout.size(i), of.layout.features(), 0).chunks()
                            : 1;
      if (of.rule.stochastic()) {
        const double drawn = ahead.share * static_cast<double>(of.rule.steps[at]) *
                             static_cast<double>(of.rule.batches[at]);
        round.add(Cost::products, ahead.share * static_cast<double>(of.rule.steps[at]));
        round.add(Cost::draws, drawn);
        round.add(Cost::exponentials, 2 * drawn * C);  // one by one
        round.add_flops<double>(Cost::row_flops, 2 * drawn * numbers);
        round.add_flops<Real>(Cost::row_flops, 4 * drawn * numbers);
        round.read(sizeof(Real) * drawn * of.features(), rows);
        continue;
      }
      if (L != of.rule.steps[at]) {
        L = of.rule.steps[at];
        const bool displaced = of.rule.correction && !of.rule.correction->pulls();
        steps = Extrapolation::foreseen<Real>(
            L, most_rungs(of.rule, displaced, of.layout.features(), of.outputs, L),
            FirstSteps::suit<Real>(L), 3, of, ahead);
      }
      const double passes = steps.after_one_another(), taken = ahead.share * steps.taken();
      round.add(Cost::products, ahead.share * passes * (of.multiclass ? 1 + C : 1));
      round.add(Cost::exponentials, taken * n * C);
      round.add(Cost::weights, ahead.share * 3 * passes * numbers);
      // The margins of the first step are products in float64.
      round.add_flops<double>(Cost::row_flops, ahead.share * 2 * n * numbers);
      round.add_flops<Real>(Cost::row_flops, (4 * taken - 2 * ahead.share) * n * numbers);
      round.read(ahead.share * rows, all_rows);
      round.read(ahead.share * rows * (passes - 1), rows);
    }
  }

  Streamed(WeightModel<Real>& model, const Round& round, const Setting&)
      : model_(&model),
        groups_(round.groups()),
        rule_(round.rule()),
        extrapolation_(rule_, clients().count()),
        dealers_(data(), round) {
    model.expect_whole_changes();
    const Index d = data().features(), C = outputs();
    std::vector<double> costs;
    Index most_chunks = 0, columns = 1;
    for (Index i = 0; i < data().clients(); ++i) {
      costs.push_back(4.0 * static_cast<double>(round.rows_of_step(i)) *
                      static_cast<double>(d * C));
      if (!is_large(i)) continue;
      large_.emplace_back(i, data().size(i), d, costs.back());
      most_chunks = std::max(most_chunks, large_.back().chunks());
      if (most_rungs(i) > 0 && !first_steps(i)) columns = PrimalRungs<Real>::most;
    }
    work_ = groups_.work(costs);
    gradients_ = PerClient<Real>(most_chunks, d, C * columns);
  }

  bool prepare(Team& team, Stop&) override {
    const auto threads = static_cast<std::size_t>(team.threads());
    const Index d = data().features(), C = outputs();
    dealers_.prepare(team.threads());
    sums_ = clients().numbers_at_work(team.threads());
    base_ = clients().numbers_at_work(team.threads());
    scratch_.assign(threads, PrimalScratch<Real>(d, C, dealers_.largest_batch()));
    if (displaced()) starts_.assign(threads, Matrix<double>(d, C));
    if (rule_.l2 > 0) pull_.resize(d, C);
    if (displaced() && rule_.l2 > 0) pulls_.assign(threads, Matrix<Real>(d, C));
    Index large = 0, small = 0;  // rows of those that extrapolate
    for (Index i = 0; i < data().clients(); ++i)
      if (most_rungs(i) > 0)
        (is_large(i) ? large : small) = std::max(is_large(i) ? large : small, data().size(i));
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

  Outcome run(const Round& round, Team& team, Stop& stop) override {
    const auto steps = [&](Index i, std::int64_t count, std::int64_t done, int thread) {
      if (is_large(i)) return round.steps_taken(i);  // has taken them
      auto& scratch = scratch_[static_cast<std::size_t>(thread)];
      if (done == 0) start_client(round, i, thread);
      const PrimalClient<Real> client = view(round, i, thread);
      if (done == 0 && extrapolates(round, i)) return extrapolate(round, client, i, thread);
      if (rule_.stochastic())
        kernels().primal_batch(client, dealers_.of(i, thread), round.batch(i), scratch, count);
      else
        kernels().primal(client, scratch, count, done > 0);
      return count;
    };
    if (rule_.l2 > 0) pull_to_zero(round, model_->present(), pull_);
    const Work* work = &round.work();
    if (!large_.empty()) {
      small_.select(work_, [&](Index g) { return has_small(round, g); });
      work = &small_;
      for (const Large& client : large_)
        if (round.has(client.index) && !large_client(round, client, team, stop))
          return Outcome::stopped;
    }
    const bool complete = take_in_pieces(round, *work, team, stop, steps, [&](Index i, int thread) {
      if (!is_large(i))
        finish_client(round, i, scratch_[static_cast<std::size_t>(thread)].delta, thread);
    });
    if (!complete) return Outcome::stopped;
    extrapolation_.note(round);
    return Outcome::done;
  }

  bool extrapolated() const override { return extrapolation_.all(); }
  void commit(const Round& round, bool extrapolated) override {
    extrapolation_.count(round, extrapolated);
  }
  const LaddersTaken* ladders() const override {
    return extrapolation_.taken([&](Index i) { return most_rungs(i); });
  }

 private:
  const Clients<Real>& clients() const { return model_->clients(); }
  const Data& data() const { return clients().data(); }
  const Kernels<Real>& kernels() const { return clients().kernels(); }
  Index outputs() const { return clients().outputs(); }
  std::int64_t steps_of(Index i) const { return rule_.steps[static_cast<std::size_t>(i)]; }

  // A client whose rows are shared out, in chunks that the data alone decides on: the bits must not
  // depend on the number of threads. Each chunk has a gradient of its own, so rows must outweigh
  // it.
  struct Large {
    static constexpr Index bytes = 4 << 20;  // of rows; fewer stay in the caches of their thread
    static constexpr Index chunk_bytes = 512 << 10, fewest_rows = 32;

    Index index, rows;  // of the client; of each chunk except the last
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

  static bool is_large(const LocalRule& rule, const Layout& layout, Index i) {
    const Index n = layout.size(i), row = layout.features() * static_cast<Index>(sizeof(Real));
    return !rule.stochastic() && n >= 2 * Large::fewest_rows && n * row > Large::bytes;
  }
  bool is_large(Index i) const { return is_large(rule_, data(), i); }

  bool extrapolates(const Round& round, Index i) const {
    return !round.plan().frozen && most_rungs(i) > 0;
  }
  // Rungs take memory, for each row as much as so many features.
  static int most_rungs(const LocalRule& rule, bool displaced, Index features, Index outputs,
                        std::int64_t L) {
    constexpr Index all = PrimalRungs<Real>::most, fewest_features = 32;
    if (!Extrapolation::allowed(rule) || displaced ||
        features < std::max(fewest_features, outputs * all))
      return 0;
    if (FirstSteps::suit<Real>(L))
      return L < FirstSteps::fewest ? 0 : static_cast<int>(std::min<std::int64_t>(all, L - 1));
    return Ladder::most(L);
  }
  int most_rungs(Index i) const {
    return most_rungs(rule_, displaced(), data().features(), outputs(), steps_of(i));
  }
  bool first_steps(Index i) const { return FirstSteps::suit<Real>(steps_of(i)); }

  bool has_small(const Round& round, Index group) const {
    bool found = false;
    round.participants().for_each(group, [&](Index i) { found = found || !is_large(i); });
    return found;
  }

  // All local steps of a large client. Every other one goes through its rows backwards: it starts
  // with those that are still in the cache.
  bool large_client(const Round& round, const Large& large, Team& team, Stop& stop) {
    const Index i = large.index, n = data().size(i);
    Matrix<Real>&delta = scratch_.front().delta, &sum = scratch_.front().gradient;
    start_client(round, i, 0);
    const PrimalClient<Real> client = view(round, i, 0);
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
    std::int64_t l = extrapolates(round, i) ? extrapolate(round, client, i, 0, pass) : 0;
    for (; l < round.steps_taken(i) && !stop.requested(); ++l) {
      const bool known = l > 0;
      pass(1, sum.data(), [&](Index first, Index count, int thread, Real* gradient) {
        kernels().primal_gradient(client, first, count, known,
                                  scratch_[static_cast<std::size_t>(thread)], gradient);
      });
      take_step(client, sum);
    }
    if (stop.requested()) return false;
    finish_client(round, i, delta, 0);
    return true;
  }

  // A ladder, or one step. pass as in large_client(); or all rows of a small client on its thread.
  template <class Pass>
  std::int64_t extrapolate(const Round& round, const PrimalClient<Real>& client, Index i,
                           int thread, Pass&& pass) {
    const auto own = static_cast<std::size_t>(thread);
    PrimalRungs<Real>& at = rungs_at_work_[own];
    const auto block_of = [&](int t) -> RungBlock<Real>& {
      return blocks_[static_cast<std::size_t>(t)];
    };
    const auto start = [&](Real* before) {
      pass(1, at.gradients.data(), [&](Index first, Index count, int t, Real* gradient) {
        kernels().primal_start(client, data().targets_from(data().begin(i)), at, first, count,
                               block_of(t), before, gradient);
      });
    };
    const auto changes = [&](const Real* before) {
      std::atomic<Real> most{0};
      pass(at.rungs, at.gradients.data(), [&](Index first, Index count, int t, Real* gradients) {
        const Real moved =
            kernels().primal_changes(client, at, first, count, block_of(t), before, gradients);
        for (Real known = most.load(std::memory_order_relaxed);
             moved > known && !most.compare_exchange_weak(known, moved);) {
        }
      });
      return most.load();
    };
    // By reference: a copy of what they capture would take memory.
    const PrimalPasses<Real> passes{
        client, at, round.decay(), round.tau(i), std::cref(start), std::cref(changes)};
    return kernels().primal_ladder(passes, round.steps(i), most_rungs(i),
                                   Extrapolation::tolerance<Real>(round, i), ladders_[own],
                                   extrapolation_.rungs(i));
  }
  std::int64_t extrapolate(const Round& round, const PrimalClient<Real>& client, Index i,
                           int thread) {
    return extrapolate(round, client, i, thread, [&](Index columns, Real* out, auto&& task) {
      std::fill_n(out, columns * model_->present().size(), Real(0));
      task(Index{0}, data().size(i), thread, out);
    });
  }

  bool displaced() const { return model_->corrections().displace(); }

  // A displaced client starts elsewhere, and its steps are counted from there.
  void start_client(const Round& round, Index i, int thread) {
    Matrix<Real>& delta = scratch_[static_cast<std::size_t>(thread)].delta;
    delta.setZero();
    if (!data().shared()) clients().block_at_work(sums_, i, thread).setZero();  // else unread
    dealers_.begin(i, thread);
    if (!model_->corrections().any()) return;
    const auto own = static_cast<std::size_t>(thread);
    Block q = model_->corrections_in_weights().correction(i);
    if (displaced()) {
      starts_[own] = model_->present() + q.template cast<double>();
      if (rule_.l2 > 0) pull_to_zero(round, starts_[own], pulls_[own]);
      return;
    }
    q *= static_cast<Real>(round.plan().lr);
    if (rule_.l2 > 0) q += pull_;
  }

  // pull = -eta lambda w, but for an intercept that lambda leaves alone
  void pull_to_zero(const Round& round, const Matrix<double>& w, Matrix<Real>& pull) const {
    pull = (-round.l2_step() * w).template cast<Real>();
    if (model_->intercepts()) pull.bottomRows(1).setZero();
  }
  // What joins every step of a client, or null.
  const Real* shift(Index i, int thread) const {
    if (model_->corrections().pull()) return model_->corrections_in_weights().data(i);
    if (!(rule_.l2 > 0)) return nullptr;
    return displaced() ? pulls_[static_cast<std::size_t>(thread)].data() : pull_.data();
  }

  void finish_client(const Round& round, Index i, const Matrix<Real>& delta, int thread) {
    model_->take_moved(round, i, clients().block_at_work(sums_, i, thread).data(), delta.data(),
                       thread);
  }

  PrimalClient<Real> view(const Round& round, Index i, int thread) {
    const auto own = static_cast<std::size_t>(thread);
    const DenseBlock<Real> block = clients().rows().dense(clients().range(i));
    return {block.rows,
            block.signs,
            clients().targets(i),
            clients().row_weights(i),
            outputs(),
            static_cast<Real>(round.step(i)),
            static_cast<Real>(round.keep()),
            shift(i, thread),
            displaced() ? starts_[own] : model_->present(),
            round.plan().offset,
            clients().block_at_work(base_, i, thread).data(),
            scratch_[own].delta.data(),
            clients().block_at_work(sums_, i, thread).data(),
            clients().functions(),
            static_cast<Real>(model_->intercepts() ? round.l2_step() : 0.0)};
  }

  WeightModel<Real>* model_;
  const Groups& groups_;
  const LocalRule& rule_;
  Extrapolation extrapolation_;
  Dealers dealers_;
  Vector<Real> sums_;  // s, all clients or those at work
  Vector<Real> base_;  // A w_k, of these
  Work small_;
  std::vector<Large> large_;
  PerClient<Real> gradients_;            // of the chunks of a large client, and there of all rungs
  Work sum_work_;                        // the columns of these
  std::vector<RungBlock<Real>> blocks_;  // of each thread
  std::vector<PrimalRungs<Real>> rungs_at_work_;
  std::vector<LadderSpace<Real>> ladders_;
  std::vector<Matrix<double>> starts_;  // of each thread, where clients are displaced: w_k + q_i
  Matrix<Real> pull_;                   // -eta lambda w_k
  std::vector<Matrix<Real>> pulls_;     // of each thread, where clients are displaced
  std::vector<PrimalScratch<Real>> scratch_;
};

}  // namespace localgd
