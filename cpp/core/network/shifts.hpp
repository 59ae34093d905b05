// What joins each local step of a network: the pull of lambda, and a client's correction
// (corrections.hpp), which moves the start instead where clients begin elsewhere.
#pragma once

#include "free_bias.hpp"
#include "kernels.hpp"

namespace localgd {

template <class Real>
class NetworkShifts {
 public:
  // All must outlive it; W d x h and V^T C x h are those where the round begins.
  NetworkShifts(const Data& data, const Network& network, const Round& round,
                const NetworkForms& forms, const NetworkCorrections<Real>& corrections,
                const FreeBias<Real>& bias, const UnitPanels<Real>& W, const UnitPanels<Real>& V)
      : data_(data),
        network_(network),
        round_(round),
        forms_(forms),
        corrections_(corrections),
        bias_(bias),
        W_(W),
        V_(V) {}

  // Of a client whose steps begin. second_start: V^T where it begins, if that is elsewhere.
  void set(const NetworkClient<Real>& client, Index i, const UnitPanels<Real>& second_start) const {
    if (forms_.wants_gram(i))
      set_in_span(client, i);
    else if (forms_.moves_weights(i))
      set_in_weights(client, i);
    set_second(client, i, second_start);
  }

 private:
  bool penalised() const { return round_.rule().l2 > 0; }
  Real pull() const { return static_cast<Real>(-round_.l2_step()); }
  Real lr() const { return static_cast<Real>(round_.plan().lr); }

  // shift = eta (K_ii gamma - X_i c) - eta lambda P; or where clients are displaced P moves by the
  // former.
  void set_in_span(const NetworkClient<Real>& client, Index i) const {
    const bool displaced = corrections_.displace();
    const Real pull = this->pull(), times = displaced ? Real(1) : lr();
    for (Index p = 0; p < client.start.count(); ++p) {
      const Index width = client.start.width(p), numbers = client.n * width;
      Real *start = client.start[p], *shift = client.shift[p];
      if (corrections_.any()) {
        Real* q = displaced ? start : shift;
        NetworkKernels<Real>::multiply(
            Stored::by_columns,
            {client.n, client.n, width, client.gram, client.gram_stride, corrections_.first(i)[p],
             times, displaced ? Real(1) : Real(0), nullptr, q});
        NetworkKernels<Real>::rows_times(
            client.rows, {client.n, nullptr},
            {width, corrections_.common_first()[p], -times, 1, nullptr, q});
      }
      if (displaced || !corrections_.any())
        for (Index j = 0; j < numbers; ++j) shift[j] = pull * start[j];
      else if (penalised())
        for (Index j = 0; j < numbers; ++j) shift[j] += pull * start[j];
      if (bias_.any())
        bias_.shift_in_span(client, round_, corrections_, i, p, W_.from(data_.features() - 1)[p]);
    }
  }

  // The same of W, with q_i = X_i^T gamma - c.
  void set_in_weights(const NetworkClient<Real>& client, Index i) const {
    const bool displaced = corrections_.displace();
    const Real pull = this->pull(), times = displaced ? Real(1) : lr();
    const Index features = data_.features(), pulled = features - (bias_.any() ? 1 : 0);
    for (Index p = 0; p < client.start.count(); ++p) {
      const Index width = client.start.width(p), numbers = features * width, of = pulled * width;
      Real *q = client.shift[p], *W = W_[p];
      if (corrections_.any()) {
        NetworkKernels<Real>::transposed_times(
            client.rows, {client.n, nullptr},
            {width, corrections_.first(i)[p], times, 0, nullptr, q});
        const Real* common = corrections_.common_first()[p];
        for (Index j = 0; j < numbers; ++j) q[j] -= times * common[j];
      }
      if (displaced) {
        NetworkKernels<Real>::rows_times(client.rows, {client.n, nullptr},
                                         {width, q, 1, 1, nullptr, client.start[p]});
        for (Index j = 0; j < of; ++j) q[j] = pull * (W[j] + q[j]);
      } else if (!corrections_.any()) {
        for (Index j = 0; j < of; ++j) q[j] = pull * W[j];
      } else if (penalised()) {
        for (Index j = 0; j < of; ++j) q[j] += pull * W[j];
      }
      if (!corrections_.pull()) std::fill(q + of, q + numbers, Real(0));
    }
  }

  void set_second(const NetworkClient<Real>& client, Index i,
                  const UnitPanels<Real>& second_start) const {
    const bool displaced = corrections_.displace();
    const Real pull = this->pull(), lr = this->lr();
    for (Index p = 0; p < client.second_shift.count(); ++p)
      for (Index j = 0; j < client.outputs * client.second_shift.width(p); ++j) {
        Real V = V_[p][j], q = 0;
        if (corrections_.any() && network_.second)
          q = corrections_.second(i)[p][j] - corrections_.common_second()[p][j];
        if (displaced) second_start[p][j] = V += q;
        client.second_shift[p][j] = (displaced ? Real(0) : lr * q) + pull * V;
      }
  }

  const Data& data_;
  const Network& network_;
  const Round& round_;
  const NetworkForms& forms_;
  const NetworkCorrections<Real>& corrections_;
  const FreeBias<Real>& bias_;
  const UnitPanels<Real> W_, V_;
};

}  // namespace localgd
