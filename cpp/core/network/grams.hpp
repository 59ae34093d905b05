// K_ii of the clients that want it (forms.hpp).
#pragma once

#include "../pages.hpp"
#include "../rows/clients.hpp"
#include "free_bias.hpp"

namespace localgd {

template <class Real>
class NetworkGrams {
 public:
  // Room for them. A tile reads a few numbers of many rows, which must not all begin in the same
  // few sets of the first-level cache.
  void make_room(const Data& data, const NetworkForms& forms) {
    const auto clients = static_cast<std::size_t>(data.clients());
    begins_.assign(clients, -1);
    strides_.assign(clients, 0);
    Index size = 0;
    for (Index i = 0; i < data.clients(); ++i) {
      if (!forms.wants_gram(i)) continue;
      constexpr Index line = 64 / sizeof(Real);
      const Index rows = forms.rows_in_span(i);
      Index stride = padded<Real>(rows);
      if (stride % (8 * line) == 0) stride += line;
      begins_[static_cast<std::size_t>(i)] = size;
      strides_[static_cast<std::size_t>(i)] = stride;
      size += stride * rows;
    }
    numbers_ = LargeArray<Real>(size);
    std::fill_n(numbers_.data(), size, Real(0));
  }

  void fill(Index i, const Clients<Real>& clients, const FreeBias<Real>& bias) {
    const Range range = clients.data().range(i);
    Real* K = numbers_.data() + begins_[static_cast<std::size_t>(i)];
    const Index n = range.count, stride = this->stride(i);
    Eigen::Map<RowMatrix<Real>, 0, Eigen::OuterStride<>> own(K, n, n, Eigen::OuterStride<>(stride));
    clients.rows().gram(range, range, own);
    if (!bias.any()) return;
    const Real* x = bias.column(i);  // one more row and column, of e_d
    for (Index j = 0; j < n; ++j) K[n * stride + j] = K[j * stride + n] = x[j];
    K[n * stride + n] = 1;
  }

  const Real* of(Index i) const {
    const Index begin = begins_[static_cast<std::size_t>(i)];
    return begin < 0 ? nullptr : numbers_.data() + begin;
  }
  Index stride(Index i) const { return strides_[static_cast<std::size_t>(i)]; }

 private:
  LargeArray<Real> numbers_;
  std::vector<Index> begins_, strides_;  // -1: there is none
};

}  // namespace localgd
