// Server state in the weights, over either local phase: shared by the hybrid and the primal engine.
#pragma once

#include "../local/row_products.hpp"
#include "../local/tiles.hpp"
#include "base.hpp"
#include "per_client.hpp"

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
        changes_(data.clients(), init.rows(), init.cols()),
        weights_(options.server, init),
        margins_(data.samples(), init.cols()),
        range_(std::max<Index>(512, 65536 / data.clients())),
        ranges_((init.rows() + range_ - 1) / range_),
        panels_((data.clients() + panel - 1) / panel),
        server_work_(work(ranges_, panels_ > 1 ? panels_ : data.clients())),
        panel_work_(work(ranges_ * panels_, panel)) {
    if (panels_ > 1) partial_means_.resize(init.rows(), init.cols() * panels_);
    if (this->correcting()) {
      corrections_ = PerClient<Real>(data.clients(), init.rows(), init.cols());
      shared_ = Matrix<Real>::Zero(init.rows(), init.cols());
    }
    if (options.server.coordinate_wise()) {
      this->last_.in_weights = true;
      this->last_.change = &weights_.change;
    }
  }

  // A_i w_k of a client, n_i x C.
  template <class Margins>
  void client_margins(Index i, Margins&& m) const {
    using Scalar = typename std::decay_t<Margins>::Scalar;
    const auto a = this->rows_.of(data_, i);
    if constexpr (std::is_same_v<Real, double>)
      if (m.cols() >= 4) {
        m.setZero();
        add_product_by_tiles(a.data(), a.rows(), a.cols(), a.cols(), weights_.value.data(), m.cols(), a.cols(), 1.0,
                             m.data(), m.outerStride());
        return;
      }
    for (Index c = 0; c < m.cols(); ++c)
      for (Index j = 0; j < a.rows(); ++j)
        m(j, c) = static_cast<Scalar>(
            wide_dot(a.row(j).data(), weights_.value.col(c).data(), data_.features()));
  }

  // A_i^T b of a client's n_i x C numbers.
  void to_weights(Index i, const Real* b, PerClient<Real>& all) const {
    const auto a = this->rows_.of(data_, i);
    auto out = all.of(i);
    out.setZero();
    add_weighted_rows(a.data(), a.rows(), a.cols(), out.cols(), b, out.data());
  }

  // corrections_[i] = A_i^T gamma_i and shared_ = sum_i v_i A_i^T gamma_i: q_i is their difference.
  // margins: flat scratch space for displacements.
  void correct(Team& team, const Work& all, Vector<Real>& margins) {
    const bool displaced = this->local_.correction == Correction::displacement;
    team.for_each(displaced ? *this->active_ : all, [&](Index i, int) {
      if (displaced) {
        client_margins(i, this->block(margins, i));
        this->set_displacement(i, this->block(margins, i).data());
      }
      auto gamma = this->block(this->sums_, i);
      gamma = this->block(this->gamma_, i).template cast<Real>();
      to_weights(i, gamma.data(), corrections_);
    });
    this->gather_common();
    auto& sum = weights_.mean;  // free until the round's end
    sum_clients(
        team, corrections_, [&](Index i) { return this->correction_share(i); }, sum,
        [&](Index first, Index count) {
          shared_.middleRows(first, count) = sum.middleRows(first, count).template cast<Real>();
        });
  }

  // w_{k+1} from the changes of all clients: D = sum_i u_i Delta_i.
  Outcome aggregate(Team& team) {
    sum_clients(
        team, changes_, [&](Index i) { return this->shares_[i]; }, weights_.mean,
        [&](Index first, Index count) { weights_.advance(this->plan_->round, first, count); });
    this->gather_coefficients();
    return this->commit(weights_);
  }

  PerClient<Real> changes_;      // Delta_i of all clients
  PerClient<Real> corrections_;  // A_i^T gamma_i
  Matrix<Real> shared_;
  Track weights_;

 private:
  static constexpr Index panel = 1024;  // clients whose changes are summed by one thread

  Work work(Index items, Index clients) const {
    const double cost = 2.0 * static_cast<double>(clients * range_ * this->outputs_);
    return Work(std::vector<double>(static_cast<std::size_t>(items), cost));
  }

  // sum = sum_i share(i) x_i, then(first, count) for ranges of features: in the order of the clients
  // whatever threads compute it, in parallel over ranges, and over panels of many clients.
  template <class Share, class Then>
  void sum_clients(Team& team, const PerClient<Real>& x, Share&& share, Matrix<double>& sum,
                   Then&& then) {
    const auto add = [&](Index p, Index first, auto&& out) {
      out.setZero();
      for (Index i = p * panel; i < std::min((p + 1) * panel, data_.clients()); ++i)
        if (share(i) > 0)
          out += share(i) * x.of(i).middleRows(first, out.rows()).template cast<double>();
    };
    const auto size = [&](Index first) { return std::min(range_, sum.rows() - first); };
    const Index outputs = sum.cols();
    if (panels_ > 1)
      team.for_each(panel_work_, [&](Index item, int) {
        const Index p = item / ranges_, first = item % ranges_ * range_;
        add(p, first, partial_means_.block(first, p * outputs, size(first), outputs));
      });
    team.for_each(server_work_, [&](Index item, int) {
      const Index first = item * range_, count = size(first);
      auto out = sum.middleRows(first, count);
      if (panels_ == 1) {
        add(0, first, out);
      } else {
        out = partial_means_.block(first, 0, count, outputs);
        for (Index p = 1; p < panels_; ++p)
          out += partial_means_.block(first, p * outputs, count, outputs);
      }
      then(first, count);
    });
  }

  Matrix<double> margins_, partial_means_;
  Index range_, ranges_, panels_;  // features in a range; how many ranges, and panels of clients
  Work server_work_, panel_work_;
};

}  // namespace localgd
