// What the clients hold, as all parts of an engine read it in Real.
#pragma once

#include <string_view>

#include "../loss/registry.hpp"
#include "../steps/kernels.hpp"
#include "../steps/row_weights.hpp"
#include "rows.hpp"

namespace localgd {

template <class Real>
class Clients {
 public:
  // a client's n_i x C numbers, side by side in a flat array
  using Block = Eigen::Map<Matrix<Real>>;

  Clients(const Data& data, Index outputs, const LossChoice& loss)
      : data_(&data),
        outputs_(outputs),
        own_kernels_(Kernels<Real>::of(loss)),
        kernels_(own_kernels_),
        targets_(data.targets.template cast<Real>()),
        row_weights_(data.weighted ? data.samples() + spare : 0) {
    data.rows->make(rows_, data.offsets);
    if (!data.weighted) return;
    row_weights_.head(data.samples()) = data.row_weights.template cast<Real>();
    row_weights_.tail(spare).setZero();
  }

  const Data& data() const { return *data_; }
  Index count() const { return data_->clients(); }
  Index outputs() const { return outputs_; }  // C
  Index size(Index client) const { return data_->size(client); }
  const Kernels<Real>& kernels() const { return kernels_; }
  const LossFunctions* functions() const { return kernels_.derivatives.called.functions; }
  // From here on they are those of the loss, or of its tail.
  void take_tail(bool tail) {
    if (tail == in_tail_) return;
    kernels_ = tail ? Kernels<Real>::of(Exponential::name) : own_kernels_;
    in_tail_ = tail;
  }

  const Rows<Real>& rows() const { return *rows_; }
  Range range(Index client) const { return data_->range(client); }  // of its rows
  Targets<Real> targets(Index client) const {
    return {targets_.data() + data_->begin(client), data_->target_stride()};
  }

  // omega of a client's rows, or null if all are 1; so many numbers after them may be read.
  const Real* row_weights(Index client) const {
    return row_weights_.size() ? row_weights_.data() + data_->begin(client) : nullptr;
  }

  // -omega l' of a client's margins, n_i x C, which it replaces.
  void derivatives(Index client, Block margins) const {
    kernels_.derivatives(margins.data(), targets(client), size(client), outputs_, margins.data());
    if (const Real* weights = row_weights(client))
      weigh_rows(weights, size(client), outputs_, size(client), margins.data());
  }

  // One number for each row and output.
  Vector<Real> numbers() const { return Vector<Real>(data_->samples() * outputs_); }
  Block block(Vector<Real>& flat, Index client) const {
    return Block(flat.data() + data_->begin(client) * outputs_, size(client), outputs_);
  }
  // The same while a thread is at a client: of each thread where clients share their rows.
  Vector<Real> numbers_at_work(int threads) const {
    if (!data_->shared()) return numbers();
    return Vector<Real>::Zero(threads * data_->samples() * outputs_);
  }
  Block block_at_work(Vector<Real>& flat, Index client, int thread) const {
    const Index first = data_->shared() ? thread * data_->samples() : data_->begin(client);
    return Block(flat.data() + first * outputs_, size(client), outputs_);
  }

 private:
  static constexpr Index spare = 64;

  const Data* data_;
  const Index outputs_;
  std::unique_ptr<const Rows<Real>> rows_;
  const Kernels<Real> own_kernels_;
  Kernels<Real> kernels_;  // of the present round
  bool in_tail_ = false;
  const Vector<Real> targets_;
  Vector<Real> row_weights_;
};

}  // namespace localgd
