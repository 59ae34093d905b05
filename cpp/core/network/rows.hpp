// The rows of clients as products with panels read them: one after the other, or sparse.
#pragma once

#include "../rows/rows.hpp"

namespace localgd {

template <class Real>
struct NetworkRows {
  Index features;
  const Real* dense;  // or null, and they are the sparse ones
  SparseView<Real> sparse{};

  NetworkRows from(Index row) const {
    NetworkRows some = *this;
    if (dense)
      some.dense += row * features;
    else
      some.sparse.begins += row;
    return some;
  }
};

// Those of all clients, of which sparse ones are copied.
template <class Real>
class AllNetworkRows {
 public:
  AllNetworkRows(const Rows<Real>& rows, const RowSource& source) : features_(rows.features()) {
    if (!source.sparse()) {
      dense_ = rows.dense(rows.all()).rows.data();
      return;
    }
    begins_.reserve(static_cast<std::size_t>(rows.count()) + 1);
    for (Index j = 0; j <= rows.count(); ++j) begins_.push_back(source.entries_before(j));
    columns_.resize(static_cast<std::size_t>(begins_.back()));
    values_.resize(begins_.back());
    for (Index j = 0; j < rows.count(); ++j) {
      const Index at = begins_[static_cast<std::size_t>(j)];
      rows.entries(j, columns_.data() + at, values_.data() + at);
    }
  }

  NetworkRows<Real> all() const {
    if (dense_) return {features_, dense_};
    const auto count = static_cast<Index>(begins_.size()) - 1;
    return {
        features_, nullptr, {begins_.data(), columns_.data(), values_.data(), count, features_}};
  }

 private:
  const Index features_;
  const Real* dense_ = nullptr;
  std::vector<Index> begins_;
  std::vector<std::int32_t> columns_;
  Vector<Real> values_;
};

}  // namespace localgd
