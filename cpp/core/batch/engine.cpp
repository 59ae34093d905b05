#include "engine.hpp"

#include <array>
#include <atomic>

#include "../products.hpp"
#include "../rows/dense.hpp"
#include "../steps/strip_steps.hpp"

namespace localgd {

Column::Column(const Data& data, const Matrix<double>& init, const ServerRule& server, double mu,
               double flops)
    : prox(mu),
      coefficients(server, Matrix<double>::Zero(data.samples(), 1)),
      model(data, init, flops),
      next_changes(Matrix<double>::Zero(data.samples(), 1)) {
  if (init.rows() != data.features() || init.cols() != 1)
    throw std::invalid_argument("init: want one column of one number for each feature");
  if (server.coordinate_wise())
    throw std::invalid_argument("server: a coordinate-wise one leaves the span of the rows");
  Matrix<double> start;
  products_of_rows(data, init, start);
  margins = Track(server, std::move(start));
  last.local_changes = next_changes;
}

// Takes the round into the state unless something in it is inf or NaN.
void Column::commit(double k, const Vector<double>& shares) {
  finite = all_finite(next_changes.data(), next_changes.size()) && margins.finite();
  if (!finite) return;
  coefficients.advance(k, 0, next_changes.rows());
  coefficients.commit();
  margins.commit();
  model.after_round(coefficients, margins);
  last.local_changes.swap(next_changes);
  last.shares = shares;
}

namespace {

template <class Real>
class GramBatch final : public BatchEngine {
 public:
  GramBatch(const Data& data, const BatchOptions& options)
      : data_(data),
        rows_(data),
        steps_(options.steps),
        climbs_(!options.every_step && Ladder::most(options.steps) > 0),
        gram_(data.samples(), data.samples()) {
    with_loss(options.loss, [&](auto l) {
      using Loss = decltype(l);
      if constexpr (Loss::multiclass)
        throw std::invalid_argument("loss: want one of one output");
      else
        take_steps_ = &strip_steps<Real, Loss>, climb_ = &strip_ladder<Real, Loss>,
        values_at_start_ = &values_at_start<Loss, Real>;
    });
    targets_ = data.targets.template cast<Real>().transpose().replicate(width, 1).reshaped();
    std::vector<double> costs;
    for (Index first = 0; first < gram_.count(); first += group)
      costs.push_back(static_cast<double>(std::min(group, gram_.count() - first)));
    server_work_ = Work(std::move(costs));
  }

  bool prepare(Team& team, Stop& stop) override {
    scratch_.resize(static_cast<std::size_t>(team.threads()));
    ladders_.resize(scratch_.size());
    blocks_.resize(static_cast<std::size_t>(data_.clients()));
    std::vector<double> costs;
    for (Index i = 0; i < data_.clients(); ++i)
      costs.push_back(static_cast<double>(data_.size(i)) * static_cast<double>(data_.size(i)));
    const auto fill = [&](Panels<Real>& gram, const RowsView<Real>& a, Index first) {
      gram.fill(a, first, std::min(first + group, gram.count()));
    };
    team.for_each(Work(std::move(costs)), [&](Index i, int thread) {
      Panels<Real>& gram = blocks_[static_cast<std::size_t>(i)];
      gram = Panels<Real>(data_.size(i), data_.size(i));
      for (Index first = 0; first < gram.count() && !stop.check(thread); first += group)
        fill(gram, rows_.view({data_.begin(i), data_.size(i)}), first);
    });
    team.for_each(server_work_, [&](Index item, int thread) {
      if (!stop.check(thread)) fill(gram_, rows_.view(rows_.all()), item * group);
    });
    return !stop.requested();
  }

  bool round(double k, const std::vector<Column*>& columns, Team& team, Stop& stop) override {
    columns_ = &columns;
    if (static_cast<Index>(columns.size()) != arranged_) arrange();
    proximal_ = std::any_of(columns.begin(), columns.end(), [](Column* c) { return c->prox > 0; });
    std::atomic<bool> complete{true};
    team.for_each(local_work_, [&](Index item, int thread) {
      if (!local_phase(items_[static_cast<std::size_t>(item)], thread, stop))
        complete.store(false, std::memory_order_relaxed);
    });
    if (!complete.load()) return false;
    team.for_each(server_work_, [&](Index item, int) {
      server_phase(k, item * group, std::min((item + 1) * group, gram_.count()));
    });
    team.for_each(commit_work_, [&](Index c, int) {
      columns[static_cast<std::size_t>(c)]->commit(k, data_.weights);
    });
    return true;
  }

 private:
  static constexpr Index width = strip_width<Real>;
  // panels that are made, or multiplied, at once
  static constexpr Index group = 60 / Panels<Real>::tallest;
  static constexpr Index most_strips = 16 / strip_registers;  // of an item

  // Local steps of some runs on one client.
  struct Item {
    Index client, first, strips;
  };

  // Shares the strips of so many columns out. An item takes as many strips as stay in the L2 cache,
  // where K_ii does not stay in the L1 cache anyway.
  void arrange() {
    arranged_ = static_cast<Index>(columns_->size());
    strips_ = (arranged_ + width - 1) / width;
    applied_ = moved_ = Vector<Real>::Zero(strips_ * data_.samples() * width);
    ones_ = Vector<Real>::Ones(strips_ * width);
    items_.clear();
    std::vector<double> costs;
    for (Index i = 0; i < data_.clients(); ++i) {
      if (!(data_.weights[i] > 0)) continue;
      const Index n = data_.size(i);
      const Index at_once =
          n * n <= reals(24) ? 1 : std::clamp<Index>(reals(256) / (5 * n * width), 1, most_strips);
      for (Index first = 0; first < strips_; first += at_once) {
        const Index strips = std::min(at_once, strips_ - first);
        items_.push_back({i, first, strips});
        costs.push_back(static_cast<double>(strips * width) * (2.0 * static_cast<double>(n) + 20) *
                        static_cast<double>(n));
      }
    }
    local_work_ = Work(std::move(costs));
    commit_work_ = Work(std::vector<double>(columns_->size(), 1.0));
  }
  static constexpr Index reals(Index kib) { return kib * 1024 / static_cast<Index>(sizeof(Real)); }

  // The column of a lane, or null for those that fill the last strip up.
  Column* column(Index lane) const {
    return lane < arranged_ ? (*columns_)[static_cast<std::size_t>(lane)] : nullptr;
  }

  bool local_phase(const Item& item, int thread, Stop& stop) {
    const Index n = data_.size(item.client), size = item.strips * n * width;
    Vector<Real>& scratch = scratch_[static_cast<std::size_t>(thread)];
    if (scratch.size() < 5 * size) scratch.resize(5 * size);
    Real *base = scratch.data(), *at_start = base + size, *delta = at_start + size,
         *sums = delta + size;
    std::array<Real, most_strips * width> step{}, keep{};
    keep.fill(Real(1));
    for (Index lane = 0; lane < item.strips * width; ++lane)
      if (const Column* c = column(item.first * width + lane)) {
        step[static_cast<std::size_t>(lane)] = static_cast<Real>(c->lr / static_cast<double>(n));
        keep[static_cast<std::size_t>(lane)] = static_cast<Real>(1 - c->lr * c->prox);
      }
    start(item, base, at_start);
    std::fill_n(delta, 2 * size, Real(0));  // and sums
    const StripClient<Real> client{blocks_[static_cast<std::size_t>(item.client)],
                                   targets_.data() + data_.begin(item.client) * width,
                                   n,
                                   item.strips,
                                   step.data(),
                                   keep.data(),
                                   proximal_,
                                   base,
                                   at_start,
                                   delta,
                                   sums,
                                   sums + size};
    constexpr double flops_per_piece = 5e7;  // some 10 ms
    const auto piece = std::max<std::int64_t>(
        1, static_cast<std::int64_t>(flops_per_piece / static_cast<double>(2 * n * size)));
    const auto go_on = [&](const StripClient<Real>& strips, std::int64_t done) {
      while (done < steps_) {
        const std::int64_t count = std::min(piece, steps_ - done);
        if (done > 0 && stop.check(thread)) return false;
        take_steps_(strips, count, done + count == steps_);
        done += count;
      }
      return true;
    };
    std::array<std::int64_t, most_strips> done{};
    for (Index s = 0; climbs_ && s < item.strips; ++s)
      done[static_cast<std::size_t>(s)] = climb(client.strip(s), item.first + s, thread);
    bool complete = true;
    if (std::all_of(done.begin(), done.begin() + item.strips,
                    [&](auto steps) { return steps == done.front(); })) {
      complete = go_on(client, done.front());
    } else {
      for (Index s = 0; s < item.strips; ++s)
        complete &= go_on(client.strip(s), done[static_cast<std::size_t>(s)]);
    }
    if (complete) store(item, sums);
    return complete;
  }

  // The steps that a ladder takes of one strip.
  std::int64_t climb(const StripClient<Real>& c, Index strip, int thread) {
    std::array<double, width> prox_step{}, tau;
    tau.fill(static_cast<double>(steps_));
    for (Index l = 0; proximal_ && l < width; ++l)
      if (const Column* run = column(strip * width + l)) {
        prox_step[static_cast<std::size_t>(l)] = run->lr * run->prox;
        tau[static_cast<std::size_t>(l)] = sum_of_decays(run->lr * run->prox, steps_);
      }
    LadderSpace<Real>& space = ladders_[static_cast<std::size_t>(thread)];
    if (space.before.size() < c.rows * width) space = LadderSpace<Real>(c.rows * width);
    std::int64_t rung;
    return climb_(c, steps_, prox_step.data(), tau.data(), Ladder::rounding<Real>(steps_), space,
                  rung);
  }

  // Calls body(column, place in the strips, stride of its rows there, lane) for the columns of an
  // item.
  template <class Body>
  void for_lanes(Index first, Index strips, Index rows, Body&& body) const {
    for (Index lane = 0; lane < strips * width; ++lane)
      if (Column* c = column(first * width + lane))
        body(*c, (lane / width) * rows * width + lane % width);
  }

  // A_i w_k of the columns of an item, and what after_move() needs of it.
  void start(const Item& item, Real* base, Real* at_start) const {
    const Index n = data_.size(item.client), begin = data_.begin(item.client);
    std::fill_n(base, 2 * item.strips * n * width, Real(0));
    for_lanes(item.first, item.strips, n, [&](const Column& c, Index place) {
      for (Index j = 0; j < n; ++j) {
        const double m = c.margins.value(begin + j);
        base[place + j * width] = static_cast<Real>(m);
        values_at_start_(&m, data_.targets.data() + begin + j, 1, 1, 1,
                         &at_start[place + j * width]);
      }
    });
  }

  // b_i = step s_i, and its part of the mean change of the coefficients.
  void store(const Item& item, const Real* sums) {
    const Index n = data_.size(item.client), begin = data_.begin(item.client);
    const double share = data_.weights[item.client];
    Real* applied = applied_.data() + item.first * data_.samples() * width;
    for_lanes(item.first, item.strips, n, [&](Column& c, Index place) {
      const double step = c.lr / static_cast<double>(n);
      Real* to = applied + (place / (n * width)) * data_.samples() * width + place % width;
      for (Index j = 0; j < n; ++j) {
        const double b = step * static_cast<double>(sums[place + j * width]);
        c.next_changes(begin + j) = b;
        c.coefficients.mean(begin + j) = share * b;
        to[(begin + j) * width] = static_cast<Real>(share * b);
      }
    });
  }

  // The clients' mean change of the margins is K times that of the coefficients.
  void server_phase(double k, Index first, Index last) {
    const Index samples = data_.samples(), begin = gram_.begin(first),
                count = gram_.begin(last) - begin;
    for (Index s = 0; s < strips_; ++s)
      std::fill_n(moved_.data() + (s * samples + begin) * width, count * width, Real(0));
    gram_.multiply(first, last, applied_.data(), strips_, ones_.data(), moved_.data());
    for_lanes(0, strips_, samples, [&](Column& c, Index place) {
      for (Index j = begin; j < begin + count; ++j)
        c.margins.mean(j) = static_cast<double>(moved_[place + j * width]);
      c.margins.advance(k, begin, count);
    });
  }

  const Data& data_;
  const DenseRows<Real> rows_;
  const std::int64_t steps_;
  const bool climbs_;
  void (*take_steps_)(const StripClient<Real>&, std::int64_t, bool) = nullptr;
  decltype(&strip_ladder<Real, Exponential>) climb_ = nullptr;
  void (*values_at_start_)(const double*, const double*, Index, Index, Index, Real*) = nullptr;
  Vector<Real> targets_;  // each repeated for all lanes
  std::vector<Panels<Real>> blocks_;
  Panels<Real> gram_;
  Work local_work_, server_work_, commit_work_;
  std::vector<Item> items_;
  std::vector<Vector<Real>> scratch_;  // of each thread, see StripClient
  std::vector<LadderSpace<Real>> ladders_;
  Vector<Real> ones_;             // of each lane
  Vector<Real> applied_, moved_;  // mean changes of coefficients and margins, in strips
  const std::vector<Column*>* columns_ = nullptr;
  Index arranged_ = 0, strips_ = 0;
  bool proximal_ = false;
};

}  // namespace

std::unique_ptr<BatchEngine> make_batch_engine(const Data& data, const BatchOptions& options) {
  if (options.steps < 1) throw std::invalid_argument("steps: want at least 1");
  if (options.single) return std::make_unique<GramBatch<float>>(data, options);
  return std::make_unique<GramBatch<double>>(data, options);
}

}  // namespace localgd
