#include "engine.hpp"

#include <string>

#include "gram.hpp"
#include "hybrid.hpp"
#include "primal.hpp"

namespace localgd {

namespace {

template <class Real>
std::unique_ptr<Engine> make(const Data& data, const Vector<double>& init,
                             const EngineOptions& options) {
  if (options.engine == "gram") return std::make_unique<GramEngine<Real>>(data, init, options);
  if (options.engine == "hybrid") return std::make_unique<HybridEngine<Real>>(data, init, options);
  if (options.engine == "primal") return std::make_unique<PrimalEngine<Real>>(data, init, options);
  throw std::invalid_argument("engine: no engine named '" + std::string(options.engine) + "'");
}

}  // namespace

std::unique_ptr<Engine> make_engine(const Data& data, const Vector<double>& init,
                                    const EngineOptions& options) {
  if (init.size() != data.features())
    throw std::invalid_argument("init: want one number for each feature");
  if (options.local_steps < 1) throw std::invalid_argument("local_steps: want at least 1");
  return options.single ? make<float>(data, init, options) : make<double>(data, init, options);
}

}  // namespace localgd
