// The rows in Real: the caller's own array in float64, a copy in float32.
#pragma once

#include "../data.hpp"
#include "../pages.hpp"

namespace localgd {

template <class Real>
class Rows {
 public:
  explicit Rows(const Data& data)
      : copy_(copy(data.rows)), view_(copy_.size() ? copy_.data() : source(data.rows),
                                      data.samples(), data.features()) {}
  const RowsView<Real>& all() const { return view_; }
  RowsView<Real> of(const Data& data, Index client) const {
    return RowsView<Real>(view_.data() + data.begin(client) * view_.cols(), data.size(client),
                          view_.cols());
  }

 private:
  static RowMatrix<Real> copy(const RowsView<double>& rows) {
    RowMatrix<Real> copy;
    if constexpr (!std::is_same_v<Real, double>) {
      copy.resize(rows.rows(), rows.cols());
      prefer_large_pages(copy.data(), static_cast<std::size_t>(copy.size()) * sizeof(Real));
      copy = rows.template cast<Real>();
    }
    return copy;
  }
  static const Real* source(const RowsView<double>& rows) {
    if constexpr (std::is_same_v<Real, double>) return rows.data();
    return nullptr;
  }
  RowMatrix<Real> copy_;
  RowsView<Real> view_;
};

}  // namespace localgd
