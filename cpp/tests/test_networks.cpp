// Networks: both forms of local steps agree, steps follow the gradient of the recorded loss, and
// bits depend neither on threads nor on restarts. The formulas themselves are held against NumPy in
// tests/test_networks.py.
#include "core/network/activations.hpp"
#include "core/network/kernels.hpp"
#include "core/network/simulation.hpp"
#include "problems.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

constexpr std::int64_t local_steps = 4;
constexpr int rounds = 6;

std::vector<std::string> activations() {
  std::vector<std::string> names;
  Activations::for_each([&](auto activation) { names.emplace_back(activation.name); });
  return names;
}

struct NetworkCase {
  const MethodCase& method;
  const LossCase& loss;
  std::string activation;
  Index hidden;
  bool single;

  Network network(const std::string& form) const {
    Network network;
    network.hidden = hidden;
    network.outputs = loss.outputs;
    network.activation = activation;
    network.form = form;
    return network;
  }
  Matrix<double> start(const Problem& p) const {
    Random random(4);
    return 0.5 * random.matrix(network("auto").parameters(p.rows.cols()), 1);
  }
  NetworkSimulation simulation(const Problem& p, const Data& data, const std::string& form,
                               int threads) const {
    Rules r = rules(method, p.clients(), local_steps);
    RunOptions run{{start(p), r.server, r.local.prox, r.local.l2}, {0, 3, rounds}};
    return {data, run, {network(form), loss.name, single, std::move(r.local)}, threads};
  }
};

template <class Body>
void for_each_network(Body&& body) {
  for (const auto& method : methods) {
    if (rules(method, 1, 1).local.solve) continue;
    for (const auto& loss : losses)
      for (const auto& activation : activations())
        for (const bool single : {false, true}) {
          const NetworkCase c{method, loss, activation, 5, single};
          const std::string name = method.name + ", " + loss.name + ", " + activation;
          CAPTURE(name);
          CAPTURE(single);
          body(c);
        }
  }
}

// The same where lambda leaves the last row of W alone, of methods with one.
template <class Body>
void with_and_without_free_bias(const MethodCase& method, Problem p, Body&& body) {
  for (const bool free : {false, true}) {
    if (free && !method.name.starts_with("l2")) continue;
    CAPTURE(free);
    p.free_intercept = free;
    body(p);
  }
}

Inputs inputs(const Problem& p) { return Inputs(p, rounds, true, 0.02); }

Vector<double> everything(NetworkSimulation& simulation) {
  std::vector<Vector<double>> parts{simulation.engine().parameters().reshaped()};
  for (const auto& [name, values] : simulation.engine().save()) parts.push_back(values.reshaped());
  const History& h = simulation.history();
  for (const auto* column :
       {&h.loss, &h.norm, &h.drift, &h.grad_norm, &h.grad_variance, &h.grad_dissimilarity})
    parts.push_back(VectorView<double>(column->data() + column->size() - 1, 1));
  return joined(parts);
}

const std::vector<Index> sizes{1, 7, 3, 12};

}  // namespace

TEST_CASE("local steps of networks in the span of the rows and in the weights agree") {
  const Problem plain = with_row_weights(make_problem(sizes, 9));
  const Inputs in = inputs(plain);
  for_each_network([&](const NetworkCase& c) {
    with_and_without_free_bias(c.method, plain, [&](const Problem& p) {
      const Data data = p.data(c.loss);
      NetworkSimulation span = c.simulation(p, data, "span", 1),
                        weights = c.simulation(p, data, "weights", 1);
      REQUIRE(span.engine().in_span() == p.clients());
      REQUIRE(weights.engine().in_span() == 0);
      REQUIRE(span.advance(rounds, in.plans(0, rounds), nullptr) == Status::completed);
      REQUIRE(weights.advance(rounds, in.plans(0, rounds), nullptr) == Status::completed);
      CHECK(relative_error(everything(span), everything(weights)) < (c.single ? 1e-3 : 1e-11));
    });
  });
}

TEST_CASE("a step of a network follows the gradient of the loss that is recorded") {
  Problem p = make_problem(sizes, 4);
  const Plans plans = plain_plans(p, 1e-3);
  const MethodCase once{"gd", [](LocalRule& local, ServerRule&) {
                          local.steps.assign(local.steps.size(), 1);
                          local.l2 = 0.1;
                        }};
  for (const auto& loss : losses)
    for (const auto& activation : activations()) {
      CAPTURE(loss.name);
      CAPTURE(activation);
      p.free_intercept = !p.free_intercept;
      const NetworkCase c{once, loss, activation, 3, false};
      const Data data = p.data(loss);
      NetworkSimulation simulation = c.simulation(p, data, "auto", 1);
      simulation.advance(1, plans, nullptr);
      const Matrix<double> theta = c.start(p),
                           gradient = (theta - simulation.engine().parameters()) / 1e-3;
      const auto loss_at = [&](const Matrix<double>& at) {
        Rules r = rules(c.method, p.clients(), 1);
        NetworkSimulation there(data, {{at, r.server, 0, r.local.l2}, {0}},
                                {c.network("auto"), loss.name, false, std::move(r.local)}, 1);
        there.advance(0, plans, nullptr);
        return there.history().loss.front();
      };
      for (Index k = 0; k < theta.rows(); k += 2) {
        Matrix<double> above = theta, below = theta;
        above(k) += 1e-6, below(k) -= 1e-6;
        const double slope = (loss_at(above) - loss_at(below)) / 2e-6;
        CHECK(gradient(k) == doctest::Approx(slope).epsilon(1e-5).scale(1 + gradient.norm()));
      }
    }
}

TEST_CASE("networks have the same bits for any number of threads and after a restart") {
  for (const Shape& shape : {Shape{{17, 2, 5, 40}, 6}, Shape{{3, 1, 9}, 70}}) {
    const Problem plain = make_problem(shape.sizes, shape.features);
    const Inputs in = inputs(plain);
    for (const auto& method : methods) {
      if (rules(method, 1, 1).local.solve) continue;
      CAPTURE(method.name);
      with_and_without_free_bias(method, plain, [&](const Problem& p) {
        for (const bool single : {false, true}) {
          const NetworkCase c{method, losses.back(), "relu", 70, single};
          const Data data = p.data(c.loss);
          NetworkSimulation one = c.simulation(p, data, "auto", 1),
                            three = c.simulation(p, data, "auto", 3),
                            first = c.simulation(p, data, "auto", 1),
                            second = c.simulation(p, data, "auto", 2);
          for (NetworkSimulation* s : {&one, &three})
            REQUIRE(s->advance(rounds, in.plans(0, rounds), nullptr) == Status::completed);
          first.advance(3, in.plans(0, 3), nullptr);
          second.engine().load(first.engine().save());
          second.resume(3, first.participations(), first.drift());
          REQUIRE(second.advance(rounds, in.plans(3, rounds), nullptr) == Status::completed);
          CHECK(same_bits(everything(one), everything(three)));
          CHECK(same_bits(everything(one), everything(second)));
        }
      });
    }
  }
}

TEST_CASE_TEMPLATE("products with panels", Real, float, double) {
  Random random(2);
  for (const Index rows : {1, 5, 6, 13})
    for (const Index depth : {0, 1, 128, 300})
      for (Index width = lanes<Real>; width <= panel_width<Real>; width += lanes<Real>)
        for (const double keep : {0.0, 1.0, 0.5}) {
          const Matrix<Real> a = random.matrix(rows, depth).cast<Real>();
          const RowMatrix<Real> b = random.matrix(depth, width).cast<Real>(),
                                shift = random.matrix(rows, width).cast<Real>(),
                                before = random.matrix(rows, width).cast<Real>();
          const RowMatrix<Real> by_rows = a;
          const Matrix<double> want = keep * before.template cast<double>() +
                                      0.25 * a.template cast<double>() * b.template cast<double>() +
                                      shift.template cast<double>();
          for (const Stored stored : {Stored::by_rows, Stored::by_columns}) {
            RowMatrix<Real> c = before;
            const bool rowwise = stored == Stored::by_rows;
            NetworkKernels<Real>::multiply(
                stored,
                {rows, depth, width, rowwise ? by_rows.data() : a.data(), rowwise ? depth : rows,
                 b.data(), Real(0.25), static_cast<Real>(keep), shift.data(), c.data()});
            CHECK(relative_error(c.template cast<double>(), want) <
                  10 * static_cast<double>(std::numeric_limits<Real>::epsilon()));
          }
        }
}

TEST_CASE_TEMPLATE("activations", Real, float, double) {
  const double rounding = 4 * static_cast<double>(std::numeric_limits<Real>::epsilon());
  Activations::for_each([&]<class Activation>(Activation) {
    for (long double p = -60; p < 60; p += 0.0137L) {
      const auto x = static_cast<Real>(p * p * p / 4000);  // many small ones
      const long double at = x,
                        exact = Activation::name == "tanh"       ? std::tanh(at)
                                : Activation::name == "softplus" ? std::log1p(std::exp(at))
                                : Activation::name == "quadratic"
                                    ? at * at
                                    : std::max(at, at * (Activation::name == "relu" ? 0.0L
                                                                                    : Real(0.01)));
      CHECK(std::abs(static_cast<long double>(Activation::value(x)) - exact) <=
            rounding * std::abs(exact));
    }
    CHECK(std::isnan(Activation::value(std::numeric_limits<Real>::quiet_NaN())));
  });
}

TEST_CASE("networks that do not fit are refused") {
  const Problem p = make_problem(sizes, 3);
  const Data data = p.data(losses.front());
  const NetworkCase c{methods.front(), losses.front(), "relu", 2, false};
  const auto make = [&](auto&& change) {
    NetworkOptions options{c.network("auto"), "logistic", false,
                           rules(c.method, p.clients(), 2).local};
    RunRule run{c.start(p)};
    change(options, run);
    return make_network_engine(data, run, options);
  };
  CHECK_NOTHROW(make([](NetworkOptions&, RunRule&) {}));
  const auto refuses = [&](auto&& change) { CHECK_THROWS_AS(make(change), std::invalid_argument); };
  refuses([](NetworkOptions& o, RunRule&) { o.network.activation = "sine"; });
  refuses([](NetworkOptions& o, RunRule&) { o.network.hidden = 0; });
  refuses([](NetworkOptions& o, RunRule&) { o.network.hidden = 3; });
  refuses([](NetworkOptions& o, RunRule&) { o.network.first = o.network.second = false; });
  refuses([](NetworkOptions& o, RunRule&) { o.network.form = "gram"; });
  refuses([](NetworkOptions& o, RunRule&) { o.loss = "hinge"; });
  refuses([](NetworkOptions& o, RunRule&) { o.local.solve = true; });
  refuses([](NetworkOptions& o, RunRule&) { o.local.steps.pop_back(); });
  refuses([](NetworkOptions& o, RunRule&) { o.local.steps[0] = 0; });
  refuses([](NetworkOptions&, RunRule& run) { run.l2 = -1; });
  refuses([](NetworkOptions&, RunRule& run) { run.init.conservativeResize(3, 1); });
}
