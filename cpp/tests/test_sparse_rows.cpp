// Products with the copies of sparse rows that local steps work with, against dense ones in
// float64.
#include <memory>

#include "core/blocks/sparse_gram.hpp"
#include "core/lanes.hpp"
#include "core/rows/rows.hpp"
#include "problems.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

// Rows of two clients, of which one row is empty; the columns are the rarer the later they come.
// Values are the same in each row, or any.
struct Compressed {
  std::vector<Index> begins{0};
  std::vector<std::int32_t> columns;
  std::vector<double> values;
  Matrix<double> dense;  // times the signs
  Vector<double> signs;

  Compressed(Index n, Index d, double rare, bool even, bool turned)
      : dense(Matrix<double>::Zero(n, d)), signs(turned ? n : 0) {
    std::mt19937_64 random(static_cast<unsigned>(n + 7 * d));
    std::uniform_real_distribution<double> uniform(0, 1);
    for (Index j = 0; j < n; ++j) {
      const double own = 0.5 + uniform(random), sign = turned && j % 3 ? -1 : 1;
      if (turned) signs[j] = sign;
      for (Index k = 0; k < d && j != n / 2; ++k) {
        if (uniform(random) > 0.7 / (1 + rare * static_cast<double>(k))) continue;
        columns.push_back(static_cast<std::int32_t>(k));
        values.push_back(even ? own : uniform(random));
        dense(j, k) = sign * values.back();
      }
      begins.push_back(static_cast<Index>(columns.size()));
    }
  }
  std::shared_ptr<const RowSource> source(bool in_place) const {
    return sparse_rows(SparseView<double>{begins.data(), columns.data(), values.data(),
                                          dense.rows(), dense.cols()},
                       VectorView<double>(signs.data(), signs.size()), in_place);
  }
};

template <class Real>
void check_products(const Compressed& given, bool in_place) {
  const Index n = given.dense.rows(), d = given.dense.cols(), first = n / 5, count = n - first;
  std::unique_ptr<const Rows<Real>> rows;
  const auto source = given.source(in_place);
  source->make(rows, {0, first, n});
  const double unit = std::numeric_limits<Real>::epsilon();
  const auto close = [&](const Matrix<double>& found, const Matrix<double>& wanted) {
    CHECK((found - wanted).cwiseAbs().maxCoeff() <= 40 * unit * (1 + wanted.cwiseAbs().maxCoeff()));
  };
  const auto A = given.dense.bottomRows(count);
  const Range own{first, count};
  constexpr Index outputs = 2;

  Matrix<double> w(d, outputs);
  for (Index k = 0; k < w.size(); ++k) w.data()[k] = std::sin(static_cast<double>(k + 1));
  Matrix<double> m = Matrix<double>::Constant(count, outputs, 9);
  rows->dots(own, w.data(), outputs, m.data());
  close(m, A * w);

  Matrix<Real> e(count, outputs), g = Matrix<Real>::Ones(d, outputs);
  for (Index j = 0; j < e.size(); ++j)
    e.data()[j] = static_cast<Real>(std::cos(3 * static_cast<double>(j)));
  rows->add(own, e.data(), outputs, g.data());
  const Matrix<double> image = A.transpose() * e.template cast<double>();
  close(g.template cast<double>(), image.array() + 1);

  // Columns of whole registers, whose ends stay 0.
  const Index whole = padded<Real>(count);
  Matrix<Real> from = Matrix<Real>::Constant(whole, outputs, 5),
               x = Matrix<Real>::Zero(whole, outputs);
  from.topRows(count) = e;
  x.topRows(count).setOnes();
  const Real most = rows->factored(own)->add_product(from.data(), outputs, Real(0.25), x.data());
  close(x.topRows(count).template cast<double>(), (0.25 * (A * image)).array() + 1);
  CHECK(x.bottomRows(whole - count).cwiseAbs().sum() == 0);
  CHECK(most == x.cwiseAbs().maxCoeff());
}

}  // namespace

TEST_CASE_TEMPLATE("products with sparse rows", Real, float, double) {
  for (const Index n : {12, 20, 21, 200, 700})
    for (const Index d : {1, 4, 29, 33, 150})
      for (const double rare : {0., 0.2, 3.})
        for (const bool even : {false, true})
          for (const bool turned : {false, true}) {
            CAPTURE(n);
            CAPTURE(d);
            CAPTURE(rare);
            CAPTURE(even);
            CAPTURE(turned);
            const Compressed given(n, d, rare, even, turned);
            for (const bool in_place : {false, true}) check_products<Real>(given, in_place);
          }
}
