// A bias that lambda leaves alone, b, the last row of W: what it has by itself. Its changes are not
// the last row of X_i^T b_i, as that holds for what lambda pulls; those of each client are followed
// (client.hpp) and kept.
#pragma once

#include "client.hpp"
#include "corrections.hpp"
#include "forms.hpp"

namespace localgd {

template <class Real>
class FreeBias {
 public:
  FreeBias(const Data& data, const NetworkForms& forms, Index hidden, Index columns)
      : data_(data), forms_(forms), hidden_(hidden) {
    if (!any()) return;
    const Vector<double> last = Vector<double>::Unit(data.features(), data.features() - 1);
    Vector<double> column(data.samples());
    data.rows->dots(data.rows->all(), last.data(), 1, column.data());
    column_ = column.cast<Real>();
    for (PanelArray<Real>* changes : {&changes_, &last_changes_})
      *changes = PanelArray<Real>(data.clients(), columns);
  }

  bool any() const { return forms_.frees_bias(); }
  // X_i e_d
  const Real* column(Index i) const { return column_.data() + data_.begin(i); }
  // Of the shift in the span: without what lambda takes of the bias in P, and with that of b'.
  void shift_in_span(const NetworkClient<Real>& client, const Round& round,
                     const NetworkCorrections<Real>& corrections, Index i, Index p,
                     const Real* b) const {
    const Real back = static_cast<Real>(round.l2_step());
    const Index width = client.start.width(p);
    const Real* x = column(i);
    Real start[panel_width<Real>], *shift = client.shift[p];
    double q[panel_width<Real>] = {};
    if (corrections.any()) add_correction(corrections, i, p, q);
    for (Index j = 0; j < width; ++j)
      start[j] = b[j] + (corrections.displace() ? static_cast<Real>(q[j]) : Real(0));
    for (Index t = 0; t < client.n; ++t, shift += width)
      for (Index j = 0; j < width; ++j) shift[j] += back * (x[t] * start[j]);
    for (Index j = 0; j < width; ++j)
      shift[j] = corrections.pull() ? static_cast<Real>(round.plan().lr * q[j]) : Real(0);
  }

  // What the steps have moved it by, of the sums without corrections. After one step alone it has
  // not been followed.
  void finish(const NetworkClient<Real>& client, const Round& round,
              const NetworkCorrections<Real>& corrections, Index i) {
    const UnitPanels<Real> change = changes_.from(i);
    for (Index p = 0; p < change.count(); ++p) {
      const Index width = change.width(p);
      if (forms_.follows_bias(i)) {
        std::copy_n(client.moved.from(client.moved.rows - 1)[p], width, change[p]);
        continue;
      }
      double sums[panel_width<Real>] = {}, q[panel_width<Real>] = {};
      add_last_row(i, client.sums, p, sums);
      if (corrections.pull()) add_correction(corrections, i, p, q);
      for (Index j = 0; j < width; ++j)
        change[p][j] = static_cast<Real>(sums[j] + round.plan().lr * q[j]);
    }
  }

  // sum_i u_i b'_i, in its place of D.
  void put_mean(const Round& round, double* D) const {
    double* mean = D + place();
    std::fill_n(mean, hidden_, 0.0);
    round.participants().for_each([&](Index i) {
      const double u = round.share(i);
      changes_.from(i).for_pieces(0, hidden_, [&](Index k, Index count, const Real* own) {
        for (Index l = 0; l < count; ++l) mean[k + l] += u * static_cast<double>(own[l]);
      });
    });
  }

  // As of the others, where a client began is in what it moved by.
  void displace(const NetworkCorrections<Real>& corrections, Index i) {
    const UnitPanels<Real> change = changes_.from(i);
    for (Index p = 0; p < change.count(); ++p) {
      double q[panel_width<Real>] = {};
      add_correction(corrections, i, p, q);
      for (Index j = 0; j < change.width(p); ++j) change[p][j] += static_cast<Real>(q[j]);
    }
  }
  void commit() { std::swap(changes_, last_changes_); }

  // What a client moved it by in the last round.
  void put_last_change(Index i, double* theta) const {
    last_changes_.from(i).for_pieces(0, hidden_, [&](Index k, Index count, const Real* own) {
      for (Index l = 0; l < count; ++l) theta[place() + k + l] = static_cast<double>(own[l]);
    });
  }

 private:
  Index place() const { return (data_.features() - 1) * hidden_; }  // in theta

  // += the last row of X_i^T a of a panel, a n x h.
  void add_last_row(Index i, const UnitPanels<Real>& a, Index p, double* sums) const {
    const Real *of = a[p], *x = column(i);
    const Index width = a.width(p);
    for (Index t = 0; t < data_.size(i); ++t, of += width)
      for (Index j = 0; j < width; ++j)
        sums[j] += static_cast<double>(x[t]) * static_cast<double>(of[j]);
  }
  // += q_i of the bias.
  void add_correction(const NetworkCorrections<Real>& corrections, Index i, Index p,
                      double* q) const {
    const UnitPanels<Real> gamma = corrections.first(i);
    add_last_row(i, gamma, p, q);
    const Real* common = corrections.common_first().from(data_.features() - 1)[p];
    for (Index j = 0; j < gamma.width(p); ++j) q[j] -= static_cast<double>(common[j]);
  }

  const Data& data_;
  const NetworkForms& forms_;
  const Index hidden_;
  Vector<Real> column_;                      // X e_d
  PanelArray<Real> changes_, last_changes_;  // b'_i, a row for each client
};

}  // namespace localgd
