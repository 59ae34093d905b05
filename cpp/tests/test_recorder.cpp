#include "problems.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

// An engine that only shows numbers.
class Shown final : public Engine {
 public:
  Shown(const Data& data, const Vector<double>& weights, const Vector<double>& changes)
      : Engine(data), weights_(weights), margins_(data.rows * weights) {
    local_changes_ = changes;
  }
  bool prepare(Team&, Stop&) override { return true; }
  Outcome round(double, Team&, Stop&) override { return Outcome::done; }
  const Vector<double>& weights() override { return weights_; }
  const Vector<double>& margins() override { return margins_; }
  const Vector<double>& state() const override { return weights_; }

 private:
  void set_state(const Vector<double>& state) override { weights_ = state; }
  Vector<double> weights_, margins_;
};

struct Fixture {
  Problem p = make_problem({1, 7, 3, 10}, 12);
  Data data = p.data();
  Vector<double> w = Random(5).vector(12), changes = Random(6).vector(21), reference = Random(8).vector(12);
  Shown engine{data, w, changes};
};

double plain_loss(const Problem& p, const LossCase& loss, const Vector<double>& w) {
  long double total = 0;
  for (std::size_t i = 0; i + 1 < p.offsets.size(); ++i)
    for (Index j = p.offsets[i]; j < p.offsets[i + 1]; ++j)
      total += static_cast<long double>(p.weights[static_cast<Index>(i)]) /
               static_cast<long double>(p.offsets[i + 1] - p.offsets[i]) *
               loss.value(p.rows.row(j).dot(w), p.targets[j]);
  return static_cast<double>(total);
}

// sum_i p_i |w_i - mean|^2 with w_i = w + A_i^T b_i.
double plain_drift(const Problem& p, const Vector<double>& w, const Vector<double>& b) {
  std::vector<Vector<double>> own;
  Vector<double> mean = Vector<double>::Zero(w.size());
  for (std::size_t i = 0; i + 1 < p.offsets.size(); ++i) {
    own.push_back(w);
    for (Index j = p.offsets[i]; j < p.offsets[i + 1]; ++j) own[i] += b[j] * p.rows.row(j).transpose();
    mean += p.weights[static_cast<Index>(i)] * own[i];
  }
  double total = 0;
  for (std::size_t i = 0; i < own.size(); ++i)
    total += p.weights[static_cast<Index>(i)] * (own[i] - mean).squaredNorm();
  return total;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the recorder measures what the formulas say") {
  for (const auto& loss : losses) {
    CAPTURE(loss.name);
    Recorder recorder(data, loss.name, {0, 4}, reference);
    REQUIRE(recorder.record(4, engine));
    const History& h = recorder.history();
    CHECK(h.round == std::vector<std::int64_t>{4});
    CHECK(h.loss.at(0) == doctest::Approx(plain_loss(p, loss, w)).epsilon(1e-14));
    CHECK(h.norm.at(0) == doctest::Approx(w.norm()).epsilon(1e-14));
    double smallest = std::numeric_limits<double>::infinity();
    for (Index j = 0; j < data.samples(); ++j)
      smallest = std::min(smallest, p.rows.row(j).dot(w) * (loss.signed_rows ? 1 : p.targets[j]));
    CHECK(h.margin.at(0) == doctest::Approx(smallest / w.norm()).epsilon(1e-13));
    const double cosine = w.dot(reference) / (w.norm() * reference.norm());
    CHECK(h.angle.at(0) == doctest::Approx(std::acos(cosine)).epsilon(1e-13));
    CHECK(h.drift.at(0) == doctest::Approx(plain_drift(p, w, changes)).epsilon(1e-13));
  }
}

TEST_CASE_FIXTURE(Fixture, "small angles keep their digits, whatever the reference's length") {
  Vector<double> axis = Vector<double>::Zero(12), near = axis;
  axis[3] = 1;
  for (const double angle : {1e-12, 1e-7, 0.5, 3.0, 3.14159265}) {
    near[3] = std::cos(angle);
    near[7] = std::sin(angle);
    for (const double length : {1e-200, 1.0, 1e200}) {
      Recorder recorder(data, "logistic", {}, length * axis);
      Shown shown(data, 7 * near, changes);
      REQUIRE(recorder.record(1, shown));
      CHECK(recorder.history().angle.at(0) == doctest::Approx(angle).epsilon(1e-9));
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "what is not defined is NaN") {
  Recorder recorder(data, "logistic", {}, reference);
  Shown zero(data, Vector<double>::Zero(12), changes);
  REQUIRE(recorder.record(0, zero));
  const History& h = recorder.history();
  CHECK(h.norm.at(0) == 0);
  CHECK(std::isnan(h.margin.at(0)));  // of w = 0
  CHECK(std::isnan(h.angle.at(0)));
  CHECK(std::isnan(h.drift.at(0)));  // before the first round
  Recorder without(data, "logistic", {}, {});
  REQUIRE(without.record(1, engine));
  CHECK(std::isnan(without.history().angle.at(0)));
  CHECK(!std::isnan(without.history().margin.at(0)));
}

TEST_CASE_FIXTURE(Fixture, "nothing is written for a loss that is not finite") {
  Recorder recorder(data, "exponential", {1, 2}, reference);
  REQUIRE(recorder.record(1, engine));
  Shown far(data, -1e5 * p.rows.row(2).transpose(), changes);
  CHECK_FALSE(recorder.record(2, far));
  const History& h = recorder.history();
  for (const auto* column : {&h.loss, &h.margin, &h.norm, &h.angle, &h.drift}) CHECK(column->size() == 1);
  CHECK(h.round.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "rounds are due once and in order") {
  Recorder recorder(data, "logistic", {0, 3, 10}, {});
  CHECK(recorder.due(0));
  CHECK_FALSE(recorder.due(3));
  REQUIRE(recorder.record(0, engine));
  CHECK_FALSE(recorder.due(0));
  CHECK(recorder.due(3));
  REQUIRE(recorder.record(2, engine));  // out of turn: the next one stays due
  CHECK(recorder.due(3));
  recorder.skip_before(4);
  CHECK_FALSE(recorder.due(3));
  CHECK(recorder.due(10));
  recorder.skip_before(11);
  CHECK_FALSE(recorder.due(10));
}

TEST_CASE_FIXTURE(Fixture, "weights are kept if they are asked for") {
  Recorder recorder(data, "logistic", {}, {}, true), without(data, "logistic", {}, {});
  Shown other(data, 2 * w, changes);
  for (Recorder* r : {&recorder, &without}) {
    REQUIRE(r->record(1, engine));
    REQUIRE(r->record(2, other));
  }
  const auto& kept = recorder.history().weights;
  REQUIRE(kept.size() == 24);
  CHECK(same_bits(VectorView<double>(kept.data(), 12), w));
  CHECK(same_bits(VectorView<double>(kept.data() + 12, 12), 2 * w));
  CHECK(without.history().weights.empty());
}

TEST_CASE_FIXTURE(Fixture, "a reference of another length is refused") {
  CHECK_THROWS_WITH_AS(Recorder(data, "logistic", {}, Vector<double>::Ones(11)),
                       "reference: want one number for each feature", std::invalid_argument);
}
