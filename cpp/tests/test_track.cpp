// The server's steps against their formulas, and what commit() and the ranges of rows promise.
#include "core/server/track.hpp"
#include "problems.hpp"
#include "servers.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

struct ServerCase {
  std::string name;
  ServerRule rule;
};

const std::vector<ServerCase> servers{
    {"average", {Average{}}},
    {"anchored", {Anchored{}}},
    {"sgd", {Sgd{0.7}}},
    {"momentum", {Sgd{0.7, 0.9}}},
    {"nesterov", {Sgd{0.7, 0.9, true}}},
    {"adam", {Adam{0.1, 0.9, 0.99, 1e-3}}},
    {"yogi", {Yogi{0.1, 0.9, 0.9, 0.5}}},
    {"adagrad", {Adagrad{0.1, 0, 0.2}}},
};

void step(Track& track, double k, const Matrix<double>& mean, Index range) {
  track.mean = mean;
  for (Index first = 0; first < mean.rows(); first += range)
    track.advance(k, first, std::min(range, mean.rows() - first));
}

}  // namespace

TEST_CASE("servers take the steps of their formulas") {
  for (const auto& server : servers) {
    const ServerRule& rule = server.rule;
    CAPTURE(server.name);
    Random random(4);
    const Matrix<double> start = random.matrix(7, 2);
    Track track(rule, start);
    CHECK(same_bits(track.value, start));
    CHECK(track.change.isZero(0));
    std::vector<ServedNumber> numbers;
    for (const double x : start.reshaped()) numbers.push_back({x});
    for (int k = 0; k < 40; ++k) {
      // Some steps are 0, some much larger than those before: both branches of Yogi's sign.
      const Matrix<double> mean = (k % 7 == 3 ? 0 : k % 5 == 0 ? 4 : 0.3) * random.matrix(7, 2);
      step(track, k, mean, 7);
      track.commit();
      for (Index j = 0; j < mean.size(); ++j) {
        auto& number = numbers[static_cast<std::size_t>(j)];
        number.round(rule, k, mean.reshaped()[j]);
        REQUIRE(track.value.reshaped()[j] == doctest::Approx(number.x).epsilon(1e-13));
        REQUIRE(track.change.reshaped()[j] == doctest::Approx(number.c).epsilon(1e-12));
      }
    }
  }
}

TEST_CASE("ranges of rows give the bits of all rows at once") {
  for (const auto& server : servers) {
    const ServerRule& rule = server.rule;
    CAPTURE(server.name);
    Random random(6);
    const Matrix<double> start = random.matrix(11, 3);
    Track whole(rule, start), parts(rule, start);
    for (int k = 0; k < 5; ++k) {
      const Matrix<double> mean = random.matrix(11, 3);
      step(whole, k, mean, 11);
      step(parts, k, mean, 4);
      whole.commit();
      parts.commit();
    }
    CHECK(same_bits(whole.value, parts.value));
    CHECK(same_bits(whole.change, parts.change));
    CHECK(same_bits(whole.velocity, parts.velocity));
    CHECK(same_bits(whole.squares, parts.squares));
  }
}

TEST_CASE("a step that is not committed leaves no trace") {
  for (const auto& server : servers) {
    const ServerRule& rule = server.rule;
    CAPTURE(server.name);
    Random random(8);
    const Matrix<double> start = random.matrix(5, 2), first = random.matrix(5, 2),
                         second = random.matrix(5, 2);
    Track straight(rule, start), failed(rule, start);
    for (Track* track : {&straight, &failed}) {
      step(*track, 0, first, 5);
      CHECK(track->finite());
      track->commit();
    }
    const Matrix<double> infinite = Matrix<double>::Constant(5, 2, 1e308) * 10;
    step(failed, 1, infinite, 5);
    CHECK_FALSE(failed.finite());
    for (Track* track : {&straight, &failed}) {
      step(*track, 1, second, 5);
      track->commit();
    }
    CHECK(same_bits(straight.value, failed.value));
    CHECK(same_bits(straight.velocity, failed.velocity));
    CHECK(same_bits(straight.squares, failed.squares));
  }
}

TEST_CASE("linear servers move margins as they move weights") {
  Random random(10);
  const Matrix<double> rows = random.matrix(6, 4), start = random.matrix(4, 2);
  for (const auto& server : servers) {
    const ServerRule& rule = server.rule;
    if (rule.coordinate_wise()) continue;
    CAPTURE(server.name);
    Track weights(rule, start), margins(rule, rows.lazyProduct(start));
    for (int k = 0; k < 30; ++k) {
      const Matrix<double> mean = random.matrix(4, 2);
      step(weights, k, mean, 4);
      step(margins, k, rows.lazyProduct(mean), 6);
      weights.commit();
      margins.commit();
    }
    CHECK(relative_error(margins.value, rows.lazyProduct(weights.value)) < 1e-14);
  }
}

TEST_CASE("rounds without a mean change are one step of linear servers") {
  Random random(12);
  for (const auto& server : servers) {
    const ServerRule& rule = server.rule;
    if (rule.coordinate_wise()) continue;
    CAPTURE(server.name);
    Track track(rule, Matrix<double>::Zero(6, 1));
    for (int k = 0; k < 5; ++k) {
      step(track, k, random.matrix(6, 1), 6);
      track.commit();
    }
    const Matrix<double> x = track.value;
    const Matrix<double> v = track.velocity.size() ? track.velocity : Matrix<double>::Zero(6, 1);
    for (int k = 5; k < 60; ++k) {
      const Idle idle = rule.idle(5, k);
      CHECK(relative_error(track.value, idle.x_kept * x + idle.x_moved * v) < 1e-13);
      if (track.velocity.size()) CHECK(relative_error(track.velocity, idle.v_kept * v) < 1e-13);
      step(track, k, Matrix<double>::Zero(6, 1), 6);
      track.commit();
    }
  }
}

TEST_CASE("a server is found by its name, with parameters that are set by theirs") {
  for (const auto& server : servers) {
    CAPTURE(server.name);
    const ServerRule& rule = server.rule;
    std::visit(
        [&]<class Own>(const Own&) {
          const ServerRule found = ServerRule::named(Own::name);
          CHECK(std::holds_alternative<Own>(found.server));
        },
        rule.server);
    CHECK(rule.factor().has_value() == (server.name == "average" || server.name == "sgd"));
  }
  ServerRule rule = ServerRule::named("sgd");
  std::string names;
  rule.visit([&]<class Value>(const std::string& name, Value& value, auto...) {
    names += name + " ";
    value = static_cast<Value>(name == "lr" ? 0.5 : 0);
  });
  CHECK(names == "lr momentum nesterov ");
  CHECK(rule.factor() == 0.5);
  CHECK_THROWS_WITH_AS(ServerRule::named("sgdm"), "server: no server named 'sgdm'",
                       std::invalid_argument);
}
