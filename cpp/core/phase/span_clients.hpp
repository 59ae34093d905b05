// Clients whose steps stay in the span of their own rows: their K_ii, and what the steps on them
// read and write.
#pragma once

#include <vector>

#include "../matrix_products.hpp"
#include "../model/model_of.hpp"
#include "../steps/span_steps.hpp"
#include "phase.hpp"

namespace localgd {

// Flops of a step, by group.
inline Work span_work(const Data& data, Index outputs, const Round& round) {
  std::vector<double> costs;
  for (Index i = 0; i < data.clients(); ++i) {
    const auto n = static_cast<double>(data.size(i)), c = static_cast<double>(outputs);
    const auto rows = round.batch(i) > 0 ? static_cast<double>(round.batch(i)) : n;
    costs.push_back((2 * n * rows + 20 * rows) * c);
  }
  return round.groups().work(costs);
}

template <class Real>
class SpanClients {
 public:
  using Columns = typename ModelOf<Real>::Columns;

  // Model must outlive them.
  explicit SpanClients(ModelOf<Real>& model)
      : model_(&model),
        clients_(&model.clients()),
        sums_(clients_->numbers()),
        margins_(data().samples() * outputs()) {
    Index end = 0;
    for (Index i = 0; i < clients_->count(); ++i) {
      offsets_.push_back(end);
      end += padded<Real>(clients_->size(i)) * outputs();
    }
    for (auto* numbers : {&base_, &at_start_, &delta_, &scratch_})
      *numbers = Vector<Real>::Zero(end);
    if (model.corrections().any()) shift_ = base_;
  }

  // Makes K_ii of every client, and calls then(client, values of K_ii, its block). False if it was
  // stopped.
  template <class Then>
  bool prepare(const Groups& groups, const Work& work, Team& team, Stop& stop, Then&& then) {
    constexpr Index panel = 64;  // rows that are made at once
    blocks_.resize(static_cast<std::size_t>(clients_->count()));
    std::vector<Index> begins{0};
    for (Index i = 0; i < clients_->count(); ++i)
      begins.push_back(begins.back() + PaddedGram<Real>::space(clients_->size(i)));
    grams_ = LargeArray<Real>(begins.back());
    groups.for_each(team, work, [&](Index i, int thread) {
      const auto a = clients_->rows(i);
      PaddedGram<Real>& own = gram(i);
      own.place(a.rows(), grams_.data() + begins[static_cast<std::size_t>(i)]);
      auto values = own.values();
      for (Index first = 0; first < a.rows() && !stop.check(thread); first += panel)
        multiply_by_rows(a.middleRows(first, std::min(panel, a.rows() - first)), a,
                         values.middleRows(first, std::min(panel, a.rows() - first)));
      if (!stop.requested()) then(i, values, own);
    });
    return !stop.requested();
  }

  const Clients<Real>& clients() const { return *clients_; }
  PaddedGram<Real>& gram(Index i) { return blocks_[static_cast<std::size_t>(i)]; }
  Index largest_gram() const {  // bytes
    Index largest = 1;
    for (const auto& own : blocks_) largest = std::max(largest, own.bytes());
    return largest;
  }

  // A_i w_k
  auto margins(Index i) {
    return Eigen::Map<Matrix<double>>(margins_.data() + data().begin(i) * outputs(),
                                      clients_->size(i), outputs());
  }
  void start_margins(Index i) { model_->start(i, margins(i)); }

  // The client is where its steps of a round begin.
  void start(const Round& round, Index i) {
    const Corrections& corrections = model_->corrections();
    start_margins(i);
    if (corrections.any()) {
      own_correction(i);
      model_->subtract_common(i, columns(shift_, i));
    }
    clients_->block(sums_, i).setZero();
    auto m = margins(i);
    if (corrections.displace()) m += columns(shift_, i).template cast<double>();
    columns(base_, i) = m.template cast<Real>();
    const Index n = clients_->size(i);
    clients_->kernels().values_at_start(m.data(), data().targets.data() + data().begin(i), n,
                                        outputs(), padded<Real>(n), at(at_start_, i));
    columns(delta_, i).setZero();
    if (corrections.pull()) columns(shift_, i) *= static_cast<Real>(round.plan().lr);
  }
  SpanClient<Real> view(const Round& round, Index i) {
    return {gram(i),
            clients_->targets(i),
            outputs(),
            static_cast<Real>(round.step(i)),
            round.prox_step(),
            at(base_, i),
            at(at_start_, i),
            model_->corrections().pull() ? at(shift_, i) : nullptr,
            at(delta_, i),
            at(scratch_, i),
            clients_->block(sums_, i).data()};
  }
  void finish(const Round& round, Index i, int thread) {
    model_->take(round, i, clients_->block(sums_, i), thread);
  }
  void finish_without_sums(const Round& round, Index i, int thread) {
    model_->take_changes(round, i, clients_->block(sums_, i), thread);
  }

 private:
  const Data& data() const { return clients_->data(); }
  Index outputs() const { return clients_->outputs(); }

  // K_ii gamma_i, the client's own part of A_i q_i.
  void own_correction(Index i) {
    auto gamma = columns(scratch_, i);
    gamma = model_->corrections().own(i).template cast<Real>();
    std::fill_n(at(shift_, i), padded<Real>(clients_->size(i)) * outputs(), Real(0));
    gram(i).add_product(at(scratch_, i), outputs(), Real(1), at(shift_, i));
  }

  // A client's n_i x C numbers in an array of whole registers.
  Columns columns(Vector<Real>& flat, Index i) const {
    const Index n = clients_->size(i);
    return Columns(at(flat, i), n, outputs(), Eigen::OuterStride<>(padded<Real>(n)));
  }
  Real* at(Vector<Real>& flat, Index i) const {
    return flat.data() + offsets_[static_cast<std::size_t>(i)];
  }

  ModelOf<Real>* model_;
  const Clients<Real>* clients_;
  LargeArray<Real> grams_;  // all K_ii
  std::vector<PaddedGram<Real>> blocks_;
  std::vector<Index> offsets_;  // of the clients in arrays of whole registers
  Vector<Real> sums_;           // s, without gaps
  Vector<double> margins_;      // A_i w_k of all clients, and A_i (w_k + q_i) with displacements
  Vector<Real> base_, at_start_, delta_, shift_, scratch_;  // see steps/span_steps.hpp
};

}  // namespace localgd
