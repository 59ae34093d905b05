// Server state in the weights: shared by the hybrid and the primal engine.
#pragma once

#include "../server/average.hpp"

namespace localgd {

// The changes Delta_i of all clients, and w_{k+1} from them in parallel over ranges of features.
template <class Real>
class WeightServer {
 public:
  WeightServer(const Data& data, const Vector<double>& init)
      : changes(static_cast<std::size_t>(data.clients()), Vector<Real>(data.features())),
        weights(init),
        next(init.size()),
        range_(std::max<Index>(512, 65536 / data.clients())),
        work_(std::vector<double>(static_cast<std::size_t>((init.size() + range_ - 1) / range_),
                                  static_cast<double>(2 * data.clients() * range_))) {}

  void aggregate(const Vector<double>& client_weights, Team& team) {
    team.for_each(work_, [&](Index item, int) {
      const Index first = item * range_, count = std::min(range_, weights.size() - first);
      next.segment(first, count) = weights.segment(first, count);
      add_average(changes, client_weights, first, count, next);
    });
  }

  std::vector<Vector<Real>> changes;
  Vector<double> weights, next;

 private:
  Index range_;
  Work work_;
};

// A w in float64.
inline void all_margins(const Data& data, const Vector<double>& w, Vector<double>& out) {
  for (Index j = 0; j < data.samples(); ++j)
    out[j] = wide_dot(data.rows.row(j).data(), w.data(), w.size());
}

}  // namespace localgd
