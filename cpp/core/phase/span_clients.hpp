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
    const auto rows = static_cast<double>(round.rows_of_step(i));
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
        data_(clients_->data()),
        outputs_(clients_->outputs()),
        corrected_(model.corrections().any()),
        pulled_(model.corrections().pull()),
        displaced_(model.corrections().displace()),
        values_at_start_(clients_->kernels().values_at_start),
        sums_(clients_->numbers()),
        margins_(data_.samples() * outputs_) {
    Index end = 0;
    for (Index i = 0; i < clients_->count(); ++i) {
      offsets_.push_back(end);
      end += padded<Real>(data_.size(i)) * outputs_;
    }
    for (auto* numbers : {&base_, &at_start_, &delta_, &scratch_})
      *numbers = Vector<Real>::Zero(end);
    if (corrected_) shift_ = base_;
  }

  // Makes K_ii of every client, and calls then(client, values of K_ii, its block). False if it was
  // stopped.
  template <class Then>
  bool prepare(const Groups& groups, const Work& work, Team& team, Stop& stop, Then&& then) {
    constexpr Index panel = 64;  // rows that are made at once
    blocks_.resize(static_cast<std::size_t>(clients_->count()));
    std::vector<Index> begins{0};
    for (Index i = 0; i < clients_->count(); ++i)
      begins.push_back(begins.back() + PaddedGram<Real>::space(data_.size(i)));
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
    return Eigen::Map<Matrix<double>>(margins_.data() + data_.begin(i) * outputs_, data_.size(i),
                                      outputs_);
  }
  void start_margins(Index i) { model_->start(i, margins(i).data()); }

  // The client is where its steps of a round begin.
  void start(const Round& round, Index i) {
    start_margins(i);
    if (corrected_) {
      own_correction(i);
      model_->subtract_common(i, columns(shift_, i));
    }
    std::fill_n(sums(i), data_.size(i) * outputs_, Real(0));
    auto m = margins(i);
    if (displaced_) m += columns(shift_, i).template cast<double>();
    columns(base_, i) = m.template cast<Real>();
    const Index n = data_.size(i);
    values_at_start_(m.data(), data_.targets.data() + data_.begin(i), n, outputs_, padded<Real>(n),
                     at(at_start_, i));
    columns(delta_, i).setZero();
    if (pulled_) columns(shift_, i) *= static_cast<Real>(round.plan().lr);
  }
  SpanClient<Real> view(const Round& round, Index i) {
    return {gram(i),
            clients_->targets(i),
            outputs_,
            static_cast<Real>(round.step(i)),
            round.prox_step(),
            at(base_, i),
            at(at_start_, i),
            pulled_ ? at(shift_, i) : nullptr,
            at(delta_, i),
            at(scratch_, i),
            sums(i)};
  }
  void finish(const Round& round, Index i, int thread) { model_->take(round, i, sums(i), thread); }
  void finish_without_sums(const Round& round, Index i, int thread) {
    model_->take_changes(round, i, sums(i), thread);
  }

 private:
  // K_ii gamma_i, the client's own part of A_i q_i.
  void own_correction(Index i) {
    auto gamma = columns(scratch_, i);
    gamma = model_->corrections().own(i).template cast<Real>();
    std::fill_n(at(shift_, i), padded<Real>(data_.size(i)) * outputs_, Real(0));
    gram(i).add_product(at(scratch_, i), outputs_, Real(1), at(shift_, i));
  }

  // A client's n_i x C numbers in an array of whole registers.
  Columns columns(Vector<Real>& flat, Index i) const {
    const Index n = data_.size(i);
    return Columns(at(flat, i), n, outputs_, Eigen::OuterStride<>(padded<Real>(n)));
  }
  Real* sums(Index i) { return sums_.data() + data_.begin(i) * outputs_; }
  Real* at(Vector<Real>& flat, Index i) const {
    return flat.data() + offsets_[static_cast<std::size_t>(i)];
  }

  ModelOf<Real>* model_;
  const Clients<Real>* clients_;
  const Data& data_;
  const Index outputs_;
  const bool corrected_, pulled_, displaced_;
  decltype(Kernels<Real>::values_at_start) values_at_start_;
  LargeArray<Real> grams_;  // all K_ii
  std::vector<PaddedGram<Real>> blocks_;
  std::vector<Index> offsets_;  // of the clients in arrays of whole registers
  Vector<Real> sums_;           // s, without gaps
  Vector<double> margins_;      // A_i w_k of all clients, and A_i (w_k + q_i) with displacements
  Vector<Real> base_, at_start_, delta_, shift_, scratch_;  // see steps/span_steps.hpp
};

}  // namespace localgd
