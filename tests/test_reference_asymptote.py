"""The limit of the residual: closed forms, exact runs, and what it predicts at long horizons."""

from __future__ import annotations

import dataclasses
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import localgd as lg


@pytest.fixture(scope="module")
def paper():
    """Seed 1 of the fixed separable data."""
    problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=1)
    ref = lg.reference.max_margin(problem)
    return problem, ref, lg.reference.asymptote(problem, ref)


def model_on_the_line(found, tau):
    """ŵ log τ + ρ_S."""
    return found.weights * math.log(tau) + found.rho


def test_orthogonal_rows():
    # ŵ = Σ z_j/‖z_j‖², α_j = 1/‖z_j‖², so ρ = Σ log(c_j ‖z_j‖²) z_j/‖z_j‖².
    lengths = np.array([1.0, 2.0, 0.5])
    p = np.array([0.2, 0.3, 0.5])
    clients = [(row[None], [1]) for row in np.diag(lengths)]
    found = lg.reference.asymptote(lg.Problem(clients, weights=p))
    np.testing.assert_allclose(found.rho, np.log(p * lengths**2) / lengths, rtol=1e-14)
    np.testing.assert_allclose(found.dual, lengths**-2, rtol=1e-14)
    np.testing.assert_allclose(found.offsets, np.log(p * lengths**2), rtol=1e-14)
    assert found.residual <= 1e-15 and len(found.degenerate) == 0


def test_equations_and_span(paper):
    problem, ref, found = paper
    S, c = found.support, problem.row_weights
    Z = problem.signed_rows
    np.testing.assert_array_equal(S, ref.support)
    np.testing.assert_allclose(Z[S] @ found.rho, np.log(c[S] / ref.dual[S]), atol=1e-11)
    np.testing.assert_allclose(found.offsets, np.log(c[S] / ref.dual[S]), atol=1e-11)
    inside = Z[S].T @ np.linalg.lstsq(Z[S].T, found.rho, rcond=None)[0]
    np.testing.assert_allclose(inside, found.rho, atol=1e-11)
    np.testing.assert_allclose(found.basis @ found.basis.T, np.eye(len(S)), atol=1e-13)
    np.testing.assert_allclose(found.dual, ref.dual, rtol=1e-9, atol=1e-12)
    assert found.residual <= 1e-12
    alone = lg.reference.asymptote(problem)
    np.testing.assert_array_equal(alone.rho, found.rho)


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_the_gradient_on_the_line_is_the_speed_of_the_line(paper, loss):
    # ∇f(ŵ log τ + ρ) = -ŵ/τ on the span of S, but for rows off the margin: less and less.
    problem, _, found = paper
    Z, c = problem.signed_rows, problem.row_weights
    off = []
    for tau in (1e20, 1e100, 1e290):
        m = Z @ model_on_the_line(found, tau)
        e = np.exp(-m) if loss == "exponential" else np.exp(-np.logaddexp(0, m))
        off.append(np.linalg.norm(tau * ((c * e) @ Z) - found.weights))
    assert off[0] > off[1] > off[2]
    assert off[2] <= 1e-3 * np.linalg.norm(found.weights)


@pytest.mark.parametrize("local_steps", [1, 10])
def test_exact_runs_come_near(paper, local_steps):
    problem, ref, found = paper
    distance = []
    for rounds in (1_000, 10_000, 100_000):
        run = lg.run(problem, lg.LocalGD(local_steps=local_steps, lr=1.0), rounds=rounds)
        distance.append(found.distance(lg.analysis.residual(problem, run, ref).rho))
    assert distance[0] == pytest.approx(0.2, abs=0.03)
    assert distance[0] > distance[1] > distance[2]


def test_client_weights_change_the_limit_as_a_run_shows():
    clients = [([[1.0, 0.0]], [1]), ([[1.0, 1.0], [0.0, 2.0]], [1, 1])]
    for p in ([0.5, 0.5], [0.9, 0.1]):
        problem = lg.Problem(clients, weights=p)
        found = lg.reference.asymptote(problem)
        run = lg.run(problem, lg.LocalGD(local_steps=3, lr=0.2), rounds=300_000)
        rho = run.weights - found.weights * math.log(0.2 * 3 * 300_000)
        assert found.distance(rho) < 1e-2  # the row off the margin still counts 1/√τ


@pytest.mark.parametrize(
    "Z",
    [
        [[1.0, 0.0], [1.0, 0.0], [0.0, 2.0]],  # a row twice
        [[1.0, 1.0], [1.0, -1.0], [1.0, 0.0]],  # a row between two others
        [[1.0, 2.0, 0.0], [1.0, -1.0, 1.0], [1.0, -1.0, -1.0], [1.0, 0.5, 0.0]],
    ],
)
def test_dependent_rows_on_the_margin(Z):
    # Many α give the same ŵ; the run picks those of argmin Σ c_j exp(-z_j·ρ) + ŵ·ρ.
    Z = np.array(Z)
    problem = lg.Problem([(Z[:1], [1]), (Z[1:], [1] * (len(Z) - 1))])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = lg.reference.asymptote(problem)
    np.testing.assert_array_equal(found.support, np.arange(len(Z)))
    assert found.residual <= 1e-14 and (found.dual > 0).all()
    np.testing.assert_allclose(found.dual @ Z, found.weights, atol=1e-14)
    run = lg.run(problem, lg.LocalGD(local_steps=5, lr=0.3), rounds=100_000)
    rho = run.weights - found.weights * math.log(0.3 * 5 * 100_000)
    assert found.distance(rho) < 1e-3


def test_duplicated_rows_are_rows_of_the_sum_of_their_weights():
    problem = lg.datasets.make_separable(n_clients=1, n_samples=12, n_features=30, seed=3)
    X, y = problem.X, problem.y
    once = lg.reference.asymptote(problem)
    twice = lg.reference.asymptote(lg.Problem([(np.vstack([X, X]), np.tile(y, 2))]))
    np.testing.assert_allclose(twice.rho, once.rho, atol=1e-10)
    np.testing.assert_allclose(twice.dual[:12] + twice.dual[12:], once.dual, atol=1e-10)
    assert len(twice.support) == 2 * len(once.support) and len(twice.basis) == len(once.basis)


def test_degenerate_rows_are_named():
    problem = lg.Problem([([[1.0, 0.0]], [1]), ([[1.0, 1.0], [2.0, 5.0]], [1, 1])], weights="equal")
    with pytest.warns(RuntimeWarning, match=r"1 of 2 rows on the margin \(the first: row 1\)"):
        found = lg.reference.asymptote(problem)
    np.testing.assert_array_equal(found.degenerate, [1])
    np.testing.assert_array_equal(found.support, [0])
    np.testing.assert_allclose(found.rho, [math.log(0.5), 0], atol=1e-15)
    # The run drifts along the second feature, ever more slowly, and nears the rest.
    ends = [lg.run(problem, lg.GD(lr=0.5), rounds=k).weights for k in (10**3, 10**5)]
    assert ends[1][1] > ends[0][1] + 0.3
    errors = [
        found.distance(w - found.weights * math.log(0.5 * k))
        for w, k in zip(ends, (10**3, 10**5), strict=True)
    ]
    assert errors[1] < errors[0]


@given(seed=st.integers(0, 10**6), N=st.integers(1, 12), d=st.integers(2, 8))
def test_residual_of_random_rows(seed, N, d):
    r = np.random.default_rng(seed)
    Z = r.integers(-2, 4, (N, d)).astype(float)
    Z = np.abs(Z[:, :1]) + 1 + Z * (np.arange(d) > 0)  # integers: many rows on the margin
    problem = lg.Problem([(z[None], [1]) for z in Z], task="binary", weights=r.random(N) + 0.1)
    ref = lg.reference.max_margin(problem)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = lg.reference.asymptote(problem, ref)
    assert found.residual <= 1e-10
    assert set(found.support) | set(found.degenerate) == set(ref.on_margin)
    assert set(ref.support) <= set(found.support)
    np.testing.assert_allclose(found.basis.T @ (found.basis @ found.rho), found.rho, atol=1e-9)


def test_angle_is_that_of_the_line_to_leading_order(paper):
    _, _, found = paper
    for tau in (1e50, 1e100, 1e300):
        true = lg.angle(model_on_the_line(found, tau), found.weights)
        # What is left out: the component of ρ along ŵ, relative to ‖ŵ‖ log τ.
        assert found.angle(tau, lr=1.0) == pytest.approx(true, rel=40 / math.log(tau))
    unit = found.weights / np.linalg.norm(found.weights)
    across = np.linalg.norm(found.rho - (found.rho @ unit) * unit)
    wanted = across / (np.linalg.norm(found.weights) * math.log(1e4 * 0.5 * 3))
    assert found.angle(1e4, lr=0.5, local_steps=3) == pytest.approx(wanted, rel=1e-12)
    wanted = math.hypot(across, 5) / (np.linalg.norm(found.weights) * math.log(1e4))
    assert found.angle(1e4, lr=1.0, outside=5) == pytest.approx(wanted, rel=1e-12)


def test_margin_gap_is_that_of_the_line_to_leading_order(paper):
    problem, ref, found = paper
    errors = []
    for tau in (1e20, 1e80, 1e300):
        w = model_on_the_line(found, tau)
        true = ref.margin - (problem.signed_rows @ w).min() / np.linalg.norm(w)
        errors.append(abs(found.margin_gap(tau, lr=1.0) / true - 1))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.03
    assert errors[2] * math.log(1e300) == pytest.approx(errors[1] * math.log(1e80), rel=0.3)


def test_predictions_against_a_run(paper):
    problem, ref, found = paper
    run = lg.run(problem, lg.LocalGD(local_steps=10, lr=1.0), rounds=100_000, reference=ref)
    left = lg.analysis.residual(problem, run, ref)
    outside = float(np.linalg.norm(left.outside_part))
    k, options = 100_000, {"lr": 1.0, "local_steps": 10}
    assert found.angle(k, **options) == pytest.approx(run.history["angle"][-1], rel=0.15)
    assert found.angle(k, **options) < found.angle(k, **options, outside=outside)
    assert 0 < found.margin_gap(k, **options) < ref.margin - run.history["margin"][-1]


def test_arrays_and_long_horizons(paper):
    _, _, found = paper
    k = np.array([[1e1, 1e100], [1e300, 1e308]])
    for method in (found.angle, found.margin_gap):
        values = method(k, lr=100.0, local_steps=10**6)
        assert values.shape == (2, 2) and np.isfinite(values).all()
        for one, value in zip(k.ravel(), values.ravel(), strict=True):
            assert method(one, lr=100.0, local_steps=10**6) == value
            assert isinstance(method(one, lr=100.0, local_steps=10**6), float)
        # log τ = 308 log 10 + log 1e8, where τ itself overflows
        ratio = values[1, 1] / values[0, 0]
        assert ratio == pytest.approx(math.log(1e9) / (308 + 8) / math.log(10), rel=1e-12)


def test_a_single_row_has_no_angle_and_no_gap():
    found = lg.reference.asymptote(lg.Problem([([[3.0, 4.0]], [1])]))
    assert found.angle(10, lr=1.0) <= 1e-15 and found.margin_gap(10, lr=1.0) == 0


def test_distance(paper):
    _, _, found = paper
    outside = np.linalg.svd(found.basis)[2][-1]
    assert found.distance(found.rho + 7 * outside) <= 1e-14
    moved = found.rho + 0.5 * np.linalg.norm(found.rho) * found.basis[0] + outside
    assert found.distance(moved) == pytest.approx(0.5, rel=1e-12)
    # ρ_S = 0: absolute. One row z = 1 with c = α = 1.
    single = lg.reference.asymptote(lg.Problem([([[1.0]], [1])]))
    assert single.distance([0.25]) == 0.25
    with pytest.raises(ValueError, match="rho: got 2 numbers; want 100, one per feature"):
        found.distance([1.0, 2.0])


def test_digits_and_their_kernel():
    data = pytest.importorskip("sklearn.datasets").load_digits(n_class=2)
    X, y = data.data / 16, 2.0 * data.target - 1
    clients = np.arange(len(y)) % 5
    found = lg.reference.asymptote(lg.Problem.from_arrays(X, y, clients))
    assert found.residual <= 1e-11 and len(found.degenerate) == 0
    kernel = lg.reference.asymptote(lg.Problem.from_gram(X @ X.T, y, clients))
    np.testing.assert_array_equal(kernel.support, found.support)
    np.testing.assert_allclose(kernel.offsets, found.offsets, atol=1e-6)
    k = np.logspace(2, 100, 5)
    np.testing.assert_allclose(kernel.angle(k, lr=1.0), found.angle(k, lr=1.0), rtol=1e-7)


def test_wrong_arguments(paper):
    problem, ref, found = paper
    with pytest.raises(ValueError, match="asymptote got the task regression; want a binary task"):
        lg.reference.asymptote(lg.Problem([([[1.0]], [0.5])]))
    with pytest.raises(TypeError, match=r"ref: got ndarray; want the result of lg\.reference\.max"):
        lg.reference.asymptote(problem, ref.weights)
    other = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=2)
    with pytest.raises(ValueError, match="ref: it is not the max-margin solution of these rows"):
        lg.reference.asymptote(other, ref)
    fewer = lg.Problem([(problem.X[:7], problem.y[:7])])
    with pytest.raises(ValueError, match="ref: it is not the max-margin solution of these rows"):
        lg.reference.asymptote(fewer, ref)
    with pytest.raises(lg.NotSeparableError):
        lg.reference.asymptote(lg.Problem([([[1.0], [1.0]], [1, -1])]))
    unseen = lg.Problem([([[1.0, 0.0]], [1]), ([[0.0, 1.0]], [1])], weights=[0, 1])
    with pytest.raises(ValueError, match="row 0 is on the margin but belongs to a client of weig"):
        lg.reference.asymptote(unseen)
    for rounds, text in [
        (0, "rounds: got 0; want numbers above 0"),
        ([10, -1], "rounds: got -1; want numbers above 0"),
        (5, "rounds: η L k is 0.5 at least once; want above 1"),
        (10**400, "rounds: got a number above 1e308"),
        (float("inf"), "rounds: inf"),
    ]:
        with pytest.raises(ValueError, match=text):
            found.angle(rounds, lr=0.1)
    with pytest.raises(ValueError, match="lr: got 0; want a finite number above 0"):
        found.margin_gap(10, lr=0)
    with pytest.raises(ValueError, match="local_steps: got 0; want an integer of at least 1"):
        found.margin_gap(10, lr=1.0, local_steps=0)
    with pytest.raises(ValueError, match="outside: got -1; want a finite number of at least 0"):
        found.angle(10, lr=1.0, outside=-1)


def test_result_is_frozen_and_prints_on_one_line(paper):
    found = paper[2]
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.residual = 1.0
    for name in ("rho", "support", "dual", "offsets", "degenerate", "basis", "weights"):
        array = getattr(found, name)
        assert not array.flags.writeable
    assert repr(found).startswith("Asymptote(44 support rows, norm=36.96") and "\n" not in repr(
        found
    )
