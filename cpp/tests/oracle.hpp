// Rounds of every method as papers write them: in the weights of every client, rows one at a time,
// and nothing of the core except the names of the rules.
#pragma once

#include <map>

#include "corrections.hpp"
#include "problems.hpp"
#include "servers.hpp"

namespace localgd::testing {

// The rows of a client's steps, drawn from the half words as batches.hpp says: a row drawn without
// replacement leaves its place to the first of those that are left, and an epoch begins with the
// rows in the order of the last one.
class Draws {
 public:
  Draws(Index rows, bool replacement, Philox::Key key, std::int64_t draws, double round)
      : rows_(rows), replacement_(replacement) {
    const auto blocks = static_cast<std::uint64_t>((draws + 7) / 8);
    for (std::uint64_t block = 0; block < blocks; ++block)
      for (const std::uint64_t word : Philox(key)(static_cast<std::uint64_t>(round), blocks, block))
        words_.push_back(word);
    for (Index j = 0; j < rows; ++j) left_.push_back(j);
  }
  Index operator()() {
    const std::uint64_t word = words_[drawn_ / 2];
    const std::uint64_t half = drawn_++ % 2 ? word >> 32 : word & 0xffffffffu;
    const auto among = [&](std::uint64_t n) { return static_cast<std::size_t>(half * n >> 32); };
    if (replacement_) return static_cast<Index>(among(static_cast<std::uint64_t>(rows_)));
    if (left_.empty()) left_.swap(dealt_);
    const std::size_t place = among(left_.size());
    dealt_.push_back(left_[place]);
    left_[place] = left_.front();
    left_.erase(left_.begin());
    return dealt_.back();
  }

 private:
  Index rows_;
  bool replacement_;
  std::vector<std::uint64_t> words_;  // of the round
  std::size_t drawn_ = 0;
  std::vector<Index> left_, dealt_;
};

class Oracle {
 public:
  using Model = Matrix<double>;

  Oracle(const Problem& problem, const LossCase& loss, Rules rules)
      : w(problem.start(loss)),
        before(w),
        p(problem),
        loss_(loss),
        local_(std::move(rules.local)),
        server_(rules.server),
        controls_(static_cast<std::size_t>(p.clients()), Model::Zero(w.rows(), w.cols())) {
    for (const double x : w.reshaped()) numbers_.push_back({x});
  }

  Model w, before;            // w_{k+1} and w_k of the last round
  std::vector<Model> models;  // w_{k,i}; empty for clients that sat it out

  Index largest = 0;  // so many numbers of a change are sent, or all

  void round(const RoundPlan& plan) {
    const Vector<double> u = mean_shares(plan);
    const auto extra = corrections(plan);
    Model mean = Model::Zero(w.rows(), w.cols());
    models.assign(controls_.size(), Model());
    for (Index i = 0; i < p.clients(); ++i) {
      if (!(plan.shares[i] > 0)) continue;
      models[at(i)] = local_.solve ? solve(i) : descend(i, plan, extra[at(i)]);
      // What the steps did: displacements cancel in the mean, so they are not normalised.
      Model start = w;
      if (corrected<Displacement>()) start += extra[at(i)];
      mean += u[i] * sent(i, models[at(i)] - start);
    }
    if (corrected<FedSplit>())
      for (Index i = 0; i < p.clients(); ++i) controls_[at(i)] += 2 * (models[at(i)] - w);
    if (corrected<Control>())
      for (Index i = 0; i < p.clients(); ++i) {
        if (!(plan.shares[i] > 0)) continue;
        // c_i+ = c_i - c + (w_k - w_{k,i}) / (tau_i eta) - lambda w_k, the mean of the gradients of
        // the steps; of what lambda leaves alone that mean itself, with the same weights.
        const double tau = sum_of_decays(i, plan.lr);
        controls_[at(i)] = extra[at(i)] - local_.l2 * w + (w - models[at(i)]) / (tau * plan.lr);
        if (p.free_intercept)
          controls_[at(i)].bottomRows(1) = gradients_[at(i)].bottomRows(1) / tau;
      }
    before = w;
    w += served(plan.round, mean);
  }

  Model margins() const {
    return Model::NullaryExpr(p.rows.rows(), w.cols(), [&](Index j, Index c) {
      return static_cast<double>(outputs(j, w)[std::size_t(c)]);
    });
  }

  // sum_i p~_i |w_{k,i} - w_{k+1}|^2
  double drift(const double* shares) const {
    double total = 0;
    for (Index i = 0; i < p.clients(); ++i)
      if (shares[i] > 0) total += shares[i] * (models[at(i)] - w).squaredNorm();
    return total;
  }

 private:
  static std::size_t at(Index i) { return static_cast<std::size_t>(i); }
  std::int64_t steps(Index i) const { return local_.steps[at(i)]; }
  Index size(Index i) const { return p.offsets[at(i) + 1] - p.offsets[at(i)]; }

  std::vector<long double> outputs(Index j, const Model& model) const {
    std::vector<long double> u;
    for (Index c = 0; c < model.cols(); ++c) {
      double sum = 0;
      for (Index f = 0; f < model.rows(); ++f) sum += p.rows(j, f) * model(f, c);
      u.push_back(sum);
    }
    return u;
  }

  // The mean of the gradients of some rows, by their places in the client, without lambda.
  Model gradient(Index client, const std::vector<Index>& rows, const Model& model) const {
    Model g = Model::Zero(model.rows(), model.cols());
    for (const Index row : rows) {
      const Index j = p.offsets[at(client)] + row;
      const auto u = outputs(j, model);
      for (Index c = 0; c < g.cols(); ++c) {
        const auto e =
            static_cast<double>(loss_.negative_derivative_of(u.data(), p.targets_for(loss_), j, c));
        const double omega = p.row_weights.size() ? p.row_weights[j] : 1.0;
        for (Index f = 0; f < g.rows(); ++f)
          g(f, c) -= omega * e * p.rows(j, f) / static_cast<double>(rows.size());
      }
    }
    return g;
  }
  std::vector<Index> all_rows(Index client) const {
    std::vector<Index> rows;
    for (Index j = 0; j < size(client); ++j) rows.push_back(j);
    return rows;
  }

  // tau_i = sum_l (1 - eta (lambda + mu))^l
  double sum_of_decays(Index i, double lr) const {
    double tau = 0;
    for (std::int64_t l = 0; l < steps(i); ++l)
      tau += std::pow(1 - lr * (local_.l2 + local_.prox), double(l));
    return tau;
  }

  // FedNova: p~_i tau / tau_i with tau = sum p~_i tau_i.
  Vector<double> mean_shares(const RoundPlan& plan) const {
    Vector<double> u = VectorView<double>(plan.shares, p.clients());
    if (!local_.normalize || local_.solve) return u;
    Vector<double> tau = Vector<double>::Zero(u.size());
    for (Index i = 0; i < u.size(); ++i) tau[i] = sum_of_decays(i, plan.lr);
    const double mean = u.dot(tau);
    return mean * u.cwiseQuotient(tau);
  }

  template <class Kind>
  bool corrected() const {
    return dynamic_cast<const Kind*>(local_.correction.get());
  }

  // Control: c_i - c with c = sum p_j c_j; displacement: beta (grad f_i - grad f) with f of this
  // round; FedLin: the same without beta; FedSplit: mu (w_k - z_i), z_i - w_0 in controls_.
  std::vector<Model> corrections(const RoundPlan& plan) const {
    std::vector<Model> q(controls_.size(), Model::Zero(w.rows(), w.cols()));
    if (!local_.correction) return q;
    if (corrected<FedSplit>()) {
      for (Index i = 0; i < p.clients(); ++i)
        q[at(i)] = local_.prox * (w - p.start(loss_) - controls_[at(i)]);
      return q;
    }
    Model common = q[0];
    for (Index i = 0; i < p.clients(); ++i) {
      const bool control = corrected<Control>();
      q[at(i)] = control ? controls_[at(i)] : gradient(i, all_rows(i), w);
      if (corrected<Displacement>()) q[at(i)] *= beta;
      common += (control ? p.weights[i] : plan.shares[i]) * q[at(i)];
    }
    for (auto& own : q) own -= common;
    return q;
  }

  // lambda w, without the intercept if that is free.
  Model pull_to_zero(const Model& model) const {
    Model pull = local_.l2 * model;
    if (p.free_intercept) pull.bottomRows(1).setZero();
    return pull;
  }

  Model descend(Index i, const RoundPlan& plan, const Model& extra) {
    Model model = w;
    Model& gradients = gradients_[at(i)] = Model::Zero(w.rows(), w.cols());
    if (corrected<Displacement>()) model += extra;
    Draws draw = draws(i, plan.round);
    for (std::int64_t l = 0; l < steps(i); ++l) {
      std::vector<Index> rows = all_rows(i);
      if (local_.stochastic()) {
        rows.resize(at(local_.batches[at(i)]));
        for (Index& row : rows) row = draw();
      }
      const Model own = gradient(i, rows, model);
      gradients = (1 - plan.lr * (local_.l2 + local_.prox)) * gradients + own;
      Model step = own + pull_to_zero(model) + local_.prox * (model - w);
      if (local_.correction && local_.correction->pulls()) step -= extra;
      model -= plan.lr * step;
    }
    return model;
  }

  Draws draws(Index i, double round) const {
    if (!local_.stochastic()) return {size(i), false, {}, 0, round};
    return {size(i), local_.replacement, local_.keys[at(i)], steps(i) * local_.batches[at(i)],
            round};
  }

  // w + A_i^T lambda, one multiplier after the other until nothing moves: for rows that are
  // independent.
  Model solve(Index i) const {
    Model model = w;
    Matrix<double> lambda = Matrix<double>::Zero(size(i), w.cols());
    for (double moved = 1; moved > 1e-14;) {
      moved = 0;
      for (Index c = 0; c < w.cols(); ++c)
        for (Index j = 0; j < size(i); ++j) {
          const auto row = p.rows.row(p.offsets[at(i)] + j);
          const double want = loss_.signed_rows ? 1 : p.targets(p.offsets[at(i)] + j, c);
          double change = (want - row.dot(model.col(c))) / row.squaredNorm();
          if (loss_.signed_rows) change = std::max(change, -lambda(j, c));
          lambda(j, c) += change;
          model.col(c) += change * row.transpose();
          moved = std::max(moved, std::abs(change));
        }
    }
    return model;
  }

  // With what was not sent before; one largest number after the other.
  Model sent(Index i, Model change) {
    if (largest == 0) return change;
    Model& left = left_.try_emplace(i, Model::Zero(w.rows(), w.cols())).first->second;
    left += change;
    change.setZero();
    for (Index t = 0; t < largest; ++t) {
      Index row = 0, column = 0;
      left.cwiseAbs().maxCoeff(&row, &column);
      change(row, column) = left(row, column);
      left(row, column) = 0;
    }
    return change;
  }

  // w_{k+1} - w_k from the clients' mean change.
  Model served(double k, const Model& mean) {
    Model change = mean;
    for (Index j = 0; j < mean.size(); ++j) {
      numbers_[at(j)].round(server_, k, mean(j));
      change(j) = numbers_[at(j)].c;
    }
    return change;
  }

  const Problem& p;
  const LossCase& loss_;
  const LocalRule local_;
  const ServerRule server_;
  std::vector<ServedNumber> numbers_;  // of w, column by column
  std::vector<Model> controls_;
  // Of a client's steps, each as often as it is in the last of them but for an intercept.
  std::vector<Model> gradients_ = controls_;
  std::map<Index, Model> left_;  // of each client, what was not sent
};

}  // namespace localgd::testing
