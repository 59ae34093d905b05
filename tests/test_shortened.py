"""Local steps extrapolated from fewer: the same run as with every step, to rounding."""

from __future__ import annotations

import numpy as np
import pytest

import localgd as lg

METHODS = {
    "LocalGD": lg.LocalGD(100, 1.0),
    "FedProx": lg.FedProx(50, 1.0, mu=1e-4),
    "Scaffold": lg.Scaffold(50, 1.0),
    "FedGA": lg.FedGA(local_steps=30, lr=1.0, beta=0.1),
    "ModifiedLocalGD": lg.ModifiedLocalGD(200, 1.0),
    "steps per client": lg.LocalGD((20, 40, 100), 1.0),
}


FEW_STEPS = {
    "eight steps": lg.LocalGD(8, 1.0),
    "ten steps": lg.LocalGD(10, 1.0),
    "thirty steps": lg.LocalGD(30, 1.0),
    "FedProx, ten steps": lg.FedProx(10, 1.0, mu=0.01),
    "Scaffold, ten steps": lg.Scaffold(10, 1.0),
    "few steps per client": lg.LocalGD((9, 10, 12), 1.0),
}


@pytest.fixture(scope="module")
def problem():
    return lg.datasets.make_separable(n_clients=3, n_samples=7, n_features=40, seed=0)


def both(problem, method, **options):
    settings = {"rounds": 2000, "loss": "exponential", "threads": 1, **options}
    return lg.run(problem, method, **settings), lg.run(problem, method, every_step=True, **settings)


@pytest.mark.parametrize("engine", ["gram", "hybrid"])
@pytest.mark.parametrize("name", METHODS)
def test_the_run_is_that_of_every_step(problem, name, engine):
    short, every = both(problem, METHODS[name], engine=engine)
    assert 100 < short.shortened < 2000 and every.shortened == 0
    np.testing.assert_allclose(short.weights, every.weights, rtol=1e-11)
    for measure in ("loss", "margin", "drift", "grad_alignment"):
        np.testing.assert_allclose(
            short.history[measure], every.history[measure], rtol=1e-9, err_msg=measure
        )


@pytest.mark.parametrize("name", sorted({*METHODS, *FEW_STEPS} - {"FedGA"}))
def test_the_run_is_that_of_every_step_in_the_weights(problem, name):
    method = (METHODS | FEW_STEPS)[name]
    short, every = both(problem, method, engine="primal")
    assert 100 < short.shortened and every.shortened == 0
    np.testing.assert_allclose(short.weights, every.weights, rtol=1e-11)
    np.testing.assert_allclose(short.coefficients, every.coefficients, rtol=1e-10, atol=1e-14)
    for measure in ("loss", "margin", "drift", "grad_alignment"):
        np.testing.assert_allclose(
            short.history[measure], every.history[measure], rtol=1e-9, err_msg=measure
        )


@pytest.mark.parametrize("steps", [10, 100])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_large_clients_share_their_rows_among_the_threads(steps, dtype):
    n = {"float64": 700, "float32": 1400}[dtype]  # rows of more than 4 MB
    problem = lg.datasets.make_separable(n_clients=2, n_samples=n, n_features=800, seed=0)
    method = lg.LocalGD((steps, steps + 1), 1 / steps)
    settings = {"engine": "primal", "dtype": dtype, "rounds": 5}
    short, every = both(problem, method, **settings)
    assert short.shortened == 5
    tolerance = {"float64": 1e-13, "float32": 1e-5}[dtype]
    for kept in ("weights", "coefficients"):
        want = getattr(every, kept)
        error = np.linalg.norm(getattr(short, kept) - want) / np.linalg.norm(want)
        assert error < tolerance, kept
    for threads in (2, 3):
        again, _ = both(problem, method, **settings, threads=threads)
        np.testing.assert_array_equal(again.weights, short.weights)
        np.testing.assert_array_equal(again.coefficients, short.coefficients)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_that_two_orders_agree_by_accident_is_not_taken_for_accuracy(dtype):
    """One row moves far, and all that is known of its path are the first steps."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20_000, 32)) * rng.uniform(0.1, 1, (20_000, 1))
    problem = lg.Problem.from_arrays(X, np.ones(20_000), np.arange(20_000))
    settings = {"engine": "primal", "loss": "logistic", "rounds": 1, "dtype": dtype}
    short, every = both(problem, lg.LocalGD(5, 0.3), **settings)
    error = np.abs(short.coefficients - every.coefficients).max() * 20_000
    assert error < {"float64": 1e-14, "float32": 1e-6}[dtype]


@pytest.mark.parametrize(("engine", "steps"), [("gram", 100), ("primal", 100), ("primal", 10)])
@pytest.mark.parametrize("loss", ["logistic", "softmax", "squared"])
def test_other_losses(loss, engine, steps):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 50)) / 7
    y = {
        "logistic": np.sign(X[:, 0]),
        "softmax": np.arange(30) % 3,
        "squared": rng.standard_normal(30),
    }[loss]
    task = {"logistic": "binary", "softmax": "multiclass", "squared": "regression"}[loss]
    problem = lg.Problem.from_arrays(X, y, np.arange(30) % 4, task=task)
    lr = (0.1 if loss == "squared" else 50) / steps
    short, every = both(problem, lg.LocalGD(steps, lr), loss=loss, engine=engine)
    assert short.shortened > 0
    np.testing.assert_allclose(short.weights, every.weights, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("steps", [10, 100])
def test_float32(problem, steps):
    method = lg.LocalGD(steps, 1.0)
    short, every = both(problem, method, dtype="float32", engine="gram")
    exact = lg.run(problem, method, rounds=2000, loss="exponential", threads=1)
    assert short.shortened > every.shortened == 0
    error, of_every = (
        np.linalg.norm(run.weights - exact.weights) / np.linalg.norm(exact.weights)
        for run in (short, every)
    )
    assert error < max(2 * of_every, 1e-6)


@pytest.mark.parametrize("loss", ["logistic", "softmax"])
@pytest.mark.parametrize("n", [5, 8])
def test_late_in_a_run_the_error_is_relative_to_the_derivatives(n, loss):
    """Registers that the rows do not fill must not count: a logistic derivative of nothing is 1."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((n, 40)) / 6
    y = np.where(np.arange(n) % 2, 1.0, -1.0)
    start = 16 * np.linalg.pinv(X) @ y  # derivatives of 1e-7 or less
    task, w0 = "binary", start
    if loss == "softmax":
        task, w0, y = "multiclass", np.stack([-start, start], axis=1) / 2, (y > 0).astype(float)
    problem = lg.Problem([(X, y)], task=task)
    lr = 0.03 / 100 * n * np.exp(16)  # margins move by some hundredths in a round
    short, every = both(problem, lg.LocalGD(100, lr), loss=loss, engine="gram", rounds=3, init=w0)
    assert short.shortened == 3
    np.testing.assert_allclose(short.weights - w0, every.weights - w0, rtol=1e-11)


def test_a_batch_of_runs(problem):
    settings = {"grid": {"lr": np.geomspace(0.1, 1, 16).tolist()}, "rounds": 2000}
    method = lg.LocalGD(100, 1.0)
    short = lg.sweep(problem, method, engine="gram", **settings)
    every = lg.sweep(problem, method, engine="gram", every_step=True, **settings)
    for one, other in zip(short, every, strict=True):
        for measure in ("loss", "norm", "margin"):
            np.testing.assert_allclose(one.history[measure], other.history[measure], rtol=1e-10)
    norms = [entry.history["norm"][-1] for entry in short]
    assert any(a != b.history["norm"][-1] for a, b in zip(norms, every, strict=True))


def test_what_takes_every_step(problem):
    few_features = lg.datasets.make_separable(n_clients=3, n_samples=4, n_features=20, seed=0)
    for where, method, engine in (
        (problem, lg.LocalSGD(50, 0.1, 2), "gram"),
        (problem, lg.LocalSGD(50, 0.1, 2), "primal"),
        (problem, METHODS["FedGA"], "primal"),
        (few_features, lg.LocalGD(50, 1.0), "primal"),
    ):
        short, every = both(where, method, engine=engine, rounds=300)
        assert short.shortened == 0
        np.testing.assert_array_equal(short.weights, every.weights)


def test_it_is_kept_in_files(problem, tmp_path):
    settings = {"rounds": 2000, "loss": "exponential", "engine": "gram", "threads": 1}
    run = lg.run(problem, METHODS["LocalGD"], **settings)
    assert lg.load(run.save(tmp_path / "run.npz")).shortened == run.shortened
    file = tmp_path / "state.npz"
    lg.run(problem, METHODS["LocalGD"], **settings | {"rounds": 1500}, checkpoint=file)
    resumed = lg.run(problem, METHODS["LocalGD"], **settings, checkpoint=file)
    assert resumed.shortened == run.shortened
    np.testing.assert_array_equal(resumed.weights, run.weights)
    with pytest.raises(ValueError, match="every_step"):
        lg.run(problem, METHODS["LocalGD"], **settings, checkpoint=file, every_step=True)


@pytest.mark.parametrize("value", [1, None, "yes"])
def test_a_wrong_kind(problem, value):
    with pytest.raises(TypeError, match=r"every_step: got .*; want True or False"):
        lg.run(problem, METHODS["LocalGD"], rounds=1, every_step=value)


def test_a_wrong_kind_in_a_batch(problem):
    settings = {"grid": {"lr": np.geomspace(0.1, 1, 16).tolist()}, "rounds": 3}
    table = lg.sweep(problem, METHODS["LocalGD"], engine="gram", every_step="yes", **settings)
    failures = {(entry.status, entry.message) for entry in table}
    assert failures == {("failed", "every_step: got 'yes'; want True or False")}
