#include <memory>
#include <numeric>

#include "core/blocks/sliced_rows.hpp"
#include "core/blocks/symmetric_gram.hpp"
#include "core/rows/dense.hpp"
#include "core/steps/kernels.hpp"
#include "core/steps/row_products.hpp"
#include "problems.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

template <class Real>
constexpr double tolerance = std::is_same_v<Real, double> ? 1e-13 : 5e-5;

// One client's rows in Real, and what its steps take.
template <class Real>
struct Client {
  RowMatrix<Real> rows;
  std::shared_ptr<LargeArray<Real>> memory;  // of the gram, also of copies
  PaddedGram<Real> gram;
  Matrix<Real> targets;  // n x C, or n x 1
  Vector<Real> row_weights;
  Matrix<double> start;          // w_k
  Matrix<Real> correction_step;  // eta q
  Real step = Real(0.3);
  double decay = 0.15;  // eta mu

  Client(Index n, Index d, const LossCase& loss) {
    Random random(static_cast<std::uint64_t>(n * 1000 + d));
    rows = RowMatrix<double>::NullaryExpr(n, d, [&] {
             return random() / std::sqrt(double(d));
           }).template cast<Real>();
    memory = std::make_shared<LargeArray<Real>>(PaddedGram<Real>::space(n));
    gram.place(n, memory->data());
    gram.values() = rows.lazyProduct(rows.transpose());
    Matrix<double> y = random.matrix(n, loss.targets());
    if (loss.outputs > loss.targets()) y = (y.array() * 1.5 + 1.5).floor();
    targets = y.cast<Real>();
    start = random.matrix(d, loss.outputs);
    correction_step = (0.1 * random.matrix(d, loss.outputs)).cast<Real>();
    row_weights = (random.vector(padded<Real>(n)).array() + 1.2).template cast<Real>();
  }
  Targets<Real> all_targets() const {
    return {targets.data(), targets.cols() > 1 ? targets.rows() : 0};
  }
  RowsView<Real> view() const { return RowsView<Real>(rows.data(), rows.rows(), rows.cols()); }
};

// Which of the kernels' features a run of steps uses.
struct Mode {
  bool prox, corrected;
  Index batch;  // 0: all rows
  bool weighted = false;
};
const std::vector<Mode> modes{{false, false, 0},      {true, false, 0},      {false, true, 0},
                              {true, true, 0},        {false, false, 1},     {true, true, 2},
                              {false, true, 7},       {true, false, 8},      {true, true, 0, true},
                              {false, true, 3, true}, {true, false, 1, true}};

struct Steps {
  Matrix<double> margins, delta, sums;  // after the steps; sums of -l' with their decay
};

using Pieces = std::vector<std::int64_t>;

std::int64_t total(const Pieces& pieces) {
  return std::accumulate(pieces.begin(), pieces.end(), std::int64_t{0});
}

RowDealer dealer(Index rows) {
  RowDealer dealer(rows, false, {1, 2}, 800);  // 100 steps of 8 rows
  dealer.begin_round(0);
  return dealer;
}

Index draw(RowDealer& dealer) {
  RowDealer::Row row = 0;
  dealer.deal(1, &row);
  return row;
}

// s <- keep s + e, w <- w_k + keep (w - w_k) + step sum_j e_j a_j + correction_step, one row at a
// time.
template <class Real>
Steps plain_steps(const Client<Real>& c, const LossCase& loss, Mode mode, std::int64_t steps) {
  const Index n = c.rows.rows(), d = c.rows.cols(), outputs = loss.outputs;
  const Matrix<double> a = c.rows.template cast<double>().transpose();  // a_j side by side
  Steps out{Matrix<double>::Zero(n, outputs), Matrix<double>::Zero(d, outputs),
            Matrix<double>::Zero(n, outputs)};
  const double keep = mode.prox ? 1 - c.decay : 1.0;
  const auto margin = [&](Index j, Index k) {
    return a.col(j).dot(c.start.col(k) + out.delta.col(k));
  };
  const Matrix<double> y = c.targets.template cast<double>();
  auto deal = dealer(n);
  for (std::int64_t l = 0; l < steps; ++l) {
    Matrix<double> e = Matrix<double>::Zero(n, outputs);
    for (Index t = 0; t < (mode.batch ? mode.batch : n); ++t) {
      Index j = t;
      if (mode.batch) j = draw(deal);
      std::vector<long double> u;
      for (Index k = 0; k < outputs; ++k) u.push_back(margin(j, k));
      for (Index k = 0; k < outputs; ++k)
        e(j, k) += (mode.weighted ? double(c.row_weights[j]) : 1.0) *
                   static_cast<double>(loss.negative_derivative_of(
                       u.data(), MatrixView<double>(y.data(), y.rows(), y.cols()), j, k));
    }
    out.sums = keep * out.sums + e;
    out.delta *= keep;
    for (Index j = 0; j < n; ++j)
      for (Index k = 0; k < outputs; ++k) out.delta.col(k) += double(c.step) * e(j, k) * a.col(j);
    if (mode.corrected) out.delta += c.correction_step.template cast<double>();
  }
  for (Index j = 0; j < n; ++j)
    for (Index k = 0; k < outputs; ++k) out.margins(j, k) = margin(j, k);
  return out;
}

// The kernels of engine gram and hybrid, in pieces of the given lengths.
// Or of as many as a ladder takes at once.
struct Climb {
  std::int64_t steps, taken = 0, rung = 0;
};

template <class Real>
Steps span(const Client<Real>& c, const LossCase& loss, Mode mode, const Pieces& pieces,
           bool last = false, Climb* ladder = nullptr) {
  const Index n = c.rows.rows();
  const Matrix<double> start = c.rows.template cast<double>().lazyProduct(c.start);
  const auto kernels = Kernels<Real>::of(loss.name);
  const Index stride = c.gram.stride();
  Matrix<Real> base = Matrix<Real>::Zero(stride, loss.outputs), at_start = base, shift = base,
               delta = base, scratch = base, sums = Matrix<Real>::Zero(n, loss.outputs);
  base.topRows(n) = start.template cast<Real>();
  shift.topRows(n) = c.rows.lazyProduct(c.correction_step);
  const Matrix<double> targets = c.targets.template cast<double>();
  kernels.values_at_start(start.data(), {targets.data(), targets.cols() > 1 ? n : 0}, n,
                          loss.outputs, stride, at_start.data());
  const SpanClient<Real> client{
      {&c.gram, nullptr, n}, c.all_targets(), mode.weighted ? c.row_weights.data() : nullptr,
      loss.outputs,          c.step,          mode.prox ? c.decay : 0.0,
      base.data(),           at_start.data(), mode.corrected ? shift.data() : nullptr,
      delta.data(),          scratch.data(),  sums.data()};
  if (ladder) {
    double tau = 0;
    for (std::int64_t l = 0; l < ladder->steps; ++l) tau += std::pow(1 - client.decay, double(l));
    LadderSpace<Real> space(base.size());
    ladder->taken = kernels.ladder(client, ladder->steps, tau,
                                   std::numeric_limits<Real>::epsilon() / 2, space, ladder->rung);
  }
  auto deal = dealer(n);
  BatchTurn<Real> turn(1, mode.batch, loss.outputs);
  turn.add(0, client, deal, mode.batch);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const bool ends = last && i + 1 == pieces.size();
    if (mode.batch)
      kernels.span_batch(turn, pieces[i], ends);
    else
      kernels.span(client, pieces[i], ends);
  }
  const Matrix<double> moved = delta.topRows(n).template cast<double>();
  return {start + moved, {}, sums.template cast<double>()};
}

template <class Real>
Steps primal(const Client<Real>& c, const LossCase& loss, Mode mode, const Pieces& pieces) {
  const Index n = c.rows.rows(), d = c.rows.cols();
  Matrix<Real> base(n, loss.outputs), sums = Matrix<Real>::Zero(n, loss.outputs),
                                      delta = Matrix<Real>::Zero(d, loss.outputs);
  PrimalScratch<Real> scratch(d, loss.outputs, mode.batch);
  const PrimalClient<Real> client{c.view(),
                                  nullptr,
                                  c.all_targets(),
                                  mode.weighted ? c.row_weights.data() : nullptr,
                                  loss.outputs,
                                  c.step,
                                  static_cast<Real>(mode.prox ? 1 - c.decay : 1.0),
                                  mode.corrected ? c.correction_step.data() : nullptr,
                                  c.start,
                                  0.0,
                                  base.data(),
                                  delta.data(),
                                  sums.data()};
  const auto kernels = Kernels<Real>::of(loss.name);
  auto deal = dealer(n);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (mode.batch)
      kernels.primal_batch(client, deal, mode.batch, scratch, pieces[i]);
    else
      kernels.primal(client, scratch, pieces[i], i > 0);
  }
  return {base.template cast<double>(), delta.template cast<double>(),
          sums.template cast<double>()};
}

// Calls body(client, loss, mode) for all losses and modes, and for shapes with whole, broken and
// single blocks.
template <class Real, class Body>
void for_each_client(Body&& body) {
  const std::vector<std::pair<Index, Index>> shapes{{1, 1},   {1, 5},  {7, 3},
                                                    {16, 16}, {33, 8}, {9, 700}};
  for (const auto& loss : losses)
    for (const auto& shape : shapes) {
      const Index n = shape.first, d = shape.second;
      const Client<Real> client(n, d, loss);
      for (const Mode& mode : modes) {
        CAPTURE(loss.name);
        CAPTURE(n);
        CAPTURE(d);
        CAPTURE(mode.prox);
        CAPTURE(mode.corrected);
        CAPTURE(mode.batch);
        body(client, loss, mode);
      }
    }
}

}  // namespace

TEST_CASE_TEMPLATE("kernels take the steps of the plain loop", Real, double, float) {
  for_each_client<Real>([](const Client<Real>& c, const LossCase& loss, Mode mode) {
    const auto want = plain_steps(c, loss, mode, 6);
    const auto in_span = span(c, loss, mode, {6}), in_weights = primal(c, loss, mode, {6});
    CHECK(relative_error(in_span.margins, want.margins) < tolerance<Real>);
    CHECK(relative_error(in_span.sums, want.sums) < tolerance<Real>);
    CHECK(relative_error(in_weights.delta, want.delta) < tolerance<Real>);
    CHECK(relative_error(in_weights.sums, want.sums) < tolerance<Real>);
    if (!mode.batch)  // base keeps the margins at the start of the round
      CHECK(relative_error(in_weights.margins, plain_steps(c, loss, mode, 0).margins) <
            tolerance<Real>);
    if (mode.corrected) return;
    // delta = step A^T s, which is what the engines make of the sums.
    const Matrix<double> delta =
        double(c.step) * c.rows.template cast<double>().transpose().lazyProduct(in_span.sums);
    CHECK(relative_error(delta, want.delta) < tolerance<Real>);
  });
}

TEST_CASE_TEMPLATE("small steps have the derivatives of the plain loop", Real, double, float) {
  // Margins that move by less than 1/64 or 1/1024 within the steps: polynomials in place of exp.
  for_each_client<Real>([](Client<Real> c, const LossCase& loss, Mode mode) {
    if (mode.corrected) return;
    for (const double step : {1e-3, 1e-4, 1e-6}) {
      CAPTURE(step);
      c.step = static_cast<Real>(step / static_cast<double>(c.rows.rows()));
      const auto want = plain_steps(c, loss, mode, 6), got = span(c, loss, mode, {6});
      CHECK(relative_error(got.sums, want.sums) < tolerance<Real>);
      CHECK(relative_error(got.margins, want.margins) < tolerance<Real>);
    }
  });
}

TEST_CASE_TEMPLATE("a ladder has the sums of all steps", Real, double, float) {
  int climbed = 0, refused = 0;
  for_each_client<Real>([&](Client<Real> c, const LossCase& loss, Mode mode) {
    if (mode.batch) return;
    for (const std::int64_t steps : {6, 10, 100, 1000})
      for (const double moves : {1.0, 1e-2, 1e-4, 1e-7}) {  // of the margins in the round, roughly
        CAPTURE(steps);
        CAPTURE(moves);
        const double step = moves / double(steps);
        Client<Real> slow = c;
        slow.step = static_cast<Real>(step / double(c.rows.rows()));
        slow.decay = 0.2 * step;
        slow.correction_step = c.correction_step * static_cast<Real>(step);
        Climb ladder{steps};
        const auto got = span(slow, loss, mode, {}, false, &ladder);
        const auto want = plain_steps(slow, loss, mode, ladder.taken);
        const double rounding = double(steps) * std::numeric_limits<Real>::epsilon() / 2;
        CHECK(relative_error(got.sums, want.sums) < std::max(0.2 * tolerance<Real>, rounding));
        CHECK(ladder.taken == (ladder.rung > 0 ? steps : 1));
        CHECK(ladder.rung < steps);
        ++(ladder.rung > 0 ? climbed : refused);
        if (moves < 1e-3 && steps >= 10) CHECK(ladder.rung > 0);
        if (ladder.rung > 0) continue;
        // One step, from where the others go on.
        CHECK(same_bits(got.sums, span(slow, loss, mode, {1}).sums));
        CHECK(same_bits(got.margins, span(slow, loss, mode, {1}).margins));
      }
  });
  CHECK(climbed > 100);
  CHECK(refused > 100);
}

TEST_CASE_TEMPLATE("steps in pieces have the bits of steps at once", Real, double, float) {
  for_each_client<Real>([](const Client<Real>& c, const LossCase& loss, Mode mode) {
    for (const Pieces& pieces : {Pieces{1, 6}, {6, 1}, {2, 2, 3}, {1, 1, 1, 1, 1, 1, 1}}) {
      REQUIRE(total(pieces) == 7);
      const auto whole = span(c, loss, mode, {7}), parts = span(c, loss, mode, pieces);
      CHECK(same_bits(whole.margins, parts.margins));
      CHECK(same_bits(whole.sums, parts.sums));
      const auto all = primal(c, loss, mode, {7}), some = primal(c, loss, mode, pieces);
      CHECK(same_bits(all.delta, some.delta));
      CHECK(same_bits(all.sums, some.sums));
    }
  });
}

TEST_CASE_TEMPLATE("batches go on beyond those that were drawn ahead", Real, double, float) {
  for_each_client<Real>([](const Client<Real>& c, const LossCase& loss, Mode mode) {
    if (!mode.batch) return;
    const std::int64_t steps = 2 * steps_ahead(mode.batch) + 6;
    const auto whole = span(c, loss, mode, {steps}), parts = span(c, loss, mode, {5, steps - 5});
    CHECK(same_bits(whole.margins, parts.margins));
    CHECK(same_bits(whole.sums, parts.sums));
    CHECK(relative_error(whole.sums, plain_steps(c, loss, mode, steps).sums) <
          20 * tolerance<Real>);
  });
}

TEST_CASE_TEMPLATE("leaving out the last product changes the margins only", Real, double, float) {
  for_each_client<Real>([](const Client<Real>& c, const LossCase& loss, Mode mode) {
    const auto with = span(c, loss, mode, {2, 3}), without = span(c, loss, mode, {2, 3}, true);
    CHECK(same_bits(with.sums, without.sums));
    CHECK(same_bits(without.margins, span(c, loss, mode, {4}).margins));
  });
}

TEST_CASE_TEMPLATE("products with K of a client follow the matrix products", Real, double, float) {
  for (const Index n : {1, 5, 13, 50, 95, 96, 101, 250, 1100})
    for (const Index columns : {1, 2, 3, 4, 7, 10, 12, 13, 31}) {
      CAPTURE(n);
      CAPTURE(columns);
      Random random(static_cast<std::uint64_t>(n + columns));
      const RowMatrix<Real> a = random.matrix(n, 6).template cast<Real>();
      LargeArray<Real> memory(PaddedGram<Real>::space(n));
      PaddedGram<Real> gram;
      gram.place(n, memory.data());
      gram.values() = a.lazyProduct(a.transpose());
      Matrix<Real> e = Matrix<Real>::Zero(gram.stride(), columns), x = e;
      e.topRows(n) = random.matrix(n, columns).template cast<Real>();
      x.topRows(n) = random.matrix(n, columns).template cast<Real>();
      const Matrix<double> want = x.topRows(n).template cast<double>() +
                                  0.5 * gram.values().template cast<double>().lazyProduct(
                                            e.topRows(n).template cast<double>());
      const Matrix<Real> start = x;
      const auto check = [&] {
        x = start;
        Eigen::internal::set_is_malloc_allowed(false);
        const Real most = gram.add_product(e.data(), columns, Real(0.5), x.data());
        Eigen::internal::set_is_malloc_allowed(true);
        CHECK((x.topRows(n).template cast<double>() - want).norm() < tolerance<Real> * double(n));
        CHECK(x.bottomRows(x.rows() - n).isZero(0));
        CHECK(double(most) == doctest::Approx(want.cwiseAbs().maxCoeff()).epsilon(1e-4));
      };
      check();
      CHECK_FALSE(gram.arrange(3));
      CHECK(gram.arrange(4) == (n >= 96));
      check();
    }
}

TEST_CASE_TEMPLATE("products with K of all rows follow the matrix products", Real, double, float) {
  for (const Index n : {1, 2, 3, 4, 5, 8, 13, 63, 64, 65, 200, 333, 2070})
    for (const Index columns : {1, 3}) {
      CAPTURE(n);
      CAPTURE(columns);
      const Index d = 5;
      Random random(static_cast<std::uint64_t>(n + columns));
      const RowMatrix<Real> a = random.matrix(n, d).template cast<Real>();
      const Matrix<double> x = random.matrix(n, columns), wide = a.template cast<double>();
      const Matrix<double> products = wide.transpose().lazyProduct(x),
                           want = wide.lazyProduct(products);
      std::vector<Matrix<double>> got;
      for (const int threads : {1, 2, 3})
        Team::run(threads, [&](Team& team) {
          Stop never(nullptr);
          SymmetricGram<Real> gram;
          REQUIRE(gram.prepare(DenseRows<Real>(RowsView<Real>(a.data(), n, d)), team, never));
          got.emplace_back(n, columns);
          gram.multiply(x, got.back(), team);
          CHECK((got.back() - want).norm() < tolerance<Real> * double(n) * std::sqrt(double(n)));
          Matrix<double> again(n, columns);
          gram.multiply(x, again, team);
          CHECK(same_bits(got.back(), again));
        });
      CHECK(same_bits(got[0], got[1]));
      CHECK(same_bits(got[0], got[2]));
    }
}

TEST_CASE_TEMPLATE("rows in slices give the products of rows of any length", Real, double, float) {
  using Sliced = SlicedRows<Real>;
  constexpr Index features = 90;
  // Some that are much longer than others of their register, some equal, none, fewer than a
  // register.
  for (const std::vector<Index>& lengths :
       {std::vector<Index>{},
        {3, 1, 0},
        std::vector<Index>(50, 4),
        {90, 70, 50, 40, 31, 30, 29, 28, 27, 20, 19, 18, 17, 9, 8, 7, 7, 7, 7,
         7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7, 7, 7, 1, 0, 0}}) {
    Random random(7);
    std::vector<Index> begins{0};
    std::vector<typename Sliced::Place> places, order(lengths.size());
    for (const Index length : lengths) {
      for (Index t = 0; t < length; ++t)
        places.push_back(static_cast<typename Sliced::Place>((31 * t + length) % features));
      begins.push_back(begins.back() + length);
    }
    std::iota(order.begin(), order.end(), 0);
    const auto in_real = random.vector(begins.back()).template cast<Real>().eval();
    Vector<Real> x = Vector<Real>::Zero(features + 1);
    x.head(features) = random.vector(features).template cast<Real>();
    for (const bool with_values : {true, false}) {
      const Sliced sliced(begins, places, with_values ? in_real.data() : nullptr, order, features);
      std::size_t next = 0;
      sliced.multiply(x.data(), [&](Index place, Register<Real> sums) {
        REQUIRE(place == static_cast<Index>(next));
        for (std::size_t l = 0; l < Sliced::width && next < lengths.size(); ++l, ++next) {
          Real wanted = 0;
          for (Index t = begins[next]; t < begins[next + 1]; ++t)
            wanted += (with_values ? in_real[t] : Real(1)) * x[places[static_cast<std::size_t>(t)]];
          CHECK(std::abs(lane<Real>(sums, l) - wanted) < 20 * tolerance<Real>);
        }
      });
      CHECK(next == lengths.size());
    }
  }
}

TEST_CASE_TEMPLATE("products of a few rows follow the matrix products", Real, double, float) {
  for (const Index rows : {1, 3, 4, 7, 8, 13, 17, 40, 65})
    for (const Index d : {1, 2, 3, 5, 8, 17, 31, 64, 100, 1613})
      for (const Index outputs : {1, 2, 3, 4, 10, 13}) {
        CAPTURE(rows);
        CAPTURE(d);
        CAPTURE(outputs);
        Random random(static_cast<std::uint64_t>(rows * d * outputs));
        const RowMatrix<Real> a = random.matrix(rows, d).template cast<Real>();
        const Matrix<Real> x = random.matrix(d, outputs).template cast<Real>();
        const Matrix<Real> e = random.matrix(rows, outputs).template cast<Real>();
        Matrix<Real> m(rows, outputs), g = x;
        multiply_rows(a.data(), rows, d, outputs, x.data(), m.data(), rows);
        add_weighted_rows(a.data(), rows, d, outputs, e.data(), rows, g.data());
        const Matrix<double> wide = a.template cast<double>();
        const Matrix<double> want_m = wide.lazyProduct(x.template cast<double>());
        const Matrix<double> want_g =
            x.template cast<double>() + wide.transpose().lazyProduct(e.template cast<double>());
        CHECK((m.template cast<double>() - want_m).norm() < tolerance<Real> * double(d));
        CHECK((g.template cast<double>() - want_g).norm() < tolerance<Real> * double(rows + d));
      }
}

TEST_CASE_TEMPLATE("products of a few rows have the same bits wherever the rows lie", Real, double,
                   float) {
  constexpr Index most = 16;  // numbers of a register
  for (const Index rows : {1, 5, 13})
    for (const Index d : {most, 5 * most, 5 * most + 3}) {
      Random random(static_cast<std::uint64_t>(rows * d));
      RowMatrix<Real> a = random.matrix(rows, d).template cast<Real>();
      const Vector<Real> x = random.vector(d).template cast<Real>(),
                         e = random.vector(rows).template cast<Real>();
      a.row(0) *= Real(-0.0);  // a sum of zeros keeps its sign
      std::vector<Matrix<double>> found;
      for (Index shift = 0; shift < most; ++shift) {
        // What is before and behind would be seen.
        std::vector<Real> room(static_cast<std::size_t>(rows * d + 4 * most),
                               std::numeric_limits<Real>::quiet_NaN());
        void* begin = room.data();
        std::size_t space = room.size() * sizeof(Real);
        std::align(64, sizeof(Real), begin, space);
        Real* own = static_cast<Real*>(begin) + shift;
        std::copy_n(a.data(), a.size(), own);
        Vector<Real> both(rows + d);
        both.tail(d) = x;
        multiply_rows(own, rows, d, 1, x.data(), both.data(), rows);
        add_weighted_rows(own, rows, d, 1, e.data(), rows, both.data() + rows);
        found.emplace_back(both.template cast<double>());
        CAPTURE(rows);
        CAPTURE(d);
        CAPTURE(shift);
        CHECK(same_bits(found.back(), found.front()));
      }
    }
}

TEST_CASE("products of float32 rows with columns in float64 are rounded as in float64") {
  for (const Index rows : {1, 4, 7, 33})
    for (const Index d : {1, 7, 8, 100, 785})
      for (const Index outputs : {1, 4, 9, 10, 13}) {
        CAPTURE(rows);
        CAPTURE(d);
        CAPTURE(outputs);
        Random random(static_cast<std::uint64_t>(rows * d * outputs));
        const RowMatrix<float> a = random.matrix(rows, d).cast<float>();
        const Matrix<double> x = random.matrix(d, outputs), want = a.cast<double>().lazyProduct(x);
        const Index stride = rows + 3;
        Matrix<double> m = Matrix<double>::Constant(stride, outputs, 5);
        multiply_rows(a.data(), rows, d, outputs, x.data(), m.data(), stride);
        CHECK((m.topRows(rows) - want).norm() < tolerance<double> * double(d));
        CHECK((m.bottomRows(3).array() == 5).all());
      }
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
