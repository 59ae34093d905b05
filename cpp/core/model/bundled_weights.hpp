// Bundles of small clients where the model lives in the weights: margins from their rows in lanes,
// what they change the weights by, and their coefficients.
#pragma once

#include <optional>
#include <vector>

#include "../round/round.hpp"
#include "../rows/lanes.hpp"
#include "bundled_coefficients.hpp"

namespace localgd {

template <class Real>
class BundledWeights {
 public:
  static constexpr Index width = bundle_width<Real>;

  // The bundles must outlive them. factor: that of the server, whose coefficients are kept here.
  // late: how many of the first clients are in a group that began on another rank.
  BundledWeights(const Data& data, const Bundles<Real>& bundles, std::optional<double> factor,
                 Index late, int threads)
      : bundles_(bundles),
        rows_(bundles, data.features()),
        sums_(static_cast<std::size_t>(threads), Vector<double>(data.features() * lanes<double>)),
        late_(static_cast<std::size_t>((late + width - 1) / width)) {
    if (factor) coefficients_.emplace(data, bundles, *factor);
  }

  void put(Index client, const RowMatrix<Real>& rows) { rows_.put(client, rows); }
  std::optional<BundledCoefficients<Real>>& coefficients() { return coefficients_; }

  void begin_group(int thread) { sums_[static_cast<std::size_t>(thread)].setZero(); }

  // The margins of a bundle at w. What the one after it needs is fetched beside its steps.
  void start(Index bundle, Index next, const double* w, BundleClients<Real>& client) const {
    constexpr Index most = 2048;  // lines that are fetched: they must not fill the cache
    if (next < bundles_.count()) {
      client.next = rows_.fetch(next);
      if (client.next.lines() > most) client.next = {};
    }
    rows_.multiply(bundle, w, client.at.margins.data(), client.next);
  }

  // Adds what its clients change the weights by; false if their coefficients, if they are kept
  // here, are inf or NaN.
  bool take(Index bundle, Index next, const BundleClients<Real>& client, int thread) {
    BundleSpace<Real>& at = client.at;
    Real* b = at.e.data();  // free after the steps
    for (Index j = 0; j < client.n; ++j)
      for (Index l = 0; l < width; ++l) b[j * width + l] = at.share[l] * at.sums[j * width + l];
    Fetch ahead;
    if (next < bundles_.count()) {
      ahead = bundles_.fetch(next);
      if (coefficients_) coefficients_->fetch(next);
    }
    if (bundle < static_cast<Index>(late_.size()))
      late_[static_cast<std::size_t>(bundle)] = at.e.head(client.n * width);
    else
      rows_.add_weighted(bundle, b, sums_[static_cast<std::size_t>(thread)].data(), ahead);
    return !coefficients_ || coefficients_->advance(bundle, at);
  }

  // Adds what a bundle of late clients has given to the sums of its group.
  void add_late(Index bundle, double* sums) const {
    Fetch none;
    rows_.add_weighted(bundle, late_[static_cast<std::size_t>(bundle)].data(), sums, none);
  }

  // The sums of a group, for another rank to go on with.
  void pass_on(int thread, double* sums) const {
    const Vector<double>& own = sums_[static_cast<std::size_t>(thread)];
    std::copy_n(own.data(), own.size(), sums);
  }
  // To the sum of a group, of d numbers.
  void end_group(int thread, double* sum) const {
    const Vector<double>& sums = sums_[static_cast<std::size_t>(thread)];
    for (Index k = 0, features = sums.size() / lanes<double>; k < features; ++k)
      sum[k] += sum_of_lanes<double>(load(sums.data() + k * lanes<double>));
  }

  // The round is done.
  void commit(const Round& round, Team& team) {
    if (!coefficients_) return;
    const double scale = round.plan().lr * round.change_per_sum(0, 1);
    if (round.participants().all()) return coefficients_->commit(scale);
    team.for_each(round.work(), [&](Index g, int) {
      const Index last = round.groups().end(g);
      Participants::Cursor present(round.participants(), g);
      for (Index i = present(0); i < last; i = present(i / width * width + width))
        coefficients_->commit_bundle(i / width);
    });
    coefficients_->commit_sums(scale);
  }

 private:
  const Bundles<Real>& bundles_;
  BundledRows<Real> rows_;
  std::optional<BundledCoefficients<Real>> coefficients_;
  std::vector<Vector<double>> sums_;  // of each thread: a register for each feature
  std::vector<Vector<Real>> late_;    // u_i b_i of the bundles of late clients
};

}  // namespace localgd
