#include "core/engine/base.hpp"
#include "problems.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

template <class Real>
constexpr double tolerance = std::is_same_v<Real, double> ? 1e-13 : 2e-5;

// One client's rows and margins in Real, and the same in double for the plain loops.
template <class Real>
struct Client {
  RowMatrix<Real> rows;
  Vector<Real> targets;
  Vector<double> start;  // w_k
  Real step = Real(0.3);

  Client(Index n, Index d) {
    Random random(static_cast<std::uint64_t>(n * 1000 + d));
    rows = RowMatrix<double>::NullaryExpr(n, d, [&] { return random() / std::sqrt(double(d)); })
               .template cast<Real>();
    targets = random.vector(n).template cast<Real>();
    start = random.vector(d);
  }
  RowsView<Real> view() const { return RowsView<Real>(rows.data(), rows.rows(), rows.cols()); }
};

struct Steps {
  Vector<double> margins, delta, sums;  // after the steps; sums of -l'
};

// w <- w - step * sum_j l'(a_j . w) a_j, one number at a time.
template <class Real>
Steps plain_steps(const Client<Real>& c, const LossCase& loss, std::int64_t steps) {
  const Index n = c.rows.rows(), d = c.rows.cols();
  Steps out{Vector<double>::Zero(n), Vector<double>::Zero(d), Vector<double>::Zero(n)};
  const auto margin = [&](Index j) {
    double m = 0;
    for (Index f = 0; f < d; ++f) m += double(c.rows(j, f)) * (c.start[f] + out.delta[f]);
    return m;
  };
  for (std::int64_t l = 0; l < steps; ++l) {
    Vector<double> e(n);
    for (Index j = 0; j < n; ++j)
      e[j] = static_cast<double>(loss.negative_derivative(margin(j), double(c.targets[j])));
    for (Index j = 0; j < n; ++j) {
      out.sums[j] += e[j];
      for (Index f = 0; f < d; ++f) out.delta[f] += double(c.step) * e[j] * double(c.rows(j, f));
    }
  }
  for (Index j = 0; j < n; ++j) out.margins[j] = margin(j);
  return out;
}

// span_steps in pieces of the given lengths.
template <class Real>
Steps span(const Client<Real>& c, const LossCase& loss, const std::vector<std::int64_t>& pieces,
           bool last = false) {
  const Index n = c.rows.rows();
  const RowMatrix<Real> gram = c.rows.lazyProduct(c.rows.transpose());
  Vector<Real> margins = (c.rows.template cast<double>() * c.start).template cast<Real>();
  Vector<Real> sums = Vector<Real>::Zero(n), scratch(n);
  for (std::size_t i = 0; i < pieces.size(); ++i)
    Kernels<Real>::of(loss.name).span(gram, c.targets.data(), c.step, pieces[i],
                                      last && i + 1 == pieces.size(), margins.data(), sums.data(),
                                      scratch.data());
  return {margins.template cast<double>(), {}, sums.template cast<double>()};
}

template <class Real>
Steps primal(const Client<Real>& c, const LossCase& loss, const std::vector<std::int64_t>& pieces) {
  const Index n = c.rows.rows(), d = c.rows.cols();
  Vector<Real> base(n), sums = Vector<Real>::Zero(n), delta = Vector<Real>::Zero(d);
  PrimalScratch<Real> scratch{Vector<Real>(d), Vector<Real>(rows_per_block<Real>(d))};
  for (std::size_t i = 0; i < pieces.size(); ++i)
    Kernels<Real>::of(loss.name).primal(c.view(), c.targets.data(), c.step, pieces[i],
                                        i == 0 ? &c.start : nullptr, base.data(), delta, sums.data(),
                                        scratch);
  return {base.template cast<double>(), delta.template cast<double>(), sums.template cast<double>()};
}

// Calls body(client, loss) for all losses and for shapes with whole, broken and single blocks.
template <class Real, class Body>
void for_each_client(Body&& body) {
  const std::vector<std::pair<Index, Index>> shapes{{1, 1}, {1, 5}, {7, 3}, {16, 16}, {33, 8}, {9, 700}};
  for (const auto& loss : losses)
    for (const auto& [n, d] : shapes) {
      CAPTURE(loss.name);
      CAPTURE(n);
      CAPTURE(d);
      body(Client<Real>(n, d), loss);
    }
}

}  // namespace

TEST_CASE_TEMPLATE("span_steps takes the steps of the plain loop", Real, double, float) {
  for_each_client<Real>([](const Client<Real>& c, const LossCase& loss) {
    const auto want = plain_steps(c, loss, 6);
    const auto got = span(c, loss, {6});
    CHECK(relative_error(got.margins, want.margins) < tolerance<Real>);
    CHECK(relative_error(got.sums, want.sums) < tolerance<Real>);
    // delta = step A^T s, which is what the engines make of the sums.
    const Vector<double> delta = double(c.step) * c.rows.template cast<double>().transpose() * got.sums;
    CHECK(relative_error(delta, want.delta) < tolerance<Real>);
  });
}

TEST_CASE_TEMPLATE("primal_steps takes the steps of the plain loop", Real, double, float) {
  for_each_client<Real>([](const Client<Real>& c, const LossCase& loss) {
    const auto want = plain_steps(c, loss, 6);
    const auto got = primal(c, loss, {6});
    CHECK(relative_error(got.delta, want.delta) < tolerance<Real>);
    CHECK(relative_error(got.sums, want.sums) < tolerance<Real>);
    // base keeps the margins at the start of the round.
    CHECK(relative_error(got.margins, plain_steps(c, loss, 0).margins) < tolerance<Real>);
  });
}

TEST_CASE_TEMPLATE("steps in pieces have the bits of steps at once", Real, double, float) {
  for_each_client<Real>([](const Client<Real>& c, const LossCase& loss) {
    for (const std::vector<std::int64_t>& pieces :
         {std::vector<std::int64_t>{1, 6}, {6, 1}, {2, 2, 3}, {1, 1, 1, 1, 1, 1, 1}}) {
      const auto whole = span(c, loss, {7}), parts = span(c, loss, pieces);
      CHECK(same_bits(whole.margins, parts.margins));
      CHECK(same_bits(whole.sums, parts.sums));
      const auto all = primal(c, loss, {7}), some = primal(c, loss, pieces);
      CHECK(same_bits(all.delta, some.delta));
      CHECK(same_bits(all.sums, some.sums));
    }
  });
}

TEST_CASE_TEMPLATE("leaving out the last product changes the margins only", Real, double, float) {
  for_each_client<Real>([](const Client<Real>& c, const LossCase& loss) {
    const auto with = span(c, loss, {2, 3}), without = span(c, loss, {2, 3}, true);
    CHECK(same_bits(with.sums, without.sums));
    CHECK(same_bits(without.margins, span(c, loss, {4}).margins));
  });
}

TEST_CASE_TEMPLATE("wide_dot sums in float64 whatever the length", Real, double, float) {
  Random random(3);
  for (Index d = 0; d < 70; ++d) {
    const Vector<Real> row = random.vector(d).template cast<Real>();
    const Vector<double> w = random.vector(d);
    long double want = 0;
    for (Index f = 0; f < d; ++f) want += static_cast<long double>(row[f]) * w[f];
    CHECK(wide_dot(row.data(), w.data(), d) ==
          doctest::Approx(static_cast<double>(want)).epsilon(1e-13));
  }
}
