// Full-batch steps of many small clients at once, one in each lane of a register.
//   local step  2 n_i^2 flops;  memory  half of sum n_i^2 reals
#pragma once

#include <stdexcept>
#include <vector>

#include "../steps/bundles.hpp"
#include "span_clients.hpp"

namespace localgd {

template <class Real>
class Bundled final : public Phase {
 public:
  static constexpr std::string_view name = "bundled";
  static constexpr bool in_span = true;
  static constexpr Index width = bundle_width<Real>, multiple = width;

  // Bundles take every step: of many steps a ladder needs fewer. Over ranks all clients of a bundle
  // are on one.
  static bool suits(const Setting& of) {
    constexpr std::int64_t many = 128;
    const LocalRule& rule = of.rule;
    const Ranks* ranks = of.layout.ranks.get();
    const bool plain = of.outputs == 1 && !of.layout.sparse() && !of.multiclass && !of.compressed &&
                       !of.loss.functions && !of.frees_intercept() && !rule.solve &&
                       !rule.stochastic() && !rule.correction && !rule.rates.own() &&
                       (rule.every_step || rule.steps.front() <= many) && rule.equal_steps();
    if (!plain || !Bundles<Real>::suit(ranks ? ranks->sizes() : sizes(of.layout), 2 * of.lanes))
      return false;
    // Another phase would give other bits, for this number of ranks alone.
    if (ranks && !ranks->cut_at_multiples_of(width))
      throw std::invalid_argument(
          "engine: small clients take their steps in bundles, which ranks cut; want "
          "engine='primal'");
    return true;
  }

  static void forecast(const Setting& of, const Outlook& ahead, Forecast& forecast) {
    forecast_blocks<Real>(of, forecast, 0.5);
    Cost& round = forecast.round;
    const auto all = static_cast<double>(of.rule.steps.front());
    const Index lanes = 2 * of.lanes;
    const double share = ahead.any_of(lanes);  // all of a bundle take their steps
    const std::vector<Index> rows = Bundles<Real>::rows_of_bundles(sizes(of.layout), lanes);
    double all_blocks = 0;
    for (const Index n : rows) all_blocks += block_bytes(n, lanes);
    round.add(Cost::numbers, ahead.share * of.samples());
    for (const Index n : rows) {
      const auto in_lanes = static_cast<double>(n * lanes);
      round.add(Cost::clients, share);
      round.add(Cost::steps, share * all);
      round.add(Cost::derivatives, share * sizeof(Real) / 8 * in_lanes * all);
      round.add_flops<Real>(Cost::flops, share * 2 * static_cast<double>(n) * in_lanes * (all - 1));
      round.read(share * block_bytes(n, lanes), all_blocks);
      round.read(share * block_bytes(n, lanes) * (all - 1), block_bytes(n, lanes));
    }
  }

  Bundled(ModelOf<Real>& model, const Round& round, const Setting&)
      : model_(&model), groups_(round.groups()), bundles_(sizes(model.clients().data())) {
    work_ = span_work(model.clients().data(), model.clients().outputs(), round);
  }

  bool prepare(Team& team, Stop& stop) override {
    if (!model_->prepare_bundles(bundles_, work_, team, stop)) return false;
    bundles_.make(data().weighted);
    spaces_.assign(static_cast<std::size_t>(team.threads()),
                   BundleSpace<Real>(bundles_.most_rows()));
    groups_.for_each(team, work_, stop, [&](Index i) {
      const Range rows = clients().range(i);
      RowMatrix<Real> gram(rows.count, rows.count);
      clients().rows().gram(rows, rows, gram);
      bundles_.put(i, gram, data().targets.data() + data().begin(i), clients().row_weights(i));
    });
    return !stop.requested();
  }

  Outcome run(const Round& round, Team& team, Stop& stop) override {
    constexpr std::int64_t piece = 10'000;  // a ms or more
    const std::int64_t steps = round.steps_taken(0);
    team.for_each(round.work(), [&](Index g, int thread) {
      const Index last = groups_.end(g);
      Participants::Cursor present(round.participants(), g);
      model_->begin_group(thread);
      for (Index i = present(0), next; i < last; i = next) {
        const Index bundle = i / width;
        const auto here = present;
        next = present((bundle + 1) * width);
        if (next / width < bundles_.count()) bundles_.fetch_targets(next / width).all();
        auto client = bundles_.of(bundle, static_cast<Real>(round.keep()), round.l2_step() > 0,
                                  spaces_[static_cast<std::size_t>(thread)]);
        model_->start_bundle(bundle, next / width, client);
        start(round, here, bundle, client);
        for (std::int64_t done = 0; done < steps; done += piece) {
          if (stop.check(thread)) return;
          clients().kernels().bundle(client, std::min(piece, steps - done), done + piece >= steps);
        }
        model_->take_bundle(round, bundle, next / width, client, thread);
      }
      model_->end_group(groups_.first(g), thread);
    });
    return stop.requested() ? Outcome::stopped : Outcome::done;
  }

 private:
  const Clients<Real>& clients() const { return model_->clients(); }
  const Data& data() const { return clients().data(); }

  static std::vector<Index> sizes(const Layout& layout) {
    std::vector<Index> sizes;
    for (Index i = 0; i < layout.clients(); ++i) sizes.push_back(layout.size(i));
    return sizes;
  }
  static double block_bytes(Index rows, Index lanes) {
    return sizeof(Real) * static_cast<double>(detail::triangle(rows) * lanes);
  }

  void start(const Round& round, const Participants::Cursor& present, Index bundle,
             const BundleClients<Real>& client) {
    const Index first = bundle * width, end = std::min(first + width, data().clients()),
                size = client.n * width;
    BundleSpace<Real>& at = client.at;
    double* u = at.weight.data();
    if (round.participants().all()) {
      std::copy_n(round.given_shares().data() + first, end - first, u);
      std::fill_n(u + (end - first), width - (end - first), 0.0);
    } else {
      std::fill_n(u, width, 0.0);
      present.for_each_before(first + width, [&](Index i, double share) { u[i - first] = share; });
      for (Index l = 0; l < width; ++l)
        if (!(u[l] > 0))  // stands still at 0: far away its sums could be inf
          for (Index j = 0; j < client.n; ++j) at.margins[j * width + l] = 0;
    }
    if (round.plan().offset != 0) subtract(round.plan().offset, bundle, client);
    const double steps_counted = round.change_per_sum(first, 1);
    const double* sizes = bundles_.sizes(bundle);
    for (Index l = 0; l < width; ++l) {  // without branches, for it to be vector code
      const double step = u[l] > 0 ? round.plan().lr / sizes[l] : 0;
      at.step[l] = static_cast<Real>(step);
      at.change[l] = step * steps_counted;
      at.share[l] = static_cast<Real>(u[l] * at.change[l]);
    }
    Real* base = at.base.data();
    const double* margins = at.margins.data();
    for (Index t = 0; t < size; ++t) base[t] = static_cast<Real>(margins[t]);
    clients().kernels().values_at_start(margins, client.targets, size, 1, size, at.at_start.data());
    std::fill_n(at.delta.data(), size, Real(0));
    std::fill_n(at.sums.data(), size, Real(0));
    for (Index t = 0; client.shifted && t < size; ++t)
      at.shift[t] = static_cast<Real>(-round.l2_step() * margins[t]);
  }

  // From the margins of rows that there are: those of others stay 0, whose e is then finite.
  void subtract(double offset, Index bundle, const BundleClients<Real>& client) const {
    const double* sizes = bundles_.sizes(bundle);
    for (Index l = 0; l < width; ++l) {
      if (!(client.at.weight[l] > 0)) continue;
      for (Index j = 0; j < static_cast<Index>(sizes[l]); ++j)
        client.at.margins[j * width + l] -= offset;
    }
  }

  ModelOf<Real>* model_;
  const Groups& groups_;
  Bundles<Real> bundles_;
  std::vector<BundleSpace<Real>> spaces_;  // of each thread
};

}  // namespace localgd
