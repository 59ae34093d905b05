// Steps with batches in the weights, on sparse rows: what a step costs is what its rows hold.
//   local step  6 C flops for each entry of the rows drawn;  memory  d C reals for each thread
//
// A client's deviation from where it begins is alpha v + gamma shift, so that decay and what joins
// every step are one product each, whatever d is. With base_j = a_j w_k and shift = eta (q_i -
// lambda w_k), keep = 1 - eta (lambda + mu):
//
//   m_j = base_j + alpha a_j v + gamma a_j shift
//   alpha <- keep alpha,   gamma <- keep gamma + 1,   v <- v + (step / alpha) sum_j e_j a_j
//
// The sums of the derivatives are kept over alpha, too. An intercept that lambda leaves alone moves
// by beta instead, which is kept beside them.
#pragma once

#include "../model/weight_model.hpp"
#include "dealers.hpp"

namespace localgd {

template <class Real>
class Drawn final : public Phase {
  using Block = typename Clients<Real>::Block;

 public:
  static constexpr std::string_view name = "drawn";
  static constexpr bool in_span = false;
  static constexpr Index multiple = 1;
  static bool suits(const Setting& of) { return of.layout.sparse() && of.rule.stochastic(); }

  static void forecast(const Setting& of, const Outlook& ahead, Forecast& forecast) {
    Cost& round = forecast.round;
    const double C = of.columns(), per_row = of.entries() / of.samples();
    forecast.parts = of.layout.clients();
    forecast.setup.add(Cost::filled, 2 * of.bytes_of_rows<Real>());
    for (Index i = 0; i < of.layout.clients(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      const auto steps = static_cast<double>(of.rule.steps[at]);
      const double drawn = ahead.share * steps * static_cast<double>(of.rule.batches[at]);
      round.add(Cost::clients, ahead.share);
      round.add(Cost::numbers, ahead.share * 4 * static_cast<double>(of.layout.size(i)) * C);
      round.add(Cost::draws, drawn);
      round.add(Cost::products, ahead.share * steps + drawn);
      round.add(Cost::exponentials, 2 * drawn * C);  // one by one
      // Two products, what is added and cleared, and the change of the weights: by single entries.
      constexpr double each = 5, of_entry = 3;
      round.add(Cost::entries, of_entry * each * drawn * per_row * C);
      round.read(sizeof(Real) * drawn * per_row, of.bytes_of_rows<Real>());
    }
  }

  Drawn(WeightModel<Real>& model, const Round& round, const Setting&)
      : model_(&model), groups_(round.groups()), rule_(round.rule()), dealers_(data(), round) {
    if (data().shared()) model.expect_whole_changes();
    std::vector<double> costs;
    const double per_row =
        static_cast<double>(data().entries()) / static_cast<double>(data().samples());
    for (Index i = 0; i < data().clients(); ++i)
      costs.push_back(12 * static_cast<double>(round.rows_of_step(i) * outputs()) * per_row);
    work_ = groups_.work(costs);
  }

  bool prepare(Team& team, Stop&) override {
    Index most_rows = 0;
    for (Index i = 0; i < data().clients(); ++i) most_rows = std::max(most_rows, data().size(i));
    dealers_.prepare(team.threads());
    sums_ = clients().numbers_at_work(team.threads());
    spaces_.assign(
        static_cast<std::size_t>(team.threads()),
        Space(data().features() * outputs(), most_rows, dealers_.largest_batch(), outputs()));
    return true;
  }

  Outcome run(const Round& round, Team& team, Stop& stop) override {
    const auto steps = [&](Index i, std::int64_t count, std::int64_t done, int thread) {
      Space& at = space(thread);
      if (done == 0) start(i, at, thread);
      for (std::int64_t l = 0; l < count; ++l) step(round, i, done + l, at, thread);
      return count;
    };
    const bool complete = take_in_pieces(round, round.work(), team, stop, steps,
                                         [&](Index i, int thread) { finish(round, i, thread); });
    return complete ? Outcome::done : Outcome::stopped;
  }

 private:
  // What one client at work reads and writes.
  struct Space {
    Space(Index numbers, Index most_rows, Index batch, Index outputs)
        : v(Vector<Real>::Zero(numbers)),
          is_drawn(static_cast<std::size_t>(most_rows), false),
          drawn(is_drawn.size()),
          ahead(steps_ahead(batch)),
          rows(static_cast<std::size_t>(ahead * batch)),
          wide(outputs),
          margins(batch * outputs),
          derivatives(margins.size()),
          targets(margins.size()) {}

    Index client = -1;
    Real alpha = 1, gamma = 0;
    Vector<Real> v;                     // d C
    Vector<Real> moved;                 // where rows are shared: w_{k,i} - w_k, d C
    std::vector<char> is_drawn;         // rows, in the round
    std::vector<RowDealer::Row> drawn;  // which they are: the first `count`
    std::size_t count = 0;
    std::int64_t ahead;  // steps whose batches are drawn in one go
    std::vector<RowDealer::Row> rows;
    Vector<double> wide;  // products in float64
    Vector<Real> margins, derivatives, targets;
  };

  const Clients<Real>& clients() const { return model_->clients(); }
  const Data& data() const { return clients().data(); }
  const Rows<Real>& rows() const { return clients().rows(); }
  Index outputs() const { return clients().outputs(); }
  Space& space(int thread) { return spaces_[static_cast<std::size_t>(thread)]; }

  void start(Index i, Space& at, int thread) {
    clear(at);  // of a round that was stopped
    at.client = i;
    at.alpha = 1;
    at.gamma = 0;
    if (!data().shared()) clients().block_at_work(sums_, i, thread).setZero();  // else unread
    dealers_.begin(i, thread);
    if (model_->corrections().any()) model_->corrections_in_weights().correction(i);
    if (model_->intercepts()) std::fill_n(model_->intercepts()->moved(i), outputs(), 0.0);
  }

  // What is in the margins for an intercept that lambda leaves alone, to be taken times its
  // feature: beta less what alpha v + gamma shift has of it.
  double freed_intercept(const Round& round, Index i, Index c, const Space& at) const {
    const Index last = (c + 1) * data().features() - 1;
    double start = model_->intercept(c), shift = 0;
    if (model_->corrections().any()) {
      const auto q = static_cast<double>(model_->corrections_in_weights().data(i)[last]);
      (model_->corrections().displace() ? start : shift) += q;
    }
    shift = round.plan().lr * shift - round.l2_step() * start;
    return model_->intercepts()->moved(i)[c] - static_cast<double>(at.alpha * at.v[last]) -
           static_cast<double>(at.gamma) * shift;
  }
  void move_intercept(const Round& round, Index i, const RowDealer::Row* batch, const Space& at) {
    const Index size = round.batch(i), last = data().features() - 1;
    const Real* column = model_->intercepts()->in_real(i);
    for (Index c = 0; c < outputs(); ++c) {
      double sum = 0;
      for (Index t = 0; t < size; ++t)
        sum += static_cast<double>(column[batch[t]] * at.derivatives[c * size + t]);
      double& moved = model_->intercepts()->moved(i)[c];
      moved = (1 - round.decay() + round.l2_step()) * moved + round.step(i) * sum;
      if (model_->corrections().pull())
        moved += round.plan().lr * static_cast<double>(model_->corrections_in_weights().data(
                                       i)[c * data().features() + last]);
    }
  }

  // a_j shift, and a_j w_k or where a displaced client begins.
  void base_of(const Round& round, Index i, Index j, Index c, double& base, double& shift,
               const Space& at) const {
    base = at.wide[c] - round.plan().offset;
    shift = 0;
    if (model_->corrections().any()) {
      Real own;
      const Real* q = model_->corrections_in_weights().data(i) + c * data().features();
      rows().multiply({data().begin(i) + j, 1}, q, 1, &own);
      if (model_->corrections().displace())
        base += static_cast<double>(own);
      else
        shift = round.plan().lr * static_cast<double>(own);
    }
    shift -= round.l2_step() * base;
  }

  void step(const Round& round, Index i, std::int64_t l, Space& at, int thread) {
    const Index size = round.batch(i), C = outputs(), d = data().features();
    const std::int64_t dealt = l % at.ahead;
    if (dealt == 0)
      dealers_.of(i, thread).deal(std::min(at.ahead, round.steps_taken(i) - l) * size,
                                  at.rows.data());
    const RowDealer::Row* batch = at.rows.data() + dealt * size;
    const Targets<Real> targets = clients().targets(i);
    for (Index t = 0; t < size; ++t) {
      const Index j = batch[t];
      const Range row{data().begin(i) + j, 1};
      rows().dots(row, model_->present().data(), C, at.wide.data());
      for (Index c = 0; c < C; ++c) {
        at.targets[c * size + t] = targets.column(c)[j];
        Real moved;
        rows().multiply(row, at.v.data() + c * d, 1, &moved);
        double base, shift;
        base_of(round, i, j, c, base, shift, at);
        Real change = at.alpha * moved + at.gamma * static_cast<Real>(shift);
        if (const auto* free = model_->intercepts())
          change += static_cast<Real>(freed_intercept(round, i, c, at)) * free->in_real(i)[j];
        at.margins[c * size + t] = static_cast<Real>(base) + change;
      }
    }
    clients().kernels().derivatives(at.margins.data(), Targets<Real>(at.targets.data(), size), size,
                                    C, at.derivatives.data());
    if (const Real* weights = clients().row_weights(i))
      weigh_drawn(weights, batch, size, C, size, at.derivatives.data());
    if (model_->intercepts()) move_intercept(round, i, batch, at);
    const auto keep = static_cast<Real>(round.keep());
    at.gamma = keep * at.gamma + 1;
    Block sums = clients().block_at_work(sums_, i, thread);
    decay(keep, at, sums);
    const Real by_alpha = 1 / at.alpha, by_step = static_cast<Real>(round.step(i)) * by_alpha;
    for (Index t = 0; t < size; ++t) {
      const Index j = batch[t];
      note_drawn(batch[t], at);
      for (Index c = 0; c < C; ++c) {
        const Real e = at.derivatives[c * size + t], moved = by_step * e;
        sums(j, c) += by_alpha * e;
        rows().add({data().begin(i) + j, 1}, &moved, 1, at.v.data() + c * d);
      }
    }
  }

  static void note_drawn(RowDealer::Row row, Space& at) {
    char& known = at.is_drawn[static_cast<std::size_t>(row)];
    if (!known) at.drawn[at.count++] = row;
    known = true;
  }

  // alpha <- keep alpha, which is taken into v before it leaves the range of numbers.
  void decay(Real keep, Space& at, Block& sums) {
    constexpr Real least = Real(1e-3), most = Real(1e3);
    at.alpha *= keep;
    if (std::abs(at.alpha) > least && std::abs(at.alpha) < most) return;
    at.v *= at.alpha;
    if (!data().shared()) sums *= at.alpha;
    at.alpha = 1;
  }

  void finish(const Round& round, Index i, int thread) {
    Space& at = space(thread);
    if (data().shared()) return finish_moved(round, i, at, thread);
    Block sums = clients().block_at_work(sums_, i, thread);
    sums *= at.alpha;
    clear(at);
    model_->take(round, i, sums.data(), thread);
  }

  // The sums are the thread's, not the client's: it gives what it moved by.
  void finish_moved(const Round& round, Index i, Space& at, int thread) {
    const Index d = data().features();
    at.moved = at.alpha * at.v;
    if (const double pull = round.l2_step(); pull > 0)
      at.moved -= static_cast<Real>(pull * static_cast<double>(at.gamma)) *
                  model_->present().reshaped().template cast<Real>();
    if (auto* own = model_->intercepts())
      for (Index c = 0; c < outputs(); ++c)
        at.moved[(c + 1) * d - 1] = static_cast<Real>(own->moved(i)[c]);
    clear(at);
    model_->take_moved(round, i, nullptr, at.moved.data(), thread);
  }

  // v is 0 again where the client's rows have changed it.
  void clear(Space& at) {
    if (at.client < 0) return;
    const Index first = data().begin(at.client);
    for (; at.count > 0; --at.count) {
      const RowDealer::Row j = at.drawn[at.count - 1];
      rows().clear(first + j, outputs(), at.v.data());
      at.is_drawn[static_cast<std::size_t>(j)] = false;
    }
    at.client = -1;
  }

  WeightModel<Real>* model_;
  const Groups& groups_;
  const LocalRule& rule_;
  Dealers dealers_;
  Vector<Real> sums_;          // all clients, or those at work
  std::vector<Space> spaces_;  // of each thread
};

}  // namespace localgd
