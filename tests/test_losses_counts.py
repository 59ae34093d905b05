"""The Poisson loss, of counts."""

import math

import numpy as np
import pytest
import registry

import localgd as lg
from localgd._backend import core


def counts(n=80, d=4, seed=7):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) / np.sqrt(d)
    y = rng.poisson(np.exp(X @ rng.standard_normal(d) + 0.5)).astype(float)
    rows, clients = np.column_stack([X, np.ones(n)]), np.arange(n) % 3
    return lg.Problem.from_arrays(rows, y, clients, task="regression")


@pytest.mark.parametrize("l2", [0.0, 1e-6, 0.1])
def test_minimisers_are_those_of_scikit_learn(l2):
    linear = pytest.importorskip("sklearn.linear_model")
    problem = counts()
    best = lg.reference.minimizer(problem, loss="poisson", l2=l2)
    model = linear.PoissonRegressor(alpha=l2, fit_intercept=False, solver="newton-cholesky")
    model.set_params(tol=1e-12, max_iter=1000).fit(problem.X, problem.y)
    np.testing.assert_allclose(best.weights, model.coef_, rtol=1e-9)
    assert best.relative_gradient < 1e-14
    assert best.margin_error < 1e-9


@pytest.mark.parametrize(("engine", "dtype"), registry.engine_cases())
def test_runs_reach_the_minimiser_and_predict_means(engine, dtype):
    problem = counts()
    best = lg.reference.minimizer(problem, loss="poisson", l2=0.01)
    method, options = lg.Scaffold(5, 0.1), {"loss": "poisson", "l2": 0.01, "reference": best}
    run = lg.run(problem, method, rounds=1500, engine=engine, dtype=dtype, **options)
    assert run.history["distance"][-1] < {"float64": 1e-12, "float32": 1e-5}[dtype]
    assert run.predict(problem.X).mean() == pytest.approx(problem.y.mean(), rel=0.05)
    np.testing.assert_allclose(run.predict(problem.X), np.exp(problem.X @ run.weights))


def exact_steps(problem, w, lr, steps):
    """Of one client, in extended precision."""
    X, w = problem.X.astype(np.longdouble), w.astype(np.longdouble)
    for _ in range(steps):
        w = w - lr * X.T @ (np.exp(X @ w) - problem.y) / len(X)
    return w.astype(float)


@pytest.mark.parametrize("engine", registry.ENGINES)
@pytest.mark.parametrize("lr", [1e-5, 1e-4, 0.1])
def test_extrapolated_steps_are_those_one_by_one(engine, lr):
    problem = counts(40, 50)
    problem = lg.Problem([(problem.X, problem.y)], task="regression")
    start = np.linspace(-0.1, 0.1, problem.n_features)
    options = {"loss": "poisson", "engine": engine, "init": start}
    run = lg.run(problem, lg.LocalGD(local_steps=200, lr=lr), rounds=3, **options)
    wanted = exact_steps(problem, start, lr, 600)
    np.testing.assert_allclose(run.weights, wanted, rtol=1e-10, atol=1e-13)
    assert (run.shortened > 0) == (lr < 1e-3)


@pytest.mark.parametrize("engine", registry.ENGINES)
def test_margins_may_move_far_within_a_round(engine):
    """From a mean of e^-30 to one of some thousands: by no short polynomial."""
    problem = lg.Problem([([[1.0, 0.0], [0.0, 1.0]], [2000.0, 0.0])], task="regression")
    init = np.array([-30.0, -800.0])
    options = {"loss": "poisson", "engine": engine, "init": init}
    run = lg.run(problem, lg.LocalGD(local_steps=100, lr=1e-3), rounds=20, **options)
    assert run.weights[0] == pytest.approx(math.log(2000), rel=1e-9)
    assert run.weights[1] == -800.0
    assert run.history["loss"][-1] == pytest.approx((2000 - 2000 * math.log(2000)) / 2, rel=1e-9)


def test_a_run_of_too_large_a_rate_says_which_margins_overflow():
    problem = counts()
    with pytest.warns(RuntimeWarning, match=r"a margin above 709\); use a smaller lr"):
        run = lg.run(problem, lg.GD(1e4), rounds=50, loss="poisson")
    assert run.status == "diverged"


@pytest.mark.parametrize("lr", ["1/H", "1/(LH)"])
def test_it_has_no_smoothness(lr):
    message = "loss: got 'poisson', whose second derivative has no bound; want a learning rate as a"
    with pytest.raises(lg.UnsupportedError, match=message):
        lg.run(counts(), lg.LocalGD(5, lr), rounds=5, loss="poisson")


def test_what_does_not_know_it_refuses_it():
    problem = counts()
    with pytest.raises(lg.UnsupportedError, match=r"loss .poisson. rounds approach .* geometrical"):
        lg.fast_forward(problem, lg.GD(0.1), rounds=1e9, loss="poisson")
    with pytest.raises(lg.UnsupportedError, match="loss: got 'poisson', which the exact local so"):
        lg.run(problem, lg.LocalSolve(), rounds=1, loss="poisson")


def test_targets_below_0_are_refused():
    problem = lg.Problem([([[1.0]], [-0.5])])
    for call in (
        lambda: lg.run(problem, lg.GD(0.1), rounds=1, loss="poisson"),
        lambda: lg.reference.minimizer(problem, loss="poisson"),
    ):
        with pytest.raises(
            ValueError, match=r"loss: 'poisson' wants targets of at least 0; got -0.5"
        ):
            call()


def test_rows_without_a_minimiser_are_refused():
    problem = lg.Problem([([[1.0], [2.0]], [0.0, 0.0])], task="regression")  # the mean falls to 0
    with pytest.raises(ValueError, match="no minimiser of the poisson loss was found"):
        lg.reference.minimizer(problem, loss="poisson")


def test_a_mean_of_0_costs_nothing_without_counts():
    values, slopes = core.loss_of_rows("poisson", np.array([-np.inf, 0.0]), np.array([0.0, 3.0]))
    assert values.tolist() == [0.0, 1.0] and slopes.ravel().tolist() == [0.0, -2.0]
