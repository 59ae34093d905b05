// The coefficients a of the model in the span of the rows, w = w_0 + A^T a, in the order of the
// data, and those b_i of what the clients of a round change it by.
#pragma once

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

#include "../products.hpp"
#include "../round/corrections.hpp"
#include "../server/track.hpp"

namespace localgd {

class Coefficients {
 public:
  // A coordinate-wise server leaves the span: b is kept alone.
  Coefficients(const Data& data, Index outputs, const ServerRule& server, const Groups& groups)
      : data_(&data),
        in_span_(!server.coordinate_wise()),
        factor_(server.factor().has_value()),
        groups_(&groups),
        b_(Matrix<double>::Zero(data.samples(), outputs)),
        track_(in_span_ ? server : ServerRule{}, b_) {
    std::vector<double> rows;
    for (Index i = 0; i < data.clients(); ++i)
      rows.push_back(static_cast<double>(data.size(i) * outputs));
    work_ = groups.work(rows);
  }

  Track& track() { return track_; }
  const Track& track() const { return track_; }

  // b_i, n_i x C, of the round at work; and one of its columns.
  auto change(Index client) { return rows_of(b_, *data_, client); }
  double* change(Index client, Index output) {
    return b_.col(output).data() + data_->begin(client);
  }
  // b, and D where no others move, are 0 but for those who take part.
  void begin(const Round& round, Corrections& corrections) {
    const Participants& now = round.participants();
    if (!now.all() && changed_.some != now.clients()) {
      if (changed_.all) {
        b_.setZero();
        if (moves_participants_alone(round, corrections)) track_.mean.setZero();
        corrections.clear_common();
      }
      for (const Index i : changed_.some) {
        change(i).setZero();
        if (moves_participants_alone(round, corrections)) rows_of(track_.mean, *data_, i).setZero();
        corrections.clear_common(i);
      }
    }
    if (!(changed_.all && now.all())) changed_.set(now);
  }

  // The mean change: D = sum_i u_i b_i, less what the corrections have in common. False if
  // something in b is inf or NaN.
  bool gather(const Round& round, const Corrections& corrections, Team& team) {
    std::atomic<bool> finite{true};
    const auto add = [&](Index first, Index end) {
      if (!gather(round, first, end)) finite.store(false, std::memory_order_relaxed);
    };
    if (moves_participants_alone(round, corrections)) {
      round.for_participants(team, [&](Index i) { add(i, i + 1); });
      return finite;
    }
    const double common = corrections.mean_kappa();
    for_ranges(team, [&](Index first, Index end) {
      const Index row = data_->begin(first), count = data_->begin(end) - row;
      if (round.participants().all()) {
        add(first, end);
      } else {
        track_.mean.middleRows(row, count).setZero();
        for (Index i = first; i < end; ++i)
          if (round.has(i)) add(i, i + 1);
      }
      for (Index c = 0; common != 0 && c < b_.cols(); ++c)
        add_scaled(-common, corrections.common().col(c).data() + row, count,
                   track_.mean.col(c).data() + row);
    });
    return finite;
  }

  // The server's step, and the round is done.
  void commit(const Round& round, Corrections& corrections, LastRound& last, Team& team) {
    if (in_span_) advance(round, corrections, team);
    corrections.commit(round, b_, last);
    last.local_changes.swap(b_);
    std::swap(changed_, last_changed_);
  }

 private:
  // Whether the coefficients of all others stand still.
  bool moves_participants_alone(const Round& round, const Corrections& corrections) const {
    return !round.participants().all() && corrections.mean_kappa() == 0 && (!in_span_ || factor_);
  }

  // Of some clients, all of which take part.
  bool gather(const Round& round, Index first, Index end) {
    const Index row = data_->begin(first), count = data_->begin(end) - row;
    bool finite = true;
    for (Index c = 0; c < b_.cols(); ++c) {
      const double* b = b_.col(c).data();
      double* mean = track_.mean.col(c).data();
      finite = finite && all_finite(b + row, count);
      for (Index i = first; i < end; ++i)
        for (Index j = data_->begin(i), last = data_->begin(i + 1); j < last; ++j)
          mean[j] = round.share(i) * b[j];
    }
    return finite;
  }

  void advance(const Round& round, const Corrections& corrections, Team& team) {
    const auto step = [&](Index first, Index end) {
      const Index row = data_->begin(first);
      track_.advance(round.plan().round, row, data_->begin(end) - row);
    };
    if (moves_participants_alone(round, corrections)) {
      round.for_participants(team, [&](Index i) {
        step(i, i + 1);
        track_.commit(data_->begin(i), data_->size(i));
      });
      track_.commit_change();
    } else {
      for_ranges(team, step);
      track_.commit();
    }
  }

  // Calls task(first client, end) for ranges of clients: what takes little time for each row.
  template <class Task>
  void for_ranges(Team& team, Task&& task) {
    if (work_.total <= Round::few_rows) return task(Index{0}, data_->clients());
    team.for_each(work_, [&](Index g, int) { task(groups_->first(g), groups_->end(g)); });
  }

  struct Clients {
    bool all = false;
    std::vector<Index> some;

    void set(const Participants& participants) {
      all = participants.all();
      some = participants.clients();
    }
  };

  const Data* data_;
  bool in_span_, factor_;
  const Groups* groups_;
  Matrix<double> b_;  // N x C
  Track track_;
  Work work_;                       // groups, by how many rows they have
  Clients changed_, last_changed_;  // who may not be 0 in b and the last one, D and the change
};

}  // namespace localgd
