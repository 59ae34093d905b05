// The clients' intercepts, where lambda leaves them alone: the last feature of the rows, and by how
// much each client's has moved in the round. It is not A_i^T b_i of that feature, which decays.
#pragma once

#include "../data.hpp"
#include "../round/round.hpp"

namespace localgd {

template <class Real>
class Intercepts {
 public:
  Intercepts(const Data& data, Index outputs)
      : data_(&data),
        column_(data.samples()),
        moved_(Matrix<double>::Zero(outputs, data.clients())) {
    const Vector<double> last = Vector<double>::Unit(data.features(), data.features() - 1);
    data.rows->dots(data.rows->all(), last.data(), 1, column_.data());
    in_real_ = column_.cast<Real>();
  }

  // The last feature of all rows, and of a client's.
  const Vector<double>& column() const { return column_; }
  auto column(Index client) const { return rows_of(column_, *data_, client); }
  const Real* in_real(Index client) const { return in_real_.data() + data_->begin(client); }

  double* moved(Index client) { return moved_.col(client).data(); }  // C numbers

  // sum_i u_i beta_i
  double mean(const Round& round, Index output) const {
    return round.sum_of_shares([&](Index i) { return moved_(output, i); });
  }

  // The round is done.
  void swap(Matrix<double>& last) {
    if (!last.size()) last = moved_;
    last.swap(moved_);
  }

 private:
  const Data* data_;
  Vector<double> column_;
  Vector<Real> in_real_;
  Matrix<double> moved_;  // C x M
};

}  // namespace localgd
