#include "engine.hpp"

#include <stdexcept>
#include <string>

#include "loss/registry.hpp"
#include "model/span_model.hpp"
#include "model/weight_model.hpp"
#include "phase/bundled.hpp"
#include "phase/solves.hpp"
#include "phase/stepwise.hpp"
#include "phase/streamed.hpp"
#include "phase/turns.hpp"

namespace localgd {

namespace {

void check(const Data& data, const Matrix<double>& init, const EngineOptions& options) {
  if (init.rows() != data.features() || init.cols() < 1)
    throw std::invalid_argument("init: want one row for each feature");
  const LocalRule& local = options.local;
  const auto clients = static_cast<std::size_t>(data.clients());
  if (local.steps.size() != clients)
    throw std::invalid_argument("steps: want one number for each client");
  for (const auto steps : local.steps)
    if (steps < 1) throw std::invalid_argument("steps: want at least 1");
  if (!local.batches.empty() && local.batches.size() != clients)
    throw std::invalid_argument("batches: want one number for each client");
  for (const Index rows : local.batches)
    if ((rows > 0) != local.stochastic() || rows < 0)
      throw std::invalid_argument("batches: want rows on every client, or 0 on every client");
  with_loss(options.loss, [&](auto loss) {
    if (!loss.multiclass && init.cols() != 1)
      throw std::invalid_argument("init: want one column for this loss");
    if constexpr (loss.multiclass)
      for (Index j = 0; j < data.samples(); ++j)
        if (!(data.targets[j] >= 0 && data.targets[j] < static_cast<double>(init.cols())))
          throw std::invalid_argument("targets: want classes 0 to C - 1");
  });
  const bool corrected = local.correction != nullptr;
  if (local.prox > 0 && corrected && !local.correction->pulls())
    throw std::invalid_argument("prox: want 0 where clients start elsewhere");
  if (local.solve && (init.cols() > 1 || local.stochastic() || local.prox > 0 || corrected))
    throw std::invalid_argument("solve: want one column, and no batches, prox or correction");
  if (options.server.coordinate_wise() && options.engine != "primal")
    throw std::invalid_argument("server: a coordinate-wise one leaves the span: want primal");
  if (local.stochastic() && local.keys.size() != clients)
    throw std::invalid_argument("keys: want one for each client that draws batches");
}

struct Parts {
  std::unique_ptr<Round> round;
  std::unique_ptr<Model> model;
  std::unique_ptr<Phase> phase;
};

// A model with the first of some phases that suits.
template <class Model, class... Phases>
Parts assemble(const Matrix<double>& init, const Setting& setting, const ServerRule& server) {
  Parts parts;
  const auto use = [&]<class Chosen>() {
    if (!Chosen::suits(setting)) return false;
    parts.round = std::make_unique<Round>(setting.data, setting.rule, Chosen::multiple);
    auto model = std::make_unique<Model>(setting.data, init, setting.loss, server, *parts.round);
    parts.phase = std::make_unique<Chosen>(*model, *parts.round, setting);
    parts.model = std::move(model);
    return true;
  };
  if (!(use.template operator()<Phases>() || ...))
    throw std::invalid_argument("engine: the exact local solve needs K_ii: gram or hybrid");
  return parts;
}

// The engines: where the model lives, and the phases in order of preference.
template <class Real>
struct EngineKind {
  std::string_view name;
  Parts (*make)(const Matrix<double>& init, const Setting& setting, const ServerRule& server);
};
template <class Real>
constexpr EngineKind<Real> kinds[] = {
    {"gram", assemble<SpanModel<Real>, Solves<Real>, Bundled<Real>, Turns<Real>, Stepwise<Real>>},
    {"hybrid",
     assemble<WeightModel<Real>, Solves<Real>, Bundled<Real>, Turns<Real>, Stepwise<Real>>},
    {"primal", assemble<WeightModel<Real>, Streamed<Real>>},
};

template <class Real>
Parts make(const Data& data, const Matrix<double>& init, const EngineOptions& options) {
  bool multiclass = false;
  with_loss(options.loss, [&](auto loss) { multiclass = loss.multiclass; });
  const Setting setting{data,         init.cols(), options.local,
                        options.loss, multiclass,  static_cast<bool>(options.uplink)};
  for (const auto& kind : kinds<Real>)
    if (kind.name == options.engine) return kind.make(init, setting, options.server);
  throw std::invalid_argument("engine: no engine named '" + std::string(options.engine) + "'");
}

}  // namespace

Engine::Engine(const Data& data, const Matrix<double>& init, const EngineOptions& options) {
  check(data, init, options);
  Parts parts =
      options.single ? make<float>(data, init, options) : make<double>(data, init, options);
  round_ = std::move(parts.round);
  model_ = std::move(parts.model);
  phase_ = std::move(parts.phase);
  if (options.uplink) model_->send_by(options.uplink(data, init.cols()));
}

bool Engine::prepare(Team& team, Stop& stop) {
  return phase_->prepare(team, stop) && model_->prepare(team, stop);
}

Outcome Engine::round(const RoundPlan& plan, Team& team, Stop& stop) {
  round_->begin(plan, phase_->work());
  model_->begin(*round_, team);
  const Outcome taken = phase_->run(*round_, team, stop);
  if (taken != Outcome::done) return taken;
  const Outcome outcome = model_->close(*round_, team);
  if (outcome == Outcome::done) phase_->commit(*round_);
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
