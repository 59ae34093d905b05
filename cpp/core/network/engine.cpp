#include "engine.hpp"

#include "../loss/registry.hpp"
#include "engine_of.hpp"

namespace localgd {

namespace {

void check(const Data& data, const RunRule& run, const NetworkOptions& options) {
  const Network& network = options.network;
  const LocalRule& local = options.local;
  network.check();
  if (run.init.rows() != network.parameters(data.features()) || run.init.cols() != 1)
    throw std::invalid_argument("init: want h (d + C) numbers in one column");
  run.check();
  local.check(data.clients());
  if (local.solve) throw std::invalid_argument("solve: a network has no exact local solve");
  if (run.prox > 0 && local.correction && !local.correction->pulls())
    throw std::invalid_argument("prox: want 0 where clients start elsewhere");
  with_loss(options.loss, [&](auto loss) {
    const Index targets = data.targets_of_row();
    if ((loss.multiclass || loss.signed_rows) && targets != 1)
      throw std::invalid_argument("targets: want one of each row for this loss");
    if (!loss.multiclass && network.outputs != targets)
      throw std::invalid_argument("network: want one output for each target of a row");
    if (loss.multiclass) data.check_classes(network.outputs);
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
