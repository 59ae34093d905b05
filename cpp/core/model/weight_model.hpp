// The model in the weights: sums over groups of clients take the clients' changes to them.
//   round  4 N d flops, or 2 M d where clients know what they moved by;  memory  512 d reals at
//   most, with corrections M d more
#pragma once

#include <optional>

#include "../blocks/tiles.hpp"
#include "../rows/lanes.hpp"
#include "../steps/row_products.hpp"
#include "bundled_coefficients.hpp"
#include "client_coefficients.hpp"
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
      : Base(data, init, loss, round),
        factor_(server.factor()),
        groups_(round.groups()),
        sums_of_groups_(groups_, init.rows(), init.cols()),
        weights_(server, init),
        margins_(data.samples(), init.cols()) {
    if (!server.coordinate_wise())  // those leave the span of the rows
      coefficients_.emplace(data, init.cols(), server, groups_, this->corrections_);
    if (this->corrections_.any()) {
      own_parts_ = PerClient<Real>(data.clients(), init.rows(), init.cols());
      common_ = Matrix<double>::Zero(init.rows(), init.cols());
      all_ = groups_.work(std::vector<double>(static_cast<std::size_t>(data.clients()), 1.0));
    }
    this->last_.change = &weights_.change;
    this->last_.change_in_weights = !factor_;
    this->last_.common_in_weights = true;
  }

  bool prepare(Team& team, Stop&) override {
    if constexpr (!std::is_same_v<Real, double>)
      if (!bundled_rows_ && !whole_changes_)
        thread_changes_.assign(static_cast<std::size_t>(team.threads()),
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
    b = (round.share(i) * this->changes_.of(i)).template cast<Real>();
    auto sum = sums_of_groups_.of(i);
    if constexpr (std::is_same_v<Real, double>) {
      add_weighted(i, b.data(), sum);
    } else {
      auto& change = thread_changes_[static_cast<std::size_t>(thread)];
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
      all_coefficients_ = coefficients_->read();
      bundled_coefficients_->write(all_coefficients_);  // of a run that was loaded
      coefficients_.reset();
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
    if (!finite_changes(round, team)) this->note_not_finite();
    if (!this->finite() || !weights_.finite()) return Outcome::not_finite;
    weights_.commit();
    if (coefficients_) coefficients_->advance(round, team);
    if (bundled_coefficients_) commit_bundles(round, team);
    if (this->corrections_.any()) keep_common(round, team);
    this->commit(round);
    return Outcome::done;
  }
  // Clients give what they moved by, take_moved().
  void expect_whole_changes() { whole_changes_ = true; }

  const Matrix<double>& weights() override { return weights_.value; }
  const Matrix<double>& margins() override {
    products_of_rows(data(), weights_.value, margins_);
    return margins_;
  }
  const Matrix<double>& coefficients() override {
    if (coefficients_) return coefficients_->read();
    if (bundled_coefficients_) bundled_coefficients_->read(all_coefficients_);
    if (!all_coefficients_.size())
      all_coefficients_ = Matrix<double>::Zero(data().samples(), this->clients_.outputs());
    return all_coefficients_;
  }
  const LastRound& last_round() override {
    LastRound& last = this->last_;
    Base::last_round();
    if (!last.shares.size() || !factor_) return last;
    if (coefficients_) {
      last.change = &coefficients_->change(last.shares);
    } else {
      last_change_.resizeLike(last.local_changes);
      bundled_coefficients_->last_round(last.shares, last.local_changes, last_change_);
      last.change = &last_change_;
    }
    return last;
  }
  void visit(const Visit& show) override {
    if (coefficients_)
      coefficients_->visit(show);
    else
      coefficients(), show("coefficients", all_coefficients_);
    Base::visit(show);
    show("weights", weights_.value);
    if (weights_.velocity.size()) show("weights velocity", weights_.velocity);
    if (weights_.squares.size()) show("weights squares", weights_.squares);
    if (this->corrections_.pull()) {
      show("controls' sum", common_);
      show("controls' age", age_);
    }
  }
  void loaded() override {
    if (bundled_coefficients_) bundled_coefficients_->write(all_coefficients_);
  }

 private:
  const Data& data() const { return this->clients_.data(); }

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

  // Of the coefficients, with what else they need of a round.
  bool finite_changes(const Round& round, Team& team) {
    if (coefficients_) return coefficients_->gather(round, this->changes_, team);
    return bundled_coefficients_ || this->changes_.finite(round.participants());
  }

  // own_parts_[i] = A_i^T gamma_i and common_ = sum_i v_i A_i^T gamma_i: q_i is their difference.
  void correct(const Round& round, Team& team) override {
    Corrections& corrections = this->corrections_;
    const bool whole = corrections.displace() || age_(0) > static_cast<double>(data().clients());
    const auto add = [&](Index i, int) {
      if (corrections.displace()) {
        Block margins = this->clients_.block(this->scratch_, i);
        margins_of(i, margins);
        this->displace(i, margins);
      }
      own_part(i, corrections.own(i));
      if (whole) sums_of_groups_.add(i, corrections.share(round, i), own_parts_.data(i));
    };
    if (corrections.pull() && whole)
      groups_.for_each(team, all_, add);
    else
      round.for_participants(team, round.work(), add);
    if (whole) {
      sum_up(team, [&](Index first, Index count, const Matrix<double>& sum) {
        common_.middleRows(first, count) = sum.middleRows(first, count);
      });
      age_(0) = 0;
    }
    shared_ = common_.template cast<Real>();
  }

  // own_parts_[i] = A_i^T gamma
  template <class Gamma>
  void own_part(Index i, const Gamma& gamma) {
    Block in_real = this->clients_.block(this->scratch_, i);
    in_real = gamma.template cast<Real>();
    auto own = own_parts_.of(i);
    own.setZero();
    add_weighted(i, in_real.data(), own);
  }

  // Calls then(first, count, sum) for ranges of features of the sum over the groups.
  template <class Then>
  void sum_up(Team& team, Then&& then) {
    Matrix<double>& sum = weights_.mean;  // of the round's end, which sets it anew
    sums_of_groups_.total(team, sum, [&](Index first, Index count) { then(first, count, sum); });
    sums_of_groups_.clear();
  }

  // The round had this in common; and what its clients change it by. It is summed up anew where
  // all have changed, or as many as there are since then, so that rounding does not add up.
  void keep_common(const Round& round, Team& team) {
    this->last_.common = common_;
    this->last_.mean_kappa = factor_ ? *factor_ * this->corrections_.mean_kappa() : 0;
    if (!this->corrections_.pull()) return;
    const Participants& now = round.participants();
    age_(0) += static_cast<double>(now.count());
    if (now.all()) age_(0) += 1;
    if (age_(0) > static_cast<double>(data().clients())) return;
    Corrections& corrections = this->corrections_;
    sums_of_groups_.clear();
    round.for_participants(team, round.work(), [&](Index i, int) {
      own_part(i, corrections.next(i) - corrections.own(i));
      sums_of_groups_.add(i, corrections.share(i), own_parts_.data(i));
    });
    sum_up(team, [&](Index first, Index count, const Matrix<double>& sum) {
      common_.middleRows(first, count) += sum.middleRows(first, count);
    });
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
  Matrix<double> common_;      // sum_i v_i A_i^T gamma_i
  Matrix<Real> shared_;        // the same in Real
  // Clients whose part of it has changed since it was summed up from all; 1 x 1.
  Matrix<double> age_ = Matrix<double>::Zero(1, 1);
  Work all_;  // the groups, for the corrections of all clients
  Track weights_;
  std::optional<ClientCoefficients> coefficients_;  // unless bundles keep them, or nobody
  // where somebody has asked for them
  Matrix<double> margins_, all_coefficients_, last_change_;
  bool whole_changes_ = false;
  std::vector<Matrix<Real>>
      thread_changes_;  // of each thread: of the weights by some clients, in float32

  const Bundles<Real>* bundles_ = nullptr;
  std::optional<BundledRows<Real>> bundled_rows_;
  std::optional<BundledCoefficients<Real>> bundled_coefficients_;
  std::vector<Vector<double>> sums_of_features_;  // of each thread: a register for each feature
};

}  // namespace localgd
