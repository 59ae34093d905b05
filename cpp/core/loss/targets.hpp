// Targets of rows that follow each other: one of each row for all outputs, or one for each output.
#pragma once

#include "../types.hpp"

namespace localgd {

template <class Real>
class Targets {
 public:
  // stride: between the outputs' columns; 0 if all outputs have the same.
  Targets(const Real* first, Index stride = 0) : first_(first), stride_(stride) {}

  // Then outputs are independent of each other.
  bool of_each_output() const { return stride_ != 0; }
  const Real* column(Index output) const { return first_ + output * stride_; }
  Real operator[](Index row) const { return first_[row]; }  // of the first output, or of all
  Targets from(Index row) const { return {first_ + row, stride_}; }

 private:
  const Real* first_;
  Index stride_;
};

}  // namespace localgd
