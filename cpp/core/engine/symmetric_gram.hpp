// K = A A^T of all rows, and its products with a few vectors: the server of the gram engine.
//
// 2 N^2 flops for N^2 / 2 reals read: an entry above the diagonal counts for its row and for its column.
// The rows are shared out in panels that the data alone decides on, and each panel adds to a result of
// its own, so that the bits do not depend on the number of threads.
#pragma once

#include <algorithm>
#include <cmath>

#include "../lanes.hpp"
#include "../pages.hpp"
#include "../stop.hpp"
#include "../team.hpp"

namespace localgd {

template <class Real>
class SymmetricGram {
 public:
  // False if it was stopped.
  bool prepare(const RowsView<Real>& rows, Index columns, Team& team, Stop& stop) {
    size_ = rows.rows();
    columns_ = columns;
    stride_ = padded<Real>(size_ + lanes<Real>);
    if (stride_ * static_cast<Index>(sizeof(Real)) % 2048 == 0) stride_ += lanes<Real>;  // rows share cache sets
    const Index strips = (size_ + strip - 1) / strip;
    numbers_.resize(strips * strip * stride_);
    prefer_large_pages(numbers_.data(), static_cast<std::size_t>(numbers_.size()) * sizeof(Real));
    share_out(strips);
    x_ = Vector<Real>::Zero(columns * vector());
    sums_ = Vector<Real>::Zero(panels() * x_.size());
    team.for_each(work_, [&](Index p, int thread) {
      for (Index first = begin(p); first < begin(p + 1); first += block) {
        if (stop.check(thread)) return;
        const Index end = std::min(first + block, begin(p + 1)), held = std::min(end, size_) - first;
        Eigen::Map<RowMatrix<Real>, 0, Eigen::OuterStride<>> part(row(first), end - first, stride_,
                                                                  Eigen::OuterStride<>(stride_));
        part.rightCols(stride_ - first).setZero();
        part.block(0, first, held, size_ - first).noalias() =
            rows.middleRows(first, held) * rows.bottomRows(size_ - first).transpose();
      }
    });
    return !stop.requested();
  }

  // out = K x, N x columns as prepared.
  template <class In, class Out>
  void multiply(const In& x, Out&& out, Team& team) {
    for (Index c = 0; c < columns_; ++c)
      x_.segment(c * vector(), size_) = x.col(c).template cast<Real>();
    team.for_each(work_, [&](Index p, int) { add_panel(p); });
    for (Index c = 0; c < columns_; ++c) {
      auto sum = out.col(c);
      sum = sums(0, c).template cast<double>();
      for (Index p = 1; p < panels(); ++p)
        sum.tail(size_ - begin(p)) += sums(p, c).tail(size_ - begin(p)).template cast<double>();
    }
  }

  // The same for any number of columns, on this thread.
  Matrix<double> times(const Matrix<double>& x) const {
    const Eigen::Map<const RowMatrix<Real>, 0, Eigen::OuterStride<>> upper(numbers_.data(), size_, size_,
                                                                          Eigen::OuterStride<>(stride_));
    return (upper.template selfadjointView<Eigen::Upper>() * x.template cast<Real>()).template cast<double>();
  }

 private:
  static constexpr Index strip = 4;     // rows that share what is read of the vectors
  static constexpr Index block = 64;    // rows made at once
  static constexpr Index width = 2048;  // columns whose part of the vectors stays in the L1 cache

  // Panels of the same number of entries, and so many that N / 2 reals of each cost little beside.
  void share_out(Index strips) {
    const Index wanted = std::clamp<Index>(size_ / block, 1, 32);
    begins_ = {0};
    std::vector<double> costs;
    for (Index p = 1; p <= wanted; ++p) {
      // (1 - t)^2 of the entries are left below the first t of the rows.
      const double below = static_cast<double>(wanted - p) / static_cast<double>(wanted);
      const auto end = p == wanted ? strips : std::llround((1 - std::sqrt(below)) * static_cast<double>(strips));
      const Index last = static_cast<Index>(end) * strip, first = begins_.back();
      if (last == first) continue;
      begins_.push_back(last);
      const auto rows = static_cast<double>(last - first);
      costs.push_back(4 * rows * (static_cast<double>(size_) - static_cast<double>(first) - rows / 2));
    }
    work_ = Work(std::move(costs));
  }

  // K_pq x_q for q >= p, and K_pq^T x_p for q > p, of the rows p of a panel.
  void add_panel(Index p) {
    const Index first = begin(p), last = begin(p + 1);
    Real* const mine = sums_.data() + p * columns_ * vector();
    for (Index c = 0; c < columns_; ++c) std::fill(mine + c * vector() + first, mine + (c + 1) * vector(), Real(0));
    for (Index done = 0; done < size_ - first; done += width)
      for (Index r = first; r < last; r += strip)
        for (Index c = 0; c < columns_; ++c) {
          const Real* x = x_.data() + c * vector();
          Real* y = mine + c * vector();
          const Index right = r + strip;
          add_strip(row(r), r, right + done, std::min(size_, right + done + width), x, y);
          if (done > 0) continue;
          for (Index i = r; i < right; ++i)
            for (Index j = r; j < right; ++j) y[i] += row(i)[j] * x[j];
        }
  }

  void add_strip(const Real* __restrict k, Index r, Index from, Index to, const Real* __restrict x,
                 Real* __restrict y) const {
    const Real *k1 = k + stride_, *k2 = k1 + stride_, *k3 = k2 + stride_;
    const Real x0 = x[r], x1 = x[r + 1], x2 = x[r + 2], x3 = x[r + 3];
    Register<Real> s0{}, s1{}, s2{}, s3{};
    for (Index j = from; j < to; j += lanes<Real>) {
      const Register<Real> v = load(x + j), a = load(k + j), b = load(k1 + j), c = load(k2 + j), d = load(k3 + j);
      s0 += a * v;
      s1 += b * v;
      s2 += c * v;
      s3 += d * v;
      store(y + j, load(y + j) + ((x0 * a + x1 * b) + (x2 * c + x3 * d)));
    }
    y[r] += sum_of_lanes<Real>(s0);
    y[r + 1] += sum_of_lanes<Real>(s1);
    y[r + 2] += sum_of_lanes<Real>(s2);
    y[r + 3] += sum_of_lanes<Real>(s3);
  }

  Index panels() const { return static_cast<Index>(begins_.size()) - 1; }
  Index begin(Index panel) const { return begins_[static_cast<std::size_t>(panel)]; }
  Real* row(Index r) { return numbers_.data() + r * stride_; }
  Index vector() const { return stride_ + strip; }  // from one column of the vectors to the next
  VectorView<Real> sums(Index p, Index c) const {
    return VectorView<Real>(sums_.data() + (p * columns_ + c) * vector(), size_);
  }

  Index size_ = 0, columns_ = 0, stride_ = 0;
  Vector<Real> numbers_;  // rows of K from the diagonal on, in whole strips; a register of zeros to the right
  std::vector<Index> begins_;
  Work work_;
  Vector<Real> x_, sums_;  // columns of vector() numbers; those of each panel
};

}  // namespace localgd
