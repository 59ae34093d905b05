// Server state in the weights, over either local phase: shared by the hybrid and the primal engine.
#pragma once

#include "base.hpp"

namespace localgd {

// Local is BaseEngine or SpanEngine.
template <class Real, class Local>
class WeightedEngine : public Local {
 public:
  const Matrix<double>& weights() override { return weights_.value; }
  const Matrix<double>& margins() override {
    const Data& data = this->data_;
    for (Index c = 0; c < margins_.cols(); ++c)
      for (Index j = 0; j < data.samples(); ++j)
        margins_(j, c) =
            wide_dot(data.rows.row(j).data(), weights_.value.col(c).data(), data.features());
    return margins_;
  }

  Engine::State state() override {
    Engine::State state = Local::state();
    state.emplace_back("weights", &weights_.value);
    if (weights_.velocity.size()) state.emplace_back("weights velocity", &weights_.velocity);
    if (weights_.squares.size()) state.emplace_back("weights squares", &weights_.squares);
    return state;
  }

 protected:
  using Local::data_;

  WeightedEngine(const Data& data, const Matrix<double>& init, const EngineOptions& options)
      : Local(data, init.cols(), options),
        changes_(static_cast<std::size_t>(data.clients()), Matrix<Real>(init.rows(), init.cols())),
        weights_(options.server, init),
        margins_(data.samples(), init.cols()),
        range_(std::max<Index>(512, 65536 / data.clients())),
        server_work_(std::vector<double>(
            static_cast<std::size_t>((init.rows() + range_ - 1) / range_),
            static_cast<double>(2 * data.clients() * range_ * init.cols()))) {
    if (this->correcting()) {
      corrections_.assign(changes_.size(), Matrix<Real>::Zero(init.rows(), init.cols()));
      shared_ = Matrix<Real>::Zero(init.rows(), init.cols());
    }
    if (options.server.coordinate_wise()) {
      this->last_.in_weights = true;
      this->last_.change = &weights_.change;
    }
  }

  // A_i w_k of a client, into a flat array.
  void client_margins(Index i, Vector<Real>& flat) const {
    const auto a = this->rows_.of(data_, i);
    auto m = this->block(flat, i);
    for (Index c = 0; c < m.cols(); ++c)
      for (Index j = 0; j < a.rows(); ++j)
        m(j, c) = static_cast<Real>(
            wide_dot(a.row(j).data(), weights_.value.col(c).data(), data_.features()));
  }

  // corrections_[i] = A_i^T gamma_i and shared_ = sum_i v_i A_i^T gamma_i: q_i is their difference.
  // margins: flat scratch space for displacements.
  void correct(Team& team, const Work& all, Vector<Real>& margins) {
    const bool displaced = this->local_.correction == Correction::displacement;
    team.for_each(displaced ? *this->active_ : all, [&](Index i, int) {
      if (displaced) {
        client_margins(i, margins);
        this->set_displacement(i, this->block(margins, i).data());
      }
      auto gamma = this->block(this->sums_, i);
      gamma = this->block(this->gamma_, i).template cast<Real>();
      corrections_[static_cast<std::size_t>(i)].noalias() =
          this->rows_.of(data_, i).transpose() * gamma;
    });
    this->gather_common();
    team.for_each(server_work_, [&](Index item, int) {
      const Index first = item * range_, count = std::min(range_, shared_.rows() - first);
      Matrix<double> sum = Matrix<double>::Zero(count, shared_.cols());
      for (Index i = 0; i < data_.clients(); ++i)
        if (this->correction_share(i) > 0)
          sum += this->correction_share(i) * corrections_[static_cast<std::size_t>(i)]
                                                 .middleRows(first, count)
                                                 .template cast<double>();
      shared_.middleRows(first, count) = sum.template cast<Real>();
    });
  }

  // w_{k+1} from the changes of all clients: D = sum_i u_i Delta_i, in the order of the clients
  // whatever thread computes it, in parallel over ranges of features.
  Outcome aggregate(Team& team) {
    team.for_each(server_work_, [&](Index item, int) {
      const Index first = item * range_, count = std::min(range_, weights_.value.rows() - first);
      auto mean = weights_.mean.middleRows(first, count);
      mean.setZero();
      for (Index i = 0; i < data_.clients(); ++i)
        if (this->takes_part(i))
          mean += this->shares_[i] * changes_[static_cast<std::size_t>(i)]
                                         .middleRows(first, count)
                                         .template cast<double>();
      weights_.advance(this->plan_->round, first, count);
    });
    this->gather_coefficients();
    return this->commit(weights_);
  }

  std::vector<Matrix<Real>> changes_;      // Delta_i of all clients
  std::vector<Matrix<Real>> corrections_;  // A_i^T gamma_i
  Matrix<Real> shared_;
  Track weights_;

 private:
  Matrix<double> margins_;
  Index range_;  // features
  Work server_work_;
};

}  // namespace localgd
