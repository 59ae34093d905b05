// The coefficients of clients in bundles, each number in its client's lane (see steps/bundles.hpp),
// of servers whose step is a multiple f of D = sum_i u_i b_i alone:
//
//   b_i = c_i s,   a <- a + f u_i b_i
//
// They follow from the sums s of a bundle while those are in registers. Of a round its sums are
// kept alone: what b_i and the change were is asked for rarely, and would be most of what a round
// writes.
#pragma once

#include "../data.hpp"
#include "../steps/bundles.hpp"

namespace localgd {

template <class Real>
class BundledCoefficients {
 public:
  static constexpr Index width = bundle_width<Real>;

  // Data and bundles must outlive them.
  BundledCoefficients(const Data& data, const Bundles<Real>& bundles, double factor)
      : data_(&data), bundles_(&bundles), factor_(factor) {
    const Index size = bundles.begin_of_rows(bundles.count());
    for (auto* numbers : {&value_, &next_}) *numbers = zeros<double>(size);
    for (auto* numbers : {&sums_, &next_sums_}) *numbers = zeros<Real>(size);
  }

  // What a round with these sums makes of a bundle. False if something in it is inf or NaN.
  bool advance(Index bundle, const BundleSpace<Real>& at) {
    const Index begin = bundles_->begin_of_rows(bundle), rows = bundles_->rows(bundle);
    Register<double> zero{};
    for (Index l = 0; l < width; l += lanes<double>) {
      const Register<double> c = load(at.change.data() + l), u = load(at.weight.data() + l);
      for (Index t = l; t < rows * width; t += width) {
        const Register<double> b = c * load_as<double>(at.sums.data() + t);
        zero += 0.0 * b;
        store(next_.data() + begin + t, load(value_.data() + begin + t) + factor_ * (u * b));
      }
    }
    std::copy_n(at.sums.data(), rows * width, next_sums_.data() + begin);
    return sum_of_lanes<double>(zero) == 0;
  }

  void fetch(Index bundle) const {
    const Index begin = bundles_->begin_of_rows(bundle), end = bundles_->begin_of_rows(bundle + 1);
    for (const auto* numbers : {&value_, &next_})
      Fetch::of(numbers->data() + begin, numbers->data() + end).all();
    Fetch::of(next_sums_.data() + begin, next_sums_.data() + end).all();
  }

  // scale: n_i c_i of who is in the round.
  void commit(double scale) {
    std::swap(value_, next_);
    commit_sums(scale);
  }
  // The same in two parts where all other bundles stand still.
  void commit_bundle(Index bundle) {
    const Index begin = bundles_->begin_of_rows(bundle), end = bundles_->begin_of_rows(bundle + 1);
    std::copy(next_.data() + begin, next_.data() + end, value_.data() + begin);
  }
  void commit_sums(double scale) {
    std::swap(sums_, next_sums_);
    scale_ = scale;
  }

  // In the order of the data: to and from the coefficients, and the b of the last round and what
  // they changed by.
  void read(Matrix<double>& coefficients) const {
    for_rows([&](Index, Index row, Index place) { coefficients(row) = value_.data()[place]; });
  }
  void write(const Matrix<double>& coefficients) {
    for_rows([&](Index, Index row, Index place) { value_.data()[place] = coefficients(row); });
  }
  void last_round(const Vector<double>& shares, Matrix<double>& b, Matrix<double>& change) const {
    for_rows([&](Index client, Index row, Index place) {
      if (!(shares[client] > 0)) {
        b(row) = change(row) = 0;
        return;
      }
      const double c = scale_ / static_cast<double>(data_->size(client));
      b(row) = c * static_cast<double>(sums_.data()[place]);
      change(row) = factor_ * (shares[client] * b(row));
    });
  }

 private:
  template <class Number>
  static LargeArray<Number> zeros(Index size) {
    LargeArray<Number> numbers(size);
    std::fill_n(numbers.data(), size, Number(0));
    return numbers;
  }

  template <class Body>
  void for_rows(Body&& body) const {
    for (Index i = 0; i < data_->clients(); ++i)
      for (Index j = 0; j < data_->size(i); ++j)
        body(i, data_->begin(i) + j, bundles_->begin_of_rows(i / width) + j * width + i % width);
  }

  const Data* data_;
  const Bundles<Real>* bundles_;
  double factor_, scale_ = 0;
  LargeArray<double> value_, next_;    // a
  LargeArray<Real> sums_, next_sums_;  // s
};

}  // namespace localgd
