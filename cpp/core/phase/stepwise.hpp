// One full-batch step after another in the span of a client's rows, or many of them extrapolated
// from few: on K_ii, or on its factors where rows are sparse.
//   local step  2 n_i^2 C flops;  memory  sum n_i^2 reals
//   by factors  4 C flops for each entry of A_i
#pragma once

#include "extrapolation.hpp"
#include "span_clients.hpp"

namespace localgd {

template <class Real>
class FullBatches : public Phase {
 public:
  static constexpr bool in_span = true;
  static constexpr Index multiple = 1;

  static void forecast(const Setting& of, const Outlook& ahead, Forecast& forecast,
                       bool by_factors) {
    if (by_factors) {
      forecast.parts = of.layout.clients();
      forecast.setup.add(Cost::filled, 2 * of.bytes_of_rows<Real>());
    } else {
      forecast_blocks<Real>(of, forecast);
    }
    Cost& round = forecast.round;
    forecast_span_clients<Real>(of, ahead, round);
    double all_blocks = 0;  // bytes
    for (Index i = 0; i < of.layout.clients(); ++i)
      all_blocks += sizeof(Real) * entries_of_block<Real>(of.layout.size(i));
    // The last class follows from the others.
    const double moving = of.multiclass ? of.columns() - 1 : of.columns();
    std::int64_t L = 0;
    MeanSteps steps;
    for (Index i = 0; i < of.layout.clients(); ++i) {
      if (L != of.rule.steps[static_cast<std::size_t>(i)]) {
        L = of.rule.steps[static_cast<std::size_t>(i)];
        steps = Extrapolation::foreseen<Real>(L, Extrapolation::most_rungs(of.rule, L), false, 1,
                                              of, ahead);
      }
      const double n = static_cast<double>(of.layout.size(i));
      const double all = static_cast<double>(L);
      // Nobody reads the margins after the last step.
      const double products = steps.alone * (all - 1) / all + std::max(steps.rungs - 1, 0.0),
                   passes = steps.alone * (all - 1) / all + std::max(steps.longest - 1, 0.0);
      round.add(Cost::steps, ahead.share * steps.after_one_another());
      const double in_registers = entries_of_block<Real>(of.layout.size(i)) / n;
      const double derived =
          ahead.share * sizeof(Real) / 8 * in_registers * of.columns() * steps.taken();
      if (of.multiclass)
        round.add(Cost::exponentials, derived / 2);  // some by polynomials
      else
        round.add(Cost::derivatives, derived);
      if (by_factors) {
        const auto entries = static_cast<double>(of.layout.entries(i));
        round.add(Cost::entries, ahead.share * 2 * entries * moving * products);
        round.read(ahead.share * entries * products, of.bytes_of_rows<Real>());
      } else {
        const double entries = n * in_registers, block = sizeof(Real) * entries;
        round.add_flops<Real>(Cost::flops, ahead.share * 2 * entries * moving * products);
        round.read(ahead.share * block * std::min(passes, 1.0), all_blocks);
        round.read(ahead.share * block * std::max(passes - 1, 0.0), block);
      }
    }
  }

  FullBatches(ModelOf<Real>& model, const Round& round, bool by_factors)
      : clients_(model, round.rule(), by_factors),
        groups_(round.groups()),
        steps_(round.rule().steps),
        extrapolation_(round.rule(), model.clients().count()) {
    work_ = span_work(model.clients().data(), model.clients().outputs(), round, by_factors);
  }

  bool prepare(Team& team, Stop& stop) override {
    const Index outputs = clients_.clients().outputs();
    Index longest = 0;
    for (Index i = 0; i < clients_.clients().count(); ++i)
      if (most_rungs(i) > 0)
        longest = std::max(longest, padded<Real>(clients_.clients().size(i)) * outputs);
    spaces_ = clients_.spaces(team.threads());
    ladders_.assign(static_cast<std::size_t>(team.threads()), LadderSpace<Real>(longest));
    return clients_.prepare(groups_, work_, team, stop,
                            [&](Index, auto&&, PaddedGram<Real>& own) { own.arrange(outputs); });
  }

  Outcome run(const Round& round, Team& team, Stop& stop) override {
    const auto steps = [&](Index i, std::int64_t count, std::int64_t done, int thread) {
      if (done == 0) {
        clients_.start(round, i, space(thread));
        if (!round.plan().frozen && most_rungs(i) > 0) return extrapolate(round, i, thread);
      }
      const bool last = done + count == round.steps_taken(i);
      const auto& kernels = clients_.clients().kernels();
      if (round.rule().rates.own())
        kernels.span_own_rates(clients_.view(round, i, space(thread)), space(thread).offset, count,
                               last);
      else
        kernels.span(clients_.view(round, i, space(thread)), count, last);
      return count;
    };
    if (!take_in_pieces(round, round.work(), team, stop, steps, [&](Index i, int thread) {
          clients_.finish(round, i, space(thread), thread);
        }))
      return Outcome::stopped;
    extrapolation_.note(round);
    return Outcome::done;
  }

  bool extrapolated() const override { return extrapolation_.all(); }
  void commit(const Round& round, bool extrapolated) override {
    extrapolation_.count(round, extrapolated);
  }
  const LaddersTaken* ladders() const override {
    return extrapolation_.taken([&](Index i) { return most_rungs(i); });
  }

 private:
  SpanSpace<Real>& space(int thread) { return spaces_[static_cast<std::size_t>(thread)]; }

  // The most rungs of a ladder of a client's steps; 0 if it takes them all.
  int most_rungs(Index i) const {
    return extrapolation_.most_rungs(steps_[static_cast<std::size_t>(i)]);
  }
  std::int64_t extrapolate(const Round& round, Index i, int thread) {
    return clients_.clients().kernels().ladder(
        clients_.view(round, i, space(thread)), round.steps(i), round.tau(i),
        Extrapolation::tolerance<Real>(round, i), ladders_[static_cast<std::size_t>(thread)],
        extrapolation_.rungs(i));
  }

  SpanClients<Real> clients_;
  const Groups& groups_;
  const std::vector<std::int64_t>& steps_;
  Extrapolation extrapolation_;
  std::vector<SpanSpace<Real>> spaces_;     // of each thread
  std::vector<LadderSpace<Real>> ladders_;  // likewise
};

template <class Real>
class Stepwise final : public FullBatches<Real> {
 public:
  static constexpr std::string_view name = "stepwise";
  static bool suits(const Setting&) { return true; }

  static void forecast(const Setting& of, const Outlook& ahead, Forecast& forecast) {
    FullBatches<Real>::forecast(of, ahead, forecast, false);
  }
  Stepwise(ModelOf<Real>& model, const Round& round, const Setting&)
      : FullBatches<Real>(model, round, false) {}
};

template <class Real>
class Factored final : public FullBatches<Real> {
 public:
  static constexpr std::string_view name = "factored";
  static bool suits(const Setting& of) {
    return of.layout.sparse() && !of.rule.stochastic() && !of.rule.solve;
  }

  static void forecast(const Setting& of, const Outlook& ahead, Forecast& forecast) {
    FullBatches<Real>::forecast(of, ahead, forecast, true);
  }
  Factored(ModelOf<Real>& model, const Round& round, const Setting&)
      : FullBatches<Real>(model, round, true) {}
};

}  // namespace localgd
