// What models have in common wherever they live: corrections, and what clients give.
#pragma once

#include <atomic>
#include <optional>
#include <vector>

#include "../round/corrections.hpp"
#include "../rows/clients.hpp"
#include "../server/track.hpp"
#include "intercepts.hpp"
#include "model.hpp"

namespace localgd {

template <class Real>
class ModelOf : public Model {
 public:
  using Block = typename Clients<Real>::Block;
  using Columns = Eigen::Map<Matrix<Real>, 0, Eigen::OuterStride<>>;

  const Clients<Real>& clients() const { return clients_; }
  Corrections& corrections() { return corrections_; }

  void begin(const Round& round, Team& team) override {
    finite_.store(true, std::memory_order_relaxed);
    clients_.take_tail(round.plan().tail);
    corrections_.begin(round);
    if (!clients_.data().shared()) changes_.begin(round.participants());
    if (corrections_.any()) correct(round, team);
  }

  // margins = A_i w_k of a client, n_i x C.
  virtual void start(Index client, double* margins) = 0;
  // shift -= A_i sum_j v_j A_j^T gamma_j, what the corrections have in common.
  virtual void subtract_common(Index client, Columns shift) = 0;

  // Those that lambda leaves alone, or null; b_k; and of what the corrections have in common.
  Intercepts<Real>* intercepts() { return intercepts_ ? &*intercepts_ : nullptr; }
  virtual double intercept(Index output) const = 0;
  virtual double common_intercept(Index output) const = 0;
  // q_i of the intercept
  double corrected_intercept(Index client, Index output) const {
    return intercepts_->column(client).dot(corrections_.own(client).col(output)) -
           common_intercept(output);
  }

  // The sums of a client's steps, which are overwritten.
  void take(const Round& round, Index client, Real* sums, int thread) {
    note(round, client, sums);
    take_changes(round, client, sums, thread);
  }
  // b_i, from whoever has made it without sums; scratch: as many numbers.
  virtual void take_changes(const Round& round, Index client, Real* scratch, int thread) = 0;
  double* changes(Index client) { return changes_.of(client, 0); }

  // The same for bundles of clients (see steps/bundles.hpp), whose sums, shares and so on are in
  // `at`. next: the bundle that follows, or one past the last.
  virtual bool prepare_bundles(const Bundles<Real>& bundles, const Work& work, Team& team,
                               Stop& stop) = 0;
  virtual void begin_group(int /*thread*/) {}
  virtual void start_bundle(Index bundle, Index next, BundleClients<Real>& client) = 0;
  virtual void take_bundle(const Round& round, Index bundle, Index next,
                           const BundleClients<Real>& client, int thread) = 0;
  virtual void end_group(Index /*first client*/, int /*thread*/) {}

  const LastRound& last_round() override {
    if (some_shared_) {
      last_.shares.setZero(clients_.count());
      for (std::size_t k = 0; k < sharing_.size(); ++k)
        last_.shares[sharing_[k]] = their_shares_[k];
    }
    return last_;
  }
  void visit(const Visit& show) override {
    if (corrections_.kept()) show("controls", corrections_.controls());
  }

 protected:
  ModelOf(const Data& data, const Matrix<double>& init, const LossChoice& loss, const Round& round)
      : clients_(data, init.cols(), loss),
        corrections_(data, init.cols(), round.rule()),
        changes_(data, init.cols()) {
    last_.local_changes = Matrix<double>::Zero(data.samples(), init.cols());
    if (data.free_intercept && round.rule().l2 > 0) intercepts_.emplace(data, init.cols());
  }

  // What the corrections of the round have in common.
  virtual void correct(const Round& round, Team& team) = 0;

  // b_i from the sums of the client's steps.
  void note(const Round& round, Index client, const Real* sums) {
    const Index n = clients_.size(client);
    const double per_sum = round.change_per_sum(client);
    for (Index c = 0; c < clients_.outputs(); ++c) {
      double* b = changes_.of(client, c);
      scale(per_sum, sums + c * n, n, b);
      corrections_.finish(round, client, c, b);
    }
  }
  void note_bundle(const Round& round, Index bundle, const BundleClients<Real>& client) {
    constexpr Index width = bundle_width<Real>;
    const Index first = bundle * width, end = std::min(first + width, clients_.count());
    for (Index i = first; i < end; ++i) {
      if (!round.has(i)) continue;
      const double change = client.at.change[i - first];
      const Real* sums = client.at.sums.data() + i - first;
      double* b = changes(i);
      for (Index j = 0, rows = clients_.size(i); j < rows; ++j)
        b[j] = change * static_cast<double>(sums[j * width]);
    }
  }

  // Something in the clients' changes is inf or NaN.
  void note_not_finite() { finite_.store(false, std::memory_order_relaxed); }

  bool finite() const { return finite_.load(std::memory_order_relaxed); }

  // The round has been taken into the state.
  void commit(const Round& round) {
    if (intercepts_) keep_intercepts(round);
    corrections_.commit(round, changes_, last_);
    changes_.swap(last_.local_changes);
    if (!round.plan().same_shares) keep_shares(round.participants());
    if (!(round.l2_step() > 0)) return;
    last_.shrinkage.resize(clients_.count());
    round.participants().for_each([&](Index i) { last_.shrinkage[i] = round.shrinkage(i); });
  }

  Clients<Real> clients_;
  Corrections corrections_;
  std::optional<Intercepts<Real>> intercepts_;
  LocalChanges changes_;
  LastRound last_;

 private:
  // p~ of the round is that of the last one from here. Few of many clients are kept as a list:
  // somebody asks for the last round of a record alone.
  void keep_shares(const Participants& now) {
    sharing_ = now.clients();
    their_shares_ = now.listed_shares();
    some_shared_ = !now.all();
    if (now.all()) last_.shares = now.shares();
  }

  // Displacements are in the changes of the models.
  void keep_intercepts(const Round& round) {
    round.participants().for_each([&](Index i) {
      for (Index c = 0; corrections_.displace() && c < clients_.outputs(); ++c)
        intercepts_->moved(i)[c] += corrected_intercept(i, c);
    });
    intercepts_->swap(last_.intercepts);
  }

  std::atomic<bool> finite_{true};    // the clients' changes of the round
  bool some_shared_ = false;          // in the last round, not all
  std::vector<Index> sharing_;        // they
  std::vector<double> their_shares_;  // p~
};

}  // namespace localgd
