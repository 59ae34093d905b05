// Server state in the weights, over either local phase: shared by the hybrid and the primal engine.
#pragma once

#include "../blocks/tiles.hpp"
#include "../model/per_client.hpp"
#include "../steps/row_products.hpp"
#include "base.hpp"

namespace localgd {

// Local is BaseEngine or SpanEngine.
template <class Real, class Local>
class WeightedEngine : public Local {
 public:
  void begin_round(const RoundPlan& plan, const Work& work) {
    Local::begin_round(plan, work);
    sums_of_groups_.clear();
  }

  const Matrix<double>& weights() override { return weights_.value; }
  const Matrix<double>& margins() override {
    products_of_rows(data_, weights_.value, margins_);
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
        sums_of_groups_(this->round_.groups(), init.rows(), init.cols()),
        weights_(options.server, init),
        margins_(data.samples(), init.cols()) {
    if (this->corrections_.any()) {
      own_parts_ = PerClient<Real>(data.clients(), init.rows(), init.cols());
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
    if constexpr (std::is_same_v<Scalar, double>)
      if (m.cols() >= several_columns) {
        if constexpr (!std::is_same_v<Real, double> && registers >= 32)
          return multiply_rows(a.data(), a.rows(), a.cols(), m.cols(), weights_.value.data(),
                               m.data(), m.outerStride());
        m.setZero();
        add_product_by_tiles(a.data(), a.rows(), a.cols(), a.cols(), weights_.value.data(),
                             m.cols(), a.cols(), 1.0, m.data(), m.outerStride());
        return;
      }
    for (Index c = 0; c < m.cols(); ++c) {
      const double* w = weights_.value.col(c).data();
      in_pieces<2, 1>(a.rows(), [&](Index j, auto R) {
        double dots[R];
        wide_dots<R>(a.data() + j * a.cols(), w, a.cols(), dots);
        for (int r = 0; r < R; ++r) m(j + r, c) = static_cast<Scalar>(dots[r]);
      });
    }
  }

  // out += A_i^T b, b n_i x C.
  template <class Out>
  void add_to_weights(Index i, const Real* b, Out&& out) const {
    const auto a = this->rows_.of(data_, i);
    add_weighted_rows(a.data(), a.rows(), a.cols(), out.cols(), b, a.rows(), out.data());
  }

  // own_parts_[i] = A_i^T gamma_i and shared_ = sum_i v_i A_i^T gamma_i: q_i is their difference.
  // margins: flat scratch space for displacements.
  void correct(Team& team, const Work& all, Vector<Real>& margins) {
    const bool displaced = this->corrections_.displace();
    const auto add = [&](Index i, int) {
      if (displaced) {
        client_margins(i, this->block(margins, i));
        this->set_displacement(i, this->block(margins, i).data());
      }
      auto gamma = this->block(this->sums_, i);
      gamma = this->corrections_.own(i).template cast<Real>();
      auto own = own_parts_.of(i);
      own.setZero();
      add_to_weights(i, gamma.data(), own);
      sums_of_groups_.add(i, this->corrections_.share(this->round_, i), own.data());
    };
    if (displaced)
      this->round_.for_participants(team, this->round_.work(), add);
    else
      this->for_all_clients(team, all, add);
    this->corrections_.gather_common(this->round_);
    auto& sum = weights_.mean;  // free until the round's end
    sums_of_groups_.total(team, sum, [&](Index first, Index count) {
      shared_.middleRows(first, count) = sum.middleRows(first, count).template cast<Real>();
    });
    sums_of_groups_.clear();
  }

  // w_{k+1} from the changes of all clients: D = sum_i u_i Delta_i, less so many times shared_.
  Outcome aggregate(Team& team, double shared = 0) {
    sums_of_groups_.total(team, weights_.mean, [&](Index first, Index count) {
      for (Index c = 0; shared != 0 && c < shared_.cols(); ++c)
        add_scaled(-shared, shared_.col(c).data() + first, count,
                   weights_.mean.col(c).data() + first);
      weights_.advance(this->round_.plan().round, first, count);
    });
    this->gather_coefficients(team);
    return this->commit(weights_, team);
  }

  GroupSums sums_of_groups_;   // of u_i Delta_i
  PerClient<Real> own_parts_;  // A_i^T gamma_i
  Matrix<Real> shared_;
  Track weights_;

 private:
  Matrix<double> margins_;
};

}  // namespace localgd
