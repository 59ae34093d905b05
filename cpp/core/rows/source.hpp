// The rows as the caller has them, in whatever type and order: what is measured of them is in
// float64, and engines make of them what they work with. Nothing is copied: the caller keeps its
// arrays alive and unchanged.
//
// Rows may have signs: a row is then sign times the caller's, as the losses of labels -1 and +1
// want it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "../matrix_products.hpp"
#include "../types.hpp"

namespace localgd {

// Consecutive rows: those of a client, or some of them.
struct Range {
  Index first, count;
};

template <class Real>
class Rows;

class RowSource {
 public:
  virtual ~RowSource() = default;

  virtual Index count() const = 0;
  virtual Index features() const = 0;
  Range all() const { return {0, count()}; }

  // Entries before row j, those of dense rows all.
  virtual Index entries_before(Index j) const = 0;
  virtual bool sparse() const = 0;

  // m = A_i w, w d x C, m n x C: to the same bits wherever they are.
  virtual void dots(Range i, const double* w, Index outputs, double* m) const = 0;
  // A_i^T x, x n x C
  virtual Matrix<double> combine(Range i, const ColumnsRef<double>& x) const = 0;
  // out = A_i A_i^T
  virtual void gram(Range i, RowMatrix<double>& out) const = 0;
  // |a_j|, which neither under- nor overflows.
  virtual double norm(Index j) const = 0;

  // What engines read in float32 or float64. offsets: the first row of each client, and how many
  // rows there are.
  virtual void make(std::unique_ptr<const Rows<float>>& rows,
                    const std::vector<Index>& offsets) const = 0;
  virtual void make(std::unique_ptr<const Rows<double>>& rows,
                    const std::vector<Index>& offsets) const = 0;
};

// Rows one after the other. signs: one for each row, or empty if all are +1.
std::shared_ptr<const RowSource> dense_rows(
    const RowsView<double>& rows, const VectorView<double>& signs = VectorView<double>(nullptr, 0));
std::shared_ptr<const RowSource> dense_rows(
    const RowsView<float>& rows, const VectorView<double>& signs = VectorView<double>(nullptr, 0));

// Compressed sparse rows: entries of row j are begins[j] to begins[j + 1] - 1.
template <class Number>
struct SparseView {
  const Index* begins;  // one more than rows
  const std::int32_t* columns;
  const Number* values;
  Index count, features;

  Index begin(Index j) const { return begins[j]; }
  Index length(Index j) const { return begins[j + 1] - begins[j]; }
};

// in_place: engines read these arrays alone, which takes two to ten times as long as what they
// make of them otherwise, up to twice their size. Throws std::invalid_argument for entries that are
// nowhere.
std::shared_ptr<const RowSource> sparse_rows(
    const SparseView<double>& rows,
    const VectorView<double>& signs = VectorView<double>(nullptr, 0), bool in_place = false);
std::shared_ptr<const RowSource> sparse_rows(
    const SparseView<float>& rows, const VectorView<double>& signs = VectorView<double>(nullptr, 0),
    bool in_place = false);

// m = A w of all rows.
void products_of_rows(const RowSource& rows, const Matrix<double>& w, Matrix<double>& m);

}  // namespace localgd
