// The rows that the clients hold, as the engines see them.
#pragma once

#include <memory>
#include <stdexcept>
#include <vector>

#include "lanes.hpp"
#include "loss/targets.hpp"
#include "ranks/ranks.hpp"
#include "rows/source.hpp"

namespace localgd {

// How many rows the clients hold, of how many features, and how they are stored.
struct Layout {
  std::vector<Index> offsets;   // M + 1; 0 and N where all clients hold the same N rows
  Index width;                  // d
  bool weighted = false;        // rows have weights
  bool free_intercept = false;  // lambda leaves the last feature alone
  // As many as offsets: how many entries come before that row; empty if rows are dense.
  std::vector<Index> entries_before{};
  Index sharing = 0;                     // M where all clients hold the same rows
  std::shared_ptr<const Ranks> ranks{};  // if the clients are some of all; or null

  bool shared() const { return sharing > 0; }
  Index clients() const { return shared() ? sharing : static_cast<Index>(offsets.size()) - 1; }
  Index samples() const { return offsets.back(); }
  Index features() const { return width; }
  Index begin(Index client) const { return offsets[block(client)]; }
  Index size(Index client) const { return offsets[block(client) + 1] - begin(client); }

  bool sparse() const { return !entries_before.empty(); }
  // Numbers that the rows of a client, or all rows, have.
  Index entries(Index client) const {
    const auto i = block(client);
    return sparse() ? entries_before[i + 1] - entries_before[i] : size(client) * width;
  }
  Index entries() const { return sparse() ? entries_before.back() : samples() * width; }

 private:
  std::size_t block(Index client) const { return shared() ? 0 : static_cast<std::size_t>(client); }
};

// f(w) = sum_i p_i (1/n_i) sum_j omega_ij l(a_ij . w, y_ij) + (lambda/2) |w|^2. The rows a_ij are
// the signed rows z_ij for the classification losses and the plain rows x_ij for the others. The
// last feature may be an intercept that the penalty leaves out.
// Nothing is copied: the caller keeps the arrays alive and unchanged.
struct Data : Layout {
  std::shared_ptr<const RowSource> rows;  // N x d, client by client
  // N labels or targets of regression; or so many for each output, one output after the other.
  VectorView<double> targets;
  Vector<double> weights;  // M; p_i
  // N; omega_ij, of mean 1 on each client, or empty if all are 1.
  VectorView<double> row_weights;

  Data(std::shared_ptr<const RowSource> rows_, VectorView<double> targets_,
       std::vector<Index> offsets_, Vector<double> weights_,
       VectorView<double> row_weights_ = VectorView<double>(nullptr, 0),
       bool free_intercept_ = false, Index sharing_ = 0)
      : Layout{std::move(offsets_),
               rows_->features(),
               row_weights_.size() > 0,
               free_intercept_,
               {},
               sharing_},
        rows(std::move(rows_)),
        targets(targets_),
        weights(std::move(weights_)),
        row_weights(row_weights_) {
    const bool fits = offsets.size() >= 2 && offsets.front() == 0 &&
                      (!shared() || offsets.size() == 2) && offsets.back() == rows->count() &&
                      rows->count() > 0 && targets.size() > 0 &&
                      targets.size() % rows->count() == 0 && weights.size() == clients() &&
                      (!weighted || row_weights.size() == rows->count());
    if (!fits) throw std::invalid_argument("data: rows, targets, offsets and weights do not fit");
    for (Index i = 0; i < clients(); ++i)
      if (size(i) < 1) throw std::invalid_argument("data: a client without rows");
    if (!rows->sparse()) return;
    for (const Index first : offsets) entries_before.push_back(rows->entries_before(first));
  }

  // What shared rows are for measures of f: those of one client.
  Data pooled() const {
    return {rows, targets, offsets, Vector<double>::Ones(1), row_weights, free_intercept};
  }

  Index targets_of_row() const { return targets.size() / samples(); }
  Index target_stride() const { return targets_of_row() > 1 ? samples() : 0; }
  // Of the rows from this one on.
  Targets<double> targets_from(Index row) const { return {targets.data() + row, target_stride()}; }

  // Throws std::invalid_argument unless targets are classes.
  void check_classes(Index classes) const {
    for (Index j = 0; j < samples(); ++j)
      if (!(targets[j] >= 0 && targets[j] < static_cast<double>(classes)))
        throw std::invalid_argument("targets: want classes 0 to C - 1");
  }

  Range range(Index client) const { return {begin(client), size(client)}; }
};

// The part of models that lambda penalises: 0 in place of an intercept that it leaves alone.
inline Matrix<double> penalized(const Layout& layout, Matrix<double> w) {
  if (layout.free_intercept) w.bottomRows(1).setZero();
  return w;
}

// A client's rows of a matrix with a row for each sample.
template <class M>
LOCALGD_IN_PLACE auto rows_of(M& m, const Data& data, Index client) {
  return m.middleRows(data.begin(client), data.size(client));
}

}  // namespace localgd
