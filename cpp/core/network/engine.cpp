#include "engine.hpp"

#include "../loss/registry.hpp"
#include "engine_of.hpp"

namespace localgd {

namespace {

void check(const Data& data, const RunRule& run, const NetworkOptions& options) {
  const Network& network = options.network;
  const LocalRule& local = options.local;
  network.check();
  if (data.sparse()) throw std::invalid_argument("rows: want dense ones for a network");
  if (run.init.rows() != network.parameters(data.features()) || run.init.cols() != 1)
    throw std::invalid_argument("init: want h (d + C) numbers in one column");
  if (!(run.prox >= 0) || !(run.l2 >= 0))
    throw std::invalid_argument("prox, l2: want numbers that are not negative");
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
  if (local.stochastic() && local.keys.size() != clients)
    throw std::invalid_argument("keys: want one for each client that draws batches");
  if (local.solve) throw std::invalid_argument("solve: a network has no exact local solve");
  if (run.prox > 0 && local.correction && !local.correction->pulls())
    throw std::invalid_argument("prox: want 0 where clients start elsewhere");
  with_loss(options.loss, [&](auto loss) {
    if (!loss.multiclass && network.outputs != 1)
      throw std::invalid_argument("network: want one output for this loss");
    if constexpr (loss.multiclass)
      for (Index j = 0; j < data.samples(); ++j)
        if (!(data.targets[j] >= 0 && data.targets[j] < static_cast<double>(network.outputs)))
          throw std::invalid_argument("targets: want classes 0 to C - 1");
  });
}

}  // namespace

std::unique_ptr<NetworkEngine> make_network_engine(const Data& data, const RunRule& run,
                                                   const NetworkOptions& options) {
  check(data, run, options);
  if (options.single) return std::make_unique<NetworkEngineOf<float>>(data, run, options);
  return std::make_unique<NetworkEngineOf<double>>(data, run, options);
}

}  // namespace localgd
