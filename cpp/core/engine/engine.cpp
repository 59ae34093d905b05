#include "engine.hpp"

#include <string>

#include "gram.hpp"
#include "hybrid.hpp"
#include "primal.hpp"

namespace localgd {

namespace {

template <class Real>
std::unique_ptr<Engine> make(const Data& data, const Matrix<double>& init,
                             const EngineOptions& options) {
  if (options.engine == "gram") return std::make_unique<GramEngine<Real>>(data, init, options);
  if (options.engine == "hybrid") return std::make_unique<HybridEngine<Real>>(data, init, options);
  if (options.engine == "primal") return std::make_unique<PrimalEngine<Real>>(data, init, options);
  throw std::invalid_argument("engine: no engine named '" + std::string(options.engine) + "'");
}

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
  const bool corrected = local.correction != Correction::none;
  if (local.prox > 0 && corrected) throw std::invalid_argument("prox: want 0 with a correction");
  if (local.solve && (init.cols() > 1 || local.stochastic() || local.prox > 0 || corrected))
    throw std::invalid_argument("solve: want one column, and no batches, prox or correction");
  if (options.server.coordinate_wise() && options.engine != "primal")
    throw std::invalid_argument("server: a coordinate-wise one leaves the span: want primal");
  if (local.stochastic() && local.keys.size() != clients)
    throw std::invalid_argument("keys: want one for each client that draws batches");
}

}  // namespace

void Engine::models(const Matrix<double>&, Matrix<double>&, Matrix<double>&, Team&) {
  throw std::logic_error("models: want engine gram");
}

void Engine::place(const Matrix<double>&, const Matrix<double>*, const Matrix<double>&,
                   const Matrix<double>&, Team&) {
  throw std::logic_error("place: want engine gram");
}

std::unique_ptr<Engine> make_engine(const Data& data, const Matrix<double>& init,
                                    const EngineOptions& options) {
  check(data, init, options);
  return options.single ? make<float>(data, init, options) : make<double>(data, init, options);
}

}  // namespace localgd
