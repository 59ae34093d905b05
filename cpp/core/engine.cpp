#include "engine.hpp"

#include <stdexcept>
#include <string>

#include "loss/tail.hpp"
#include "model/side_by_side.hpp"
#include "model/span_model.hpp"
#include "model/weight_model.hpp"
#include "phase/bundled.hpp"
#include "phase/drawn.hpp"
#include "phase/solves.hpp"
#include "phase/stepwise.hpp"
#include "phase/streamed.hpp"
#include "phase/strips.hpp"
#include "phase/turns.hpp"

namespace localgd {

namespace {

bool leaves_span(const ServerRule& server, std::string_view engine) {
  return server.coordinate_wise() && engine != "primal";
}

// What is summed up over clients in another way than by groups is not over ranks.
void check_ranks(const EngineOptions& options) {
  if (options.engine != "hybrid" && options.engine != "primal")
    throw std::invalid_argument("engine: over ranks want hybrid or primal");
  if (options.loss.functions) throw std::invalid_argument("loss: over ranks want one of the core");
  if (options.local.rates.kind == RateRule::Kind::polyak)
    throw std::invalid_argument("rates: over ranks want others than polyak");
  if (options.uplink) throw std::invalid_argument("uplink: over ranks want none");
}

void check(const Data& data, const std::vector<RunRule>& runs, const EngineOptions& options) {
  if (runs.empty()) throw std::invalid_argument("runs: want at least one");
  const Index outputs = runs.front().init.cols();
  const LocalRule& local = options.local;
  const bool corrected = local.correction != nullptr;
  double prox = 0, l2 = 0;
  for (const RunRule& run : runs) {
    if (run.init.rows() != data.features() || outputs < 1)
      throw std::invalid_argument("init: want one row for each feature");
    if (run.init.cols() != outputs)
      throw std::invalid_argument("init: want as many columns in every run");
    if (leaves_span(run.server, options.engine))
      throw std::invalid_argument("server: a coordinate-wise one leaves the span: want primal");
    run.check();
    prox = std::max(prox, run.prox);
    l2 = std::max(l2, run.l2);
  }
  local.check(data.clients());
  if (data.shared() && (options.engine != "primal" || !local.stochastic() || corrected))
    throw std::invalid_argument("data: shared rows want engine primal, batches and no correction");
  if (data.ranks) check_ranks(options);
  with_chosen_loss(options.loss, [&](auto loss) {
    const Index targets = data.targets_of_row();
    if ((loss.multiclass || loss.signed_rows) && targets != 1)
      throw std::invalid_argument("targets: want one of each row for this loss");
    if (!loss.multiclass && outputs != targets)
      throw std::invalid_argument("init: want one column for each target of a row");
    if (loss.multiclass) data.check_classes(outputs);
    if (local.solve && loss.multiclass && outputs > 1)
      throw std::invalid_argument("solve: want one column for this loss");
    if (local.solve && !loss.multiclass && !loss.facts.has_exact_solve)
      throw std::invalid_argument("solve: it is not that of this loss");
  });
  if (prox > 0 && corrected && !local.correction->pulls())
    throw std::invalid_argument("prox: want 0 where clients start elsewhere");
  if (local.solve && (local.stochastic() || prox > 0 || l2 > 0 || corrected))
    throw std::invalid_argument("solve: want no batches, prox, l2 or correction");
  if (local.rates.own() && (local.stochastic() || local.solve || prox > 0 || l2 > 0 || corrected ||
                            options.loss.functions || tail_of(options.loss.name) == nowhere))
    throw std::invalid_argument(
        "rates: own ones want full batches, a loss of one output with a tail, and no prox, l2 or "
        "correction");
  if (local.rates.shared() && options.loss.functions)
    throw std::invalid_argument("rates: want those given, or a loss of the core");
}

// Steps are extrapolated from fewer where the loss is smooth, and no intercept moves by itself.
LocalRule rule_for(const Layout& layout, const EngineOptions& options, double l2) {
  LocalRule local = options.local;
  local.l2 = l2;
  with_chosen_loss(options.loss, [&](auto loss) { local.every_step |= !loss.facts.smooth; });
  local.every_step |= layout.free_intercept && l2 > 0;
  local.every_step |= local.rates.own();  // which no two steps have in common
  return local;
}

struct Parts {
  std::unique_ptr<Round> round;
  std::unique_ptr<Model> model;
  std::unique_ptr<Phase> phase;
  std::string_view phase_name{};
};

// A model of several runs, or of the one.
template <class Model>
std::unique_ptr<Model> make_model(const Data& data, const std::vector<RunRule>& runs,
                                  const LossChoice& loss, const Round& round) {
  if constexpr (std::is_constructible_v<Model, const Data&, const std::vector<RunRule>&,
                                        const LossChoice&, const Round&>) {
    return std::make_unique<Model>(data, runs, loss, round);
  } else {
    if (runs.size() > 1) throw std::invalid_argument("engine: several runs want side_by_side");
    return std::make_unique<Model>(data, runs.front().init, loss, runs.front().server, round);
  }
}

// A model with the first of some phases that suits, or nothing: made, and what it would cost.
template <class Model, class... Phases>
struct FirstOf {
  static Parts make(const Data& data, const std::vector<RunRule>& runs, const Setting& setting) {
    Parts parts;
    use(setting, [&]<class Chosen>() {
      parts.round = std::make_unique<Round>(data, setting.rule, Chosen::multiple);
      auto model = make_model<Model>(data, runs, setting.loss, *parts.round);
      parts.phase = std::make_unique<Chosen>(*model, *parts.round, setting);
      parts.model = std::move(model);
      parts.phase_name = Chosen::name;
    });
    return parts;
  }

  // Leaves the phase as it is if none suits.
  static void forecast(const Setting& setting, const Outlook& ahead, EngineForecast& found) {
    use(setting, [&]<class Chosen>() {
      found.phase = Chosen::name;
      Chosen::forecast(setting, ahead, found.cost);
      Model::template forecast<Chosen>(setting, ahead, found.cost);
    });
  }

 private:
  template <class Task>
  static void use(const Setting& setting, Task&& task) {
    const auto suits = [&]<class Chosen>() {
      if (!Chosen::suits(setting)) return false;
      task.template operator()<Chosen>();
      return true;
    };
    (suits.template operator()<Phases>() || ...);
  }
};

// The engines: where the model lives, and the phases in order of preference.
struct EngineKind {
  std::string_view name;
  Parts (*make)(const Data& data, const std::vector<RunRule>& runs, const Setting& setting);
  void (*forecast)(const Setting& setting, const Outlook& ahead, EngineForecast& found);
  std::string_view unable;  // of what, where no phase suits
  const char* refusal;
};
template <class Of>
constexpr EngineKind kind(std::string_view name, std::string_view unable, const char* refusal) {
  return {name, Of::make, Of::forecast, unable, refusal};
}
constexpr const char* solves_want = "engine: the exact local solve needs K_ii: gram or hybrid";
template <class Real>
constexpr EngineKind kinds[] = {
    kind<FirstOf<SpanModel<Real>, Solves<Real>, Bundled<Real>, Turns<Real>, Stepwise<Real>>>(
        "gram", "solve", solves_want),
    kind<FirstOf<WeightModel<Real>, Solves<Real>, Bundled<Real>, Turns<Real>, Stepwise<Real>>>(
        "hybrid", "solve", solves_want),
    kind<FirstOf<WeightModel<Real>, Streamed<Real>, Drawn<Real>, Factored<Real>>>("primal", "solve",
                                                                                  solves_want),
    kind<FirstOf<SideBySide<Real>, Strips<Real>>>(
        "side_by_side", "steps",
        "engine: side_by_side wants one output, rows without weights, no l2, and full-batch steps "
        "without correction, as many on every client"),
};

// By registers of so many bytes.
template <class Real>
Setting setting_of(const Layout& layout, Index outputs, const LocalRule& local,
                   const EngineOptions& options, int bytes) {
  bool multiclass = false;
  with_chosen_loss(options.loss, [&](auto loss) { multiclass = loss.multiclass; });
  return {layout,
          outputs,
          local,
          options.loss,
          multiclass,
          static_cast<bool>(options.uplink),
          bytes / static_cast<Index>(sizeof(Real))};
}

template <class Real>
Parts make(const Data& data, const std::vector<RunRule>& runs, const EngineOptions& options) {
  const auto largest = std::max_element(
      runs.begin(), runs.end(), [](const RunRule& a, const RunRule& b) { return a.l2 < b.l2; });
  LocalRule local = rule_for(data, options, largest->l2);
  local.prox = runs.front().prox;
  const Setting setting =
      setting_of<Real>(data, runs.front().init.cols(), local, options, lanes<Real> * sizeof(Real));
  for (const auto& kind : kinds<Real>) {
    if (kind.name != options.engine) continue;
    Parts parts = kind.make(data, runs, setting);
    if (!parts.model) throw std::invalid_argument(kind.refusal);
    return parts;
  }
  throw std::invalid_argument("engine: no engine named '" + std::string(options.engine) + "'");
}

template <class Real>
std::vector<EngineForecast> forecast_all(const Layout& layout, Index outputs,
                                         const EngineOptions& options, const Outlook& ahead) {
  const LocalRule local = rule_for(layout, options, options.local.l2);
  const Setting setting =
      setting_of<Real>(layout, outputs, local, options, usual_lanes<Real> * sizeof(Real));
  std::vector<EngineForecast> all;
  for (const auto& kind : kinds<Real>) {
    EngineForecast& found = all.emplace_back(EngineForecast{kind.name, {}, {}});
    kind.forecast(setting, ahead, found);
    if (options.local.solve && setting.multiclass && outputs > 1)
      found.unable = "outputs";
    else if (leaves_span(options.server, kind.name))
      found.unable = "server";
    else if (layout.shared() && (kind.name != "primal" || !local.stochastic() || local.correction))
      found.unable = "shared";
    else if (found.phase.empty() && options.local.rates.own())
      found.unable = "rates";
    else if (found.phase.empty())
      found.unable = kind.unable;
    if (!found.unable.empty()) found.phase = {};
    // The rows in float32 are a copy.
    if (options.single) found.cost.setup.add(Cost::filled, setting.bytes_of_rows<Real>());
  }
  return all;
}

}  // namespace

std::vector<EngineForecast> forecast(const Layout& layout, Index outputs,
                                     const EngineOptions& options, const Outlook& ahead) {
  const auto clients = static_cast<std::size_t>(layout.clients());
  if (options.local.steps.size() != clients ||
      (options.local.stochastic() && options.local.batches.size() != clients))
    throw std::invalid_argument("steps, batches: want one number for each client");
  if (!(ahead.rounds >= 1) || !(ahead.share > 0 && ahead.share <= 1))
    throw std::invalid_argument("outlook: want a round or more, and a share above 0 and up to 1");
  return options.single ? forecast_all<float>(layout, outputs, options, ahead)
                        : forecast_all<double>(layout, outputs, options, ahead);
}

Engine::Engine(const Data& data, const std::vector<RunRule>& runs, const EngineOptions& options) {
  check(data, runs, options);
  Parts parts =
      options.single ? make<float>(data, runs, options) : make<double>(data, runs, options);
  loss_ = options.loss;
  over_ranks_ = data.ranks != nullptr;
  round_ = std::move(parts.round);
  model_ = std::move(parts.model);
  phase_ = std::move(parts.phase);
  phase_name_ = parts.phase_name;
  if (options.local.rates.shared())
    rates_ = std::make_unique<SharedRates>(data, options.loss, round_->rule(), round_->groups());
  if (options.uplink) model_->send_by(options.uplink(data, runs.front().init.cols()));
}

bool Engine::prepare(Team& team, Stop& stop) {
  return phase_->prepare(team, stop) && model_->prepare(team, stop);
}

Outcome Engine::round(const RoundPlan& plan, Team& team, Stop& stop) {
  if (rates_) adapted_ = rates_->of(plan, *model_, team);
  round_->begin(rates_ ? adapted_ : plan, phase_->work());
  model_->begin(*round_, team);
  Report report{phase_->run(*round_, team, stop), phase_->extrapolated()};
  if (failed()) return Outcome::stopped;
  if (!over_ranks_ && report.outcome != Outcome::done) return report.outcome;
  if (over_ranks_ && stop.requested()) report.outcome = Outcome::stopped;
  const Outcome outcome = model_->close(*round_, report, team);
  if (outcome == Outcome::done) phase_->commit(*round_, report.extrapolated);
  return outcome;
}

void Engine::visit(const Visit& show) {
  model_->visit(show);
  phase_->visit(show);
}

Arrays Engine::save() {
  Arrays saved;
  visit([&](const std::string& name, Matrix<double>& values) { saved.emplace_back(name, values); });
  return saved;
}

void Engine::load(const Arrays& saved) {
  const auto find = [&](const std::string& name) -> const Matrix<double>& {
    for (const auto& [known, values] : saved)
      if (known == name) return values;
    throw std::invalid_argument("state: '" + name + "' is missing");
  };
  visit([&](const std::string& name, Matrix<double>& values) {
    const Matrix<double>& own = find(name);
    if (own.rows() != values.rows() || own.cols() != values.cols())
      throw std::invalid_argument("state: '" + name + "' is of another size");
  });
  visit([&](const std::string& name, Matrix<double>& values) { values = find(name); });
  model_->loaded();
}

void Model::send_by(std::unique_ptr<Uplink>) {
  throw std::invalid_argument("uplink: want engine hybrid or primal");
}

void Model::models(const Matrix<double>&, Matrix<double>&, Matrix<double>&, Team&) {
  throw std::logic_error("models: want engine gram");
}

void Model::place(const Matrix<double>&, const Matrix<double>*, const Matrix<double>&,
                  const Matrix<double>&, Team&) {
  throw std::logic_error("place: want engine gram");
}

std::unique_ptr<Engine> make_engine(const Data& data, const Matrix<double>& init,
                                    const EngineOptions& options) {
  return std::make_unique<Engine>(data, init, options);
}

}  // namespace localgd
