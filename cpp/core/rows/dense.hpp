// The rows in Real: the caller's own array in float64, a copy in float32.
#pragma once

#include "../data.hpp"
#include "../pages.hpp"

namespace localgd {

template <class Real>
class Rows {
 public:
  explicit Rows(const Data& data)
      : copy_(copy(data.rows)),
        view_(copy_.size() ? copy_.data() : source(data.rows), data.samples(), data.features()) {}
  const RowsView<Real>& all() const { return view_; }
  RowsView<Real> of(const Data& data, Index client) const {
    return RowsView<Real>(view_.data() + data.begin(client) * view_.cols(), data.size(client),
                          view_.cols());
  }

 private:
  static LargeArray<Real> copy(const RowsView<double>& rows) {
    if constexpr (std::is_same_v<Real, double>) {
      return {};
    } else {
      LargeArray<Real> copy(rows.size());
      Eigen::Map<RowMatrix<Real>>(copy.data(), rows.rows(), rows.cols()) =
          rows.template cast<Real>();
      return copy;
    }
  }
  static const Real* source(const RowsView<double>& rows) {
    if constexpr (std::is_same_v<Real, double>) return rows.data();
    return nullptr;
  }
  LargeArray<Real> copy_;
  RowsView<Real> view_;
};

}  // namespace localgd
