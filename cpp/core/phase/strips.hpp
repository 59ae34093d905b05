// Full-batch steps of several runs side by side on K_ii, one run in each lane of a strip.
//   local step of a run  2 n_i^2 flops;  memory  sum n_i^2 reals
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <vector>

#include "../model/side_by_side.hpp"
#include "../steps/strip_kernels.hpp"
#include "extrapolation.hpp"
#include "span_clients.hpp"

namespace localgd {

template <class Real>
class Strips final : public Phase {
 public:
  static constexpr std::string_view name = "strips";
  static constexpr Index multiple = 1;
  static bool suits(const Setting& of) {
    const LocalRule& rule = of.rule;
    return of.outputs == 1 && !of.multiclass && !of.loss.functions && !rule.solve &&
           !rule.stochastic() && rule.rates.given() && !rule.correction && !of.compressed &&
           rule.equal_steps() && !(rule.l2 > 0) && !of.layout.weighted;
  }

  // Of one run of many.
  static void forecast(const Setting& of, const Outlook& ahead, Forecast& forecast) {
    forecast_blocks<Real>(of, forecast);
    const std::int64_t L = of.rule.steps.front();
    const MeanSteps steps = Extrapolation::foreseen<Real>(L, Extrapolation::most_rungs(of.rule, L),
                                                          false, 1, of, ahead);
    for (Index i = 0; i < of.layout.clients(); ++i) {
      const auto n = static_cast<double>(of.layout.size(i));
      forecast.round.add_flops<Real>(Cost::strip_flops,
                                     2 * n * n * std::max(steps.taken() - 1, 0.0));
      forecast.round.add(Cost::derivatives, n * steps.taken() * sizeof(Real) / 8);
    }
  }

  Strips(SideBySide<Real>& model, const Round& round, const Setting& of)
      : model_(&model),
        steps_(round.rule().steps.front()),
        climbs_(Extrapolation::most_rungs(round.rule(), steps_) > 0),
        kernels_(StripKernels<Real>::of(of.loss.name)),
        targets_(data().targets.template cast<Real>().transpose().replicate(width, 1).reshaped()),
        blocks_(static_cast<std::size_t>(data().clients())) {
    work_ = span_work(data(), 1, round);
  }

  bool prepare(Team& team, Stop& stop) override {
    spaces_.resize(static_cast<std::size_t>(team.threads()));
    std::vector<double> costs;
    for (Index i = 0; i < data().clients(); ++i)
      costs.push_back(static_cast<double>(data().size(i)) * static_cast<double>(data().size(i)));
    team.for_each(Work(std::move(costs)), [&](Index i, int thread) {
      Panels<Real>& gram = blocks_[static_cast<std::size_t>(i)];
      gram = Panels<Real>(data().size(i), data().size(i));
      for (Index g = 0; g < gram.groups() && !stop.check(thread); ++g)
        gram.fill(model_->clients().rows(), model_->clients().range(i), g);
    });
    return !stop.requested();
  }

  Outcome run(const Round& round, Team& team, Stop& stop) override {
    if (model_->runs_at_work() != arranged_) arrange();
    proximal_ = model_->any_at_work([](const RunState& run) { return run.prox > 0; });
    std::atomic<bool> complete{true};
    team.for_each(strips_work_, [&](Index item, int thread) {
      if (!take_steps(round, items_[static_cast<std::size_t>(item)], thread, stop))
        complete.store(false, std::memory_order_relaxed);
    });
    return complete ? Outcome::done : Outcome::stopped;
  }

 private:
  static constexpr Index width = strip_width<Real>;
  static constexpr Index most_strips = 16 / strip_registers;  // of an item
  static constexpr Index start_rows = 64;                     // whose values are found together
  using Lanes = std::array<Real, most_strips * width>;

  // Strips that take their steps together, on one client.
  struct Item {
    Index client, first, strips;
  };
  struct Space {
    Vector<Real> numbers;  // see StripClient
    LadderSpace<Real> ladder;
  };

  const Data& data() const { return model_->clients().data(); }

  // Shares the strips of the runs at work out. An item takes as many as stay in the L2 cache, where
  // K_ii does not stay in the L1 cache anyway.
  void arrange() {
    arranged_ = model_->runs_at_work();
    items_.clear();
    std::vector<double> costs;
    for (Index i = 0; i < data().clients(); ++i) {
      const Index n = data().size(i), all = model_->strips();
      const Index at_once =
          n * n <= reals(24) ? 1 : std::clamp<Index>(reals(256) / (5 * n * width), 1, most_strips);
      for (Index first = 0; first < all; first += at_once) {
        const Index strips = std::min(at_once, all - first);
        items_.push_back({i, first, strips});
        costs.push_back(static_cast<double>(strips * width) * (2.0 * static_cast<double>(n) + 20) *
                        static_cast<double>(n));
      }
    }
    strips_work_ = Work(std::move(costs));
    make_room();
  }
  // For any thread to take any item.
  void make_room() {
    Index item_size = 0, strip_size = 0;
    for (const Item& item : items_) {
      const Index size = data().size(item.client) * width;
      item_size = std::max(item_size, item.strips * size);
      strip_size = std::max(strip_size, size);
    }
    for (Space& space : spaces_) {
      space.numbers.resize(5 * item_size);
      if (climbs_ && space.ladder.before.size() < strip_size)
        space.ladder = LadderSpace<Real>(strip_size);
    }
  }
  static constexpr Index reals(Index kib) { return kib * 1024 / static_cast<Index>(sizeof(Real)); }

  // All steps of an item; false if it was stopped.
  bool take_steps(const Round& round, const Item& item, int thread, Stop& stop) {
    if (!round.has(item.client)) {
      model_->take(round, item.client, item.first, item.strips, nullptr);
      return true;
    }
    Space& space = spaces_[static_cast<std::size_t>(thread)];
    Lanes step{}, keep;
    const StripClient<Real> client = start(item, space, step, keep);
    std::array<std::int64_t, most_strips> done{};
    for (Index s = 0; climbs_ && s < item.strips; ++s)
      done[static_cast<std::size_t>(s)] =
          climb(round, item.client, client.strip(s), item.first + s, space.ladder);
    bool complete = true;
    if (std::all_of(done.begin(), done.begin() + item.strips,
                    [&](auto steps) { return steps == done.front(); })) {
      complete = go_on(client, done.front(), thread, stop);
    } else {
      for (Index s = 0; s < item.strips; ++s)
        complete &= go_on(client.strip(s), done[static_cast<std::size_t>(s)], thread, stop);
    }
    if (complete) model_->take(round, item.client, item.first, item.strips, client.sums);
    return complete;
  }

  // Where the steps of an item begin. Lanes without a run stand still at 0.
  StripClient<Real> start(const Item& item, Space& space, Lanes& step, Lanes& keep) const {
    const Index n = data().size(item.client), begin = data().begin(item.client),
                size = item.strips * n * width;
    Real *base = space.numbers.data(), *at_start = base + size, *delta = at_start + size,
         *sums = delta + size;
    std::fill_n(base, 4 * size, Real(0));
    keep.fill(Real(1));
    const auto& values_at_start = model_->clients().kernels().values_at_start;
    for (Index lane = 0; lane < item.strips * width; ++lane) {
      const RunState* run = model_->in_lane(item.first * width + lane);
      if (!run) break;
      step[static_cast<std::size_t>(lane)] = static_cast<Real>(run->lr / static_cast<double>(n));
      keep[static_cast<std::size_t>(lane)] = static_cast<Real>(1 - run->lr * run->prox);
      const Index place = (lane / width) * n * width + lane % width;
      std::array<double, start_rows> margins;
      std::array<Real, start_rows> values;
      for (Index row = 0; row < n; row += start_rows) {
        const Index rows = std::min(n - row, start_rows);
        for (Index j = 0; j < rows; ++j)
          margins[static_cast<std::size_t>(j)] = run->margins.value(begin + row + j);
        values_at_start(margins.data(), data().targets.data() + begin + row, rows, 1, rows,
                        values.data());
        for (Index j = 0; j < rows; ++j) {
          const Index at = place + (row + j) * width;
          base[at] = static_cast<Real>(margins[static_cast<std::size_t>(j)]);
          at_start[at] = values[static_cast<std::size_t>(j)];
        }
      }
    }
    return {blocks_[static_cast<std::size_t>(item.client)],
            targets_.data() + begin * width,
            n,
            item.strips,
            step.data(),
            keep.data(),
            proximal_,
            base,
            at_start,
            delta,
            sums,
            sums + size};
  }

  // The steps that a ladder takes of one strip.
  std::int64_t climb(const Round& round, Index i, const StripClient<Real>& client, Index strip,
                     LadderSpace<Real>& space) const {
    std::array<double, width> decay{}, tau;
    for (Index l = 0; l < width; ++l) {
      const auto at = static_cast<std::size_t>(l);
      if (const RunState* run = model_->in_lane(strip * width + l)) decay[at] = run->lr * run->prox;
      tau[at] = sum_of_decays(decay[at], steps_);
    }
    std::int64_t rung;
    return kernels_.ladder(client, steps_, decay.data(), tau.data(),
                           Extrapolation::tolerance<Real>(round, i), space, rung);
  }

  // The steps of some strips after those that are done.
  bool go_on(const StripClient<Real>& client, std::int64_t done, int thread, Stop& stop) const {
    const auto flops = static_cast<double>(2 * client.rows * client.rows * client.strips * width);
    return take_in_pieces(steps_ - done, steps_of_piece(flops), stop, thread,
                          [&](std::int64_t count, std::int64_t taken) {
                            const bool last = done + taken + count == steps_;
                            kernels_.steps(client, count, last);
                            return count;
                          });
  }

  SideBySide<Real>* model_;
  const std::int64_t steps_;
  const bool climbs_;
  const StripKernels<Real> kernels_;
  const Vector<Real> targets_;  // each repeated for all lanes
  std::vector<Panels<Real>> blocks_;
  std::vector<Space> spaces_;  // of each thread
  std::vector<Item> items_;    // of so many runs
  Work strips_work_;
  Index arranged_ = 0;
  bool proximal_ = false;
};

}  // namespace localgd
