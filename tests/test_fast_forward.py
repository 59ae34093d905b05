"""fast_forward against rounds taken one by one: deviation, error estimate, columns."""

from __future__ import annotations

import numpy as np
import pytest

import localgd as lg

SMALL = {"n_clients": 5, "n_samples": 10, "n_features": 100}
WEIGHTS = {"equal": "equal", "given": [1.0, 2.0, 3.0, 4.0, 0.5]}
ROUNDS = 20_000
START = np.random.default_rng(5).standard_normal(100)
SGD = lg.ServerSGD(lr=0.7)
MOMENTUM = lg.ServerSGD(lr=0.7, momentum=0.5)
NESTEROV = lg.ServerSGD(lr=0.7, momentum=0.9, nesterov=True)
METHODS = {
    "gd": lg.GD(lr=1.0),
    "local, L = 1": lg.LocalGD(1, 1.0),
    "local, L = 10": lg.LocalGD(10, 1.0),
    "local, L = 100": lg.LocalGD(100, 1.0),
    "modified, L = 1": lg.ModifiedLocalGD(1, 1.0),
    "modified, L = 10": lg.ModifiedLocalGD(10, 1.0),
    "modified, L = 100": lg.ModifiedLocalGD(100, 1.0),
    "prox, L = 10": lg.FedProx(10, 1.0, 0.1),
    "prox, anchored": lg.FedProx(10, 1.0, 0.1, server=lg.Anchored()),
    "align": lg.GradAlign(1.0, 0.3),
    "align, momentum": lg.GradAlign(1.0, 0.3, server=MOMENTUM),
    "fedga": lg.FedGA(10, 1.0, 0.3),
    "fedga, unequal": lg.FedGA((1, 5, 10, 20, 3), 1.0, 0.3),
    "scaffold": lg.Scaffold(10, 1.0),
    "scaffold, anchored": lg.Scaffold(10, 1.0, server=lg.Anchored()),
    "scaffold, unequal": lg.Scaffold((1, 5, 10, 20, 3), 1.0),
    "rate": lg.LocalGD(10, 1.0, server=SGD),
    "momentum": lg.LocalGD(10, 1.0, server=MOMENTUM),
    "nesterov": lg.LocalGD(10, 1.0, server=NESTEROV),
    "polynomial": lg.LocalGD(10, lg.Polynomial(1.0, 0.5)),
    "polynomial 1": lg.LocalGD(10, lg.Polynomial(1.0, 1.0)),
    "two stages": lg.LocalGD(10, lg.TwoStage(0.1, 2.0, 500)),
    "preset": lg.LocalGD(10, "1/(LH)"),
    "unequal": lg.LocalGD((1, 5, 10, 20, 3), 1.0),
    "unequal, plain": lg.LocalGD((1, 5, 10, 20, 3), 1.0, fednova=False),
}


def gaps(far, near) -> np.ndarray:
    """‖w - w_exact‖/‖w_exact‖ of every record."""
    np.testing.assert_array_equal(far.history["round"], near.history["round"])
    axes = tuple(range(1, near.recorded_weights.ndim))
    square = ((far.recorded_weights - near.recorded_weights) ** 2).sum(axis=axes)
    norm = (near.recorded_weights**2).sum(axis=axes)
    return np.sqrt(square / np.where(norm > 0, norm, 1.0))


def both(problem, method, rounds=ROUNDS, **options):
    far = lg.fast_forward(problem, method, rounds=rounds, keep_weights=True, threads=1, **options)
    near = lg.run(
        problem,
        method,
        rounds=rounds,
        keep_weights=True,
        threads=1,
        engine="gram",
        every_step=True,
        **options,
    )
    return far, near


def assert_holds(far, near, tolerance=1e-7) -> None:
    """Close, with an estimate that bounds the error in 95 % of the records, and within 3 times."""
    gap, error = gaps(far, near), far.history["error"]
    flow = error > 0
    assert flow.any()
    assert gap[~flow].max() < 1e-12  # exact rounds
    assert gap.max() <= tolerance
    assert (gap[flow] <= error[flow]).mean() >= 0.95
    assert (gap[flow] <= 3 * error[flow]).all()
    assert error.max() < 30 * tolerance


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
@pytest.mark.parametrize("name", METHODS)
def test_it_agrees_with_rounds_one_by_one(name, loss):
    weights = WEIGHTS["given" if loss == "logistic" else "equal"]
    problem = lg.datasets.make_separable(**SMALL, seed=0, weights=weights)
    assert_holds(*both(problem, METHODS[name], loss=loss))


def test_a_large_rate_that_settles():
    """Its unstable rounds amplify rounding errors, and the error says so."""
    problem = lg.datasets.make_separable(n_clients=4, n_samples=40, n_features=30, seed=3)
    method = lg.LocalGD(10, 1e4)
    far, near = both(problem, method, loss="logistic")
    assert near.history["loss"][1] > 4 * near.history["loss"][0]  # unstable at first
    assert gaps(far, near).max() < 1e-7  # by the rounding errors of the same engine
    options = {"rounds": ROUNDS, "loss": "logistic", "keep_weights": True, "threads": 1}
    other = lg.run(problem, method, engine="primal", every_step=True, **options)
    gap = gaps(far, other)
    assert gap.max() > 1e-4
    assert (gap <= np.maximum(far.history["error"], 1e-11)).all()


@pytest.mark.parametrize("name", ["local, L = 10", "modified, L = 10", "scaffold", "momentum"])
def test_from_another_start(name):
    problem = lg.datasets.make_separable(**SMALL, seed=3, weights=WEIGHTS["given"])
    assert_holds(*both(problem, METHODS[name], loss="exponential", init=START))


@pytest.mark.parametrize("method", [lg.LocalGD(10, 1.0), lg.GradAlign(1.0, 0.3)], ids=repr)
def test_many_rows(method):
    problem = lg.datasets.make_separable(seed=0)  # M = 10, n = 50, d = 600
    assert_holds(*both(problem, method, rounds=3000, loss="logistic"))


def test_clients_of_different_sizes():
    problem = lg.datasets.make_separable(
        n_clients=3, n_samples=[4, 10, 25], n_features=60, seed=3, weights="samples"
    )
    assert_holds(*both(problem, lg.LocalGD(10, 1.0), loss="exponential"))


def test_a_client_of_weight_zero_and_kernels():
    problem = lg.datasets.make_separable(
        n_clients=3, n_samples=5, n_features=30, weights=[1, 0, 2], seed=0
    )
    far, near = both(problem, lg.LocalGD(5, 1.0), loss="logistic")
    assert_holds(far, near)
    Z = problem.signed_rows
    kernel = lg.Problem.from_gram(
        Z @ Z.T, np.ones(15), np.repeat(np.arange(3), 5), weights=[1, 0, 2]
    )
    other = lg.fast_forward(kernel, lg.LocalGD(5, 1.0), rounds=ROUNDS, loss="logistic", threads=1)
    assert other.weights is None
    np.testing.assert_allclose(other.coefficients, far.coefficients, rtol=1e-7)


def test_classes():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 20))
    y = (X @ rng.standard_normal((20, 3))).argmax(axis=1)
    problem = lg.Problem.from_arrays(X, y, np.repeat(np.arange(3), 10), task="multiclass")
    far, near = both(problem, lg.LocalGD(5, 0.1))
    assert_holds(far, near)
    assert far.weights.shape == near.weights.shape == (20, 3)
    assert far.coefficients.shape == near.coefficients.shape


@pytest.mark.parametrize("rtol", [1e-4, 1e-6, 1e-10])
def test_what_is_asked_for_is_had(rtol):
    problem = lg.datasets.make_separable(**SMALL, seed=0)
    method, options = lg.LocalGD(10, 1.0), {"loss": "exponential", "keep_weights": True}
    far = lg.fast_forward(problem, method, rounds=ROUNDS, rtol=rtol, threads=1, **options)
    near = lg.run(problem, method, rounds=ROUNDS, threads=1, engine="gram", **options)
    assert_holds(far, near, tolerance=3 * rtol)


def test_columns_agree_with_those_of_run():
    problem = lg.datasets.make_separable(**SMALL, seed=0)
    best = lg.reference.max_margin(problem)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 100))
    further = {
        "reference": best,
        "asymptote": lg.reference.asymptote(problem, best),
        "test": (X, np.sign(X @ best.weights)),
        "measures": {"first": lambda w: w[0]},
        "loss": "exponential",
    }
    far, near = both(problem, lg.LocalGD(10, 1.0), **further)
    assert list(far.history) == [*near.history, "error"]
    for name, column in near.history.items():
        own, rtol = far.history[name], 1e-3 if name == "drift" else 1e-6
        np.testing.assert_allclose(own, column, rtol=rtol, atol=1e-9, err_msg=name)
    assert type(far) is type(near)
    assert far.config.keys() - near.config.keys() == {"fast_forward"}
    assert far.engine == "gram" and far.round == ROUNDS and far.status == "completed"


@pytest.mark.parametrize("method", [lg.LocalGD(1000, 1.0), lg.Scaffold(300, 1.0)], ids=repr)
def test_many_local_steps_are_extrapolated_from_few(method):
    problem = lg.datasets.make_separable(**SMALL, seed=0)
    far, near = both(problem, method, rounds=1000, loss="exponential")
    assert_holds(far, near)
    assert "extrapolated from at most" in far.config["fast_forward"]["local_steps"]
    late = near.history["round"] > 300
    drift = near.history["drift"][late]
    np.testing.assert_allclose(far.history["drift"][late], drift, rtol=1e-3)


def test_a_hundred_thousand_local_steps():
    problem = lg.datasets.make_separable(n_clients=2, n_samples=2, n_features=10, seed=0)
    fewer, more = (
        lg.fast_forward(problem, lg.LocalGD(L, 1.0), rounds=1e50, loss="exponential", threads=1)
        for L in (10**4, 10**5)
    )
    # Ten times the steps are ten times the time, but for what the first rounds leave.
    best = lg.reference.max_margin(problem)
    ahead = (more.weights - fewer.weights) @ best.weights / (best.weights @ best.weights)
    assert ahead == pytest.approx(np.log(10), abs=0.02)


def test_steps_that_few_cannot_stand_for_are_taken():
    problem = lg.datasets.make_separable(**SMALL, seed=0)
    far, near = both(problem, lg.FedProx(300, 1.0, 0.5), rounds=1000, loss="exponential")
    assert_holds(far, near)
    taken = far.config["fast_forward"]["local_steps"]
    assert taken.startswith("all of them in") and "at most 0 in 0" in taken


def test_verify_reports_the_deviation():
    problem = lg.datasets.make_separable(**SMALL, seed=0)
    far = lg.fast_forward(problem, lg.GD(lr=1.0), rounds=1e9, verify=5000, threads=1)
    gap, k = far.history["deviation"], far.history["round"]
    np.testing.assert_array_equal(np.isnan(gap), k > 5000)
    near = gap[k <= 5000]
    assert 0 < near.max() < 1e-7 and (near[k[k <= 5000] <= 256] < 1e-12).all()
    usual = lg.fast_forward(problem, lg.GD(lr=1.0), rounds=2e4, verify=True, threads=1)
    assert np.isnan(usual.history["deviation"][usual.history["round"] > 10_000]).all()
