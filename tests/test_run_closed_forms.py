"""Runs whose answer is known without simulating them."""

import numpy as np
import oracle
import pytest
import registry

import localgd as lg


@pytest.mark.parametrize("engine", registry.ENGINES)
def test_squared_loss_is_an_affine_map(engine):
    """``w_R = w* + A^R (w_0 - w*)`` with w* its fixed point."""
    rows, p, lr, rounds = registry.clients("squared"), [0.2, 0.5, 0.3], 0.4, 137
    w0 = np.array([1.0, -1.0, 2.0, 0.0, 3.0])
    A, b = oracle.affine_round(rows, p, lr=lr, local_steps=6)
    fixed = np.linalg.solve(np.eye(5) - A, b)
    run = lg.run(
        lg.Problem(rows, weights=p),
        lg.LocalGD(local_steps=6, lr=lr),
        rounds=rounds,
        loss="squared",
        init=w0,
        engine=engine,
    )
    expected = fixed + np.linalg.matrix_power(A, rounds) @ (w0 - fixed)
    np.testing.assert_allclose(run.weights, expected, rtol=1e-11)


@pytest.mark.parametrize("engine", registry.ENGINES)
def test_squared_loss_of_one_row(engine):
    """``x·w_k - y = (1 - η‖x‖²)^(L k) (x·w_0 - y)``."""
    x, y, w0 = np.array([0.6, -0.3, 0.2]), 2.5, np.array([1.0, 0.5, -2.0])
    run = lg.run(
        lg.Problem([(x[None], [y])]),
        lg.LocalGD(local_steps=3, lr=0.1),
        rounds=40,
        loss="squared",
        init=w0,
        engine=engine,
    )
    residual = (1 - 0.1 * (x @ x)) ** 120 * (x @ w0 - y)
    assert x @ run.weights - y == pytest.approx(residual, rel=1e-12)
    assert run.history["loss"][-1] == pytest.approx(residual**2 / 2, rel=1e-12)
    np.testing.assert_allclose(run.weights, w0 + x * (y + residual - x @ w0) / (x @ x), rtol=1e-12)
    assert run.history["drift"][-1] == 0


@pytest.mark.parametrize("engine", registry.ENGINES)
@pytest.mark.parametrize(
    ("loss", "minus_derivative"),
    [("exponential", lambda m: np.exp(-m)), ("logistic", lambda m: 1 / (1 + np.exp(m)))],
)
def test_margin_of_one_row_follows_a_scalar_recursion(engine, loss, minus_derivative):
    """``m ← m - η‖x‖² ℓ'(m)``, L·R times: averaging over one client changes nothing."""
    x, lr, m = np.array([0.5, 1.5]), 0.2, 0.0
    for _ in range(7 * 50):
        m += lr * (x @ x) * minus_derivative(m)
    run = lg.run(
        lg.Problem([(-x[None], [-1])]),
        lg.LocalGD(local_steps=7, lr=lr),
        rounds=50,
        loss=loss,
        engine=engine,
    )
    np.testing.assert_allclose(run.weights, m * x / (x @ x), rtol=1e-12)
    assert run.history["margin"][-1] == pytest.approx(np.linalg.norm(x), rel=1e-14)
    assert run.history["norm"][-1] == pytest.approx(m / np.linalg.norm(x), rel=1e-12)


@pytest.mark.parametrize("local_steps", [1, 20])
@pytest.mark.parametrize("engine", registry.ENGINES)
def test_squared_loss_reaches_the_nearest_interpolant(engine, local_steps):
    """``w_k → w_0 + X⁺ (y - X w_0)`` for d > N, whatever L."""
    rng = np.random.default_rng(2)
    X, y, w0 = rng.standard_normal((8, 40)) / 6, rng.standard_normal(8), rng.standard_normal(40)
    problem = lg.Problem.from_arrays(X, y, [0, 0, 0, 1, 1, 2, 2, 2], weights=[0.2, 0.5, 0.3])
    run = lg.run(
        problem,
        lg.LocalGD(local_steps=local_steps, lr=0.5),
        rounds=3000,
        loss="squared",
        init=w0,
        engine=engine,
    )
    expected = w0 + np.linalg.pinv(X) @ (y - X @ w0)
    np.testing.assert_allclose(run.weights, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("engine", registry.ENGINES)
def test_drift_of_opposite_clients(engine):
    """Two clients that pull w ∈ R to +1 and -1 with one step each: w_{k,i} = ±η, average 0."""
    problem = lg.Problem([([[1.0]], [1.0]), ([[1.0]], [-1.0])], task="regression")
    run = lg.run(problem, lg.GD(lr=0.25), rounds=1, loss="squared", engine=engine)
    assert run.weights[0] == 0
    assert run.history["drift"].tolist()[1:] == [0.25**2]
    assert run.history["loss"].tolist() == [0.5, 0.5]
