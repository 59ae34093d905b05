// What clients change theta by in a round: b_i of the first layer (engine.hpp), and V' of the
// second.
#pragma once

#include "free_bias.hpp"

namespace localgd {

template <class Real>
class NetworkChanges {
 public:
  NetworkChanges(const Data& data, const Network& network, Index columns)
      : data_(data),
        network_(network),
        now_(data, columns, network.outputs),
        last_(data, columns, network.outputs) {}

  UnitPanels<Real> all() const { return now_.first.all(); }  // b, N x h
  UnitPanels<Real> first(Index i) const { return now_.first.from(data_.begin(i)); }
  UnitPanels<Real> second(Index i) const { return now_.second.from(i * C()); }

  // sum_i u_i V'_i, in its place of D.
  void put_mean_second(const Round& round, double* D) const {
    double* V = D + data_.features() * h();
    std::fill_n(V, h() * C(), 0.0);
    round.participants().for_each([&](Index i) { add_second(round.share(i), second(i), V); });
  }

  // The round is taken. `before`: theta where it began.
  void commit(const Round& round, const NetworkCorrections<Real>& corrections, FreeBias<Real>& bias,
              const Matrix<double>& before) {
    const Participants& now = round.participants();
    shares_ = now.shares();
    const bool shrinks = round.mean_shrinkage() > 0;
    if (shrinks) before_ = before;
    if (corrections.any() || shrinks)
      kappa_.setZero(data_.clients()), shrinkage_.setZero(data_.clients());
    now.for_each([&](Index i) {
      if (corrections.any()) kappa_[i] = corrections.kappa(i);
      if (shrinks) shrinkage_[i] = round.shrinkage(i);
      if (corrections.displace()) displace(corrections, bias, i);
    });
    std::swap(now_, last_);
    if (bias.any()) bias.commit();
  }

  // Of the last round.
  const Vector<double>& shares() const { return shares_; }
  // theta_{k,i} - theta_k
  void change(Index i, const NetworkCorrections<Real>& corrections, const FreeBias<Real>& bias,
              Matrix<double>& change) const {
    Matrix<double> b(data_.size(i), h());
    for (Index j = 0; j < b.rows(); ++j)
      last_.first.from(data_.begin(i))
          .for_pieces(j, h(), [&](Index k, Index count, const Real* own) {
            for (Index l = 0; l < count; ++l) b(j, k + l) = static_cast<double>(own[l]);
          });
    const Matrix<double> first = data_.rows->combine(data_.range(i), b);
    const double kappa = kappa_.size() ? kappa_[i] : 0,
                 shrinkage = shrinkage_.size() ? shrinkage_[i] : 0;
    const Index d = data_.features();
    change.resize(network_.parameters(d), 1);
    for (Index r = 0; r < d; ++r)
      for (Index k = 0; k < h(); ++k) {
        change(r * h() + k) = first(r, k);
        if (shrinkage != 0 && network_.first)
          change(r * h() + k) -= shrinkage * before_(r * h() + k);
      }
    if (kappa != 0)
      for (Index r = 0; r < d; ++r)
        corrections.last_common_first().for_pieces(
            r, h(), [&](Index k, Index count, const Real* common) {
              for (Index l = 0; l < count; ++l)
                change(r * h() + k + l) -= kappa * static_cast<double>(common[l]);
            });
    if (bias.any()) bias.put_last_change(i, change.data());
    change.bottomRows(h() * C()).setZero();
    add_second(1, last_.second.from(i * C()), change.data() + d * h());
  }

 private:
  struct Layers {
    Layers(const Data& data, Index columns, Index outputs)
        : first(data.samples(), columns), second(data.clients() * outputs, columns) {}
    PanelArray<Real> first, second;
  };

  Index h() const { return network_.hidden; }
  Index C() const { return network_.outputs; }

  // Where clients began is in what they moved by.
  void displace(const NetworkCorrections<Real>& corrections, FreeBias<Real>& bias, Index i) {
    if (network_.first)
      first(i).with(corrections.first(i), data_.size(i), [](Real& b, Real gamma) { b += gamma; });
    if (bias.any()) bias.displace(corrections, i);
    if (!network_.second) return;
    const auto add = [](Real sign) { return [sign](Real& change, Real q) { change += sign * q; }; };
    second(i).with(corrections.second(i), C(), add(1));
    second(i).with(corrections.common_second(), C(), add(-1));
  }

  // V += u V'
  void add_second(double u, const UnitPanels<Real>& moved, double* V) const {
    for (Index c = 0; c < C(); ++c)
      moved.for_pieces(c, h(), [&](Index k, Index count, const Real* own) {
        for (Index l = 0; l < count; ++l) V[(k + l) * C() + c] += u * static_cast<double>(own[l]);
      });
  }

  const Data& data_;
  const Network& network_;
  Layers now_, last_;
  Vector<double> shares_, kappa_, shrinkage_;
  Matrix<double> before_;  // theta, where shrinkage counts
};

}  // namespace localgd
