// The coefficients a of the model in the span of the rows, w = w_0 + A^T a, in the order of the
// data.
#pragma once

#include <atomic>

#include "../round/corrections.hpp"
#include "../round/local_changes.hpp"
#include "../server/track.hpp"

namespace localgd {

// Calls task(first client, end) for ranges of clients: what takes little time for each row.
class ClientRanges {
 public:
  ClientRanges(const Data& data, Index outputs, const Groups& groups)
      : clients_(data.clients()), groups_(&groups) {
    std::vector<double> rows;
    for (Index i = 0; i < clients_; ++i)
      rows.push_back(static_cast<double>(data.size(i) * outputs));
    work_ = groups.work(rows);
  }

  template <class Task>
  void for_each(Team& team, Task&& task) const {
    if (work_.total <= Round::few_rows) return task(Index{0}, clients_);
    team.for_each(work_, [&](Index g, int) { task(groups_->first(g), groups_->end(g)); });
  }

 private:
  Index clients_;
  const Groups* groups_;
  Work work_;
};

// D = u_i b_i of some clients, all of which take part. False if something in b is inf or NaN.
inline bool gather_mean(const Data& data, const Round& round, const Matrix<double>& changes,
                        Index first, Index end, Matrix<double>& mean) {
  const Index row = data.begin(first), count = data.begin(end) - row;
  bool finite = true;
  for (Index c = 0; c < changes.cols(); ++c) {
    const double* b = changes.col(c).data();
    double* to = mean.col(c).data();
    finite = finite && all_finite(b + row, count);
    for (Index i = first; i < end; ++i)
      for (Index j = data.begin(i), last = data.begin(i + 1); j < last; ++j)
        to[j] = round.share(i) * b[j];
  }
  return finite;
}

// Those of all clients move in every round.
class Coefficients {
 public:
  Coefficients(const Data& data, Index outputs, const ServerRule& server, const Groups& groups)
      : data_(&data),
        track_(server, Matrix<double>::Zero(data.samples(), outputs)),
        ranges_(data, outputs, groups) {}

  Track& track() { return track_; }

  // The mean change: D = sum_i u_i b_i, less what the corrections have in common. False if
  // something in b is inf or NaN.
  // common: of the corrections, N x C.
  bool gather(const Round& round, const LocalChanges& changes, const Matrix<double>& common,
              double mean_kappa, Team& team) {
    std::atomic<bool> finite{true};
    const auto add = [&](Index first, Index end) {
      if (!gather_mean(*data_, round, changes.all(), first, end, track_.mean))
        finite.store(false, std::memory_order_relaxed);
    };
    ranges_.for_each(team, [&](Index first, Index end) {
      const Index row = data_->begin(first), count = data_->begin(end) - row;
      if (round.participants().all()) {
        add(first, end);
      } else {
        track_.mean.middleRows(row, count).setZero();
        for (Index i = first; i < end; ++i)
          if (round.has(i)) add(i, i + 1);
      }
      for (Index c = 0; mean_kappa != 0 && c < track_.mean.cols(); ++c)
        add_scaled(-mean_kappa, common.col(c).data() + row, count, track_.mean.col(c).data() + row);
    });
    return finite;
  }

  // The server's step.
  void advance(const Round& round, Team& team) {
    ranges_.for_each(team, [&](Index first, Index end) {
      const Index row = data_->begin(first);
      track_.advance(round.plan().round, row, data_->begin(end) - row);
    });
    track_.commit();
  }

 private:
  const Data* data_;
  Track track_;
  ClientRanges ranges_;
};

}  // namespace localgd
