"""Where constant steps come to rest, as predicted and as runs do."""

import numpy as np
import pytest

import localgd as lg
from localgd.errors import UnsupportedError


def problem(loss, sparse=False, seed=0, **options):
    rng = np.random.default_rng(seed)
    sizes, d = [3, 12, 7, 20], 10
    X = rng.standard_normal((sum(sizes), d)) * (rng.random((sum(sizes), d)) < 0.6)
    X += np.repeat(rng.standard_normal((4, d)), sizes, axis=0)
    if loss == "squared":
        y, task = X @ rng.standard_normal(d) + rng.standard_normal(len(X)), "regression"
    else:
        y, task = rng.choice([-1, 1], len(X)), "binary"
    if sparse:
        from scipy.sparse import csr_array

        X = csr_array(X)
    return lg.Problem.from_arrays(X, y, np.repeat(range(4), sizes), task=task, **options)


METHODS = [
    lg.LocalGD(local_steps=8, lr=0.04),
    lg.LocalGD(local_steps=(1, 8, 3, 20), lr=0.04),
    lg.LocalGD(local_steps=(1, 8, 3, 20), lr=0.04, fednova=False),
    lg.FedProx(local_steps=8, lr=0.04, mu=0.5),
    lg.LocalGD(local_steps=8, lr=0.04, server=lg.ServerSGD(lr=0.7, momentum=0.5)),
]


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("sparse", [False, True])
def test_exact_for_the_squared_loss(method, sparse):
    weighted = np.random.default_rng(1).random(42) + 0.2
    given = problem("squared", sparse, sample_weight=weighted)
    best = lg.reference.minimizer(given, loss="squared", l2=0.1)
    found = lg.analysis.local_offset(given, method, best)
    run = lg.run(given, method, rounds=5000, loss="squared", l2=0.1, reference=best)
    np.testing.assert_allclose(found.weights, run.weights, rtol=0, atol=1e-11)
    for name in ("distance", "suboptimality", "grad_norm"):
        assert getattr(found, name) == pytest.approx(run.history[name][-1], rel=1e-8)
    assert found.distance > 1e-3


@pytest.mark.parametrize("loss", ["logistic", "exponential"])
def test_near_for_small_steps(loss):
    """Off by another factor of the offset: halved steps, halved error."""
    given = problem(loss)
    best = lg.reference.minimizer(given, loss=loss, l2=0.1)
    errors = []
    for lr in (0.02, 0.01):
        method = lg.LocalGD(local_steps=5, lr=lr)
        found = lg.analysis.local_offset(given, method, best)
        run = lg.run(given, method, rounds=40_000, loss=loss, l2=0.1, reference=best)
        errors.append(abs(found.grad_norm / run.history["grad_norm"][-1] - 1))
    assert errors[1] < 0.6 * errors[0] < 0.1


def test_none_for_gradient_descent_and_large_models():
    given = problem("logistic")
    best = lg.reference.minimizer(given, loss="logistic", l2=0.1)
    assert lg.analysis.local_offset(given, lg.GD("1/H"), best).distance < 1e-12
    rng = np.random.default_rng(2)
    wide = lg.Problem.from_arrays(
        rng.standard_normal((30, 2500)) / 50, rng.choice([-1, 1], 30), np.arange(30) % 3
    )
    best = lg.reference.minimizer(wide, loss="logistic", l2=0.1)
    method = lg.LocalGD(local_steps=20, lr=0.5)
    found = lg.analysis.local_offset(wide, method, best)
    run = lg.run(wide, method, rounds=500, loss="logistic", l2=0.1, reference=best)
    assert found.distance == pytest.approx(run.history["distance"][-1], rel=0.05)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (lg.Scaffold(3, 0.1), "method: got"),
        (lg.LocalSGD(local_steps=3, lr=0.1, batch_size=2), "method: got"),
        (lg.LocalGD(3, 0.1, participation=2), "method: got"),
        (lg.LocalGD(3, lg.Polynomial(0.1, 0.5)), "lr: got"),
        (lg.LocalGD(3, 100.0), "lr: got 100, with which steps along curvature"),
    ],
)
def test_what_has_no_fixed_point_of_its_own_is_refused(method, message):
    given = problem("logistic")
    best = lg.reference.minimizer(given, loss="logistic", l2=0.1)
    with pytest.raises(UnsupportedError, match=message):
        lg.analysis.local_offset(given, method, best)


def test_a_minimum_is_wanted():
    given = problem("logistic")
    with pytest.raises(TypeError, match=r"minimum: got ndarray; want the result of reference"):
        lg.analysis.local_offset(given, lg.GD(0.1), np.zeros(10))
