// Engine "hybrid": local steps on the blocks K_ii, the server in the weights.
//   local step  2 n_i^2 flops;  round  4 N d;  memory  sum n_i^2 reals, and 512 d at most; for
//   bundles half of the former, and N d
#pragma once

#include "../model/bundled_coefficients.hpp"
#include "../rows/lanes.hpp"
#include "span.hpp"
#include "weighted.hpp"

namespace localgd {

template <class Real>
class HybridEngine final : public WeightedEngine<Real, SpanEngine<Real>> {
  using Weighted = WeightedEngine<Real, SpanEngine<Real>>;
  using Weighted::block;
  using Weighted::data_;

 public:
  HybridEngine(const Data& data, const Matrix<double>& init, const EngineOptions& options)
      : Weighted(data, init, options) {
    const auto factor = options.server.factor();
    if (!this->bundles_ || !factor) return;
    bundled_coefficients_.emplace(data, *this->bundles_, *factor);
    this->in_data_order_ = false;
  }

  bool prepare(Team& team, Stop& stop) override {
    const auto threads = static_cast<std::size_t>(team.threads());
    if (this->bundles_) {
      sums_of_features_.assign(threads, Vector<double>(data_.features() * lanes<double>));
      bundled_rows_.emplace(*this->bundles_, data_.features());
      this->for_small_clients(team, this->work_, stop,
                              [&](Index i) { bundled_rows_->put(i, this->rows_.of(data_, i)); });
    } else if constexpr (!std::is_same_v<Real, double>) {
      changes_.assign(threads, Matrix<Real>(data_.features(), this->outputs_));
    }
    return !stop.requested() && this->prepare_blocks(team, stop);
  }

  Outcome round(const RoundPlan& plan, Team& team, Stop& stop) override {
    this->begin_round(plan, this->work_);
    if (bundled_coefficients_ && written_)
      bundled_coefficients_->write(this->coefficients_.track().value);
    written_ = false;
    if (this->corrections_.any()) this->correct(team, this->work_, this->sums_);
    Outcome outcome = this->local_work(team, stop);
    if (outcome == Outcome::done) outcome = this->aggregate(team, this->corrections_.mean_kappa());
    if (outcome == Outcome::done && bundled_coefficients_) commit_bundles(team);
    return outcome;
  }

  const Matrix<double>& coefficients() override {
    if (bundled_coefficients_ && !written_)
      bundled_coefficients_->read(this->coefficients_.track().value);
    return Weighted::coefficients();
  }
  const LastRound& last_round() override {
    auto& last = this->last_;
    if (bundled_coefficients_ && last.shares.size())
      bundled_coefficients_->last_round(last.shares, last.local_changes,
                                        this->coefficients_.track().change);
    return last;
  }
  Engine::State state() override {
    coefficients();
    written_ = bundled_coefficients_.has_value();
    return Weighted::state();
  }

 private:
  void begin_client(Index i) override {
    this->client_margins(i, this->start_margins(i));
    if (!this->corrections_.any()) return;
    this->own_correction(i);
    auto common = block(this->sums_, i);  // free until the steps
    multiply_rows(this->rows_.of(data_, i).data(), data_.size(i), data_.features(), this->outputs_,
                  this->shared_.data(), common.data(), data_.size(i));
    this->columns(this->shift_, i) -= common;
  }

  // The sum of the client's group grows by u_i A_i^T b_i. Its sums have been read: u_i b_i in Real
  // takes the place.
  void finish_client(Index i, int thread) override {
    auto b = block(this->sums_, i);
    b = (this->round_.share(i) * this->coefficients_.change(i)).template cast<Real>();
    auto sum = this->sums_of_groups_.of(i);
    if constexpr (std::is_same_v<Real, double>) {
      this->add_to_weights(i, b.data(), sum);
    } else {
      auto& change = changes_[static_cast<std::size_t>(thread)];
      change.setZero();
      this->add_to_weights(i, b.data(), change);
      sum += change.template cast<double>();
    }
  }

  void commit_bundles(Team& team) {
    const double scale = this->round_.plan().lr * this->round_.change_per_sum(0, 1);
    if (this->round_.participants().all()) return bundled_coefficients_->commit(scale);
    constexpr Index width = bundle_width<Real>;
    team.for_each(this->round_.work(), [&](Index g, int) {
      const Index last = this->round_.groups().end(g);
      Participants::Cursor present(this->round_.participants(), g);
      for (Index i = present(0); i < last; i = present(i / width * width + width))
        bundled_coefficients_->commit_bundle(i / width);
    });
    bundled_coefficients_->commit_sums(scale);
  }

  void begin_group(int thread) override {
    sums_of_features_[static_cast<std::size_t>(thread)].setZero();
  }
  void begin_bundle(Index bundle, Index next, BundleClients<Real>& client) override {
    constexpr Index most = 2048;  // lines that are fetched: they must not fill the cache
    if (next < this->bundles_->count()) {
      client.next = bundled_rows_->fetch(next);
      if (client.next.lines() > most) client.next = {};
    }
    bundled_rows_->multiply(bundle, this->weights_.value.data(), client.at.margins.data(),
                            client.next);
  }
  void finish_bundle(Index bundle, Index next, const BundleClients<Real>& client,
                     int thread) override {
    constexpr Index width = bundle_width<Real>;
    BundleSpace<Real>& at = client.at;
    Real* b = at.e.data();  // free after the steps
    for (Index j = 0; j < client.n; ++j)
      for (Index l = 0; l < width; ++l) b[j * width + l] = at.share[l] * at.sums[j * width + l];
    Fetch ahead;
    if (next < this->bundles_->count()) {
      ahead = this->bundles_->fetch(next);
      if (bundled_coefficients_) bundled_coefficients_->fetch(next);
    }
    bundled_rows_->add_weighted(bundle, b,
                                sums_of_features_[static_cast<std::size_t>(thread)].data(), ahead);
    if (!bundled_coefficients_)
      this->note_changes(bundle, client);
    else if (!bundled_coefficients_->advance(bundle, at))
      this->note_not_finite();
  }
  void finish_group(Index group, int thread) override {
    auto sum = this->sums_of_groups_.of(this->round_.groups().first(group));
    const double* sums = sums_of_features_[static_cast<std::size_t>(thread)].data();
    for (Index k = 0; k < data_.features(); ++k)
      sum(k) += sum_of_lanes<double>(load(sums + k * lanes<double>));
  }

  std::vector<Matrix<Real>> changes_;  // of each thread: of the weights by some clients, in float32
  std::optional<BundledRows<Real>> bundled_rows_;
  std::optional<BundledCoefficients<Real>> bundled_coefficients_;
  // perhaps, by who asked for the state: the coefficients in the order of the data count
  bool written_ = false;
  std::vector<Vector<double>> sums_of_features_;  // of each thread: a register for each feature
};

}  // namespace localgd
