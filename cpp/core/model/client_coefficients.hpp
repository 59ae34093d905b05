// Coefficients of which those of a client move in its own rounds alone, however many others there
// are.
//
// Between those rounds the server's step is a linear map of what it keeps of a number, which is
// made up for at the next one (ServerRule::idle). What the corrections of all clients have in
// common is kept apart: with s the state of one number that the server moves by mean kappa_k in
// round k,
//
//   a_i = y_i - v_i gamma_i s,   y_i moved by u_i b_i alone
//
// since steps are linear and gamma_i stands still between its rounds; where it becomes gamma_i',
// y_i gets v_i (gamma_i' - gamma_i) s.
#pragma once

#include "coefficients.hpp"

namespace localgd {

class ClientCoefficients {
 public:
  ClientCoefficients(const Data& data, Index outputs, const ServerRule& server,
                     const Groups& groups, const Corrections& corrections)
      : data_(&data),
        server_(server),
        still_(server.factor().has_value()),
        of_round_(corrections.found() && corrections.pull()),
        corrections_(&corrections),
        y_(server, Matrix<double>::Zero(data.samples(), outputs)),
        ranges_(data, outputs, groups) {
    if (!still_) moved_ = Matrix<double>::Zero(data.clients(), 1);
    if (corrections.kept()) common_ = Track(server, Matrix<double>::Zero(1, 1));
  }

  // D of those who take part. False if something in b is inf or NaN.
  bool gather(const Round& round, const LocalChanges& changes, Team& team) {
    std::atomic<bool> finite{true};
    for_ranges(round, team, [&](Index first, Index end) {
      if (!gather_mean(*data_, round, changes.all(), first, end, y_.mean))
        finite.store(false, std::memory_order_relaxed);
      for (Index i = first; of_round_ && i < end; ++i)
        rows_of(y_.mean, *data_, i) -=
            (corrections_->mean_kappa() * corrections_->share(round, i)) * corrections_->own(i);
    });
    return finite;
  }

  // The server's step, before the corrections of the round are done.
  void advance(const Round& round, Team& team) {
    const double k = round.plan().round;
    const bool all = round.participants().all();
    for_ranges(round, team, [&](Index first, Index end) {
      const Index row = data_->begin(first), count = data_->begin(end) - row;
      for (Index i = first; !still_ && i < end; ++i) wake(i, k);
      y_.advance(k, row, count);
      if (!all) y_.commit(row, count);
    });
    all ? y_.commit() : y_.commit_change();
    now_(0) = k + 1;
    if (!corrections_->kept()) return;
    common_.mean(0) = corrections_->mean_kappa();
    common_.advance(k, 0, 1);
    common_.commit();
    for_ranges(round, team, [&](Index first, Index end) {
      for (Index i = first; i < end; ++i) change_gamma(i);
    });
  }

  // Nobody takes part in round k, in which no client moves by itself either.
  void rest(double k) {
    for (Index i = 0; !still_ && i < data_->clients(); ++i) wake(i, k);
    now_(0) = k + 1;
  }

  // a of all clients.
  const Matrix<double>& read() {
    a_ = y_.value;
    for (Index i = 0; i < data_->clients(); ++i) {
      auto a = rows_of(a_, *data_, i);
      if (!still_) {
        const Idle idle = server_.idle(moved_(i), now_(0));
        a *= idle.x_kept;
        if (idle.x_moved != 0) a += idle.x_moved * rows_of(y_.velocity, *data_, i);
      }
      if (corrections_->kept())
        a -= (corrections_->share(i) * common_.value(0)) * corrections_->own(i);
    }
    return a_;
  }

  // By what the last round changed y, of servers by which others stand still; shares: p~ there.
  const Matrix<double>& change(const Vector<double>& shares) {
    change_ = Matrix<double>::Zero(y_.change.rows(), y_.change.cols());
    for (Index i = 0; i < data_->clients(); ++i)
      if (shares[i] > 0) rows_of(change_, *data_, i) = rows_of(y_.change, *data_, i);
    return change_;
  }

  void visit(const Visit& show) {
    show("coefficients", y_.value);
    if (y_.velocity.size()) show("velocity", y_.velocity);
    if (!still_) {
      show("clients' rounds", moved_);
      show("round", now_);
    }
    if (common_.value.size()) show("common", common_.value);
    if (common_.velocity.size()) show("common velocity", common_.velocity);
  }

 private:
  // Calls task(first client, end) for ranges of those who take part.
  template <class Task>
  void for_ranges(const Round& round, Team& team, Task&& task) const {
    if (round.participants().all()) return ranges_.for_each(team, task);
    round.for_participants(team, [&](Index i) { task(i, i + 1); });
  }

  // A client is where it would be had it moved in every round before k.
  void wake(Index i, double k) {
    const Idle idle = server_.idle(moved_(i), k);
    moved_(i) = k + 1;
    if (idle.x_kept != 1) rows_of(y_.value, *data_, i) *= idle.x_kept;
    if (idle.x_moved == 0 && idle.v_kept == 1) return;
    auto velocity = rows_of(y_.velocity, *data_, i);
    rows_of(y_.value, *data_, i) += idle.x_moved * velocity;
    velocity *= idle.v_kept;
  }

  void change_gamma(Index i) {
    const auto change = corrections_->next(i) - corrections_->own(i);
    const double share = corrections_->share(i);
    rows_of(y_.value, *data_, i) += (share * common_.value(0)) * change;
    if (y_.velocity.size())
      rows_of(y_.velocity, *data_, i) += (share * common_.velocity(0)) * change;
  }

  const Data* data_;
  ServerRule server_;
  bool still_;     // a client that nobody moves stands still
  bool of_round_;  // what the corrections have in common is of those who take part
  const Corrections* corrections_;
  Track y_;
  Matrix<double> moved_;                             // M x 1: rounds that y_i has behind it
  Matrix<double> now_ = Matrix<double>::Zero(1, 1);  // and all that there were
  Track common_;                                     // s
  ClientRanges ranges_;
  Matrix<double> a_, change_;  // where somebody has asked for them
};

}  // namespace localgd
