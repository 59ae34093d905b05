// The model in the weights: sums over groups of clients take the clients' changes to them.
//   round  4 N d flops, or 2 M d where clients know what they moved by;  memory  512 d reals at
//   most, with corrections M d more
#pragma once

#include <optional>

#include "../blocks/tiles.hpp"
#include "../rows/lanes.hpp"
#include "../steps/row_products.hpp"
#include "bundled_coefficients.hpp"
#include "group_sums.hpp"
#include "model_of.hpp"
#include "per_client.hpp"

namespace localgd {

template <class Real>
class WeightModel final : public ModelOf<Real> {
  using Base = ModelOf<Real>;
  using typename Base::Block;
  using typename Base::Columns;

 public:
  WeightModel(const Data& data, const Matrix<double>& init, std::string_view loss,
              const ServerRule& server, const Round& round)
      : Base(data, init, loss, server, round),
        factor_(server.factor()),
        groups_(round.groups()),
        sums_of_groups_(groups_, init.rows(), init.cols()),
        weights_(server, init),
        margins_(data.samples(), init.cols()) {
    if (this->corrections_.any()) {
      own_parts_ = PerClient<Real>(data.clients(), init.rows(), init.cols());
      shared_ = Matrix<Real>::Zero(init.rows(), init.cols());
      all_ = groups_.work(std::vector<double>(static_cast<std::size_t>(data.clients()), 1.0));
    }
    if (server.coordinate_wise()) {
      this->last_.in_weights = true;
      this->last_.change = &weights_.change;
    }
  }

  bool prepare(Team& team, Stop&) override {
    if constexpr (!std::is_same_v<Real, double>)
      if (!bundled_rows_ && !whole_changes_)
        changes_.assign(static_cast<std::size_t>(team.threads()),
                        Matrix<Real>(data().features(), this->clients_.outputs()));
    return true;
  }

  void begin(const Round& round, Team& team) override {
    sums_of_groups_.clear();
    Base::begin(round, team);
  }

  void start(Index i, double* margins) override {
    margins_of(i, Eigen::Map<Matrix<double>>(margins, data().size(i), this->clients_.outputs()));
  }
  void subtract_common(Index i, Columns shift) override {
    Block common = this->clients_.block(this->scratch_, i);
    multiply_rows(this->clients_.rows(i).data(), data().size(i), data().features(),
                  this->clients_.outputs(), shared_.data(), common.data(), data().size(i));
    shift -= common;
  }

  // The sum of the client's group grows by u_i A_i^T b_i, u_i b_i in Real.
  void take_changes(const Round& round, Index i, Real* scratch, int thread) override {
    Block b(scratch, data().size(i), this->clients_.outputs());
    b = (round.share(i) * this->coefficients_.change(i)).template cast<Real>();
    auto sum = sums_of_groups_.of(i);
    if constexpr (std::is_same_v<Real, double>) {
      add_weighted(i, b.data(), sum);
    } else {
      auto& change = changes_[static_cast<std::size_t>(thread)];
      change.setZero();
      add_weighted(i, b.data(), change);
      sum += change.template cast<double>();
    }
  }
  // The same where the client knows what it moved by, d x C.
  void take_moved(const Round& round, Index i, const Real* sums, const Real* moved) {
    this->note(round, i, sums);
    sums_of_groups_.add(i, round.share(i), moved);
  }

  // w_k, and what pulls or displaces a client: q_i, d x C, which may be overwritten.
  const Matrix<double>& present() const { return weights_.value; }
  Block correction(Index i) {
    auto q = own_parts_.of(i);
    q -= shared_;
    return q;
  }
  const Real* correction_of(Index i) const { return own_parts_.data(i); }  // once it was asked for

  bool prepare_bundles(const Bundles<Real>& bundles, const Work& work, Team& team,
                       Stop& stop) override {
    bundles_ = &bundles;
    sums_of_features_.assign(static_cast<std::size_t>(team.threads()),
                             Vector<double>(data().features() * lanes<double>));
    bundled_rows_.emplace(bundles, data().features());
    if (factor_) {
      bundled_coefficients_.emplace(data(), bundles, *factor_);
      bundled_coefficients_->write(track().value);  // of a run that was loaded
      this->in_data_order_ = false;
    }
    groups_.for_each(team, work, stop,
                     [&](Index i) { bundled_rows_->put(i, this->clients_.rows(i)); });
    return !stop.requested();
  }
  void begin_group(int thread) override {
    sums_of_features_[static_cast<std::size_t>(thread)].setZero();
  }
  void start_bundle(Index bundle, Index next, BundleClients<Real>& client) override {
    constexpr Index most = 2048;  // lines that are fetched: they must not fill the cache
    if (next < bundles_->count()) {
      if (bundled_coefficients_) bundled_coefficients_->fetch(next);
      client.next = bundled_rows_->fetch(next);
      if (client.next.lines() > most) client.next = {};
    }
    bundled_rows_->multiply(bundle, weights_.value.data(), client.at.margins.data(), client.next);
  }
  void take_bundle(const Round& round, Index bundle, Index next, const BundleClients<Real>& client,
                   int thread) override {
    constexpr Index width = bundle_width<Real>;
    BundleSpace<Real>& at = client.at;
    Real* b = at.e.data();  // free after the steps
    for (Index j = 0; j < client.n; ++j)
      for (Index l = 0; l < width; ++l) b[j * width + l] = at.share[l] * at.sums[j * width + l];
    Fetch ahead;
    if (next < bundles_->count()) {
      ahead = bundles_->fetch(next);
    }
    bundled_rows_->add_weighted(bundle, b,
                                sums_of_features_[static_cast<std::size_t>(thread)].data(), ahead);
    if (!bundled_coefficients_)
      this->note_bundle(round, bundle, client);
    else if (!bundled_coefficients_->advance(bundle, at))
      this->note_not_finite();
  }
  void end_group(Index first, int thread) override {
    auto sum = sums_of_groups_.of(first);
    const double* sums = sums_of_features_[static_cast<std::size_t>(thread)].data();
    for (Index k = 0; k < data().features(); ++k)
      sum(k) += sum_of_lanes<double>(load(sums + k * lanes<double>));
  }

  // w_{k+1} from the changes of all clients: D = sum_i u_i Delta_i, less what the corrections have
  // in common where the changes are those of b alone.
  Outcome close(const Round& round, Team& team) override {
    sums_of_groups_.total(team, weights_.mean, [&](Index first, Index count) {
      const double shared = whole_changes_ ? 0 : this->corrections_.mean_kappa();
      for (Index c = 0; shared != 0 && c < shared_.cols(); ++c)
        add_scaled(-shared, shared_.col(c).data() + first, count,
                   weights_.mean.col(c).data() + first);
      weights_.advance(round.plan().round, first, count);
    });
    this->gather_coefficients(round, team);
    const Outcome outcome = this->commit(round, weights_, team);
    if (outcome == Outcome::done && bundled_coefficients_) commit_bundles(round, team);
    return outcome;
  }
  // Clients give what they moved by, take_moved().
  void expect_whole_changes() { whole_changes_ = true; }

  const Matrix<double>& weights() override { return weights_.value; }
  const Matrix<double>& margins() override {
    products_of_rows(data(), weights_.value, margins_);
    return margins_;
  }
  const Matrix<double>& coefficients() override {
    if (bundled_coefficients_) bundled_coefficients_->read(track().value);
    return track().value;
  }
  const LastRound& last_round() override {
    LastRound& last = this->last_;
    Base::last_round();
    if (bundled_coefficients_ && last.shares.size())
      bundled_coefficients_->last_round(last.shares, last.local_changes, track().change);
    return last;
  }
  void visit(const Visit& show) override {
    coefficients();
    Base::visit(show);
    show("weights", weights_.value);
    if (weights_.velocity.size()) show("weights velocity", weights_.velocity);
    if (weights_.squares.size()) show("weights squares", weights_.squares);
  }
  void loaded() override {
    if (bundled_coefficients_) bundled_coefficients_->write(track().value);
  }

 private:
  const Data& data() const { return this->clients_.data(); }
  Track& track() { return this->coefficients_.track(); }

  // A_i w_k of a client, n_i x C.
  template <class Margins>
  void margins_of(Index i, Margins&& m) const {
    using Scalar = typename std::decay_t<Margins>::Scalar;
    const auto a = this->clients_.rows(i);
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
  void add_weighted(Index i, const Real* b, Out&& out) const {
    const auto a = this->clients_.rows(i);
    add_weighted_rows(a.data(), a.rows(), a.cols(), out.cols(), b, a.rows(), out.data());
  }

  // own_parts_[i] = A_i^T gamma_i and shared_ = sum_i v_i A_i^T gamma_i: q_i is their difference.
  void correct(const Round& round, Team& team) override {
    Corrections& corrections = this->corrections_;
    const auto add = [&](Index i, int) {
      Block gamma = this->clients_.block(this->scratch_, i);
      if (corrections.displace()) {
        margins_of(i, gamma);
        this->displace(i, gamma);
      }
      gamma = corrections.own(i).template cast<Real>();
      auto own = own_parts_.of(i);
      own.setZero();
      add_weighted(i, gamma.data(), own);
      sums_of_groups_.add(i, corrections.share(round, i), own.data());
    };
    if (corrections.displace())
      round.for_participants(team, round.work(), add);
    else
      groups_.for_each(team, all_, add);
    corrections.gather_common(round);
    Matrix<double>& sum = weights_.mean;  // of the round's end, which sets it anew
    sums_of_groups_.total(team, sum, [&](Index first, Index count) {
      shared_.middleRows(first, count) = sum.middleRows(first, count).template cast<Real>();
    });
    sums_of_groups_.clear();
  }

  void commit_bundles(const Round& round, Team& team) {
    const double scale = round.plan().lr * round.change_per_sum(0, 1);
    if (round.participants().all()) return bundled_coefficients_->commit(scale);
    constexpr Index width = bundle_width<Real>;
    team.for_each(round.work(), [&](Index g, int) {
      const Index last = groups_.end(g);
      Participants::Cursor present(round.participants(), g);
      for (Index i = present(0); i < last; i = present(i / width * width + width))
        bundled_coefficients_->commit_bundle(i / width);
    });
    bundled_coefficients_->commit_sums(scale);
  }

  const std::optional<double> factor_;
  const Groups& groups_;
  GroupSums sums_of_groups_;   // of u_i Delta_i
  PerClient<Real> own_parts_;  // A_i^T gamma_i
  Matrix<Real> shared_;
  Work all_;  // the groups, for the corrections of all clients
  Track weights_;
  Matrix<double> margins_;  // where somebody has asked for them
  bool whole_changes_ = false;
  std::vector<Matrix<Real>> changes_;  // of each thread: of the weights by some clients, in float32

  const Bundles<Real>* bundles_ = nullptr;
  std::optional<BundledRows<Real>> bundled_rows_;
  std::optional<BundledCoefficients<Real>> bundled_coefficients_;
  std::vector<Vector<double>> sums_of_features_;  // of each thread: a register for each feature
};

}  // namespace localgd
