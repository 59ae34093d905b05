// Compiled without contraction of products and sums to fused ones.
#include "smooth_products.hpp"

#include <algorithm>
#include <cmath>

#include "../products.hpp"

namespace localgd {

SmoothProducts::SmoothProducts(Index rows, Index columns)
    : sums_(rows * columns, most),
      images_(sums_),
      sum_(Matrix<double>::Zero(rows, columns)),
      given_(sum_),
      next_sum_(sum_),
      image_(sum_),
      numbers_(Matrix<double>::Zero(numbers, 1)),
      next_numbers_(numbers_) {
  sums_.setZero();
  images_.setZero();
}

bool SmoothProducts::next(const Matrix<double>& x, const Bounds& bounds, Matrix<double>& y,
                          const Product& product) {
  next_sum_ = sum_ + x;
  next_numbers_ = numbers_;
  at(rounds) += 1;
  node_ = !(all_finite(next_sum_.data(), next_sum_.size()) && foreseen(bounds));
  if (node_)
    product(next_sum_, image_);
  else
    mix(images_, [&](Index first, const auto& mixed) {
      Eigen::Map<Vector<double>>(image_.data() + first, mixed.size()) = mixed;
    });
  y = image_ - given_;
  return node_;
}

void SmoothProducts::commit() {
  if (node_) {
    keep();
  } else {
    sum_.swap(next_sum_);
    given_.swap(image_);
  }
  numbers_.swap(next_numbers_);
}

void SmoothProducts::forget() {
  numbers_.setZero();
  sum_.setZero();
  given_.setZero();
}

void SmoothProducts::visit(const Visit& show) {
  show("sums of nodes", sums_);
  show("images of nodes", images_);
  show("sum since node", sum_);
  show("image since node", given_);
  show("nodes", numbers_);
}

bool SmoothProducts::foreseen(const Bounds& bounds) {
  if (at(wait) > 0) {
    at(wait) -= 1;
    return false;
  }
  if (at(order) > 0 && error(whole(order), bounds) <= bounds.allowed) return true;
  int best = 0;
  double least = bounds.allowed;
  for (int p = 1; p <= whole(kept); ++p) {
    const double of = error(p, bounds);
    if (!(of <= least)) continue;
    best = p;
    least = of;
  }
  if (best > 0) {
    at(order) = best;
    at(patience) = 0;
    weigh(best);
    return true;
  }
  if (at(rounds) == 1) at(wait) = at(patience) = std::min<double>(2 * at(patience) + 1, rare);
  return false;
}

double SmoothProducts::error(int p, const Bounds& bounds) {
  weigh(p);
  double rounding = 0, largest = 0;
  for (int j = 0; j < p; ++j) rounding += std::abs(weights_[j]) * at(sizes, j);
  mix(sums_, [&](Index first, const auto& mixed) {
    const VectorView<double> sum(next_sum_.data() + first, mixed.size());
    largest = std::max(largest, (sum - mixed).template lpNorm<Eigen::Infinity>());
  });
  return bounds.norm * largest + bounds.unit * rounding;
}

namespace {

// l_i(t) of the first `count` nodes, for up to `size` of them: the more, the more registers.
template <int size>
void lagrange(const double* nodes, int count, double t, double* l) {
  for (int i = 0; i < size; ++i) l[i] = 1;
  for (int k = 0; k < count; ++k) {
    const double away = t - nodes[k];
    for (int i = 0; i < size; ++i) {
      const double factor = away / (nodes[i] - nodes[k]);
      l[i] *= i == k ? 1 : factor;
    }
  }
}

}  // namespace

void SmoothProducts::weigh(int p) {
  constexpr int room = 12;
  static_assert(room > most);
  double nodes[room] = {}, l[room];
  for (int j = 0; j < p; ++j) nodes[j + 1] = nodes[j] - at(lengths, j);
  const auto fill = p < 4 ? lagrange<4> : p < 8 ? lagrange<8> : lagrange<room>;
  fill(nodes, p + 1, at(rounds), l);
  used_ = p;
  double sum = 0;
  for (int j = p - 1; j >= 0; --j) weights_[j] = sum -= l[j + 1];
}

template <class Use>
void SmoothProducts::mix(const Matrix<double>& of, Use&& use) {
  constexpr Index rows_at_once = 64;
  double mixed[rows_at_once];
  for (Index first = 0; first < of.rows(); first += rows_at_once) {
    const Index count = std::min(rows_at_once, of.rows() - first);
    // by registers, whole ones: memset starts slowly
    for (Index i = 0; i < count; i += lanes<double>) store(mixed + i, Register<double>{});
    in_pieces<4, 2, 1>(used_, [&](Index j, auto J) {
      const double* x[J];
      for (int k = 0; k < J; ++k) x[k] = of.col(column(static_cast<int>(j) + k)).data() + first;
      for (Index i = 0; i < count; ++i)
        for (int k = 0; k < J; ++k) mixed[i] = multiply_add(weights_[j + k], x[k][i], mixed[i]);
    });
    use(first, VectorView<double>(mixed, count));
  }
}

void SmoothProducts::keep() {
  at(newest) = (whole(newest) + most - 1) % most;
  at(kept) = std::min<double>(at(kept) + 1, most);
  for (int j = most - 1; j > 0; --j) {
    at(lengths, j) = at(lengths, j - 1);
    at(sizes, j) = at(sizes, j - 1);
  }
  at(lengths) = at(rounds);
  at(sizes) = image_.lpNorm<Eigen::Infinity>();
  sums_.col(column(0)) = next_sum_.reshaped();
  images_.col(column(0)) = image_.reshaped();
  at(rounds) = 0;
  sum_.setZero();
  given_.setZero();
}

}  // namespace localgd
