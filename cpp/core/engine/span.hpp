// Local phase in the span of each client's rows: shared by the gram and the hybrid engine.
#pragma once

#include <optional>

#include "../matrix_products.hpp"
#include "../phase/solves.hpp"
#include "base.hpp"

namespace localgd {

template <class Real>
class SpanEngine : public BaseEngine<Real> {
 public:
  using Base = BaseEngine<Real>;

  Index infeasible_client() const override { return infeasible_.load(); }
  Engine::State state() override {
    Engine::State state = Base::state();
    if (local_.solve) state.emplace_back("active rows", &exact_.active_order);
    return state;
  }

 protected:
  using Base::block;
  using Base::data_;
  using Base::local_;
  using Base::outputs_;

  static constexpr Index panel = 64;  // rows of a Gram matrix that are made, or multiplied, at once

  SpanEngine(const Data& data, Index outputs, const EngineOptions& options)
      : SpanEngine(data, outputs, options, suiting_bundles(data, outputs, options)) {}

  SpanEngine(const Data& data, Index outputs, const EngineOptions& options,
             std::optional<Bundles<Real>> bundles)
      : Base(data, outputs, options, bundles ? bundle_width<Real> : 1),
        margins_at_start_(bundles ? 0 : data.samples() * outputs),
        bundles_(std::move(bundles)),
        exact_(data, options.loss) {
    std::vector<double> costs;
    Index end = 0;
    for (Index i = 0; i < data.clients(); ++i) {
      offsets_.push_back(end);
      if (!bundles_) end += padded<Real>(data.size(i)) * outputs;
      const auto n = static_cast<double>(data.size(i)), c = static_cast<double>(outputs);
      const auto rows = this->round_.batch(i) > 0 ? static_cast<double>(this->round_.batch(i)) : n;
      costs.push_back((2 * n * rows + 20 * rows) * c);
    }
    work_ = this->round_.groups().work(costs);
    for (auto* numbers : {&base_, &at_start_, &delta_, &scratch_})
      *numbers = Vector<Real>::Zero(end);
    if (this->corrections_.any()) shift_ = base_;
  }

  // K_ii of every client. False if it was stopped.
  bool prepare_blocks(Team& team, Stop& stop) {
    if (bundles_) return prepare_bundles(team, stop);
    blocks_.resize(static_cast<std::size_t>(data_.clients()));
    std::vector<Index> begins{0};
    for (Index i = 0; i < data_.clients(); ++i)
      begins.push_back(begins.back() + PaddedGram<Real>::space(data_.size(i)));
    grams_ = LargeArray<Real>(begins.back());
    Index longest = 0;
    for (Index i = 0; i < data_.clients(); ++i)
      if (most_rungs(i) > 0) longest = std::max(longest, padded<Real>(data_.size(i)) * outputs_);
    ladders_.assign(static_cast<std::size_t>(team.threads()), LadderSpace<Real>(longest));
    this->for_all_clients(team, work_, [&](Index i, int thread) {
      const auto a = this->rows_.of(data_, i);
      auto& own = blocks_[static_cast<std::size_t>(i)];
      own.place(a.rows(), grams_.data() + begins[static_cast<std::size_t>(i)]);
      auto gram = own.values();
      for (Index first = 0; first < a.rows() && !stop.check(thread); first += panel)
        multiply_by_rows(a.middleRows(first, std::min(panel, a.rows() - first)), a,
                         gram.middleRows(first, std::min(panel, a.rows() - first)));
      if (local_.solve && !stop.requested()) exact_.prepare(i, gram);
      if (!local_.stochastic()) own.arrange(outputs_);
    });
    turns_.clear();
    if (local_.stochastic()) clients_of_turn_ = most_clients_of_turn();
    for (int t = 0; local_.stochastic() && t < team.threads(); ++t)
      turns_.emplace_back(clients_of_turn_, this->largest_batch_, outputs_);
    return !stop.requested();
  }

  // Writes a client's margins to margins_at_start_ and, with corrections, A_i q_i to shift_.
  virtual void begin_client(Index i) = 0;
  // May read b_i from coefficients_.
  virtual void finish_client(Index /*i*/, int /*thread*/) {}

  // The same of a bundle: writes its margins at w_k, those of clients out of the round for nothing;
  // takes its sums. next: the one that follows, or one past the last.
  virtual void begin_bundle(Index bundle, Index next, BundleClients<Real>& client) = 0;
  virtual void finish_bundle(Index bundle, Index /*next*/, const BundleClients<Real>& client,
                             int /*thread*/) {
    note_changes(bundle, client);
  }
  // Of all bundles of a group.
  virtual void begin_group(int /*thread*/) {}
  virtual void finish_group(Index /*group*/, int /*thread*/) {}

  // b_i of the clients of a bundle.
  void note_changes(Index bundle, const BundleClients<Real>& client) {
    constexpr Index width = bundle_width<Real>;
    const Index first = bundle * width, end = std::min(first + width, data_.clients());
    for (Index i = first; i < end; ++i) {
      if (!this->round_.has(i)) continue;
      const double change = client.at.change[i - first];
      const Real* sums = client.at.sums.data() + i - first;
      double* b = this->coefficients_.change(i, 0);
      for (Index j = 0, rows = data_.size(i); j < rows; ++j)
        b[j] = change * static_cast<double>(sums[j * width]);
    }
  }

  // The local work of every client of the round.
  Outcome local_work(Team& team, Stop& stop) {
    if (local_.solve) return exact_work(team, stop);
    if (bundles_) return bundled_work(team, stop);
    if (local_.stochastic()) return batch_work(team, stop);
    return stepwise_work(team, stop);
  }

  // Takes the round into the state, as Base::commit, with the active rows of exact solves.
  Outcome commit(Track& state, Team& team) {
    const Outcome outcome = Base::commit(state, team);
    if (outcome == Outcome::done && local_.solve)
      this->round_.participants().for_each([&](Index i) { exact_.keep(i); });
    return outcome;
  }

  // K_ii gamma_i, the client's own part of A_i q_i.
  void own_correction(Index i) {
    auto gamma = columns(scratch_, i);
    gamma = this->corrections_.own(i).template cast<Real>();
    std::fill_n(at(shift_, i), padded<Real>(data_.size(i)) * outputs_, Real(0));
    blocks_[static_cast<std::size_t>(i)].add_product(at(scratch_, i), outputs_, Real(1),
                                                     at(shift_, i));
  }

  // A client's n_i x C numbers in an array of whole registers, and in one without gaps.
  auto columns(Vector<Real>& flat, Index i) const {
    const Index n = data_.size(i);
    return Eigen::Map<Matrix<Real>, 0, Eigen::OuterStride<>>(at(flat, i), n, outputs_,
                                                             Eigen::OuterStride<>(padded<Real>(n)));
  }
  auto start_margins(Index i) {
    return Eigen::Map<Matrix<double>>(margins_at_start_.data() + data_.begin(i) * outputs_,
                                      data_.size(i), outputs_);
  }

  Work work_;
  LargeArray<Real> grams_;  // all K_ii
  std::vector<PaddedGram<Real>> blocks_;
  // unless in bundles: A_i w_k of all clients, and A_i (w_k + q_i) with displacements
  Vector<double> margins_at_start_;
  Vector<Real> base_, at_start_, delta_, shift_, scratch_;  // see steps/span_steps.hpp
  std::atomic<Index> infeasible_{-1};
  std::optional<Bundles<Real>> bundles_;  // in place of blocks_

 private:
  Outcome stepwise_work(Team& team, Stop& stop) {
    const auto steps = [&](Index i, std::int64_t count, std::int64_t done, int thread) {
      if (done == 0) {
        start_client(i);
        if (this->climbs(i)) return climb(i, thread);
      }
      const SpanClient<Real> client = view(i);
      const bool last = done + count == this->round_.steps_taken(i);
      this->kernels_.span(client, count, last);
      return count;
    };
    const bool complete =
        this->local_phase(this->round_.work(), team, stop, steps, [&](Index i, int thread) {
          this->finish_steps(i);
          finish_client(i, thread);
        });
    if (!complete) return Outcome::stopped;
    this->count_ladders();
    return Outcome::done;
  }

  // Steps with batches, of several clients in turn where they are short. The turns are such that
  // two threads have as many.
  Outcome batch_work(Team& team, Stop& stop) {
    const Work& groups = this->round_.work();
    const Index items = turns(groups.items());
    turns_work_.even(items, groups.total / static_cast<double>(std::max<Index>(items, 1)));
    team.for_each(turns_work_, [&](Index item, int thread) {
      BatchTurn<Real>& turn = turns_[static_cast<std::size_t>(thread)];
      turn.clients.clear();
      const auto start = [&](Index i) {
        if (static_cast<Index>(turn.clients.size()) == clients_of_turn_)
          take_turn(turn, stop, thread);
        start_client(i);
        turn.add(i, view(i), this->dealers_[static_cast<std::size_t>(i)], this->round_.batch(i));
      };
      const Index count = groups.items();
      for (Index at = item * count / items; at < (item + 1) * count / items; ++at) {
        const Index group = groups.order[static_cast<std::size_t>(at)];
        this->round_.participants().for_each(group, start);
      }
      take_turn(turn, stop, thread);
    });
    return stop.requested() ? Outcome::stopped : Outcome::done;
  }

  // Those of some groups: of one client each, or each with clients for turns of its own.
  Index turns(Index groups) const {
    const Index several = 2 * clients_of_turn_;
    if (clients_of_turn_ == 1 || this->round_.groups().count() < data_.clients()) return groups;
    return std::min(groups, 2 * ((groups + several - 1) / several));
  }

  // So many that nobody waits, of as many steps each: a few rows in all, or more if the blocks fit
  // in a first-level cache.
  Index most_clients_of_turn() const {
    constexpr Index rows = 8, cache = 28 << 10, most = 16;
    if (outputs_ > 1 || !local_.equal_steps()) return 1;
    Index largest = 1;
    for (const auto& own : blocks_) largest = std::max(largest, own.bytes());
    return std::clamp<Index>(std::max(rows / this->largest_batch_, cache / largest), 1, most);
  }

  void take_turn(BatchTurn<Real>& turn, Stop& stop, int thread) {
    if (turn.clients.empty()) return;
    const std::int64_t steps = this->round_.steps_taken(turn.clients.front().index),
                       piece = this->steps_of_piece(turns_work_.largest);
    for (std::int64_t done = 0; done < steps && !(done > 0 && stop.check(thread)); done += piece)
      this->kernels_.span_batch(turn, std::min(piece, steps - done), done + piece >= steps);
    for (const auto& client : turn.clients) {
      this->finish_steps(client.index);
      finish_client(client.index, thread);
    }
    turn.clients.clear();
  }

  // Bundles take every step: of many steps a ladder needs fewer.
  static std::optional<Bundles<Real>> suiting_bundles(const Data& data, Index outputs,
                                                      const EngineOptions& options) {
    constexpr std::int64_t many = 128;
    const LocalRule& local = options.local;
    const bool plain = outputs == 1 && options.loss != "softmax" && !local.solve &&
                       !local.stochastic() && local.correction == Correction::none &&
                       (local.every_step || local.steps.front() <= many) && local.equal_steps();
    if (!plain) return {};
    std::vector<Index> sizes;
    for (Index i = 0; i < data.clients(); ++i) sizes.push_back(data.size(i));
    return Bundles<Real>::suiting(sizes);
  }

  bool prepare_bundles(Team& team, Stop& stop) {
    bundles_->make();
    bundle_spaces_.assign(static_cast<std::size_t>(team.threads()),
                          BundleSpace<Real>(bundles_->most_rows()));
    this->for_small_clients(team, work_, stop, [&](Index i) {
      const auto a = this->rows_.of(data_, i);
      RowMatrix<Real> gram(a.rows(), a.rows());
      multiply_by_rows(a, a, gram);
      bundles_->put(i, gram, data_.targets.data() + data_.begin(i));
    });
    return !stop.requested();
  }

  Outcome bundled_work(Team& team, Stop& stop) {
    constexpr std::int64_t piece = 10'000;  // a ms or more
    const std::int64_t steps = this->round_.steps_taken(0);
    team.for_each(this->round_.work(), [&](Index g, int thread) {
      constexpr Index width = bundle_width<Real>;
      const Index last = this->round_.groups().end(g);
      Participants::Cursor present(this->round_.participants(), g);
      begin_group(thread);
      for (Index i = present(0), next; i < last; i = next) {
        const Index bundle = i / width, first = bundle * width, end = std::min(first + width, last);
        next = present(first + width);
        auto client = bundles_->of(bundle, static_cast<Real>(1 - this->round_.prox_step()),
                                   bundle_spaces_[static_cast<std::size_t>(thread)]);
        begin_bundle(bundle, next / width, client);
        start_bundle(client, first, end);
        for (std::int64_t done = 0; done < steps; done += piece) {
          if (stop.check(thread)) return;
          this->kernels_.bundle(client, std::min(piece, steps - done), done + piece >= steps);
        }
        finish_bundle(bundle, next / width, client, thread);
      }
      finish_group(g, thread);
    });
    return stop.requested() ? Outcome::stopped : Outcome::done;
  }

  void start_bundle(const BundleClients<Real>& client, Index first, Index end) {
    const Index size = client.n * bundle_width<Real>;
    BundleSpace<Real>& at = client.at;
    const double steps_counted = this->round_.change_per_sum(first, 1);
    for (Index l = 0; l < end - first; ++l) {  // without branches, for it to be vector code
      const double u = this->round_.share(first + l),
                   step = u > 0
                              ? this->round_.plan().lr / static_cast<double>(data_.size(first + l))
                              : 0;
      at.step[l] = static_cast<Real>(step);
      at.change[l] = step * steps_counted;
      at.share[l] = static_cast<Real>(u * at.change[l]);
      at.weight[l] = u;
    }
    for (Index l = end - first; l < bundle_width<Real>; ++l)
      at.step[l] = at.share[l] = 0, at.change[l] = at.weight[l] = 0;
    if (!this->round_.participants().all())
      for (Index l = 0; l < end - first; ++l)
        if (!this->round_.has(first + l))  // stands still at 0: far away its sums could be inf
          for (Index j = 0; j < client.n; ++j) at.margins[j * bundle_width<Real> + l] = 0;
    Real* base = at.base.data();
    const double* margins = at.margins.data();
    for (Index t = 0; t < size; ++t) base[t] = static_cast<Real>(margins[t]);
    this->kernels_.values_at_start(margins, client.targets, size, 1, size, at.at_start.data());
    std::fill_n(at.delta.data(), size, Real(0));
    std::fill_n(at.sums.data(), size, Real(0));
  }

  int most_rungs(Index i) const override {
    return bundles_ || this->takes_every_step() ? 0 : Ladder::most(this->round_.steps(i));
  }
  std::int64_t climb(Index i, int thread) {
    return this->kernels_.ladder(
        view(i), this->round_.steps(i), this->round_.tau(i), this->ladder_tolerance(i),
        ladders_[static_cast<std::size_t>(thread)], this->rungs_[static_cast<std::size_t>(i)]);
  }

  void start_client(Index i) {
    begin_client(i);
    block(this->sums_, i).setZero();
    this->begin_batches(i);
    auto margins = start_margins(i);
    if (this->corrections_.displace()) margins += columns(shift_, i).template cast<double>();
    columns(base_, i) = margins.template cast<Real>();
    const Index n = data_.size(i);
    this->kernels_.values_at_start(margins.data(), data_.targets.data() + data_.begin(i), n,
                                   outputs_, padded<Real>(n), at(at_start_, i));
    columns(delta_, i).setZero();
    if (this->corrections_.pull()) columns(shift_, i) *= static_cast<Real>(this->round_.plan().lr);
  }

  Real* at(Vector<Real>& flat, Index i) const {
    return flat.data() + offsets_[static_cast<std::size_t>(i)];
  }

  SpanClient<Real> view(Index i) {
    return {blocks_[static_cast<std::size_t>(i)],
            this->targets_.data() + data_.begin(i),
            outputs_,
            static_cast<Real>(this->round_.step(i)),
            this->round_.prox_step(),
            at(base_, i),
            at(at_start_, i),
            this->corrections_.pull() ? at(shift_, i) : nullptr,
            at(delta_, i),
            at(scratch_, i),
            block(this->sums_, i).data()};
  }

  Outcome exact_work(Team& team, Stop& stop) {
    std::atomic<Outcome> worst{Outcome::done};
    this->round_.for_participants(team, this->round_.work(), [&](Index i, int thread) {
      if (worst.load(std::memory_order_relaxed) != Outcome::done) return;
      begin_client(i);
      double* b = this->coefficients_.change(i, 0);
      const Outcome outcome = exact_.solve(i, start_margins(i).col(0), b, stop, thread);
      if (outcome == Outcome::done) {
        finish_client(i, thread);
      } else {
        worst.store(outcome);
        if (outcome == Outcome::infeasible) infeasible_.store(i);
      }
    });
    return worst.load();
  }

  std::vector<BundleSpace<Real>> bundle_spaces_;  // of each thread
  std::vector<Index> offsets_;                    // of the clients in arrays of whole registers
  Index clients_of_turn_ = 1;
  std::vector<BatchTurn<Real>> turns_;  // of each thread
  Work turns_work_;
  std::vector<LadderSpace<Real>> ladders_;
  ExactSolves exact_;
};

}  // namespace localgd
