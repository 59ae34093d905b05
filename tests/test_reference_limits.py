"""The split of the rows and both limits, against closed forms, their parts and real runs."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

import localgd as lg


def mixed_rows(seed: int, inside: int = 3, beyond: int = 4, turn: bool = True) -> tuple:
    """Rows that contradict each other in a subspace, and others one side of it; which are which."""
    r = np.random.default_rng(seed)
    d = inside + beyond
    rest = np.zeros((25, d))
    rest[:, :inside] = r.standard_normal((25, inside))
    S = r.standard_normal((8, d))
    S[:, inside:] *= np.sign(S[:, inside:] @ r.standard_normal(beyond))[:, None]
    rotation = np.linalg.qr(r.standard_normal((d, d)))[0] if turn else np.eye(d)
    order = r.permutation(33)
    Z = np.vstack([rest, S])[order] @ rotation
    return Z, np.flatnonzero(order >= 25), rotation[:inside]


def problem_of(Z, clients: int = 3, weights="equal") -> lg.Problem:
    y = np.where(np.arange(len(Z)) % 2, -1.0, 1.0)
    parts = np.array_split(np.arange(len(Z)), clients)
    return lg.Problem([(Z[p] * y[p, None], y[p]) for p in parts], task="binary", weights=weights)


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
@pytest.mark.parametrize("seed", range(5))
def test_both_parts_against_solutions_of_their_own(loss, seed):
    Z, subset, basis = mixed_rows(seed)
    problem = problem_of(Z, weights=[0.2, 0.3, 0.5])
    found = lg.reference.limits(problem, loss=loss)
    np.testing.assert_array_equal(found.subset, subset)
    np.testing.assert_array_equal(np.sort(np.concatenate([found.subset, found.rest])), range(33))
    np.testing.assert_allclose(found.basis.T @ found.basis, basis.T @ basis, atol=1e-12)
    # The finite part minimises the rest's loss, with the rows' own weights.
    c, rest = problem.row_weights, found.rest

    def f(v):
        m = Z[rest] @ basis.T @ v
        return c[rest] @ (np.exp(-m) if loss == "exponential" else np.logaddexp(0, -m))

    other = minimize(f, np.zeros(len(basis)), method="BFGS", options={"gtol": 1e-9})
    np.testing.assert_allclose(found.finite_part, other.x @ basis, atol=1e-5)
    assert found.relative_gradient <= 1e-13 and found.margin_error <= 1e-9
    # The direction is the hard margin of the projected rows.
    complement = Z[subset] - Z[subset] @ basis.T @ basis
    best = lg.reference.max_margin(problem_of(complement, clients=1))
    np.testing.assert_allclose(found.direction, best.direction, atol=1e-12)
    assert found.margin == pytest.approx(best.margin, rel=1e-12)
    assert found.kkt_residual <= 1e-12
    assert abs(found.direction @ found.finite_part) <= 1e-13


def test_client_weights_move_the_finite_part():
    clients = [([[1.0, 0.0]], [1]), ([[1.0, 0.0]], [-1]), ([[3.0, 1.0]], [1])]
    for p in ([1, 1, 1], [4, 1, 1], [1, 5, 10]):
        found = lg.reference.limits(lg.Problem(clients, weights=p))
        np.testing.assert_allclose(found.finite_part, [math.log(p[0] / p[1]), 0], atol=1e-14)
        np.testing.assert_array_equal(found.direction, [0, 1])


def test_nothing_separable_is_the_minimiser():
    problem = lg.datasets.make_nonseparable(n_clients=3, n_samples=40, n_features=5)
    found, low = lg.reference.limits(problem), lg.reference.minimizer(problem)
    np.testing.assert_array_equal(found.finite_part, low.weights)
    assert found.direction is None and found.margin == 0 and found.kkt_residual == 0
    assert len(found.subset) == 0 and len(found.rest) == 120 and found.basis.shape == (5, 5)
    assert found.gradient_norm == low.gradient_norm
    assert found.finite_error(low.weights) == 0
    with pytest.raises(ValueError, match="nothing diverges and there is no direction"):
        found.angle(low.weights)


def test_everything_separable_is_the_hard_margin():
    problem = lg.datasets.make_separable(n_clients=3, n_samples=6, n_features=40)
    found, best = lg.reference.limits(problem), lg.reference.max_margin(problem)
    np.testing.assert_array_equal(found.direction, best.direction)
    np.testing.assert_array_equal(found.finite_part, np.zeros(40))
    assert found.basis.shape == (0, 40) and len(found.rest) == 0
    assert found.margin == best.margin and found.kkt_residual == best.kkt_residual
    assert found.finite_error(best.weights) == 0 and found.angle(best.weights) <= 1e-15


def test_clients_of_weight_zero_are_in_neither_part():
    clients = [([[1.0, 0.0]] * 2, [1, -1]), ([[0.0, 1.0]], [1]), ([[0.0, 1.0]], [-1])]
    found = lg.reference.limits(lg.Problem(clients, weights=[1, 1, 0]))
    np.testing.assert_array_equal(found.rest, [0, 1])
    np.testing.assert_array_equal(found.subset, [2])
    both = lg.reference.limits(lg.Problem(clients))
    np.testing.assert_array_equal(both.rest, [0, 1, 2, 3])


def test_rows_of_zeros_are_in_the_rest():
    found = lg.reference.limits(lg.Problem([(np.zeros((2, 2)), [1, -1]), ([[0.0, 3.0]], [1])]))
    np.testing.assert_array_equal(found.subset, [2])
    np.testing.assert_array_equal(found.finite_part, [0, 0])
    assert found.basis.shape == (0, 2)


@given(seed=st.integers(0, 10**6), N=st.integers(2, 20), d=st.integers(1, 6))
def test_split_agrees_with_separability(seed, N, d):
    Z = np.random.default_rng(seed).integers(-2, 3, (N, d)).astype(float)
    problem = problem_of(Z, clients=1)
    found = lg.reference.limits(problem)
    verdict = lg.reference.separability(problem)
    np.testing.assert_array_equal(found.subset, verdict.subset)
    if found.direction is not None:
        np.testing.assert_allclose(found.direction, verdict.subset_direction, atol=1e-10)
        assert (Z[found.subset] @ found.direction).min() >= found.margin * (1 - 1e-10)
        assert np.abs(Z[found.rest] @ found.direction).max(initial=0) <= 1e-12
    assert found.relative_gradient <= 1e-12


def test_measures_of_a_model():
    Z, _, basis = mixed_rows(1)
    found = lg.reference.limits(problem_of(Z))
    r = np.random.default_rng(0)
    shift = r.standard_normal(len(basis)) @ basis
    turned = found.direction + 0.01 * np.linalg.svd(np.vstack([basis, found.direction]))[2][-1]
    w = found.finite_part + shift + 50 * turned
    inside, beyond = found.split(w)
    np.testing.assert_allclose(inside, found.finite_part + shift, atol=1e-12)
    np.testing.assert_allclose(beyond, 50 * turned, atol=1e-12)
    wanted = np.linalg.norm(shift) / np.linalg.norm(found.finite_part)
    assert found.finite_error(w) == pytest.approx(wanted, rel=1e-10)
    assert found.angle(w) == pytest.approx(math.atan(0.01), rel=1e-10)
    with pytest.raises(ValueError, match="w: got 3 numbers; want 7, one per feature"):
        found.finite_error([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"w: nan at row 0"):
        found.angle([np.nan] * 7)


def test_a_finite_limit_of_zero_is_measured_absolutely():
    problem = lg.Problem([([[1.0, 0.0]] * 2, [1, -1]), ([[0.0, 3.0]], [1])])
    found = lg.reference.limits(problem)
    np.testing.assert_array_equal(found.finite_part, 0)
    assert found.finite_error([0.25, 9.0]) == pytest.approx(0.25, rel=1e-14)


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_gradient_descent_goes_there(loss):
    Z, _, _ = mixed_rows(0, turn=False)
    problem = problem_of(Z, weights=[0.5, 0.2, 0.3])
    found = lg.reference.limits(problem, loss=loss)
    errors, angles = [], []
    for rounds in (1_000, 10_000, 100_000):
        w = lg.run(problem, lg.GD(lr=0.2), rounds=rounds, loss=loss).weights
        errors.append(found.finite_error(w))
        angles.append(found.angle(w))
    assert errors[0] > errors[1] > errors[2] and errors[2] < 1e-3
    # Like 1/k on one side, like 1/log k on the other.
    assert angles[0] > angles[1] > angles[2] and angles[2] < 0.2


def test_digits_low_against_high():
    data = pytest.importorskip("sklearn.datasets").load_digits()
    X, y = data.data / 16, np.where(data.target < 5, 1.0, -1.0)
    problem = lg.Problem.from_arrays(X, y, np.arange(len(y)) % 10)
    found = lg.reference.limits(problem)
    # Pixels that are lit in a few rows only.
    assert 0 < len(found.subset) < 100 and len(found.basis) < 64
    assert found.relative_gradient <= 1e-12 and found.kkt_residual <= 1e-12
    Z = problem.signed_rows
    assert (Z[found.subset] @ found.direction).min() == pytest.approx(found.margin, rel=1e-9)
    assert np.abs(Z[found.rest] @ found.direction).max() <= 1e-12
    # The gradient of the rest's loss, in plain NumPy.
    e = problem.row_weights[found.rest] / (1 + np.exp(Z[found.rest] @ found.finite_part))
    assert np.linalg.norm(e @ Z[found.rest]) <= 1e-12 * (e @ np.linalg.norm(Z[found.rest], axis=1))


def test_breast_cancer_with_a_feature_of_a_single_row():
    data = pytest.importorskip("sklearn.datasets").load_breast_cancer()
    X = (data.data - data.data.mean(axis=0)) / data.data.std(axis=0)
    X = np.column_stack([X[:, :10], np.arange(len(X)) == 5])
    y = 2.0 * data.target - 1
    found = lg.reference.limits(lg.Problem([(X, y)]))
    np.testing.assert_array_equal(found.subset, [5])
    np.testing.assert_allclose(found.direction, y[5] * np.eye(11)[10], atol=1e-12)
    others = np.arange(len(y)) != 5
    alone = lg.reference.minimizer(lg.Problem([(X[others, :10], y[others])]))
    np.testing.assert_allclose(found.finite_part[:10], alone.weights, rtol=1e-10)


def test_separable_by_less_than_double_precision():
    hair = lg.Problem([([[1.0, 1e-14], [-1.0, 1e-14]], [1, 1])])
    with pytest.raises(ValueError, match=r"less than 1e-12 of their norm.*rescale the features"):
        lg.reference.limits(hair)


def test_wrong_arguments():
    problem = lg.datasets.make_nonseparable(n_clients=2, n_samples=20, n_features=3)
    with pytest.raises(
        lg.UnsupportedError, match=r"loss: got 'squared'; want one whose expo.*'logi"
    ):
        lg.reference.limits(problem, loss="squared")
    with pytest.raises(ValueError, match="limits got the task regression; want a binary task"):
        lg.reference.limits(lg.Problem([([[1.0]], [0.5])]))
    with pytest.raises(TypeError, match=r"problem: got NoneType; want a localgd\.Problem"):
        lg.reference.limits(None)
    with pytest.raises(ValueError, match=r"tolerance: got 1e-40, but rounding keeps"):
        lg.reference.limits(problem, tolerance=1e-40)


def test_result_is_frozen_and_prints_on_one_line():
    found = lg.reference.limits(problem_of(mixed_rows(0)[0]))
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.margin = 1.0
    for name in ("subset", "rest", "basis", "finite_part", "direction"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(found, name)[0] = 0
    assert repr(found).startswith("Limits(logistic, subset of 8 rows, margin=")
    assert "\n" not in repr(found)


def test_scale_of_all_rows_does_not_matter():
    rows = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [5.0, 2.0]])
    plain = lg.reference.limits(lg.Problem([(rows, np.ones(5))], task="binary"))
    for k in (-900, -300, 300, 900):
        problem = lg.Problem([(np.ldexp(rows, k), np.ones(5))], task="binary")
        found = lg.reference.limits(problem)
        np.testing.assert_array_equal(found.finite_part, np.ldexp(plain.finite_part, -k))
        np.testing.assert_array_equal(found.direction, plain.direction)
        assert found.margin == np.ldexp(plain.margin, k)
        assert found.finite_error(found.finite_part) == 0
