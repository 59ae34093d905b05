// How the rows of all clients are stored in Real: what an engine does with them. Storages are
// dense.cpp and sparse.cpp; a further one is a file with a RowSource and its Rows.
#pragma once

#include <stdexcept>

#include "source.hpp"

namespace localgd {

template <class Real>
class SparseGram;

// Rows one after the other, each to be taken times its sign: +1 or -1, null where all are +1.
template <class Real>
struct DenseBlock {
  RowsView<Real> rows;
  const Real* signs;
};

template <class Real>
class Rows {
 public:
  virtual ~Rows() = default;

  virtual Index count() const = 0;
  virtual Index features() const = 0;
  Range all() const { return {0, count()}; }

  // out = A_i, for few rows
  virtual void copy(Range i, RowsOut<Real> out) const = 0;

  // out = A_i A_j^T
  virtual void gram(Range i, Range j, RowsOut<Real> out) const = 0;

  // m = A_i w in float64, of rows rounded to Real or not, to the same bits wherever w is; w is d x
  // outputs, m n x outputs. And the same rounded to Real.
  virtual void dots(Range i, const double* w, Index outputs, double* m) const = 0;
  virtual void rounded_dots(Range i, const double* w, Index outputs, Real* m) const = 0;

  // m = A_i x, and g += A_i^T e
  virtual void multiply(Range i, const Real* x, Index outputs, Real* m) const = 0;
  virtual void add(Range i, const Real* e, Index outputs, Real* g) const = 0;

  // Rows as they are in memory, for the phase that streams them. Only of dense rows.
  virtual DenseBlock<Real> dense(Range /*i*/) const { throw other_storage(); }

  // Of sparse rows: add() to sums in float64; v = 0, d x outputs, where a row is not 0; and K_ii of
  // a client by its factors, which is null of dense rows.
  virtual void add_in_double(Range /*i*/, const Real* /*e*/, Index /*outputs*/,
                             double* /*g*/) const {
    throw other_storage();
  }
  virtual void clear(Index /*row*/, Index /*outputs*/, Real* /*v*/) const { throw other_storage(); }
  virtual const SparseGram<Real>* factored(Range /*i*/) const { return nullptr; }
  // The entries of a sparse row, in its order.
  virtual void entries(Index /*row*/, std::int32_t* /*columns*/, Real* /*values*/) const {
    throw other_storage();
  }

 private:
  static std::logic_error other_storage() { return std::logic_error("rows: want another storage"); }
};

}  // namespace localgd
