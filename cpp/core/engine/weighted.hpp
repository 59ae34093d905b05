// Server state in the weights, over either local phase: shared by the hybrid and the primal engine.
#pragma once

#include "../server/average.hpp"
#include "base.hpp"

namespace localgd {

// Local is BaseEngine or SpanEngine.
template <class Real, class Local>
class WeightedEngine : public Local {
 public:
  const Vector<double>& weights() override { return weights_; }
  const Vector<double>& margins() override {
    const Data& data = this->data_;
    for (Index j = 0; j < data.samples(); ++j)
      margins_[j] = wide_dot(data.rows.row(j).data(), weights_.data(), data.features());
    return margins_;
  }
  const Vector<double>& state() const override { return weights_; }

 protected:
  WeightedEngine(const Data& data, const Vector<double>& init, const EngineOptions& options)
      : Local(data, options),
        changes_(static_cast<std::size_t>(data.clients()), Vector<Real>(data.features())),
        weights_(init),
        next_(init.size()),
        margins_(data.samples()),
        range_(std::max<Index>(512, 65536 / data.clients())),
        server_work_(std::vector<double>(static_cast<std::size_t>((init.size() + range_ - 1) / range_),
                                         static_cast<double>(2 * data.clients() * range_))) {}

  void set_state(const Vector<double>& state) override { weights_ = state; }

  // w_{k+1} from the changes of all clients, in parallel over ranges of features.
  Outcome aggregate(Team& team) {
    team.for_each(server_work_, [&](Index item, int) {
      const Index first = item * range_, count = std::min(range_, weights_.size() - first);
      next_.segment(first, count) = weights_.segment(first, count);
      add_average(changes_, this->data_.weights, first, count, next_);
    });
    return this->commit(weights_, next_);
  }

  std::vector<Vector<Real>> changes_;  // Delta_i of all clients
  Vector<double> weights_, next_;

 private:
  Vector<double> margins_;
  Index range_;  // features
  Work server_work_;
};

}  // namespace localgd
