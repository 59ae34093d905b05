// The measures of a run, at chosen rounds.
#pragma once

#include <limits>
#include <memory>

#include "data.hpp"
#include "loss/derivatives.hpp"
#include "loss/registry.hpp"
#include "round/groups.hpp"
#include "round/last_round.hpp"

namespace localgd {

// What there is to say of a column. Of runs without a reference there is none that wants one, of
// regression none that wants labels.
struct Measure {
  const char* title;
  const char* unit = "";
  bool wants_reference = false, wants_labels = false;
};

struct History {
  std::vector<std::int64_t> round;
  std::vector<std::int64_t> participations;  // of clients in rounds, since the start
  std::vector<double> loss;                  // f = sum_ij c_ij l(m_ij) + lambda/2 |w|^2
  std::vector<double> log_loss;              // log f, right where f is below the range of numbers
  std::vector<double> margin;                // smallest margin over |w|; NaN for w = 0
  std::vector<double> norm;                  // |w|
  std::vector<double> angle;      // 2 atan2(|u - v|, |u + v|) of the unit vectors; NaN for w = 0
  std::vector<double> drift;      // sum_i p~_i |w_{k-1,i} - w_k|^2; NaN before the first round
  std::vector<double> grad_norm;  // |grad f(w_k)|
  std::vector<double> grad_variance;       // sum_i p_i |g_i - g|^2, g_i = grad f_i(w_k)
  std::vector<double> grad_alignment;      // sum_i p_i cos(g_i, g); NaN for g = 0
  std::vector<double> grad_dissimilarity;  // sum_i p_i |g_i|^2 / |g|^2; NaN for g = 0
  std::vector<double> weights;  // w_k of every record, one after the other, if they are kept

  // show(name, column, measure) for all but the weights, in the order of tables.
  template <class Show>
  void visit(Show&& show) const {
    show("round", round, Measure{"communication rounds"});
    show("participations", participations, Measure{"clients in rounds, since the start"});
    show("loss", loss, Measure{"loss"});
    show("log_loss", log_loss, Measure{"log of the loss"});
    show("margin", margin, Measure{.title = "smallest margin", .wants_labels = true});
    show("norm", norm, Measure{"norm of the model"});
    show("angle", angle,
         Measure{.title = "angle to the reference", .unit = "rad", .wants_reference = true});
    show("drift", drift, Measure{"client drift"});
    show("grad_norm", grad_norm, Measure{"norm of the gradient"});
    show("grad_variance", grad_variance, Measure{"variance of client gradients"});
    show("grad_alignment", grad_alignment, Measure{"alignment of client gradients"});
    show("grad_dissimilarity", grad_dissimilarity, Measure{"dissimilarity of client gradients"});
  }
};

class Recorder {
 public:
  // rounds: sorted, each at most once. reference: a direction, d x C, or empty for no angle. l2:
  // lambda. by_log: a loss above the range of numbers is recorded, too, as infinite, where its log
  // is finite.
  Recorder(const Data& data, const LossChoice& loss, std::vector<std::int64_t> rounds,
           Matrix<double> reference, bool keep_weights = false, double l2 = 0, bool by_log = false);

  // The next round that is to be recorded, or one beyond all.
  std::int64_t next() const {
    return next_ < rounds_.size() ? rounds_[next_] : std::numeric_limits<std::int64_t>::max();
  }
  bool due(std::int64_t round) const { return next() == round; }

  // Measures a model at this round. False, and nothing written, if the loss is not finite. The
  // threads of the team share the clients; functions of a loss are asked by the leader.
  bool record(std::int64_t round, std::int64_t participations, double drift,
              const Matrix<double>& margins, const Matrix<double>& weights, Team& team) {
    return record(round, 1, participations, Vector<double>::Constant(1, drift), margins, weights,
                  team);
  }

  // The same of the first `count` of several models, their C columns side by side, under
  // consecutive numbers: up to the first whose loss is not finite.
  bool record(std::int64_t first, Index count, std::int64_t participations,
              const Vector<double>& drifts, const Matrix<double>& margins,
              const Matrix<double>& weights, Team& team);

  // The models of several runs at the same round, C columns for each side by side, each into the
  // recorder of its run. Nothing is written for one whose loss is not finite, and its entry of the
  // answer is false.
  static std::vector<bool> record_runs(const std::vector<Recorder*>& runs, std::int64_t round,
                                       std::int64_t participations, const Vector<double>& drifts,
                                       const Matrix<double>& margins, const Matrix<double>& weights,
                                       Team& team);

  // The drift of the round that led to the present model, or of those that led to several; NaN
  // before the first.
  Vector<double> drifts(const LastRound& last, Team& team, Index models = 1) const;

  // The models w_{k,i} of the clients, d C x M, whose round led to these weights; NaN of those who
  // were not in it, and before the first.
  Matrix<double> client_models(const LastRound& last, const Matrix<double>& weights,
                               Team& team) const;

  // Continues after the records of an earlier run, whose last round had this drift: rounds before
  // `round` are not due any more.
  void resume(std::int64_t round, double drift);

  // f, |grad f| (NaN where it is not asked for) and |w| at a model.
  struct Seen {
    double loss, grad_norm, norm;
  };
  Seen see(const Matrix<double>& margins, const Matrix<double>& weights, bool gradient,
           Team& team) const;

  const History& history() const { return history_; }
  bool keeps_weights() const { return keep_weights_; }

 private:
  using Columns = Eigen::Ref<const Matrix<double>>;

  // Sums over all clients, and tasks for all, by the threads of a team where there is so much to do
  // that handing it out pays.
  template <class T, class Add>
  T sum(Team& team, const T& zero, Add&& add) const {
    return many_ ? groups_.sum(team, zero, add) : groups_.sum(zero, add);
  }
  template <class Task>
  void for_clients(Team& team, Task&& task) const {
    if (many_) return groups_.for_each(team, task);
    for (Index i = 0; i < data_.clients(); ++i) task(i);
  }

  double penalty(const Columns& weights, double norm) const;
  double loss(const Columns& margins, Team& team) const;
  double log_loss(const Columns& margins, double value) const;
  bool counts(Index client, Index row) const;
  double smallest_that_counts(const Columns& margins) const;
  double smallest_margin(const Columns& margins) const;
  double smallest_own_margin(const Columns& margins) const;  // of this rank's rows
  template <class Task>
  void for_margins(const Columns& margins, Index j, Task&& task) const;
  double angle(const Columns& weights, double norm) const;
  void pulls(const Columns& margins, double shift, Eigen::Ref<Matrix<double>> into,
             Team& team) const;
  // The norm of the gradient, and variance, alignment and dissimilarity of those of the clients,
  // one row for each model; l2 of each of them.
  Matrix<double> gradients(const Matrix<double>& margins, const Matrix<double>& weights,
                           const Vector<double>& l2, Team& team) const;
  // All measures of one model but those of the gradients. False, and nothing written, if its loss
  // is not finite.
  bool add_model(std::int64_t round, std::int64_t participations, double drift,
                 const Columns& margins, const Columns& weights, Team& team);
  void add_gradients(const Matrix<double>& measures, Index model);
  // Of a round: how far the model moved, and what its corrections had in common; d x C.
  struct CommonMove {
    Matrix<double> move, corrections;
  };
  CommonMove common_of(const LastRound& last, Team& team) const;
  // How far a client's model is from the next one of the server.
  Matrix<double> deviation(const LastRound& last, const CommonMove& common, Index client,
                           Index models) const;
  Matrix<double> client_rows(const Matrix<double>& coefficients, Index client) const;

  // Norms of the rows in units of a power of two near the largest, so that squares of gradients
  // neither under- nor overflow.
  struct Rows {
    double unit = 1;
    Vector<double> norms;
  };
  const Rows& sizes_of_rows(Team& team) const;
  Matrix<double> mean_of_clients(const Matrix<double>& coefficients, const Vector<double>& shares,
                                 Team& team) const;

  const std::shared_ptr<const Data> pooled_;  // where clients share their rows
  const Data& data_;
  const Groups groups_;
  const bool many_;  // numbers
  double (*loss_value_)(const double*, Index, Index, Targets<double>) = nullptr;
  const LossFunctions* functions_;  // in its place, or null
  NegativeDerivatives<double> derivatives_;
  bool signed_rows_, multiclass_, tailed_;
  std::vector<std::int64_t> rounds_;
  std::size_t next_ = 0;
  Matrix<double> reference_;  // unit, or empty
  bool keep_weights_;
  double l2_;
  bool by_log_;
  mutable Rows rows_;  // taken when a gradient is first asked for
  double resumed_drift_ = std::numeric_limits<double>::quiet_NaN();
  History history_;
};

}  // namespace localgd
