// Exact local solves in place of steps, on K_ii, each warm-started from the active rows of the
// client's last one.
#pragma once

#include <memory>

#include "../loss/registry.hpp"
#include "../matrix_products.hpp"
#include "../steps/projection.hpp"
#include "span_clients.hpp"

namespace localgd {

class ExactSolves {
 public:
  ExactSolves(const Data& data, const LossChoice& loss)
      : data_(data),
        interpolates_(with_chosen_loss(loss, [](auto own) { return !own.signed_rows; })),
        solvers_(static_cast<std::size_t>(data.clients())),
        active_order(Matrix<double>::Zero(data.samples(), 1)) {}

  // Takes a client's K_ii, and warm-starts it from the rows in `active_order`.
  template <class Gram>
  void prepare(Index client, const Gram& gram) {
    Solver& solver = at(client);
    if constexpr (std::is_same_v<typename Gram::Scalar, double>) {
      solver.make(gram, interpolates_);
    } else {
      // The rank tests need the rounding of float64.
      data_.rows->gram(data_.range(client), solver.copy);
      solver.make(solver.copy, interpolates_);
    }
    solver.numbers.resize(gram.rows());
    if (solver.projection) solver.projection->restore(&active_order(data_.begin(client), 0));
  }

  // b_i from the client's margins at w_k, into a column of N numbers for each output.
  template <class Margins>
  Outcome solve(Index client, const Margins& margins, double* multipliers, Stop& stop, int thread) {
    Solver& solver = at(client);
    if (solver.interpolation) {
      const Index n = data_.size(client);
      const Targets<double> targets = data_.targets_from(data_.begin(client));
      for (Index k = 0; k < margins.cols(); ++k, multipliers += data_.samples()) {
        solver.numbers = VectorView<double>(targets.column(k), n) - margins.col(k);
        solver.interpolation->solve(solver.numbers.data(), multipliers);
      }
      return Outcome::done;
    }
    solver.numbers = margins.col(0);
    switch (solver.projection->solve(solver.numbers.data(), multipliers, stop, thread)) {
      case Projected::done:
        return Outcome::done;
      case Projected::not_separable:
        return Outcome::infeasible;
      case Projected::stopped:
        return Outcome::stopped;
      default:
        return Outcome::not_finite;
    }
  }

  // Makes the active rows of a client's last solve the start of its next one.
  void keep(Index client) {
    Solver& solver = at(client);
    if (!solver.projection) return;
    solver.projection->keep();
    solver.projection->save(&active_order(data_.begin(client), 0));
  }

 private:
  struct Solver {
    std::unique_ptr<Projection> projection;
    std::unique_ptr<Interpolation> interpolation;
    RowMatrix<double> copy;  // K_ii, where the engine has it in float32
    Vector<double> numbers;

    void make(const GramBlock& gram, bool interpolates) {
      if (interpolates)
        interpolation = std::make_unique<Interpolation>(gram);
      else
        projection = std::make_unique<Projection>(gram);
    }
  };
  Solver& at(Index client) { return solvers_[static_cast<std::size_t>(client)]; }

  const Data& data_;
  bool interpolates_;
  std::vector<Solver> solvers_;

 public:
  Matrix<double> active_order;  // active rows of all clients, N x 1: what a restored run needs
};

template <class Real>
class Solves final : public Phase {
 public:
  static constexpr std::string_view name = "solves";
  static constexpr bool in_span = true;
  static constexpr Index multiple = 1;
  static bool suits(const Setting& of) { return of.rule.solve; }

  // As of some steps: how many rows become active nobody knows.
  static void forecast(const Setting& of, const Outlook& ahead, Forecast& forecast) {
    constexpr double some = 4;
    forecast_blocks<Real>(of, forecast);
    forecast_span_clients<Real>(of, ahead, forecast.round);
    for (Index i = 0; i < of.layout.clients(); ++i)
      forecast.round.add_flops<Real>(
          Cost::flops, ahead.share * some * 2 * entries_of_block<Real>(of.layout.size(i)));
  }

  Solves(ModelOf<Real>& model, const Round& round, const Setting& of)
      : model_(&model),
        clients_(model, round.rule()),
        groups_(round.groups()),
        solves_(model.clients().data(), of.loss) {
    work_ = span_work(model.clients().data(), model.clients().outputs(), round);
  }

  bool prepare(Team& team, Stop& stop) override {
    spaces_ = clients_.spaces(team.threads());
    return clients_.prepare(groups_, work_, team, stop,
                            [&](Index i, auto&& gram, PaddedGram<Real>& own) {
                              solves_.prepare(i, gram);
                              own.arrange(1);
                            });
  }

  Outcome run(const Round& round, Team& team, Stop& stop) override {
    std::atomic<Outcome> worst{Outcome::done};
    round.for_participants(team, round.work(), [&](Index i, int thread) {
      if (worst.load(std::memory_order_relaxed) != Outcome::done) return;
      SpanSpace<Real>& space = spaces_[static_cast<std::size_t>(thread)];
      clients_.start_margins(i, space);
      const Outcome outcome =
          solves_.solve(i, clients_.margins(i, space), model_->changes(i), stop, thread);
      if (outcome == Outcome::done) {
        clients_.finish_without_sums(round, i, space, thread);
      } else {
        worst.store(outcome);
        if (outcome == Outcome::infeasible) infeasible_.store(i);
      }
    });
    return worst.load();
  }

  void commit(const Round& round, bool /*extrapolated*/) override {
    round.participants().for_each([&](Index i) { solves_.keep(i); });
  }
  Index infeasible_client() const override { return infeasible_.load(); }
  void visit(const Visit& show) override { show("active rows", solves_.active_order); }

 private:
  ModelOf<Real>* model_;
  SpanClients<Real> clients_;
  const Groups& groups_;
  ExactSolves solves_;
  std::vector<SpanSpace<Real>> spaces_;  // of each thread
  std::atomic<Index> infeasible_{-1};
};

}  // namespace localgd
