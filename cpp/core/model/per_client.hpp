// A d x C matrix for each client in one array, so that many small clients follow each other in
// memory.
#pragma once

#include "../types.hpp"

namespace localgd {

template <class Real>
class PerClient {
 public:
  using Block = Eigen::Map<Matrix<Real>>;
  using ConstBlock = MatrixView<Real>;

  PerClient() = default;
  PerClient(Index clients, Index features, Index outputs)
      : features_(features),
        outputs_(outputs),
        stride_((features * outputs + line - 1) / line * line),
        numbers_(Vector<Real>::Zero(clients * stride_)) {}

  Block of(Index client) { return Block(data(client), features_, outputs_); }
  ConstBlock of(Index client) const { return ConstBlock(data(client), features_, outputs_); }
  Real* data(Index client) { return numbers_.data() + client * stride_; }
  const Real* data(Index client) const { return numbers_.data() + client * stride_; }

 private:
  static constexpr Index line = 64 / static_cast<Index>(sizeof(Real));  // one thread writes it

  Index features_ = 0, outputs_ = 0, stride_ = 0;
  Vector<Real> numbers_;
};

}  // namespace localgd
