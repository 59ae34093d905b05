// The corrections q_i of the clients' local steps as d x C matrices: A_i^T gamma_i less what they
// have in common, sum_j v_j A_j^T gamma_j.
#pragma once

#include "../round/corrections.hpp"
#include "../rows/clients.hpp"
#include "../state.hpp"
#include "group_sums.hpp"
#include "per_client.hpp"

namespace localgd {

template <class Real>
class CorrectionsInWeights {
 public:
  using Block = typename PerClient<Real>::Block;

  // All but init must outlive it; sums: free when a round begins and when it has been taken.
  CorrectionsInWeights(const Clients<Real>& clients, Corrections& gamma, const Matrix<double>& init,
                       const Groups& groups, GroupSums& sums)
      : clients_(clients),
        gamma_(gamma),
        groups_(groups),
        sums_of_groups_(sums),
        own_(clients.count(), init.rows(), init.cols()),
        common_(Matrix<double>::Zero(init.rows(), init.cols())),
        sum_(common_),
        shared_(common_.cast<Real>()),
        scratch_(clients.numbers()),
        all_(groups.work(std::vector<double>(static_cast<std::size_t>(clients.count()), 1.0))) {}

  // Of a round that begins at w.
  void begin(const Round& round, const Matrix<double>& w, Team& team) {
    const bool whole = gamma_.found() || age_(0) > all_clients();
    const auto add = [&](Index i, int) {
      if (gamma_.found()) find(i, w);
      set_own(i, gamma_.own(i));
      if (whole) sums_of_groups_.add(i, gamma_.share(round, i), own_.data(i));
    };
    if (gamma_.kept() && whole)
      groups_.for_each(team, all_, add);
    else
      round.for_participants(team, round.work(), add);
    if (whole) {
      common_.swap(sum(team, [&](Index i) {
        if (gamma_.kept() || round.has(i)) add_late(round, i);
      }));
      age_(0) = 0;
    }
    shared_ = common_.template cast<Real>();
  }

  // The round is taken, but gamma_i are those before it still. What they have in common changes by
  // those who took part. It is summed up anew where all did, or as many have as there are, so that
  // rounding does not add up.
  void end(const Round& round, Team& team) {
    if (!gamma_.kept()) return;
    age_(0) += static_cast<double>(round.present()) + (round.everyone() ? 1 : 0);
    if (age_(0) > all_clients()) return;
    sums_of_groups_.clear();
    round.for_participants(team, round.work(), [&](Index i, int) {
      set_own(i, gamma_.next(i) - gamma_.own(i));
      sums_of_groups_.add(i, gamma_.share(i), own_.data(i));
    });
    common_ += sum(team, [&](Index i) {
      if (round.has(i)) add_late(round, i);
    });
  }

  const Matrix<double>& common() const { return common_; }
  const Matrix<Real>& shared() const { return shared_; }  // the same in Real

  // q_i, which may be overwritten; and where it is, once it was asked for.
  Block correction(Index i) {
    auto q = own_.of(i);
    q -= shared_;
    return q;
  }
  const Real* data(Index i) const { return own_.data(i); }

  // shift -= A_i sum_j v_j A_j^T gamma_j
  template <class Shift>
  void subtract_common(Index i, Shift&& shift) {
    auto common = clients_.block(scratch_, i);
    clients_.rows().multiply(clients_.range(i), shared_.data(), clients_.outputs(), common.data());
    shift -= common;
  }

  void visit(const Visit& show) {
    if (!gamma_.kept()) return;
    show("controls' sum", common_);
    show("controls' age", age_);
  }

 private:
  void find(Index i, const Matrix<double>& w) {
    auto margins = clients_.block(scratch_, i);
    clients_.rows().rounded_dots(clients_.range(i), w.data(), clients_.outputs(), margins.data());
    clients_.derivatives(i, margins);
    gamma_.find(i, margins);
  }

  // A_i^T gamma
  template <class Gamma>
  void set_own(Index i, const Gamma& gamma) {
    auto in_real = clients_.block(scratch_, i);
    in_real = gamma.template cast<Real>();
    auto own = own_.of(i);
    own.setZero();
    clients_.rows().add(clients_.range(i), in_real.data(), clients_.outputs(), own.data());
  }

  double all_clients() const {  // M
    const auto& ranks = clients_.data().ranks;
    return static_cast<double>(ranks ? ranks->clients() : clients_.count());
  }

  // Over the groups, which are cleared.
  template <class AddLate>
  Matrix<double>& sum(Team& team, AddLate&& add_late) {
    sums_of_groups_.total(team, Report{}, sum_, add_late, [](Index, Index) {});
    sums_of_groups_.clear();
    return sum_;
  }
  void add_late(const Round& round, Index i) {
    sums_of_groups_.add_to_group(i, gamma_.share(round, i), own_.data(i));
  }

  const Clients<Real>& clients_;
  Corrections& gamma_;
  const Groups& groups_;
  GroupSums& sums_of_groups_;
  PerClient<Real> own_;  // A_i^T gamma_i
  Matrix<double> common_, sum_;
  Matrix<Real> shared_;
  // Clients whose part of it has changed since it was summed up from all; 1 x 1.
  Matrix<double> age_ = Matrix<double>::Zero(1, 1);
  Vector<Real> scratch_;  // a number for each row and output
  Work all_;              // the groups, for all clients
};

}  // namespace localgd
