// The engine of networks in Real: what clients read, their steps, and the sums over clients.
//   round  2 n d h flops for X_i W, the steps, and as many for X_i^T b_i;  memory  3 N h reals
#pragma once

#include <numeric>
#include <optional>
#include <utility>

#include "../loss/registry.hpp"
#include "../phase/dealers.hpp"
#include "../phase/phase.hpp"
#include "../server/track.hpp"
#include "changes.hpp"
#include "engine.hpp"
#include "grams.hpp"
#include "shifts.hpp"
#include "workspace.hpp"

namespace localgd {

template <class Real>
class NetworkEngineOf final : public NetworkEngine {
 public:
  NetworkEngineOf(const Data& data, const RunRule& run, const NetworkOptions& options)
      : data_(data),
        network_(options.network),
        clients_(data, network_.outputs, options.loss),
        kernels_(NetworkKernels<Real>::of(network_.activation)),
        signed_rows_(with_loss(options.loss, [](auto loss) { return loss.signed_rows; })),
        round_(data, local_rule(run, options), 1),
        dealers_(data, round_),
        columns_(padded<Real>(network_.hidden)),
        forms_(data, network_, round_, columns_),
        rows_(clients_.rows(), *data.rows),
        theta_(run.server, run.init),
        initial_(network_.centered ? run.init : Matrix<double>()),
        first_(data.features(), columns_),
        second_(C(), columns_),
        start_(data.samples(), columns_),
        mean_(data.features(), columns_),
        sums_(data, rows_.all(), columns_),
        corrections_(data, round_.rule(), columns_, C()),
        bias_(data, forms_, h(), columns_),
        shifts_(data, network_, round_, forms_, corrections_, bias_, first_.all(), second_.all()),
        changes_(data, network_, columns_) {
    std::vector<double> costs;
    for (Index i = 0; i < data.clients(); ++i) costs.push_back(forms_.flops_of_step(i));
    work_ = round_.groups().work(costs);
    features_ = Work(std::vector<double>(static_cast<std::size_t>((d() + range - 1) / range),
                                         2.0 * static_cast<double>(range * columns_)));
  }

  bool prepare(Team& team, Stop& stop) override {
    grams_.make_room(data_, forms_);
    round_.groups().for_each(team, work_, stop, [&](Index i) {
      if (forms_.wants_gram(i)) grams_.fill(i, clients_, bias_);
    });
    if (stop.requested()) return false;
    for (int t = 0; t < team.threads(); ++t)
      threads_.emplace_back(data_, round_, forms_, columns_, C(), t == 0);
    if (network_.centered) set_offsets(team);
    return true;
  }

  Outcome round(const RoundPlan& plan, Team& team, Stop& stop) override {
    round_.begin(plan, work_);
    read_parameters(theta_.value, team);
    if (corrections_.any()) begin_corrections(team);
    const double least = forms_.least_shared(team.threads());
    const auto is_shared = [&](Index i) { return forms_.shared(i, least); };
    bool complete = true;
    round_.participants().for_each([&](Index i) {
      if (is_shared(i)) complete = complete && take_shared(i, team, stop);
    });
    complete = complete && take_in_pieces(
                               round_, round_.work(), team, stop,
                               [&](Index i, std::int64_t count, std::int64_t done, int thread) {
                                 return is_shared(i) ? count : steps(i, count, done, thread);
                               },
                               [&](Index i, int thread) {
                                 if (!is_shared(i)) finish_client(i, thread);
                               });
    return complete ? close(team) : Outcome::stopped;
  }

  const Matrix<double>& parameters() const override { return theta_.value; }
  const Vector<double>& last_shares() const override { return changes_.shares(); }
  const Matrix<double>& last_change() const override { return theta_.change; }
  Index in_span() const override { return forms_.in_span(); }

  void client_change(Index i, Matrix<double>& change) const override {
    changes_.change(i, corrections_, bias_, change);
  }

  Arrays save() override {
    Arrays saved;
    visit(
        [&](const std::string& name, Matrix<double>& values) { saved.emplace_back(name, values); },
        [&](const std::string& name, Index rows, const UnitPanels<Real>& panels) {
          Matrix<double> values(rows, h());
          for (Index r = 0; r < rows; ++r)
            panels.for_pieces(r, h(), [&](Index k, Index count, const Real* own) {
              for (Index l = 0; l < count; ++l) values(r, k + l) = static_cast<double>(own[l]);
            });
          saved.emplace_back(name, std::move(values));
        });
    return saved;
  }

  void load(const Arrays& saved) override {
    const auto find = [&](const std::string& name, Index rows, Index columns) -> const auto& {
      for (const auto& [known, values] : saved)
        if (known == name) {
          if (values.rows() != rows || values.cols() != columns)
            throw std::invalid_argument("state: '" + name + "' is of another size");
          return values;
        }
      throw std::invalid_argument("state: '" + name + "' is missing");
    };
    for (const bool check : {true, false})
      visit(
          [&](const std::string& name, Matrix<double>& values) {
            const Matrix<double>& given = find(name, values.rows(), values.cols());
            if (!check) values = given;
          },
          [&](const std::string& name, Index rows, const UnitPanels<Real>& panels) {
            const Matrix<double>& values = find(name, rows, h());
            for (Index r = 0; !check && r < rows; ++r)
              panels.for_pieces(r, h(), [&](Index k, Index count, Real* own) {
                for (Index l = 0; l < count; ++l) own[l] = static_cast<Real>(values(r, k + l));
              });
          });
  }

 private:
  static constexpr Index range = 64;  // features of an item of work

  static LocalRule local_rule(const RunRule& run, const NetworkOptions& options) {
    LocalRule rule = options.local;
    rule.prox = run.prox;
    rule.l2 = run.l2;
    return rule;
  }

  Index d() const { return data_.features(); }
  Index h() const { return network_.hidden; }
  Index C() const { return network_.outputs; }
  const LocalRule& rule() const { return round_.rule(); }
  NetworkWorkspace<Real>& own(int thread) { return threads_[static_cast<std::size_t>(thread)]; }

  // W and V^T in Real.
  void read_parameters(const Matrix<double>& theta, Team& team) {
    team.for_each(features_, [&](Index item, int) {
      for (Index r = item * range; r < std::min((item + 1) * range, d()); ++r)
        first_.all().for_pieces(r, h(), [&](Index k, Index count, Real* own) {
          const double* from = theta.data() + r * h() + k;
          for (Index l = 0; l < count; ++l) own[l] = static_cast<Real>(from[l]);
        });
    });
    const double* V = theta.data() + d() * h();
    for (Index c = 0; c < C(); ++c)
      second_.all().for_pieces(c, h(), [&](Index k, Index count, Real* own) {
        for (Index l = 0; l < count; ++l) own[l] = static_cast<Real>(V[(k + l) * C() + c]);
      });
  }

  // With it the outputs at the start of the run are 0.
  void set_offsets(Team& team) {
    read_parameters(initial_, team);
    Vector<Real> offsets(data_.samples() * C());
    round_.groups().for_each(team, work_, [&](Index i, int thread) {
      const NetworkClient<Real> client = view(i, thread);
      set_start(client);
      client.second_moved.fill(C(), 0);
      kernels_.derivatives(client, own(thread).scratch, clients_.kernels().derivatives.known);
      const Real* u = own(thread).scratch.u.data();
      const Index n = data_.size(i);
      for (Index k = 0; k < n * C(); ++k)
        offsets[data_.begin(i) * C() + k] = -(signed_rows_ ? u[k] * client.targets[k] : u[k]);
    });
    offsets_ = std::move(offsets);
  }

  void begin_corrections(Team& team) {
    if (corrections_.found())
      round_.for_participants(team, round_.work(), [&](Index i, int thread) {
        const NetworkClient<Real> client = view(i, thread);
        set_start(client);
        client.second_moved.fill(C(), 0);
        NetworkScratch<Real>& scratch = own(thread).scratch;
        kernels_.derivatives(client, scratch, clients_.kernels().derivatives.known);
        auto e = own(thread).numbers.head(client.n);
        for (Index c = 0; c < C(); ++c) {
          auto of_output = scratch.e.segment(c * client.n, client.n);
          e = of_output.template cast<double>();
          corrections_.rule().find(client.n, e.data());
          of_output = e.template cast<Real>();
        }
        kernels_.gradient(client, scratch, corrections_.first(i), corrections_.second(i));
      });
    corrections_.begin(round_, sums_, team);
  }

  NetworkClient<Real> view(Index i, int thread) {
    NetworkWorkspace<Real>& of = own(thread);
    NetworkClient<Real> client{
        .n = data_.size(i),
        .features = d(),
        .hidden = h(),
        .outputs = C(),
        .rows = rows_.all().from(data_.begin(i)),
        .targets = clients_.targets(i),
        .row_weights = clients_.row_weights(i),
        .offsets = offsets_.size() ? offsets_.data() + data_.begin(i) * C() : nullptr,
        .signed_rows = signed_rows_,
        .scale = static_cast<Real>(network_.scale),
        .first = network_.first,
        .second = network_.second,
        .gram = grams_.of(i),
        .gram_stride = grams_.stride(i),
        .start = start_.from(data_.begin(i)),
        .moved = {of.moved.all().data, forms_.moved_rows(i), columns_},
        .sums = changes_.first(i),
        .second_start = second_.all(),
        .second_moved = changes_.second(i),
    };
    if (forms_.shifts()) {
      if (client.moved.rows > 0) client.shift = {of.shift.all().data, client.moved.rows, columns_};
      client.second_shift = of.second_shift.all();
    }
    return client;
  }

  // P = X_i W
  void set_start(const NetworkClient<Real>& c) {
    const auto set_rows = [&](Range part) {
      for (Index p = 0; p < c.start.count(); ++p) {
        const Index width = c.start.width(p);
        NetworkKernels<Real>::rows_times(
            c.rows, {part.count, nullptr, part.first},
            {width, first_.all()[p], 1, 0, nullptr, c.start[p] + part.first * width});
      }
    };
    if (!c.team) return set_rows({0, c.n});
    Work& parts = own(0).scratch.parts;
    parts.even(parts_of(c.n), 1);
    c.team->for_each(parts, [&](Index part, int) { set_rows(part_of(part, c.n)); });
  }

  // All steps of a client by all threads. False if it was stopped.
  bool take_shared(Index i, Team& team, Stop& stop) {
    const std::int64_t piece = steps_of_piece(forms_.flops_of_step(i) / team.threads());
    const bool complete = take_in_pieces(
        round_.steps_taken(i), piece, stop, 0,
        [&](std::int64_t count, std::int64_t done) { return steps(i, count, done, 0, &team); });
    if (complete) finish_client(i, 0);
    return complete;
  }

  std::int64_t steps(Index i, std::int64_t count, std::int64_t done, int thread,
                     Team* team = nullptr) {
    NetworkClient<Real> client = view(i, thread);
    client.team = team;
    client.step = static_cast<Real>(round_.step(i));
    client.keep = static_cast<Real>(round_.keep());
    client.free_bias = forms_.follows_bias(i);
    client.l2_step = static_cast<Real>(round_.l2_step());
    if (corrections_.displace()) client.second_start = own(thread).second_start.all();
    if (done == 0) start_client(client, i, thread);
    kernels_.steps(client, own(thread).scratch, clients_.kernels().derivatives.known,
                   rule().stochastic() ? &dealers_.of(i, thread) : nullptr, round_.batch(i), count,
                   done == 0, done + count == round_.steps(i));
    return count;
  }

  void start_client(const NetworkClient<Real>& client, Index i, int thread) {
    dealers_.begin(i, thread);
    if (!corrections_.found()) set_start(client);  // else it is there
    client.sums.fill(client.n, 0);
    client.second_moved.fill(C(), 0);
    if (client.moved.rows > 0) client.moved.fill(client.moved.rows, 0);
    if (forms_.shifts()) shifts_.set(client, i, own(thread).second_start.all());
  }

  // b_i of the sums of the steps; and the next gamma_i of those that are kept.
  void finish_client(Index i, int thread) {
    const NetworkClient<Real> client = view(i, thread);
    const Real step = static_cast<Real>(round_.step(i));
    for (Index p = 0; p < client.sums.count(); ++p)
      for (Index j = 0; j < client.n * client.sums.width(p); ++j) client.sums[p][j] *= step;
    const double shrinkage = round_.shrinkage(i);
    if (corrections_.kept()) {
      renew(i, client.n, client.sums, corrections_.first(i), corrections_.next_first(i), thread);
      finish_second(client, i, shrinkage, thread);
    }
    if (bias_.any()) bias_.finish(client, round_, corrections_, i);
    if (corrections_.any()) {
      const Real times =
          static_cast<Real>(corrections_.pull() ? corrections_.kappa(i) : -shrinkage);
      if (network_.first)
        client.sums.with(corrections_.first(i), client.n,
                         [times](Real& b, Real gamma) { b += times * gamma; });
    }
  }

  // The next gamma of the second layer, of what its own derivatives changed it by.
  void finish_second(const NetworkClient<Real>& client, Index i, double shrinkage, int thread) {
    const UnitPanels<Real> next = corrections_.next_second(i);
    const Real kappa = static_cast<Real>(corrections_.kappa(i)),
               less = static_cast<Real>(shrinkage);
    for (Index p = 0; network_.second && p < next.count(); ++p)
      for (Index j = 0; j < C() * next.width(p); ++j)
        next[p][j] = client.second_moved[p][j] + less * second_.all()[p][j] -
                     kappa * (corrections_.second(i)[p][j] - corrections_.common_second()[p][j]);
    renew(i, C(), next, corrections_.second(i), next, thread);
  }

  void renew(Index i, Index rows, const UnitPanels<Real>& changes, const UnitPanels<Real>& gamma,
             const UnitPanels<Real>& next, int thread) {
    const StepsTaken taken{round_.plan().lr, rule().prox, round_.tau(i)};
    double *before = own(thread).numbers.data(), *now = own(thread).further.data();
    for (Index p = 0; p < changes.count(); ++p) {
      const Index width = changes.width(p);
      for (Index r = 0; r < rows; ++r) {
        std::copy_n(changes[p] + r * width, width, before);
        std::copy_n(gamma[p] + r * width, width, now);
        double renewed[panel_width<Real>];
        corrections_.rule().renew(taken, before, now, width, renewed);
        for (Index j = 0; j < width; ++j) next[p][r * width + j] = static_cast<Real>(renewed[j]);
      }
    }
  }

  // D = sum_i u_i (theta_{k,i} - theta_k), and the server's step.
  Outcome close(Team& team) {
    const Participants& now = round_.participants();
    if (network_.first)
      sums_.sum(
          team, [&](auto task) { now.for_each(task); }, [&](Index i) { return round_.share(i); },
          changes_.all(), mean_.all());
    const double common = corrections_.any() ? corrections_.mean_kappa() : 0,
                 shrinkage = network_.first ? round_.mean_shrinkage() : 0;
    const double* W = theta_.value.data();
    double* D = theta_.mean.data();
    team.for_each(features_, [&](Index item, int) {
      const Index first = item * range, end = std::min(first + range, d());
      for (Index r = first; r < end; ++r) {
        mean_.all().for_pieces(r, h(), [&](Index k, Index count, const Real* own) {
          const Index at = r * h() + k;
          for (Index l = 0; l < count; ++l)
            D[at + l] = static_cast<double>(own[l]) - shrinkage * W[at + l];
        });
        if (common != 0 && network_.first)
          corrections_.common_first().for_pieces(
              r, h(), [&](Index k, Index count, const Real* own) {
                for (Index l = 0; l < count; ++l)
                  D[r * h() + k + l] -= common * static_cast<double>(own[l]);
              });
      }
      if (bias_.any() && end == d()) bias_.put_mean(round_, D);
      theta_.advance(round_.plan().round, first * h(), (end - first) * h());
    });
    changes_.put_mean_second(round_, D);
    theta_.advance(round_.plan().round, d() * h(), h() * C());
    if (!theta_.finite()) return Outcome::not_finite;
    changes_.commit(round_, corrections_, bias_, theta_.value);
    theta_.commit();
    corrections_.commit(round_, sums_, team);
    return Outcome::done;
  }

  // Shows what a restored run needs: show(name, values) and panels(name, rows, panels).
  template <class Show, class ShowPanels>
  void visit(Show&& show, ShowPanels&& panels) {
    show("parameters", theta_.value);
    if (theta_.velocity.size()) show("velocity", theta_.velocity);
    if (theta_.squares.size()) show("squares", theta_.squares);
    corrections_.visit(panels, show);
  }

  const Data& data_;
  const Network network_;
  const Clients<Real> clients_;
  const NetworkKernels<Real> kernels_;
  const bool signed_rows_;
  Round round_;
  Dealers dealers_;
  const Index columns_;  // h, padded
  const NetworkForms forms_;
  const AllNetworkRows<Real> rows_;  // X
  Track theta_;
  const Matrix<double> initial_;     // where outputs are 0, or empty
  PanelArray<Real> first_, second_;  // W, d x h, and V^T, C x h
  PanelArray<Real> start_;           // X W, N x h
  PanelArray<Real> mean_;            // sum_i u_i X_i^T b_i
  RowSums<Real> sums_;
  NetworkCorrections<Real> corrections_;
  FreeBias<Real> bias_;
  const NetworkShifts<Real> shifts_;
  NetworkChanges<Real> changes_;
  NetworkGrams<Real> grams_;
  Vector<Real> offsets_;  // u_0, or empty
  Work work_, features_;
  std::vector<NetworkWorkspace<Real>> threads_;
};

}  // namespace localgd
