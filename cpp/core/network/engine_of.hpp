// The engine of networks in Real: what clients read, their steps, and the sums over clients.
//   round  2 n d h flops for X_i W, the steps, and as many for X_i^T b_i;  memory  3 N h reals
#pragma once

#include <numeric>
#include <optional>
#include <utility>

#include "../loss/registry.hpp"
#include "../phase/dealers.hpp"
#include "../phase/phase.hpp"
#include "../rows/clients.hpp"
#include "../server/track.hpp"
#include "corrections.hpp"
#include "engine.hpp"

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
        frees_bias_(data.free_intercept && run.l2 > 0 && network_.first),
        dealers_(data, round_),
        columns_(padded<Real>(network_.hidden)),
        rows_(clients_.rows(), *data.rows),
        theta_(run.server, run.init),
        initial_(network_.centered ? run.init : Matrix<double>()),
        first_(data.features(), columns_),
        second_(C(), columns_),
        start_(data.samples(), columns_),
        mean_(data.features(), columns_),
        sums_(data, rows_.all(), columns_),
        corrections_(data, round_.rule(), columns_, C()),
        changes_(data, columns_, C(), frees_bias_),
        last_changes_(data, columns_, C(), frees_bias_),
        mean_bias_(frees_bias_ ? h() : 0) {
    if (frees_bias_) {
      const Vector<double> last = Vector<double>::Unit(d(), d() - 1);
      Vector<double> column(data.samples());
      data.rows->dots(data.rows->all(), last.data(), 1, column.data());
      bias_column_ = column.cast<Real>();
    }
    std::vector<double> costs;
    for (Index i = 0; i < data.clients(); ++i) costs.push_back(flops_of_step(i));
    work_ = round_.groups().work(costs);
    features_ = Work(std::vector<double>(static_cast<std::size_t>((d() + range - 1) / range),
                                         2.0 * static_cast<double>(range * columns_)));
  }

  bool prepare(Team& team, Stop& stop) override {
    if (!make_grams(team, stop)) return false;
    for (int t = 0; t < team.threads(); ++t) threads_.emplace_back(*this, t == 0);
    if (network_.centered) set_offsets(team);
    return true;
  }

  Outcome round(const RoundPlan& plan, Team& team, Stop& stop) override {
    round_.begin(plan, work_);
    read_parameters(theta_.value, team);
    if (corrections_.any()) begin_corrections(team);
    const double large = least_shared(team.threads());
    const auto is_shared = [&](Index i) {
      return flops_of_step(i) >= shared_flops && flops(i) > large;
    };
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
  const Vector<double>& last_shares() const override { return last_.shares; }
  const Matrix<double>& last_change() const override { return theta_.change; }
  Index in_span() const override {
    Index count = 0;
    for (Index i = 0; i < data_.clients(); ++i) count += in_span(i);
    return count;
  }

  void client_change(Index i, Matrix<double>& change) const override {
    Matrix<double> b(data_.size(i), h());
    for (Index j = 0; j < b.rows(); ++j)
      changes_of(last_changes_, i).for_pieces(j, h(), [&](Index k, Index count, const Real* own) {
        for (Index l = 0; l < count; ++l) b(j, k + l) = static_cast<double>(own[l]);
      });
    const Matrix<double> first = data_.rows->combine(data_.range(i), b);
    const double kappa = last_.kappa.size() ? last_.kappa[i] : 0,
                 shrinkage = last_.shrinkage.size() ? last_.shrinkage[i] : 0;
    change.resize(theta_.value.rows(), 1);
    for (Index r = 0; r < d(); ++r)
      for (Index k = 0; k < h(); ++k) {
        change(r * h() + k) = first(r, k);
        if (shrinkage != 0 && network_.first)
          change(r * h() + k) -= shrinkage * last_.before(r * h() + k);
      }
    if (kappa != 0)
      for (Index r = 0; r < d(); ++r)
        corrections_.last_common_first().for_pieces(
            r, h(), [&](Index k, Index count, const Real* common) {
              for (Index l = 0; l < count; ++l)
                change(r * h() + k + l) -= kappa * static_cast<double>(common[l]);
            });
    if (frees_bias_)
      last_changes_.bias.from(i).for_pieces(0, h(), [&](Index k, Index count, const Real* own) {
        for (Index l = 0; l < count; ++l) change(bias_at() + k + l) = static_cast<double>(own[l]);
      });
    put_second(seconds_of(last_changes_, i), change);
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
  static constexpr Index range = 64;           // features of an item of work
  static constexpr double shared_flops = 2e7;  // of a step that is worth sharing

  // What the clients' changes of a round are made of: b_i, and that of V^T; and of a bias that
  // lambda leaves alone, a row for each client, which is not in X_i^T b_i.
  struct Changes {
    Changes(const Data& data, Index columns, Index outputs, bool frees_bias)
        : first(data.samples(), columns),
          second(data.clients() * outputs, columns),
          bias(frees_bias ? data.clients() : 0, columns) {}
    PanelArray<Real> first, second, bias;
  };

  // Of the round that led to the present parameters.
  struct Last {
    Vector<double> shares, kappa, shrinkage;
    Matrix<double> before;  // where shrinkage counts
  };

  // What a thread needs for a client.
  struct Thread {
    Thread(const NetworkEngineOf& of, bool leader) : Thread(of, of.largest(), leader) {}

    struct Largest {
      Index rows = 0, step = 0, moved = 0, gathered = 0, batch = 0;
      double flops = 0;  // of a step
    };
    Thread(const NetworkEngineOf& of, const Largest& largest, bool leader)
        : scratch(std::max(largest.rows, largest.step), largest.batch, largest.gathered,
                  of.columns_, of.C(), leader && largest.flops >= shared_flops),
          moved(largest.moved, of.columns_),
          shift(of.shifts() ? largest.moved : 0, of.columns_),
          second_shift(of.C(), of.columns_),
          second_start(of.C(), of.columns_),
          numbers(std::max(largest.rows, panel_width<Real>)),
          further(numbers) {}

    NetworkScratch<Real> scratch;
    PanelArray<Real> moved, shift, second_shift, second_start;
    Vector<double> numbers, further;
  };

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
  Thread& own(int thread) { return threads_[static_cast<std::size_t>(thread)]; }
  UnitPanels<Real> changes_of(const Changes& changes, Index i) const {
    return changes.first.from(data_.begin(i));
  }
  UnitPanels<Real> seconds_of(const Changes& changes, Index i) const {
    return changes.second.from(i * C());
  }

  // A step in the span takes 2 n b h flops, one in the weights 4 b q h with q the entries of a row,
  // which is d of dense ones.
  double entries_of_row(Index i) const {
    const Index begin = data_.begin(i), n = data_.size(i);
    return static_cast<double>(data_.rows->entries_before(begin + n) -
                               data_.rows->entries_before(begin)) /
           static_cast<double>(n) * (data_.sparse() ? Network::sparse_cost : 1.0);
  }
  bool in_span(Index i) const {
    if (network_.form != "auto") return network_.form == "span";
    return static_cast<double>(data_.size(i)) <= 2 * entries_of_row(i);
  }
  // K_ii is of use: there are steps after the first one, or clients start elsewhere.
  bool wants_gram(Index i) const {
    return network_.first && in_span(i) && (round_.steps(i) > 1 || corrections_.displace());
  }
  bool moves_weights(Index i) const {
    return network_.first && !in_span(i) && (round_.steps(i) > 1 || corrections_.any());
  }
  double flops_of_step(Index i) const {
    return (in_span(i) ? 2.0 * static_cast<double>(data_.size(i)) : 4.0 * entries_of_row(i)) *
           static_cast<double>(round_.rows_of_step(i) * columns_);
  }
  // b' stands in what moves; after a single step nothing has.
  bool follows_bias(Index i) const { return frees_bias_ && round_.steps(i) > 1; }
  double flops(Index i) const {
    return flops_of_step(i) * static_cast<double>(round_.steps_taken(i));
  }
  // From how many flops on a client of the round would be waited for, so that all threads share its
  // steps.
  double least_shared(int threads) const {
    if (threads == 1) return std::numeric_limits<double>::infinity();
    double all = 0;
    round_.participants().for_each([&](Index i) { all += flops(i); });
    return all / (4.0 * threads);
  }
  // Of P' and K where steps are taken in the span: those of the client, and of e_d (client.hpp).
  Index rows_in_span(Index i) const { return data_.size(i) + (frees_bias_ ? 1 : 0); }
  // What lambda pulls of W: all but the last row, where that is a bias that it leaves alone.
  Index pulled_features() const { return d() - (frees_bias_ ? 1 : 0); }
  Index bias_at() const { return (d() - 1) * h(); }  // in theta
  // Something joins every step.
  bool shifts() const { return rule().l2 > 0 || corrections_.any(); }

  typename Thread::Largest largest() const {
    typename Thread::Largest most;
    for (Index i = 0; i < data_.clients(); ++i) {
      most.rows = std::max(most.rows, data_.size(i));
      most.step = std::max(most.step, round_.rows_of_step(i));
      most.batch = std::max(most.batch, round_.batch(i));
      const Index moved = wants_gram(i) ? rows_in_span(i) : moves_weights(i) ? d() : 0;
      most.moved = std::max(most.moved, moved);
      if (wants_gram(i) || !data_.sparse()) most.gathered = std::max(most.gathered, moved);
      most.flops = std::max(most.flops, flops_of_step(i));
    }
    return most;
  }

  // K_ii of those who want it. A tile reads a few numbers of many rows, which must not all begin in
  // the same few sets of the first-level cache.
  bool make_grams(Team& team, Stop& stop) {
    const auto clients = static_cast<std::size_t>(data_.clients());
    gram_at_.assign(clients, -1);
    gram_stride_.assign(clients, 0);
    Index size = 0;
    for (Index i = 0; i < data_.clients(); ++i) {
      if (!wants_gram(i)) continue;
      constexpr Index line = 64 / sizeof(Real);
      Index stride = padded<Real>(rows_in_span(i));
      if (stride % (8 * line) == 0) stride += line;
      gram_at_[static_cast<std::size_t>(i)] = size;
      gram_stride_[static_cast<std::size_t>(i)] = stride;
      size += stride * rows_in_span(i);
    }
    grams_ = LargeArray<Real>(size);
    std::fill_n(grams_.data(), size, Real(0));
    round_.groups().for_each(team, work_, stop, [&](Index i) {
      if (!wants_gram(i)) return;
      const Index n = data_.size(i);
      Eigen::Map<RowMatrix<Real>, 0, Eigen::OuterStride<>> K(
          grams_.data() + gram_at_[static_cast<std::size_t>(i)], n, n,
          Eigen::OuterStride<>(gram_stride_[static_cast<std::size_t>(i)]));
      clients_.rows().gram(data_.range(i), data_.range(i), K);
      if (!frees_bias_) return;
      Real* last = K.data() + n * K.outerStride();
      for (Index j = 0; j < n; ++j)
        last[j] = K.data()[j * K.outerStride() + n] = bias_column_[data_.begin(i) + j];
      last[n] = 1;
    });
    return !stop.requested();
  }

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
  // V^T of panels in its place among the parameters.
  void put_second(const UnitPanels<Real>& panels, Matrix<double>& theta) const {
    double* V = theta.data() + d() * h();
    for (Index c = 0; c < C(); ++c)
      panels.for_pieces(c, h(), [&](Index k, Index count, const Real* own) {
        for (Index l = 0; l < count; ++l) V[(k + l) * C() + c] = static_cast<double>(own[l]);
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
    const auto at = static_cast<std::size_t>(i);
    const bool span = wants_gram(i);
    Thread& of = own(thread);
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
        .gram = span ? grams_.data() + gram_at_[at] : nullptr,
        .gram_stride = gram_stride_[at],
        .start = start_.from(data_.begin(i)),
        .moved = {of.moved.all().data, span ? rows_in_span(i) : d(), columns_},
        .sums = changes_of(changes_, i),
        .second_start = second_.all(),
        .second_moved = seconds_of(changes_, i),
    };
    if (shifts()) {
      if (wants_gram(i) || moves_weights(i))
        client.shift = {of.shift.all().data, client.moved.rows, columns_};
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
    const std::int64_t piece = steps_of_piece(flops_of_step(i) / team.threads());
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
    client.free_bias = follows_bias(i);
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
    if (wants_gram(i) || moves_weights(i)) client.moved.fill(client.moved.rows, 0);
    if (!shifts()) return;
    if (wants_gram(i))
      shift_in_span(client, i);
    else if (moves_weights(i))
      shift_in_weights(client, i);
    shift_second(client, i, thread);
  }

  // shift = eta (K_ii gamma - X_i c) - eta lambda P; or where clients are displaced P moves by the
  // former.
  void shift_in_span(const NetworkClient<Real>& client, Index i) const {
    const bool displaced = corrections_.displace();
    const Real pull = static_cast<Real>(-round_.l2_step()),
               times = displaced ? Real(1) : static_cast<Real>(round_.plan().lr);
    for (Index p = 0; p < client.start.count(); ++p) {
      const Index width = client.start.width(p), numbers = client.n * width;
      Real *start = client.start[p], *shift = client.shift[p];
      if (corrections_.any()) {
        Real* q = displaced ? start : shift;
        NetworkKernels<Real>::multiply(
            Stored::by_columns,
            {client.n, client.n, width, client.gram, client.gram_stride, corrections_.first(i)[p],
             times, displaced ? Real(1) : Real(0), nullptr, q});
        NetworkKernels<Real>::rows_times(
            client.rows, {client.n, nullptr},
            {width, corrections_.common_first()[p], -times, 1, nullptr, q});
      }
      if (displaced || !corrections_.any())
        for (Index j = 0; j < numbers; ++j) shift[j] = pull * start[j];
      else if (rule().l2 > 0)
        for (Index j = 0; j < numbers; ++j) shift[j] += pull * start[j];
      if (frees_bias_) free_bias_in_span(client, i, p);
    }
  }
  // Without what lambda takes of the bias in P, and with the shift of b'.
  void free_bias_in_span(const NetworkClient<Real>& client, Index i, Index p) const {
    const Real back = static_cast<Real>(round_.l2_step());
    const Index width = client.start.width(p);
    const Real *b = first_.from(d() - 1)[p], *x = bias_column_.data() + data_.begin(i);
    Real start[panel_width<Real>], *shift = client.shift[p];
    double q[panel_width<Real>] = {};
    if (corrections_.any()) correct_bias(i, p, q);
    for (Index j = 0; j < width; ++j)
      start[j] = b[j] + (corrections_.displace() ? static_cast<Real>(q[j]) : Real(0));
    for (Index t = 0; t < client.n; ++t, shift += width)
      for (Index j = 0; j < width; ++j) shift[j] += back * (x[t] * start[j]);
    for (Index j = 0; j < width; ++j)
      shift[j] = corrections_.pull() ? static_cast<Real>(round_.plan().lr * q[j]) : Real(0);
  }
  // The last row of X_i^T a of a panel, a n x h.
  void add_to_bias(Index i, const UnitPanels<Real>& a, Index p, double* sums) const {
    const Real *of = a[p], *x = bias_column_.data() + data_.begin(i);
    const Index width = a.width(p);
    for (Index t = 0; t < data_.size(i); ++t, of += width)
      for (Index j = 0; j < width; ++j)
        sums[j] += static_cast<double>(x[t]) * static_cast<double>(of[j]);
  }
  // += q_i of the bias.
  void correct_bias(Index i, Index p, double* q) const {
    add_to_bias(i, corrections_.first(i), p, q);
    const Real* common = corrections_.common_first().from(d() - 1)[p];
    for (Index j = 0; j < start_.all().width(p); ++j) q[j] -= static_cast<double>(common[j]);
  }
  // The same of W, with q_i = X_i^T gamma - c.
  void shift_in_weights(const NetworkClient<Real>& client, Index i) const {
    const bool displaced = corrections_.displace();
    const Real pull = static_cast<Real>(-round_.l2_step()),
               times = displaced ? Real(1) : static_cast<Real>(round_.plan().lr);
    for (Index p = 0; p < client.start.count(); ++p) {
      const Index width = client.start.width(p), numbers = d() * width,
                  pulled = pulled_features() * width;
      Real *q = client.shift[p], *W = first_.all()[p];
      if (corrections_.any()) {
        NetworkKernels<Real>::transposed_times(
            client.rows, {client.n, nullptr},
            {width, corrections_.first(i)[p], times, 0, nullptr, q});
        const Real* common = corrections_.common_first()[p];
        for (Index j = 0; j < numbers; ++j) q[j] -= times * common[j];
      }
      if (displaced) {
        NetworkKernels<Real>::rows_times(client.rows, {client.n, nullptr},
                                         {width, q, 1, 1, nullptr, client.start[p]});
        for (Index j = 0; j < pulled; ++j) q[j] = pull * (W[j] + q[j]);
      } else if (!corrections_.any()) {
        for (Index j = 0; j < pulled; ++j) q[j] = pull * W[j];
      } else if (rule().l2 > 0) {
        for (Index j = 0; j < pulled; ++j) q[j] += pull * W[j];
      }
      if (!corrections_.pull()) std::fill(q + pulled, q + numbers, Real(0));
    }
  }
  void shift_second(const NetworkClient<Real>& client, Index i, int thread) {
    const bool displaced = corrections_.displace();
    const Real pull = static_cast<Real>(-round_.l2_step()),
               lr = static_cast<Real>(round_.plan().lr);
    for (Index p = 0; p < client.second_shift.count(); ++p)
      for (Index j = 0; j < C() * client.second_shift.width(p); ++j) {
        Real V = second_.all()[p][j], q = 0;
        if (corrections_.any() && network_.second)
          q = corrections_.second(i)[p][j] - corrections_.common_second()[p][j];
        if (displaced) own(thread).second_start.all()[p][j] = V += q;
        client.second_shift[p][j] = (displaced ? Real(0) : lr * q) + pull * V;
      }
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
    if (frees_bias_) finish_bias(client, i);
    if (corrections_.any()) {
      const Real times =
          static_cast<Real>(corrections_.pull() ? corrections_.kappa(i) : -shrinkage);
      if (network_.first)
        client.sums.with(corrections_.first(i), client.n,
                         [times](Real& b, Real gamma) { b += times * gamma; });
    }
  }

  // What a bias that lambda leaves alone has moved by, of the sums without corrections. After one
  // step alone it has not been followed.
  void finish_bias(const NetworkClient<Real>& client, Index i) const {
    const UnitPanels<Real> change = changes_.bias.from(i);
    for (Index p = 0; p < change.count(); ++p) {
      const Index width = change.width(p);
      if (follows_bias(i)) {
        std::copy_n(client.moved.from(client.moved.rows - 1)[p], width, change[p]);
        continue;
      }
      double sums[panel_width<Real>] = {}, q[panel_width<Real>] = {};
      add_to_bias(i, client.sums, p, sums);
      if (corrections_.pull()) correct_bias(i, p, q);
      for (Index j = 0; j < width; ++j)
        change[p][j] = static_cast<Real>(sums[j] + round_.plan().lr * q[j]);
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
          changes_.first.all(), mean_.all());
    const double common = corrections_.any() ? corrections_.mean_kappa() : 0,
                 shrinkage = network_.first ? round_.mean_shrinkage() : 0;
    if (frees_bias_) take_mean_bias();
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
      if (frees_bias_ && end == d()) std::copy_n(mean_bias_.data(), h(), D + bias_at());
      theta_.advance(round_.plan().round, first * h(), (end - first) * h());
    });
    add_second(D + d() * h());
    theta_.advance(round_.plan().round, d() * h(), h() * C());
    if (!theta_.finite()) return Outcome::not_finite;
    if (round_.mean_shrinkage() > 0) last_.before = theta_.value;
    theta_.commit();
    commit(team);
    return Outcome::done;
  }

  void take_mean_bias() {
    mean_bias_.setZero();
    round_.participants().for_each([&](Index i) {
      const double u = round_.share(i);
      changes_.bias.from(i).for_pieces(0, h(), [&](Index k, Index count, const Real* own) {
        for (Index l = 0; l < count; ++l) mean_bias_[k + l] += u * static_cast<double>(own[l]);
      });
    });
  }

  void add_second(double* D) {
    std::fill_n(D, h() * C(), 0.0);
    round_.participants().for_each([&](Index i) {
      const double u = round_.share(i);
      for (Index c = 0; c < C(); ++c)
        seconds_of(changes_, i).for_pieces(c, h(), [&](Index k, Index count, const Real* own) {
          for (Index l = 0; l < count; ++l) D[(k + l) * C() + c] += u * static_cast<double>(own[l]);
        });
    });
  }

  void commit(Team& team) {
    const Participants& now = round_.participants();
    last_.shares = now.shares();
    if (corrections_.any() || round_.mean_shrinkage() > 0)
      last_.kappa.setZero(data_.clients()), last_.shrinkage.setZero(data_.clients());
    now.for_each([&](Index i) {
      if (corrections_.any()) last_.kappa[i] = corrections_.kappa(i);
      if (round_.mean_shrinkage() > 0) last_.shrinkage[i] = round_.shrinkage(i);
      if (!corrections_.displace()) return;  // or where clients began is in what they moved by
      if (network_.first)
        changes_of(changes_, i).with(corrections_.first(i), data_.size(i), [](Real& b, Real gamma) {
          b += gamma;
        });
      if (frees_bias_) displace_bias(i);
      if (!network_.second) return;
      const auto add = [&](Real sign) {
        return [sign](Real& change, Real q) { change += sign * q; };
      };
      seconds_of(changes_, i).with(corrections_.second(i), C(), add(1));
      seconds_of(changes_, i).with(corrections_.common_second(), C(), add(-1));
    });
    corrections_.commit(round_, sums_, team);
    std::swap(changes_, last_changes_);
  }

  // As of the others, where clients began is in what the bias moved by.
  void displace_bias(Index i) const {
    const UnitPanels<Real> change = changes_.bias.from(i);
    for (Index p = 0; p < change.count(); ++p) {
      double q[panel_width<Real>] = {};
      correct_bias(i, p, q);
      for (Index j = 0; j < change.width(p); ++j) change[p][j] += static_cast<Real>(q[j]);
    }
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
  const bool frees_bias_;  // lambda leaves b, the last row of W, alone
  Dealers dealers_;
  const Index columns_;              // h, padded
  const AllNetworkRows<Real> rows_;  // X
  Track theta_;
  const Matrix<double> initial_;     // where outputs are 0, or empty
  PanelArray<Real> first_, second_;  // W, d x h, and V^T, C x h
  PanelArray<Real> start_;           // X W, N x h
  PanelArray<Real> mean_;            // sum_i u_i X_i^T b_i
  RowSums<Real> sums_;
  NetworkCorrections<Real> corrections_;
  Changes changes_, last_changes_;
  Last last_;
  Vector<Real> bias_column_;  // X e_d, or empty
  Vector<double> mean_bias_;  // sum_i u_i b'_i
  Vector<Real> offsets_;      // u_0, or empty
  LargeArray<Real> grams_;
  std::vector<Index> gram_at_, gram_stride_;
  Work work_, features_;
  std::vector<Thread> threads_;
};

}  // namespace localgd
