// K = A A^T of all rows, and its products with a few vectors: the server of the gram engine.
//
// 2 N^2 flops for N^2 / 2 reals read: an entry above the diagonal counts for its row and for its
// column. Strips of a few rows are stored from their diagonal on, column after column, a register
// of each row, so that a strip is one stream. Its own columns count twice as well: they are stored
// halved. Strips are shared out in panels that the data alone decides on, and each panel adds to a
// result of its own, so that the bits do not depend on the number of threads.
#pragma once

#include <algorithm>
#include <cmath>

#include "../lanes.hpp"
#include "../pages.hpp"
#include "../rows/rows.hpp"
#include "../stop.hpp"
#include "../team.hpp"

namespace localgd {

template <class Real>
class SymmetricGram {
 public:
  // False if it was stopped.
  bool prepare(const Rows<Real>& rows, Team& team, Stop& stop) {
    size_ = rows.count();
    begins_of_strips_ = {0};
    for (Index first = 0; first < size_; first += strip)
      begins_of_strips_.push_back(begins_of_strips_.back() + strip * padded<Real>(size_ - first));
    numbers_ = LargeArray<Real>(begins_of_strips_.back());
    share_out();
    team.for_each(work_, [&](Index p, int thread) {
      RowMatrix<Real> part;
      for (Index first = begin(p); first < begin(p + 1); first += block) {
        if (stop.check(thread)) return;
        const Index count = std::min({block, begin(p + 1) - first, size_ - first});
        part.resize(count, size_ - first);
        rows.gram({first, count}, {first, size_ - first}, part);
        for (Index r = 0; r < count; r += strip) pack(part, r, first + r);
      }
    });
    return !stop.requested();
  }

  // max_t sum_s |K_ts|
  double largest_row_sum() const {
    Vector<double> sums = Vector<double>::Zero(vector());
    for (Index first = 0; first < size_; first += strip) {
      const Real* k = numbers_.data() + strip_begin(first);
      for (Index j = first; j < size_; j += lanes<Real>)
        for (Index i = 0; i < strip; ++i)
          for (Index l = 0; l < lanes<Real>; ++l) {
            const double size = std::abs(static_cast<double>(*k++));
            sums[first + i] += size;
            sums[j + l] += size;
          }
    }
    return sums.maxCoeff();
  }

  // out = K x for a few columns.
  template <class Out>
  void multiply(const Matrix<double>& x, Out&& out, Team& team) {
    const Index columns = x.cols();
    x_.resize(vector(), columns);
    sums_.resize(vector(), columns * panels());
    x_.topRows(size_) = x.template cast<Real>();
    x_.bottomRows(vector() - size_).setZero();
    team.for_each(work_, [&](Index p, int) { add_panel(p, columns); });
    for (Index c = 0; c < columns; ++c) {
      auto sum = out.col(c);
      sum = sums_.col(c).head(size_).template cast<double>();
      for (Index p = 1; p < panels(); ++p)
        sum.tail(size_ - begin(p)) +=
            sums_.col(p * columns + c).segment(begin(p), size_ - begin(p)).template cast<double>();
    }
  }

 private:
  static constexpr int strip = registers / 4;  // rows that share what is read of the vectors
  static constexpr Index block = 64;           // rows made at once
  static constexpr Index width = 2048;  // columns whose part of the vectors stays in the L1 cache

  // Panels of about as many entries, and so many that N / 2 reals of each cost little beside; an
  // even number, for two threads.
  void share_out() {
    const Index strips = (size_ + strip - 1) / strip,
                pairs = std::min<Index>(size_ / (2 * block), 16);
    const Index wanted = std::max<Index>(2 * pairs, 1);
    begins_ = {0};
    std::vector<double> costs;
    for (Index p = 1; p <= wanted; ++p) {
      // (1 - t)^2 of the entries are below the first t of the rows.
      const double below = static_cast<double>(wanted - p) / static_cast<double>(wanted);
      const Index end = strip * std::llround((1 - std::sqrt(below)) * static_cast<double>(strips));
      if (end == begins_.back()) continue;
      costs.push_back(2 * static_cast<double>(strip_begin(end) - strip_begin(begins_.back())));
      begins_.push_back(end);
    }
    work_ = Work(std::move(costs));
  }

  // The strip of rows `first` on from the rows r on of K's rows first - r on, right of their
  // diagonal.
  void pack(const RowMatrix<Real>& part, Index r, Index first) {
    const auto entry = [&](Index i, Index j) {
      const bool inside = r + i < part.rows() && r + j < part.cols();
      return inside ? part(r + i, r + j) * Real(j < strip ? 0.5 : 1) : Real(0);
    };
    Real* to = numbers_.data() + strip_begin(first);
    for (Index j = 0; j < size_ - first; j += lanes<Real>)
      for (Index i = 0; i < strip; ++i)
        for (Index l = 0; l < lanes<Real>; ++l) *to++ = entry(i, j + l);
  }

  // K_pq x_q for q >= p, and K_pq^T x_p for q > p, of the rows p of a panel.
  void add_panel(Index p, Index columns) {
    const Index first = begin(p), last = begin(p + 1);
    sums_.block(first, p * columns, vector() - first, columns).setZero();
    for (Index done = 0; done < size_ - first; done += width)
      for (Index r = first; r < last; r += strip)
        for (Index c = 0; c < columns; ++c)
          add_strip(numbers_.data() + strip_begin(r), done, std::min(size_ - r, done + width),
                    x_.col(c).data() + r, sums_.col(p * columns + c).data() + r);
  }

  // The columns from - to from the strip's first on.
  LOCALGD_IN_PLACE static void add_strip(const Real* __restrict k, Index from, Index to,
                                         const Real* __restrict x, Real* __restrict y) {
    Register<Real> sums[strip], own[strip];
    for (int i = 0; i < strip; ++i) {
      sums[i] = Register<Real>{};
      own[i] = all_lanes(x[i]);
    }
    k += strip * from;
    for (Index j = from; j < to; j += lanes<Real>, k += strip * lanes<Real>) {
      const Register<Real> v = load(x + j);
      Register<Real> across[2] = {load(y + j), Register<Real>{}};  // two, for the latency
      for (int i = 0; i < strip; ++i) {
        const Register<Real> entries = load(k + i * lanes<Real>);
        sums[i] += entries * v;
        across[i % 2] += own[i] * entries;
      }
      store(y + j, across[0] + across[1]);
    }
    add_sums_of_lanes<Real>(sums, y);
  }

  Index panels() const { return static_cast<Index>(begins_.size()) - 1; }
  Index begin(Index panel) const { return begins_[static_cast<std::size_t>(panel)]; }
  Index strip_begin(Index first) const {
    return begins_of_strips_[static_cast<std::size_t>(first / strip)];
  }
  // the last strip and register end beyond
  Index vector() const { return size_ + strip + lanes<Real>; }

  Index size_ = 0;
  LargeArray<Real> numbers_;
  std::vector<Index> begins_of_strips_, begins_;  // in numbers_; of the panels, in rows
  Work work_;
  Matrix<Real> x_, sums_;  // with zeros below; those of each panel
};

}  // namespace localgd
