// Local phase in the span of each client's rows: shared by the gram and the hybrid engine.
#pragma once

#include "base.hpp"
#include "exact.hpp"

namespace localgd {

template <class Real>
class SpanEngine : public BaseEngine<Real> {
 public:
  using Base = BaseEngine<Real>;

  Index infeasible_client() const override { return infeasible_.load(); }

  Engine::State state() override {
    Engine::State state = Base::state();
    if (local_.solve) state.emplace_back("active rows", &exact_.places);
    return state;
  }

 protected:
  using Base::block;
  using Base::data_;
  using Base::local_;
  using Base::outputs_;

  static constexpr Index panel = 64;  // rows of a Gram matrix that are made, or multiplied, at once

  SpanEngine(const Data& data, Index outputs, const EngineOptions& options)
      : Base(data, outputs, options),
        local_margins_(data.samples() * outputs),
        scratch_(data.samples() * outputs),
        exact_(data, options.loss) {
    if (local_.prox > 0) base_.resize(local_margins_.size());
    if (this->correcting()) shift_.resize(local_margins_.size());
    std::vector<double> costs;
    for (Index i = 0; i < data.clients(); ++i) {
      const auto n = static_cast<double>(data.size(i)), c = static_cast<double>(outputs);
      const auto rows = this->batch(i) > 0 ? static_cast<double>(this->batch(i)) : n;
      costs.push_back((2 * n * rows + 20 * rows) * c);
    }
    work_ = Work(costs);
  }

  // K_ii of every client. False if it was stopped.
  bool prepare_blocks(Team& team, Stop& stop) {
    blocks_.resize(static_cast<std::size_t>(data_.clients()));
    batches_.assign(local_.stochastic() ? static_cast<std::size_t>(team.threads()) : 0,
                    Batch<Real>(this->largest_batch_, outputs_));
    team.for_each(work_, [&](Index i, int thread) {
      const auto a = this->rows_.of(data_, i);
      auto& gram = blocks_[static_cast<std::size_t>(i)];
      gram.resize(a.rows(), a.rows());
      for (Index first = 0; first < a.rows() && !stop.check(thread); first += panel)
        gram.middleRows(first, std::min(panel, a.rows() - first)).noalias() =
            a.middleRows(first, std::min(panel, a.rows() - first)) * a.transpose();
      if (local_.solve && !stop.requested()) exact_.prepare(i, gram);
    });
    return !stop.requested();
  }

  // The local work of every client of the round: begin(client) writes the client's margins to
  // local_margins_ and, with corrections, A_i q_i to shift_; finish(client) may read b_i from
  // next_changes_.
  template <class Begin, class Finish>
  Outcome local_work(Team& team, Stop& stop, Begin begin, Finish finish) {
    if (local_.solve) return exact_work(team, stop, begin, finish);
    const auto steps = [&](Index i, std::int64_t count, std::int64_t done, int thread) {
      if (done == 0) {
        begin(i);
        start_client(i);
      }
      const SpanClient<Real> client = view(i);
      const bool last = done + count == this->steps_taken(i);
      if (local_.stochastic())
        this->kernels_.span_batch(client, this->dealers_[static_cast<std::size_t>(i)],
                                  this->batch(i), batches_[static_cast<std::size_t>(thread)], count,
                                  last);
      else
        this->kernels_.span(client, count, last);
    };
    const bool complete = this->local_phase(team, stop, steps, [&](Index i) {
      this->finish_steps(i);
      finish(i);
    });
    return complete ? Outcome::done : Outcome::stopped;
  }

  // Takes the round into the state, as Base::commit, with the active rows of exact solves.
  Outcome commit(Track& state) {
    const Outcome outcome = Base::commit(state);
    if (outcome == Outcome::done && local_.solve)
      for (const Index i : this->active_->order) exact_.keep(i);
    return outcome;
  }

  // K_ii gamma_i, the client's own part of A_i q_i.
  void own_correction(Index i) {
    auto gamma = block(scratch_, i);
    gamma = block(this->gamma_, i).template cast<Real>();
    block(shift_, i).noalias() = blocks_[static_cast<std::size_t>(i)] * gamma;
  }

  Work work_;
  std::vector<RowMatrix<Real>> blocks_;
  Vector<Real> local_margins_, scratch_, base_, shift_;
  std::atomic<Index> infeasible_{-1};

 private:
  void start_client(Index i) {
    block(this->sums_, i).setZero();
    this->begin_batches(i);
    if (local_.prox > 0) block(base_, i) = block(local_margins_, i);
    if (local_.correction == Correction::displacement)
      block(local_margins_, i) += block(shift_, i);
    if (local_.correction == Correction::control)
      block(shift_, i) *= static_cast<Real>(this->plan_->lr);
  }

  SpanClient<Real> view(Index i) {
    const auto at = [&](Vector<Real>& flat) { return block(flat, i).data(); };
    return {blocks_[static_cast<std::size_t>(i)],
            this->targets_.data() + data_.begin(i),
            outputs_,
            static_cast<Real>(this->step_size(i)),
            this->keep(),
            local_.prox > 0 ? at(base_) : nullptr,
            local_.correction == Correction::control ? at(shift_) : nullptr,
            at(local_margins_),
            at(this->sums_),
            at(scratch_)};
  }

  template <class Begin, class Finish>
  Outcome exact_work(Team& team, Stop& stop, Begin begin, Finish finish) {
    std::atomic<Outcome> worst{Outcome::done};
    team.for_each(*this->active_, [&](Index i, int thread) {
      if (worst.load(std::memory_order_relaxed) != Outcome::done) return;
      begin(i);
      double* b = block(this->next_changes_, i).data();
      const Outcome outcome =
          exact_.solve(i, block(local_margins_, i).col(0), b, stop, thread);
      if (outcome == Outcome::done) {
        finish(i);
      } else {
        worst.store(outcome);
        if (outcome == Outcome::infeasible) infeasible_.store(i);
      }
    });
    return worst.load();
  }

  std::vector<Batch<Real>> batches_;  // of each thread
  ExactSolves exact_;
};

}  // namespace localgd
