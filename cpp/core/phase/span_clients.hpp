// Clients whose steps stay in the span of their own rows: their K_ii, and what the steps on them
// read and write.
#pragma once

#include <vector>

#include "../model/model_of.hpp"
#include "../steps/span_client.hpp"
#include "phase.hpp"

namespace localgd {

// Flops of a step, by group.
inline Work span_work(const Data& data, Index outputs, const Round& round,
                      bool by_factors = false) {
  std::vector<double> costs;
  for (Index i = 0; i < data.clients(); ++i) {
    const auto n = static_cast<double>(data.size(i)), c = static_cast<double>(outputs);
    const auto rows = static_cast<double>(round.rows_of_step(i));
    const double product = by_factors ? 4 * static_cast<double>(data.entries(i)) : 2 * n * rows;
    costs.push_back((product + 20 * rows) * c);
  }
  return round.groups().work(costs);
}

// What the K_ii of all clients take to be made; each: the overhead of one.
template <class Real>
void forecast_blocks(const Setting& of, Forecast& forecast, double each = 1) {
  for (Index i = 0; i < of.layout.clients(); ++i) {
    const auto n = static_cast<double>(of.layout.size(i));
    if (of.layout.sparse())
      forecast.setup.add(Cost::entries, 2 * n * static_cast<double>(of.layout.entries(i)));
    else
      forecast.setup.add_flops<Real>(Cost::row_flops, 2 * n * n * of.features());
    forecast.setup.add(Cost::filled, sizeof(Real) * entries_of_block<Real>(of.layout.size(i)));
    forecast.memory += sizeof(Real) * n * n;
  }
  forecast.setup.add(Cost::blocks, each * static_cast<double>(of.layout.clients()));
  forecast.parts = of.layout.clients();
}

// What clients on K_ii, all of them, take in a round beside their steps.
template <class Real>
void forecast_span_clients(const Setting& of, const Outlook& ahead, Cost& round) {
  const double numbers = ahead.share * of.samples() * of.columns();
  round.add(Cost::clients, ahead.share * static_cast<double>(of.layout.clients()));
  round.add(Cost::numbers, numbers);
  if (!of.rule.correction) return;
  round.add(Cost::numbers, 2 * numbers);
  double entries = 0;
  for (Index i = 0; i < of.layout.clients(); ++i)
    entries += ahead.share * entries_of_block<Real>(of.layout.size(i));
  round.add_flops<Real>(Cost::flops, 2 * entries * of.columns());
  round.read(sizeof(Real) * entries, sizeof(Real) * entries);
}

// What one client at work reads and writes, see SpanClient: C columns of up to `rows` numbers in
// whole registers.
template <class Real>
struct SpanSpace {
  SpanSpace(Index rows, Index outputs, bool shifted)
      : margins(rows * outputs),
        base(padded<Real>(rows) * outputs),
        at_start(base),
        delta(base),
        shift(shifted ? base.size() : 0),
        scratch(base),
        sums(rows * outputs),
        intercept_shift(outputs) {}

  double offset = 0;       // what the margins below are less
  Vector<double> margins;  // A_i w_k, or A_i (w_k + q_i) with displacements
  Vector<Real> base, at_start, delta, shift, scratch;
  Vector<Real> sums;               // s, without gaps
  Vector<double> intercept_shift;  // eta q_i of an intercept that lambda leaves alone
};

template <class Real>
class SpanClients {
 public:
  using Columns = typename ModelOf<Real>::Columns;
  using Space = SpanSpace<Real>;

  // Model must outlive them. factored: K_ii is had by its factors, and not made.
  SpanClients(ModelOf<Real>& model, const LocalRule& rule, bool factored = false)
      : model_(&model),
        factored_(factored),
        clients_(&model.clients()),
        data_(clients_->data()),
        outputs_(clients_->outputs()),
        corrected_(model.corrections().any()),
        pulled_(model.corrections().pull()),
        displaced_(model.corrections().displace()),
        shrinks_(rule.l2 > 0),
        own_rates_(rule.rates.own()),
        intercepts_(model.intercepts()) {}

  // Makes K_ii of every client, and calls then(client, values of K_ii, its block). False if it was
  // stopped.
  template <class Then>
  bool prepare(const Groups& groups, const Work& work, Team& team, Stop& stop, Then&& then) {
    constexpr Index panel = 64;  // rows that are made at once
    if (factored_) return true;
    blocks_.resize(static_cast<std::size_t>(clients_->count()));
    std::vector<Index> begins{0};
    for (Index i = 0; i < clients_->count(); ++i)
      begins.push_back(begins.back() + PaddedGram<Real>::space(data_.size(i)));
    grams_ = LargeArray<Real>(begins.back());
    groups.for_each(team, work, [&](Index i, int thread) {
      const Range rows = clients_->range(i);
      PaddedGram<Real>& own = gram(i);
      own.place(rows.count, grams_.data() + begins[static_cast<std::size_t>(i)]);
      auto values = own.values();
      for (Index first = 0; first < rows.count && !stop.check(thread); first += panel) {
        const Index count = std::min(panel, rows.count - first);
        clients_->rows().gram({rows.first + first, count}, rows, values.middleRows(first, count));
      }
      if (!stop.requested()) then(i, values, own);
    });
    return !stop.requested();
  }

  const Clients<Real>& clients() const { return *clients_; }
  PaddedGram<Real>& gram(Index i) { return blocks_[static_cast<std::size_t>(i)]; }
  SpanBlock<Real> block(Index i) {
    if (factored_) return {nullptr, clients_->rows().factored(clients_->range(i)), data_.size(i)};
    return {&gram(i), nullptr, data_.size(i)};
  }
  Index largest_gram() const {  // bytes
    Index largest = 1;
    for (const auto& own : blocks_) largest = std::max(largest, own.bytes());
    return largest;
  }

  // Of clients at work at the same time, each its own.
  std::vector<Space> spaces(int count) const {
    Index rows = 0;
    for (Index i = 0; i < clients_->count(); ++i) rows = std::max(rows, data_.size(i));
    return std::vector<Space>(static_cast<std::size_t>(count),
                              Space(rows, outputs_, corrected_ || shrinks_));
  }

  // A_i w_k
  auto margins(Index i, Space& at) const {
    return Eigen::Map<Matrix<double>>(at.margins.data(), data_.size(i), outputs_);
  }
  void start_margins(Index i, Space& at) { model_->start(i, at.margins.data()); }

  // The client is where its steps of a round begin.
  void start(const Round& round, Index i, Space& at) {
    const Index n = data_.size(i);
    start_margins(i, at);
    if (corrected_) {
      own_correction(i, at);
      model_->subtract_common(i, columns(at.shift, n));
    }
    std::fill_n(at.sums.data(), n * outputs_, Real(0));
    for (auto* numbers : {&at.base, &at.at_start, &at.delta})
      std::fill_n(numbers->data(), padded<Real>(n) * outputs_, Real(0));
    auto m = margins(i, at);
    at.offset = own_rates_ ? m.minCoeff() : round.plan().offset;
    if (at.offset != 0) m.array() -= at.offset;
    if (displaced_) m += columns(at.shift, n).template cast<double>();
    columns(at.base, n) = m.template cast<Real>();
    clients_->kernels().values_at_start(m.data(), data_.targets_from(data_.begin(i)), n, outputs_,
                                        padded<Real>(n), at.at_start.data());
    if (pulled_) columns(at.shift, n) *= static_cast<Real>(round.plan().lr);
    if (!shrinks_) return;
    if (!pulled_) std::fill_n(at.shift.data(), padded<Real>(n) * outputs_, Real(0));
    if (intercepts_) start_intercept(round, i, at);
    columns(at.shift, n) -= (round.l2_step() * m).template cast<Real>();
  }
  SpanClient<Real> view(const Round& round, Index i, Space& at) {
    return {block(i),
            clients_->targets(i),
            clients_->row_weights(i),
            outputs_,
            static_cast<Real>(round.step(i)),
            round.decay(),
            at.base.data(),
            at.at_start.data(),
            pulled_ || shrinks_ ? at.shift.data() : nullptr,
            at.delta.data(),
            at.scratch.data(),
            at.sums.data(),
            clients_->functions(),
            free_intercept(round, i, at)};
  }
  void finish(const Round& round, Index i, Space& at, int thread) {
    model_->take(round, i, at.sums.data(), thread);
  }
  void finish_without_sums(const Round& round, Index i, Space& at, int thread) {
    model_->take_changes(round, i, at.sums.data(), thread);
  }

 private:
  // The margins that lambda pulls to 0 are without the intercept.
  void start_intercept(const Round& round, Index i, Space& at) {
    auto m = margins(i, at);
    for (Index c = 0; c < outputs_; ++c) {
      const double q = corrected_ ? model_->corrected_intercept(i, c) : 0;
      at.intercept_shift[c] = round.plan().lr * q;
      m.col(c) -= (model_->intercept(c) + (displaced_ ? q : 0)) * intercepts_->column(i);
      intercepts_->moved(i)[c] = 0;
    }
  }
  FreeIntercept<Real> free_intercept(const Round& round, Index i, Space& at) {
    if (!intercepts_) return {};
    return {intercepts_->in_real(i), round.l2_step(), pulled_ ? at.intercept_shift.data() : nullptr,
            intercepts_->moved(i)};
  }

  // K_ii gamma_i, the client's own part of A_i q_i.
  void own_correction(Index i, Space& at) {
    const Index n = data_.size(i), whole = padded<Real>(n) * outputs_;
    std::fill_n(at.scratch.data(), whole, Real(0));
    columns(at.scratch, n) = model_->corrections().own(i).template cast<Real>();
    std::fill_n(at.shift.data(), whole, Real(0));
    block(i).add_product(at.scratch.data(), outputs_, Real(1), at.shift.data());
  }

  // n x C numbers in an array of whole registers.
  Columns columns(Vector<Real>& flat, Index n) const {
    return Columns(flat.data(), n, outputs_, Eigen::OuterStride<>(padded<Real>(n)));
  }

  ModelOf<Real>* model_;
  const bool factored_;
  const Clients<Real>* clients_;
  const Data& data_;
  const Index outputs_;
  const bool corrected_, pulled_, displaced_, shrinks_, own_rates_;
  Intercepts<Real>* const intercepts_;  // or null
  LargeArray<Real> grams_;              // all K_ii
  std::vector<PaddedGram<Real>> blocks_;
};

}  // namespace localgd
