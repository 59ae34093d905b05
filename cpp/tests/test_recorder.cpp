#include <cstring>

#include "problems.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

// A model that is recorded.
struct Shown {
  Shown(const Data& data, Matrix<double> w) : weights(std::move(w)) {
    products_of_rows(*data.rows, weights, margins);
  }
  Matrix<double> weights, margins;
};

bool recorded(Recorder& recorder, std::int64_t round, std::int64_t participations, double drift,
              const Shown& model, int threads = 3) {
  bool done = false;
  Team::run(threads, [&](Team& team) {
    done = recorder.record(round, participations, drift, model.margins, model.weights, team);
  });
  return done;
}
double drift_of(const Recorder& recorder, const LastRound& last, int threads = 3) {
  double drift = 0;
  Team::run(threads, [&](Team& team) { drift = recorder.drifts(last, team)[0]; });
  return drift;
}

struct Fixture {
  Problem p = make_problem({1, 7, 3, 10}, 12);
  Data data = p.data(losses[1]);
  Matrix<double> w = Random(5).matrix(12, 1), reference = Random(8).matrix(12, 1);
  Shown present{data, w};
  double l2 = 0;
  Index clients() const { return p.clients(); }
  Index first(Index i) const { return p.offsets[static_cast<std::size_t>(i)]; }
  Index size(Index i) const { return first(i + 1) - first(i); }

  std::vector<long double> outputs(Index j, const Matrix<double>& model) const {
    std::vector<long double> u;
    for (Index c = 0; c < model.cols(); ++c) u.push_back(p.rows.row(j).dot(model.col(c)));
    return u;
  }

  double plain_loss(const LossCase& loss, const Matrix<double>& model) const {
    long double total = 0;
    for (Index i = 0; i < clients(); ++i)
      for (Index j = first(i); j < first(i + 1); ++j)
        total += omega(j) * static_cast<long double>(p.weights[i]) /
                 static_cast<long double>(size(i)) *
                 loss.value_of(outputs(j, model).data(), p.targets_for(loss), j);
    return static_cast<double>(total) + l2 / 2 * penalised(model).squaredNorm();
  }

  Matrix<double> penalised(Matrix<double> model) const {
    if (p.free_intercept) model.bottomRows(1).setZero();
    return model;
  }

  double omega(Index j) const { return p.row_weights.size() ? p.row_weights[j] : 1.0; }

  // grad f_i
  Matrix<double> gradient(const LossCase& loss, const Matrix<double>& model, Index i) const {
    Matrix<double> g = l2 * penalised(model);
    for (Index j = first(i); j < first(i + 1); ++j)
      for (Index c = 0; c < g.cols(); ++c)
        g.col(c) -= omega(j) *
                    static_cast<double>(loss.negative_derivative_of(outputs(j, model).data(),
                                                                    p.targets_for(loss), j, c)) /
                    static_cast<double>(size(i)) * p.rows.row(j).transpose();
    return g;
  }

  double smallest_margin(const LossCase& loss, const Matrix<double>& model) const {
    double smallest = std::numeric_limits<double>::infinity();
    for (Index j = 0; j < data.samples(); ++j) {
      const auto u = outputs(j, model);
      const auto take = [&](long double m) {
        smallest = std::min(smallest, static_cast<double>(m));
      };
      if (loss.outputs == loss.targets()) {
        for (Index c = 0; c < loss.outputs; ++c)
          take(u[std::size_t(c)] * (loss.signed_rows ? 1 : p.targets(j, c)));
        continue;
      }
      const auto own = static_cast<std::size_t>(p.labels[j]);
      for (std::size_t c = 0; c < u.size(); ++c)
        if (c != own) take(u[own] - u[c]);
    }
    return smallest;
  }
};

// A round of random changes: sum_i p~_i |A_i^T b_i - kappa_i A^T g - (w_{k+1} - w_k)|^2.
struct Changes {
  LastRound last;
  Matrix<double> change;  // of coefficients, also where the weights' is shown

  Matrix<double> change_in_weights, common;

  Changes(const Problem& p, Index outputs, bool corrected, bool in_weights) {
    Random random(31);
    last.shares = p.weights;
    last.local_changes = random.matrix(p.rows.rows(), outputs);
    change = random.matrix(p.rows.rows(), outputs);
    if (corrected) {
      last.kappa = random.vector(p.clients());
      last.mean_kappa = 0.75;
      common = random.matrix(p.rows.rows(), outputs);
      last.common = in_weights ? Matrix<double>(p.rows.transpose() * common) : common;
      last.common_in_weights = in_weights;
    }
    change_in_weights = p.rows.transpose() * change;
    last.change = in_weights ? &change_in_weights : &change;
    last.change_in_weights = in_weights;
  }

  double drift(const Fixture& f) const {
    double total = 0;
    for (Index i = 0; i < f.clients(); ++i) {
      Matrix<double> own = Matrix<double>::Zero(f.p.rows.cols(), change.cols());
      for (Index j = 0; j < f.p.rows.rows(); ++j)
        for (Index c = 0; c < change.cols(); ++c) {
          double a = -change(j, c);
          if (j >= f.first(i) && j < f.first(i + 1)) a += last.local_changes(j, c);
          if (common.size()) a -= (last.kappa(i, 0) - last.mean_kappa) * common(j, c);
          own.col(c) += a * f.p.rows.row(j).transpose();
        }
      total += last.shares[i] * own.squaredNorm();
    }
    return total;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the recorder measures what the formulas say") {
  for (const auto of : {"all", "weighted rows and l2", "a free intercept"}) {
    if (of == std::string("weighted rows and l2")) p = with_row_weights(p), l2 = 0.3;
    p.free_intercept = of == std::string("a free intercept");
    for (const auto& loss : losses) {
      CAPTURE(loss.name);
      CAPTURE(of);
      const Data own_data = p.data(loss);
      const Matrix<double> model = Random(5).matrix(12, loss.outputs);
      const Matrix<double> direction = Random(8).matrix(12, loss.outputs);
      Shown shown(own_data, model);
      Recorder recorder(own_data, loss.name, {0, 4}, direction, false, l2);
      REQUIRE(recorded(recorder, 4, 9, 0.75, shown));
      const History& h = recorder.history();
      CHECK(h.round == std::vector<std::int64_t>{4});
      CHECK(h.participations == std::vector<std::int64_t>{9});
      CHECK(h.drift.at(0) == 0.75);
      CHECK(h.loss.at(0) == doctest::Approx(plain_loss(loss, model)).epsilon(1e-14));
      CHECK(h.norm.at(0) == doctest::Approx(model.norm()).epsilon(1e-14));
      CHECK(h.margin.at(0) ==
            doctest::Approx(smallest_margin(loss, model) / model.norm()).epsilon(1e-13));
      const double cosine = model.cwiseProduct(direction).sum() / (model.norm() * direction.norm());
      CHECK(h.angle.at(0) == doctest::Approx(std::acos(cosine)).epsilon(1e-13));
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "the recorder measures how gradients differ") {
  for (const auto of : {"all", "some clients", "weighted rows and l2", "a free intercept"})
    for (const auto& loss : losses) {
      CAPTURE(loss.name);
      CAPTURE(of);
      if (of == std::string("some clients")) p.weights << 0.5, 0, 0.2, 0.3;
      if (of == std::string("weighted rows and l2")) p = with_row_weights(p), l2 = 0.3;
      p.free_intercept = of == std::string("a free intercept");
      const Data own_data = p.data(loss);
      const Matrix<double> model = Random(5).matrix(12, loss.outputs);
      Shown shown(own_data, model);
      Recorder recorder(own_data, loss.name, {}, {}, false, l2);
      REQUIRE(recorded(recorder, 0, 0, 0, shown));
      Matrix<double> mean = Matrix<double>::Zero(12, loss.outputs);
      for (Index i = 0; i < clients(); ++i) mean += p.weights[i] * gradient(loss, model, i);
      double variance = 0, alignment = 0, squares = 0;
      for (Index i = 0; i < clients(); ++i) {
        const Matrix<double> own = gradient(loss, model, i);
        variance += p.weights[i] * (own - mean).squaredNorm();
        squares += p.weights[i] * own.squaredNorm();
        alignment += p.weights[i] * own.cwiseProduct(mean).sum() / (own.norm() * mean.norm());
      }
      const History& h = recorder.history();
      CHECK(h.grad_norm.at(0) == doctest::Approx(mean.norm()).epsilon(1e-13));
      CHECK(h.grad_variance.at(0) == doctest::Approx(variance).epsilon(1e-13));
      CHECK(h.grad_alignment.at(0) == doctest::Approx(alignment).epsilon(1e-13));
      CHECK(h.grad_dissimilarity.at(0) ==
            doctest::Approx(squares / mean.squaredNorm()).epsilon(1e-13));
    }
}

TEST_CASE("records have the same bits for any number of threads and sums in few parts") {
  // Fewer clients than groups and more, a client without weight, and sums so large that only some
  // may be kept at a time.
  const auto all_of = [](Index clients, Index n) {
    return std::vector<Index>(static_cast<std::size_t>(clients), n);
  };
  for (const Shape& shape : {Shape{{3}, 30'000}, Shape{all_of(7, 40), 300},
                             Shape{all_of(1300, 1), 60}, Shape{all_of(6, 2), 3'000'000}}) {
    const Index features = shape.features;
    Problem p = make_problem(shape.sizes, features);
    p.weights[p.clients() - 1] = 0;
    p.weights /= std::max(p.weights.sum(), 1e-300);
    if (p.clients() == 1) p.weights.setOnes();
    const Data data = p.data(losses[1]);
    const Shown shown(data, Random(5).matrix(features, 1));
    LastRound last;
    const Matrix<double> change = Random(6).matrix(p.rows.rows(), 1);
    last.change = &change;
    last.local_changes = Random(7).matrix(p.rows.rows(), 1);
    last.shares = p.weights;
    const auto numbers = [&](int threads) {
      Recorder recorder(data, "logistic", {1}, {});
      REQUIRE(recorded(recorder, 1, 0, drift_of(recorder, last, threads), shown, threads));
      std::vector<double> all;
      recorder.history().visit([&](const char*, const auto& column, const Measure&) {
        if constexpr (std::is_same_v<std::decay_t<decltype(column)>, std::vector<double>>)
          all.insert(all.end(), column.begin(), column.end());
      });
      return all;
    };
    const std::vector<double> alone = numbers(1);
    for (const int threads : {2, 3, 7}) {
      const std::vector<double> found = numbers(threads);
      CAPTURE(features);
      CAPTURE(threads);
      REQUIRE(found.size() == alone.size());
      CHECK(std::memcmp(found.data(), alone.data(), sizeof(double) * alone.size()) == 0);
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "gradients that are 0 have no direction") {
  // One client's rows are met exactly: its gradient is 0, and it counts for 0 in the alignment.
  const LossCase& squared = losses[2];
  const auto measured = [&](const std::vector<Index>& met) {
    for (const Index i : met) p.targets.middleRows(first(i), size(i)).setZero();
    const Data own_data = p.data(squared);
    Shown zero(own_data, Matrix<double>::Zero(12, 1));
    Recorder recorder(own_data, "squared", {}, {});
    REQUIRE(recorded(recorder, 0, 0, 0, zero));
    return recorder.history();
  };
  const History some = measured({2});
  CHECK(some.grad_alignment.at(0) > 0);
  CHECK(some.grad_alignment.at(0) < 1 - p.weights[2]);
  CHECK(some.grad_dissimilarity.at(0) > 1);
  const History none = measured({0, 1, 2, 3});
  CHECK(none.grad_variance.at(0) == 0);
  CHECK(std::isnan(none.grad_alignment.at(0)));
  CHECK(std::isnan(none.grad_dissimilarity.at(0)));
}

TEST_CASE_FIXTURE(Fixture, "drift is from the model that the server made of the round") {
  for (const Index outputs : {Index{1}, classes})
    for (const bool corrected : {false, true})
      for (const bool in_weights : {false, true}) {
        CAPTURE(corrected);
        CAPTURE(in_weights);
        Changes round(p, outputs, corrected, in_weights);
        Recorder recorder(data, "logistic", {}, {});
        CHECK(drift_of(recorder, round.last) == doctest::Approx(round.drift(*this)).epsilon(1e-13));
        round.last.shares[1] = 0;  // who sat the round out does not drift
        CHECK(drift_of(recorder, round.last) == doctest::Approx(round.drift(*this)).epsilon(1e-13));
      }
}

TEST_CASE_FIXTURE(Fixture, "before the first round drift is NaN, or that of the run resumed") {
  Recorder recorder(data, "logistic", {}, {});
  CHECK(std::isnan(drift_of(recorder, LastRound{})));
  recorder.resume(3, 0.25);
  CHECK(drift_of(recorder, LastRound{}) == 0.25);
  const Changes round(p, 1, false, false);
  CHECK(drift_of(recorder, round.last) == doctest::Approx(round.drift(*this)).epsilon(1e-13));
}

TEST_CASE_FIXTURE(Fixture, "small angles keep their digits, whatever the reference's length") {
  Matrix<double> axis = Matrix<double>::Zero(12, 1), near = axis;
  axis(3, 0) = 1;
  for (const double angle : {1e-12, 1e-7, 0.5, 3.0, 3.14159265}) {
    near(3, 0) = std::cos(angle);
    near(7, 0) = std::sin(angle);
    for (const double length : {1e-200, 1.0, 1e200}) {
      Recorder recorder(data, "logistic", {}, length * axis);
      Shown shown(data, 7 * near);
      REQUIRE(recorded(recorder, 1, 0, 0, shown));
      CHECK(recorder.history().angle.at(0) == doctest::Approx(angle).epsilon(1e-9));
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "what is not defined is NaN") {
  Recorder recorder(data, "logistic", {}, reference);
  Shown zero(data, Matrix<double>::Zero(12, 1));
  REQUIRE(recorded(recorder, 0, 0, 0, zero));
  const History& h = recorder.history();
  CHECK(h.norm.at(0) == 0);
  CHECK(std::isnan(h.margin.at(0)));  // of w = 0
  CHECK(std::isnan(h.angle.at(0)));
  Recorder without(data, "logistic", {}, {});
  REQUIRE(recorded(without, 1, 0, 0, present));
  CHECK(std::isnan(without.history().angle.at(0)));
  CHECK(!std::isnan(without.history().margin.at(0)));
}

TEST_CASE_FIXTURE(Fixture, "nothing is written for a loss that is not finite") {
  Recorder recorder(data, "exponential", {1, 2}, reference);
  REQUIRE(recorded(recorder, 1, 0, 0, present));
  Shown far(data, -1e5 * p.rows.row(2).transpose());
  CHECK_FALSE(recorded(recorder, 2, 0, 0, far));
  const History& h = recorder.history();
  for (const auto* column : {&h.loss, &h.margin, &h.norm, &h.angle, &h.drift, &h.grad_variance,
                             &h.grad_alignment, &h.grad_dissimilarity})
    CHECK(column->size() == 1);
  CHECK(h.participations.size() == 1);
  CHECK(h.round.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a loss above the range of numbers is recorded by its log") {
  Recorder recorder(data, "exponential", {1}, reference, false, 0, true);
  Shown far(data, -1e5 * p.rows.row(2).transpose());  // one row is all that counts
  REQUIRE(recorded(recorder, 1, 0, 0, far));
  const History& h = recorder.history();
  Index row = 0;
  const double smallest = far.margins.col(0).minCoeff(&row);
  Index client = 0;
  while (data.begin(client + 1) <= row) ++client;
  const double weight = data.weights[client] / static_cast<double>(data.size(client));
  CHECK(std::isinf(h.loss[0]));
  CHECK(h.log_loss[0] == doctest::Approx(std::log(weight) - smallest).epsilon(1e-12));
  CHECK(std::isinf(h.grad_norm[0]));
  CHECK(h.grad_alignment[0] == doctest::Approx(data.weights[client]).epsilon(1e-12));
  CHECK(h.grad_dissimilarity[0] == doctest::Approx(1 / data.weights[client]).epsilon(1e-12));
  CHECK(!std::isnan(h.angle[0]));
}

TEST_CASE_FIXTURE(Fixture, "rounds are due once and in order") {
  Recorder recorder(data, "logistic", {0, 3, 10}, {});
  CHECK(recorder.due(0));
  CHECK_FALSE(recorder.due(3));
  REQUIRE(recorded(recorder, 0, 0, 0, present));
  CHECK_FALSE(recorder.due(0));
  CHECK(recorder.due(3));
  REQUIRE(recorded(recorder, 2, 0, 0, present));  // out of turn: the next one stays due
  CHECK(recorder.due(3));
  recorder.resume(4, 0);
  CHECK_FALSE(recorder.due(3));
  CHECK(recorder.due(10));
  recorder.resume(11, 0);
  CHECK_FALSE(recorder.due(10));
}

TEST_CASE_FIXTURE(Fixture,
                  "weights are kept if they are asked for, a feature's outputs side by side") {
  const LossCase& softmax = losses.back();
  const Data own_data = p.data(softmax);
  const Matrix<double> model = Random(5).matrix(12, classes);
  Recorder recorder(own_data, "softmax", {}, {}, true), without(own_data, "softmax", {}, {});
  Shown one(own_data, model), other(own_data, 2 * model);
  for (Recorder* r : {&recorder, &without}) {
    REQUIRE(recorded(*r, 1, 0, 0, one));
    REQUIRE(recorded(*r, 2, 0, 0, other));
  }
  const auto& kept = recorder.history().weights;
  REQUIRE(kept.size() == 72);
  CHECK(same_bits(RowsView<double>(kept.data(), 12, classes), model));
  CHECK(same_bits(RowsView<double>(kept.data() + 36, 12, classes), 2 * model));
  CHECK(without.history().weights.empty());
}

TEST_CASE_FIXTURE(Fixture, "a reference of another length is refused") {
  CHECK_THROWS_WITH_AS(Recorder(data, "logistic", {}, Matrix<double>::Ones(11, 1)),
                       "reference: want one number for each feature", std::invalid_argument);
}
