// The exact local solve: closed forms, optimality conditions, a search of all active sets.
#include <limits>

#include "core/steps/projection.hpp"
#include "problems.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

using Dense = RowMatrix<double>;

Dense random_rows(Index n, Index d, std::uint64_t seed) {
  Random random(seed);
  return Dense::NullaryExpr(n, d, [&](Index, Index) { return random(); });
}

// Signed rows that some direction separates, the more clearly the larger the gap.
Dense separable_rows(Index n, Index d, std::uint64_t seed, double gap = 0.05) {
  Dense rows = random_rows(n, d, seed);
  const Vector<double> v = Random(seed + 1000).vector(d).normalized();
  for (Index j = 0; j < n; ++j) {
    if (rows.row(j).dot(v) < 0) rows.row(j) *= -1;
    rows.row(j) += gap * v.transpose();
  }
  return rows;
}

// lazyProduct, here and below: Eigen's large products take long to compile.
Dense gram_of(const Dense& rows) { return rows.lazyProduct(rows.transpose()); }

Projected solve(Projection& projection, const Vector<double>& margins,
                Vector<double>& multipliers) {
  Stop never(nullptr);
  multipliers.setConstant(margins.size(), std::numeric_limits<double>::quiet_NaN());
  return projection.solve(margins.data(), multipliers.data(), never);
}

// The multipliers of a solve that must work, from the kept rows, which are replaced.
Vector<double> solved(Projection& projection, const Vector<double>& margins) {
  Vector<double> multipliers;
  REQUIRE(solve(projection, margins, multipliers) == Projected::done);
  projection.keep();
  return multipliers;
}

Vector<double> solved_cold(const Dense& gram, const Vector<double>& margins) {
  Projection projection(gram);
  return solved(projection, margins);
}

Projected outcome(const Dense& rows) {
  const Dense gram = gram_of(rows);
  Projection projection(gram);
  Vector<double> multipliers;
  return solve(projection, Vector<double>::Zero(rows.rows()), multipliers);
}

// The largest violation of lambda >= 0, s >= 0, s_j = 0 where lambda_j > 0; each s_j relative to
// max(1, |r_j|, sqrt(K_jj) sum_k sqrt(K_kk) lambda_k).
double kkt_residual(const Dense& gram, const Vector<double>& margins,
                    const Vector<double>& lambda) {
  const Index n = gram.rows();
  double worst = 0;
  const double total = (gram.diagonal().array().sqrt() * lambda.array()).sum();
  for (Index j = 0; j < n; ++j) {
    long double s = static_cast<long double>(margins[j]) - 1;
    for (Index k = 0; k < n; ++k) s += static_cast<long double>(gram(j, k)) * lambda[k];
    const double slack = static_cast<double>(s);
    const double scale =
        std::max({1.0, std::abs(1 - margins[j]), std::sqrt(std::max(gram(j, j), 0.0)) * total});
    worst = std::max({worst, -slack / scale, lambda[j] > 0 ? slack / scale : 0});
    if (!(lambda[j] >= 0)) return std::numeric_limits<double>::infinity();
  }
  return worst;
}

// G^-1 r by elimination; empty where G is singular.
Vector<double> eliminated(Dense gram, Vector<double> r) {
  const Index n = gram.rows();
  for (Index k = 0; k < n; ++k) {
    Index pivot;
    if (!(gram.col(k).tail(n - k).cwiseAbs().maxCoeff(&pivot) > 1e-13 * gram.row(0).norm()))
      return {};
    gram.row(k).swap(gram.row(k + pivot));
    std::swap(r[k], r[k + pivot]);
    for (Index j = 0; j < n; ++j) {
      if (j == k) continue;
      const double factor = gram(j, k) / gram(k, k);
      gram.row(j) -= factor * gram.row(k);
      r[j] -= factor * r[k];
    }
  }
  return r.cwiseQuotient(gram.diagonal());
}

// argmin 1/2 ||delta||^2 s.t. A delta >= r by trying every set of active rows; empty if none fits.
Vector<double> searched(const Dense& rows, const Vector<double>& target) {
  if (target.maxCoeff() <= 0) return Vector<double>::Zero(rows.cols());
  for (unsigned set = 1; set < 1u << rows.rows(); ++set) {
    std::vector<Index> active;
    for (Index j = 0; j < rows.rows(); ++j)
      if (set >> j & 1u) active.push_back(j);
    const Dense a = rows(active, Eigen::all);
    const Vector<double> lambda = eliminated(gram_of(a), target(active));
    if (!lambda.size()) continue;
    const Vector<double> delta = a.transpose() * lambda;
    if (lambda.minCoeff() >= 0 && (rows * delta - target).minCoeff() >= -1e-9) return delta;
  }
  return {};
}

struct Shape {
  std::string name;
  Dense rows;
};

// What must work: few and many rows, independent or not, repeated, parallel, and of any length.
std::vector<Shape> hard_shapes() {
  std::vector<Shape> all{{"one row", separable_rows(1, 5, 1)},
                         {"one feature", separable_rows(6, 1, 2)},
                         {"independent", separable_rows(20, 60, 3)},
                         {"square", separable_rows(30, 30, 4)},
                         {"more rows than features", separable_rows(120, 12, 5)},
                         {"many rows, thin margin", separable_rows(300, 100, 6, 0)}};
  Dense repeated = separable_rows(10, 30, 7).replicate(3, 1);
  all.push_back({"repeated", repeated});
  all.push_back({"repeated, few features", separable_rows(10, 4, 8).replicate(4, 1)});
  for (Index j = 0; j < repeated.rows(); ++j) repeated.row(j) *= 1 + 0.1 * static_cast<double>(j);
  all.push_back({"parallel", repeated});
  all.push_back({"nearly repeated", repeated + 1e-7 * random_rows(30, 30, 9)});
  all.push_back({"low rank", separable_rows(40, 5, 10).lazyProduct(random_rows(5, 50, 11))});
  all.push_back({"integers", separable_rows(60, 6, 12, 1).array().round().matrix()});
  all.back().rows.col(0).array() += 3;
  all.push_back({"large", 1e6 * separable_rows(40, 20, 13)});
  all.push_back({"small", 1e-6 * separable_rows(40, 20, 14)});
  Dense mixed = separable_rows(40, 20, 15);
  for (Index j = 0; j < mixed.rows(); ++j) mixed.row(j) *= std::pow(10, j % 7 - 3);
  all.push_back({"lengths from 1e-3 to 1e3", mixed});
  return all;
}

// Margins that rounds bring: at 0, near and far from the feasible set, inside it.
std::vector<Vector<double>> margins_for(const Dense& rows, std::uint64_t seed) {
  Random random(seed);
  const Vector<double> w = random.vector(rows.cols()) / rows.rowwise().norm().maxCoeff();
  std::vector<Vector<double>> all{Vector<double>::Zero(rows.rows())};
  for (const double scale : {1.0, 1.01, 1000.0}) all.push_back(scale * (rows * w));
  return all;
}

// Calls body(rows, gram) for every hard shape.
template <class Body>
void for_each_shape(Body&& body) {
  for (const Shape& shape : hard_shapes()) {
    CAPTURE(shape.name);
    body(shape.rows, gram_of(shape.rows));
  }
}

struct NoEigenAllocation {
  NoEigenAllocation() { Eigen::internal::set_is_malloc_allowed(false); }
  ~NoEigenAllocation() { Eigen::internal::set_is_malloc_allowed(true); }
};

}  // namespace

TEST_CASE("the factor of chosen rows solves with them after rows came and went") {
  for_each_shape([](const Dense& rows, const Dense& gram) {
    const Index n = rows.rows();
    RowFactor factor(gram);
    Random random(5);
    Vector<double> z(n);
    for (Index j = 0; j < n; ++j) {
      if (const double distance = factor.approach(j, z.data()); distance > 0)
        factor.append(j, distance);
      if (factor.size() > 2 && j % 3 == 2) factor.erase(j % factor.size());
    }
    const Index p = factor.size();
    const Dense chosen = rows(factor.rows(), Eigen::all).rowwise().normalized();
    const Vector<double> right = random.vector(p);
    Vector<double> x = right;
    factor.solve(x.data());
    // A solution is as good as its size allows: K_PP may be near singular.
    CHECK((chosen * (chosen.transpose() * x) - right).norm() <= 1e-13 * (x.norm() + right.norm()));
  });
}

TEST_CASE("rows in the span of the factor's are at no distance, others at theirs") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Dense rows = random_rows(8, 9, seed);
    rows.row(6) = Random(seed + 1).vector(6).transpose().lazyProduct(rows.topRows(6));
    const Dense gram = gram_of(rows);
    RowFactor factor(gram);
    Vector<double> z(8);
    for (Index j = 0; j < 6; ++j) factor.append(j, factor.approach(j, z.data()));
    CHECK(factor.approach(6, z.data()) == 0);
    const double distance = factor.approach(7, z.data());
    const Vector<double> seventh = gram.col(7).head(6);
    const double inside = seventh.dot(eliminated(gram.topLeftCorner(6, 6), seventh));
    CHECK(distance == doctest::Approx(1 - inside / gram(7, 7)).epsilon(1e-9));
  }
}

TEST_CASE("projection on one row") {
  const Dense gram = Dense::Constant(1, 1, 4);
  CHECK(solved_cold(gram, Vector<double>::Constant(1, -1))[0] == 0.5);
  CHECK(solved_cold(gram, Vector<double>::Constant(1, 1))[0] == 0);
  CHECK(solved_cold(gram, Vector<double>::Constant(1, 3))[0] == 0);
}

TEST_CASE("projection on orthogonal rows: each for itself") {
  Vector<double> margins(5), lengths(5);
  margins << 0, 2, -3, 1, 0.5;
  lengths << 1, 4, 16, 2, 0.25;
  const Vector<double> lambda = solved_cold(lengths.asDiagonal().toDenseMatrix(), margins);
  for (Index j = 0; j < 5; ++j) CHECK(lambda[j] == std::max(0.0, 1 - margins[j]) / lengths[j]);
}

TEST_CASE("rows that are met already need nothing, also a row that is 0") {
  Dense rows = separable_rows(9, 3, 1);
  rows.row(4).setZero();
  const Vector<double> margins = Vector<double>::Constant(9, 1);
  CHECK(solved_cold(gram_of(rows), margins).isZero(0));
}

TEST_CASE("projection agrees with the search of all active sets") {
  int moved = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const Index n = 1 + static_cast<Index>(seed % 7), d = 1 + static_cast<Index>(seed / 7 % 5);
    Dense rows = separable_rows(n, d, seed);
    if (seed % 3 == 0) rows.row(n - 1) = rows.row(0);
    const Vector<double> margins = rows * Random(seed + 7).vector(d);
    const Vector<double> want = searched(rows, 1 - margins.array());
    REQUIRE(want.size() == d);
    const Vector<double> got = rows.transpose() * solved_cold(gram_of(rows), margins);
    CHECK((got - want).norm() <= 1e-9 * std::max(1.0, want.norm()));
    moved += want.norm() > 0;
  }
  CHECK(moved > 40);
}

TEST_CASE("optimality conditions hold to 1e-10, cold and warm, and both give the same model") {
  for_each_shape([](const Dense& rows, const Dense& gram) {
    Projection warm(gram);
    for (std::uint64_t seed = 0; seed < 3; ++seed)
      for (const auto& margins : margins_for(rows, seed)) {
        const auto cold_lambda = solved_cold(gram, margins), warm_lambda = solved(warm, margins);
        CHECK(kkt_residual(gram, margins, cold_lambda) <= 1e-10);
        CHECK(kkt_residual(gram, margins, warm_lambda) <= 1e-10);
        const Vector<double> cold_delta = rows.transpose() * cold_lambda;
        const Vector<double> warm_delta = rows.transpose() * warm_lambda;
        CHECK((cold_delta - warm_delta).norm() <= 1e-9 * cold_delta.norm() + 1e-300);
      }
  });
}

TEST_CASE("warm and cold multipliers agree where they are unique") {
  const Dense rows = separable_rows(25, 60, 21), gram = gram_of(rows);
  Projection warm(gram);
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const Vector<double> margins = rows * (0.2 * Random(seed).vector(60));
    CHECK(relative_error(solved(warm, margins), solved_cold(gram, margins)) <= 1e-9);
  }
}

TEST_CASE("a warm start saves work") {
  const Dense rows = separable_rows(60, 200, 22), gram = gram_of(rows);
  Vector<double> margins = rows * (0.2 * Random(1).vector(200));
  Projection projection(gram);
  solved(projection, margins);
  const auto first = projection.updates();
  CHECK(first > 10);
  solved(projection, margins);
  CHECK(projection.updates() == first);
  margins.array() += 1e-9;
  solved(projection, margins);
  CHECK(projection.updates() == first);
}

TEST_CASE("rows that nothing separates are refused") {
  const Dense z = random_rows(1, 8, 31), u = random_rows(1, 8, 32);
  Dense rows(2, 8);
  rows << z, -z;
  CHECK(outcome(rows) == Projected::not_separable);
  rows << z, -3 * z;
  CHECK(outcome(rows) == Projected::not_separable);
  rows << z, Dense::Zero(1, 8);
  CHECK(outcome(rows) == Projected::not_separable);
  for (const double scale : {1e-6, 1.0, 1e6}) {
    Dense triangle(4, 8);
    triangle << scale * z, scale * u, -scale * (z + u), separable_rows(1, 8, 33);
    CHECK(outcome(triangle) == Projected::not_separable);
    CHECK(outcome(scale * random_rows(40, 5, 34)) == Projected::not_separable);
    CHECK(outcome(scale * random_rows(200, 60, 35)) == Projected::not_separable);
  }
}

TEST_CASE("opposite rows: apart by less than K can tell, and by more") {
  const Dense z = random_rows(1, 8, 31), u = random_rows(1, 8, 32);
  Dense rows(2, 8);
  for (const double gap : {1e-10, 5e-7}) {
    rows << z, -z + gap * u;
    CHECK(outcome(rows) == Projected::not_separable);
  }
  for (const double gap : {1e-5, 1e-3}) {
    rows << z, -z + gap * u;
    const Dense gram = gram_of(rows);
    const Vector<double> margins = Vector<double>::Zero(2);
    CHECK(kkt_residual(gram, margins, solved_cold(gram, margins)) <= 1e-10);
  }
}

TEST_CASE("margins that are not finite give no multipliers") {
  const Dense gram = gram_of(separable_rows(3, 5, 1));
  Projection projection(gram);
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    Vector<double> margins = Vector<double>::Zero(3), multipliers;
    margins[1] = bad;
    CHECK(solve(projection, margins, multipliers) == Projected::unfinished);
  }
  solved(projection, Vector<double>::Zero(3));
}

TEST_CASE("solves that are not kept leave no trace") {
  for_each_shape([](const Dense& rows, const Dense& gram) {
    Projection projection(gram);
    const auto margins = margins_for(rows, 41);
    solved(projection, margins[1]);
    Vector<double> first, other, again;
    REQUIRE(solve(projection, margins[2], first) == Projected::done);
    REQUIRE(solve(projection, margins[3], other) == Projected::done);
    REQUIRE(solve(projection, margins[2], again) == Projected::done);
    CHECK(same_bits(first, again));
  });
}

TEST_CASE("a stopped solve leaves no trace") {
  const Dense rows = separable_rows(30, 40, 42), gram = gram_of(rows);
  const Vector<double> margins = rows * Random(1).vector(40);
  Projection projection(gram);
  Stop stop([] { return true; });
  while (!stop.poll()) {
  }
  Vector<double> multipliers = Vector<double>::Zero(30);
  CHECK(projection.solve(margins.data(), multipliers.data(), stop) == Projected::stopped);
  CHECK(projection.solve(margins.data(), multipliers.data(), stop, 1) == Projected::stopped);
  CHECK(same_bits(solved(projection, margins), solved_cold(gram, margins)));
}

TEST_CASE("a restored warm start goes on with the same bits") {
  for_each_shape([](const Dense& rows, const Dense& gram) {
    const Index n = rows.rows();
    Projection whole(gram), resumed(gram);
    Vector<double> order(n);
    for (std::uint64_t seed = 0; seed < 4; ++seed)
      for (const auto& margins : margins_for(rows, seed)) {
        whole.save(order.data());
        Projection fresh(gram);
        fresh.restore(order.data());
        resumed.restore(order.data());  // its factor holds something else
        const auto want = solved(whole, margins);
        CHECK(same_bits(solved(fresh, margins), want));
        CHECK(same_bits(solved(resumed, margins), want));
        solved(resumed, margins_for(rows, seed + 50)[1]);
      }
  });
}

TEST_CASE("kept rows are saved in their order, and what cannot be an order is refused") {
  const Dense gram = gram_of(separable_rows(4, 9, 51));
  Projection projection(gram);
  Vector<double> order(4), back(4);
  order << 2, 0, 3, 1;
  projection.restore(order.data());
  projection.save(back.data());
  CHECK(same_bits(order, back));
  for (const double bad : {1.0, 5.0, 1.5, -1.0, std::numeric_limits<double>::quiet_NaN()}) {
    Vector<double> wrong = order;
    wrong[2] = bad;
    CHECK_THROWS_WITH_AS(projection.restore(wrong.data()),
                         "active_order: want 0, or 1, 2, ... once each", std::invalid_argument);
  }
  projection.save(back.data());
  CHECK(same_bits(order, back));
}

TEST_CASE("a warm start with rows that depend on each other") {
  const Dense rows = separable_rows(6, 9, 52).replicate(2, 1), gram = gram_of(rows);
  const Vector<double> order = Vector<double>::LinSpaced(12, 1, 12);
  const Vector<double> margins = rows * Random(2).vector(9);
  Projection projection(gram);
  projection.restore(order.data());
  for (int round = 0; round < 2; ++round)
    CHECK(kkt_residual(gram, margins, solved(projection, margins)) <= 1e-10);
}

TEST_CASE("a block of a larger Gram matrix gives the bits of a matrix of its own") {
  const Dense rows = separable_rows(50, 70, 61), gram = gram_of(rows);
  const Vector<double> margins = rows * Random(1).vector(70);
  for (const Index shift : {0, 1, 3}) {
    Dense larger = Dense::Constant(60, 61, 9);
    larger.block(shift, shift, 50, 50) = gram;
    Projection projection(larger.block(shift, shift, 50, 50));
    CHECK(same_bits(solved(projection, margins), solved_cold(gram, margins)));
    Interpolation own(gram), inside(larger.block(shift, shift, 50, 50));
    Vector<double> a(50), b(50);
    own.solve(margins.data(), a.data());
    inside.solve(margins.data(), b.data());
    CHECK(same_bits(a, b));
  }
}

TEST_CASE("solves after the constructor take no memory from Eigen") {
  for_each_shape([](const Dense& rows, const Dense& gram) {
    Projection projection(gram);
    Interpolation interpolation(gram);
    const auto margins = margins_for(rows, 71);
    Vector<double> multipliers(rows.rows());
    Stop never(nullptr);
    const NoEigenAllocation forbidden;
    for (const auto& m : margins) {
      CHECK(projection.solve(m.data(), multipliers.data(), never) == Projected::done);
      projection.keep();
      interpolation.solve(m.data(), multipliers.data());
    }
  });
}

TEST_CASE("averages of projections tend to the projection of the start if anchored") {
  const Index clients = 4, n = 6, d = 40;
  const Dense rows = separable_rows(clients * n, d, 81);
  const Vector<double> origin = Vector<double>::Zero(clients * n);
  const Vector<double> whole = rows.transpose() * solved_cold(gram_of(rows), origin);
  const Vector<double> weights = (Vector<double>(4) << 0.1, 0.2, 0.3, 0.4).finished();
  std::vector<Dense> grams;
  for (Index i = 0; i < clients; ++i) grams.push_back(gram_of(rows.middleRows(i * n, n)));
  const auto after = [&](int rounds, bool anchored) {
    std::vector<Projection> projections(grams.begin(), grams.end());
    Vector<double> w = Vector<double>::Zero(d);
    for (int k = 0; k < rounds; ++k) {
      Vector<double> next = Vector<double>::Zero(d);
      for (Index i = 0; i < clients; ++i) {
        const auto a = rows.middleRows(i * n, n);
        const auto lambda = solved(projections[static_cast<std::size_t>(i)], a * w);
        next += weights[i] * (w + a.transpose() * lambda);
      }
      w = anchored ? Vector<double>((k + 1.0) / (k + 2.0) * next) : next;
    }
    return w;
  };
  const double early = relative_error(after(1000, true), whole);
  const double late = relative_error(after(4000, true), whole);
  CHECK(late < 0.01);
  CHECK(late / early == doctest::Approx(0.25).epsilon(0.05));  // ~ 1/k
  const auto plain = after(4000, false);
  CHECK((rows * plain).minCoeff() > 1 - 1e-9);
  CHECK(relative_error(plain, whole) > 0.02);
}

TEST_CASE("interpolation is the least-squares change of least norm") {
  for_each_shape([](const Dense& rows, const Dense& gram) {
    Interpolation interpolation(gram);
    const Index n = rows.rows();
    Vector<double> residual = Random(91).vector(n), lambda(n), again(n);
    interpolation.solve(residual.data(), lambda.data());
    // delta = A^T lambda lies in the span of the rows, so that A^T (A delta - residual) = 0 says
    // all.
    const Vector<double> delta = rows.transpose() * lambda;
    const Vector<double> gradient = rows.transpose() * (rows * delta - residual);
    CHECK(gradient.norm() <= 1e-8 * rows.norm() * (rows.norm() * delta.norm() + residual.norm()));
    interpolation.solve(residual.data(), again.data());
    CHECK(same_bits(lambda, again));
  });
}

TEST_CASE("interpolation meets what can be met, and counts its dimensions") {
  for (const double scale : {1e-6, 1.0, 1e6}) {
    Dense rows = scale * random_rows(20, 30, 92);
    rows.bottomRows(8) = random_rows(8, 12, 93).lazyProduct(rows.topRows(12));
    const Dense gram = gram_of(rows);
    const Vector<double> w = Random(94).vector(30) / scale, residual = rows * w;
    Interpolation interpolation(gram);
    CHECK(interpolation.rank() == 12);
    Vector<double> lambda(20);
    interpolation.solve(residual.data(), lambda.data());
    CHECK((gram * lambda - residual).norm() <= 1e-12 * residual.norm());
    CHECK((rows.transpose() * lambda).norm() < w.norm());
  }
}

TEST_CASE("interpolation of rows that are 0") {
  const Dense gram = Dense::Zero(3, 3);
  Interpolation interpolation(gram);
  Vector<double> residual = Vector<double>::Ones(3), lambda(3);
  interpolation.solve(residual.data(), lambda.data());
  CHECK(interpolation.rank() == 0);
  CHECK(lambda.isZero(0));
}

TEST_CASE_TEMPLATE("a Gram matrix that is not square or not finite is refused", Solve, Projection,
                   Interpolation) {
  CHECK_THROWS_WITH_AS(Solve(Dense::Zero(2, 3)), "gram: want a square matrix",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(Solve(Dense(0, 0)), "gram: want a square matrix", std::invalid_argument);
  Dense gram = Dense::Identity(2, 2);
  gram(1, 0) = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH_AS(Solve{gram}, "gram: entries that are not finite", std::invalid_argument);
}
