// A server of the caller's, which makes the next model of the whole of it at once.
#pragma once

#include <memory>
#include <string_view>

#include "../types.hpp"
#include "state.hpp"

namespace localgd {

class ServerFunction {
 public:
  virtual ~ServerFunction() = default;

  // w_{k+1} of round k from w_k and D, all of the same size. False where it has none, which stops
  // the round.
  virtual bool step(double k, const Matrix<double>& w, const Matrix<double>& D,
                    Matrix<double>& next) = 0;
  // The last step has been taken into the state.
  virtual void commit() = 0;
};

// It acts on the weights alone, as coordinate-wise servers do, and is not told from them.
struct CalledServer {
  static constexpr std::string_view name = "called";
  static constexpr bool coordinate_wise = true;
  static constexpr ServerKeeps keeps{};

  std::shared_ptr<ServerFunction> function{};

  template <class Show>
  void visit(Show&& /*show*/) {}
};

}  // namespace localgd
