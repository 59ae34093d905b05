"""The hard-margin solution against closed forms, other solvers and its optimality conditions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, minimize

import localgd as lg
from localgd.reference._equality import Polished, polish
from localgd.reference._least_distance import (
    Unreachable,
    _block_pivots,
    _nonnegative,
    least_distance,
)

EPS = np.finfo(float).eps


def problem_of(Z, clients: int = 1) -> lg.Problem:
    """A problem with these signed rows, every other one stored with label -1."""
    Z = np.asarray(Z, dtype=float)
    y = np.where(np.arange(len(Z)) % 2, -1.0, 1.0)
    parts = np.array_split(np.arange(len(Z)), clients)
    return lg.Problem([(Z[part] * y[part, None], y[part]) for part in parts], task="binary")


def fixed_rows(seed: int, M: int = 5, n: int = 10, d: int = 100) -> np.ndarray:
    """The fixed separable data, written out."""
    r = np.random.default_rng(seed)
    v = r.standard_normal(d)
    X = r.standard_normal((M, n, d)) / np.sqrt(d)
    return (X * np.sign(X @ v)[..., None]).reshape(M * n, d)


def planted(seed: int, N: int, d: int, margin: float, spread: float = 1.0) -> np.ndarray:
    """Rows near a plane, at ``margin`` to ``margin·(1 + spread)`` from it."""
    r = np.random.default_rng(seed)
    u = r.standard_normal(d)
    u /= np.linalg.norm(u)
    Z = r.standard_normal((N, d))
    return Z + np.outer(margin * (1 + spread * r.random(N)) - Z @ u, u)


def check_optimal(Z: np.ndarray, found: lg.reference.MaxMargin, tolerance: float = 1e-11) -> None:
    """Every promise of the result, worked out again in plain NumPy."""
    w, alpha = found.weights, found.dual
    reach = Z @ w
    assert np.linalg.norm(w - Z.T @ alpha) <= tolerance * np.linalg.norm(w)
    assert reach.min() >= 1 - tolerance
    assert alpha.min() >= 0
    assert np.abs(alpha * (reach - 1)).max() <= tolerance * (w @ w)
    assert found.kkt_residual <= tolerance
    assert 0 <= found.duality_gap <= 2 * tolerance
    assert found.margin == 1 / np.linalg.norm(w)
    np.testing.assert_allclose(found.direction, w * found.margin, rtol=4 * EPS)
    np.testing.assert_array_equal(found.support, np.flatnonzero(alpha > 0))
    assert set(found.support) <= set(found.on_margin)
    np.testing.assert_allclose(reach[found.on_margin], 1, rtol=0, atol=1e-8)
    away = np.setdiff1d(np.arange(len(Z)), found.on_margin)
    assert (reach[away] > 1 + 1e-9).all()


def test_margin_of_the_fixed_data_to_all_digits_quoted():
    Z = fixed_rows(0)
    found = lg.reference.max_margin(problem_of(Z, clients=5))
    assert f"{found.margin:.9f}" == "0.143247712"
    check_optimal(Z, found)


def test_one_row():
    found = lg.reference.max_margin(problem_of([[3.0, 4.0]]))
    np.testing.assert_allclose(found.weights, [0.12, 0.16], rtol=4 * EPS)
    np.testing.assert_allclose(found.dual, [0.04], rtol=4 * EPS)
    assert found.margin == pytest.approx(5, rel=4 * EPS)


def test_orthogonal_rows():
    # ŵ = Σ z_j/‖z_j‖², α_j = 1/‖z_j‖²
    lengths = np.array([1.0, 2.0, 0.5, 3.0])
    found = lg.reference.max_margin(problem_of(np.diag(lengths)))
    np.testing.assert_allclose(found.weights, 1 / lengths, rtol=4 * EPS)
    np.testing.assert_allclose(found.dual, lengths**-2, rtol=4 * EPS)
    assert found.margin == pytest.approx(np.sum(lengths**-2.0) ** -0.5, rel=4 * EPS)


@pytest.mark.parametrize("degrees", [1.0, 60.0, 120.0, 179.0, 179.999])
def test_two_unit_rows_at_an_angle(degrees):
    half = np.radians(degrees) / 2
    Z = np.array([[np.cos(half), np.sin(half)], [np.cos(half), -np.sin(half)]])
    found = lg.reference.max_margin(problem_of(Z))
    assert found.margin == pytest.approx(np.cos(half), rel=1e-10)
    np.testing.assert_allclose(found.direction, [1, 0], atol=1e-10)


def test_a_far_row_carries_no_weight():
    found = lg.reference.max_margin(problem_of([[1.0, 0.0], [5.0, 1.0]]))
    np.testing.assert_array_equal(found.weights, [1, 0])
    np.testing.assert_array_equal(found.support, [0])
    np.testing.assert_array_equal(found.on_margin, [0])


def test_a_row_on_the_margin_with_zero_multiplier():
    Z = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [2.0, 0.0, 1.0]])
    found = lg.reference.max_margin(problem_of(Z))
    np.testing.assert_allclose(found.weights, [1, 0, 0], atol=4 * EPS)
    np.testing.assert_array_equal(found.support, [0])
    np.testing.assert_array_equal(found.on_margin, [0, 1])


@pytest.mark.parametrize("seed", range(10))
def test_zero_multipliers_do_not_become_support_by_rounding(seed):
    Z = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0, -2.0]])
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((5, 3)))[0]
    found = lg.reference.max_margin(problem_of(Z @ turn.T))
    np.testing.assert_array_equal(found.support, [0])
    np.testing.assert_array_equal(found.on_margin, [0, 1, 2])


@pytest.mark.parametrize("seed", range(10))
def test_duplicated_and_opposite_rows_with_more_features_than_rows(seed):
    Z = planted(seed, N=10, d=40, margin=0.3)
    twice = np.vstack([Z, Z / 3])
    found = lg.reference.max_margin(problem_of(twice))
    check_optimal(twice, found)
    np.testing.assert_array_equal(found.support >= 10, True)  # the shorter copies bind
    with pytest.raises(lg.NotSeparableError):
        lg.reference.max_margin(problem_of(np.vstack([Z, -Z[:1] / 3])))


def test_duplicated_rows_change_nothing_but_the_rows_on_the_margin():
    Z = fixed_rows(3, M=2, n=8, d=6)
    once = lg.reference.max_margin(problem_of(Z))
    twice = lg.reference.max_margin(problem_of(np.vstack([Z, Z])))
    np.testing.assert_allclose(twice.weights, once.weights, rtol=1e-12)
    assert len(twice.on_margin) == 2 * len(once.on_margin)
    assert len(twice.support) <= Z.shape[1]
    np.testing.assert_allclose(twice.dual[:16] + twice.dual[16:], once.dual, atol=1e-10)
    check_optimal(np.vstack([Z, Z]), twice)


def test_many_more_rows_than_features():
    Z = planted(0, N=6000, d=4, margin=0.02)
    found = lg.reference.max_margin(problem_of(Z, clients=7))
    check_optimal(Z, found)
    assert len(found.support) <= 4


def test_rows_in_a_subspace():
    r = np.random.default_rng(5)
    Z = planted(5, N=30, d=6, margin=0.1) @ r.standard_normal((6, 40))
    found = lg.reference.max_margin(problem_of(Z))
    check_optimal(Z, found)
    inside = Z.T @ np.linalg.lstsq(Z.T, found.weights, rcond=1e-12)[0]
    np.testing.assert_allclose(inside, found.weights, atol=1e-10 * np.linalg.norm(found.weights))


def test_all_rows_on_the_margin():
    Z = planted(2, N=60, d=5, margin=0.25, spread=0)
    found = lg.reference.max_margin(problem_of(Z))
    assert found.margin == pytest.approx(0.25, rel=1e-12)
    assert len(found.on_margin) == 60
    check_optimal(Z, found)


@pytest.mark.parametrize("margin", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("shape", [(20, 50), (50, 20), (200, 10)])
def test_small_margins(margin, shape):
    Z = planted(1, *shape, margin)
    Z /= np.linalg.norm(Z, axis=1).max()
    found = lg.reference.max_margin(problem_of(Z))
    assert found.kkt_residual <= min(1e-9, 4 * EPS / found.margin)
    assert found.margin >= margin / 20  # what was planted, less the normalisation


@pytest.mark.parametrize("scale", [1e-8, 1e8, 1e-100, 1e100])
def test_scale_of_the_rows(scale):
    Z = fixed_rows(4, M=3, n=10, d=12)
    plain = lg.reference.max_margin(problem_of(Z))
    scaled = lg.reference.max_margin(problem_of(Z * scale))
    np.testing.assert_allclose(scaled.direction, plain.direction, rtol=0, atol=1e-14)
    assert scaled.margin == pytest.approx(plain.margin * scale, rel=1e-13)
    np.testing.assert_allclose(scaled.dual * scale**2, plain.dual, rtol=1e-10)
    assert scaled.kkt_residual <= 1e-13


def test_rows_of_mixed_scale():
    Z = planted(6, N=40, d=8, margin=0.1) * np.logspace(-3, 3, 40)[:, None]
    found = lg.reference.max_margin(problem_of(Z))
    largest = np.linalg.norm(Z, axis=1).max()
    assert found.kkt_residual <= 4 * EPS * largest / found.margin


@given(
    seed=st.integers(0, 10**6),
    N=st.integers(1, 40),
    d=st.integers(1, 12),
    kind=st.sampled_from(["plain", "integers", "repeated", "tight"]),
)
def test_optimality_conditions_of_random_problems(seed, N, d, kind):
    r = np.random.default_rng(seed)
    Z = planted(seed, N, d, margin=0.05, spread=0.0 if kind == "tight" else 5.0)
    if kind == "integers":
        Z = np.rint(4 * Z)
        Z = Z[Z @ np.ones(d) > 0]
        if not len(Z):
            Z = np.ones((1, d))
    if kind == "repeated":
        Z = Z[r.integers(0, N, 2 * N)]
    found = lg.reference.max_margin(problem_of(Z, clients=min(3, len(Z))))
    check_optimal(Z, found, tolerance=1e-9 if found.margin < 1e-3 else 1e-11)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("N", "d"), [(8, 20), (15, 5), (30, 3)])
def test_against_a_general_quadratic_program(seed, N, d):
    Z = planted(seed, N, d, margin=0.3)
    found = lg.reference.max_margin(problem_of(Z))
    scale = np.linalg.norm(found.weights)
    other = minimize(
        lambda w: 0.5 * w @ w,
        np.ones(d) * scale,
        jac=lambda w: w,
        method="SLSQP",
        constraints=LinearConstraint(Z, 1, np.inf),
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    assert other.success, other.message
    np.testing.assert_allclose(found.weights, other.x, rtol=0, atol=1e-5 * scale)
    assert found.weights @ found.weights <= other.x @ other.x * (1 + 1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_against_a_support_vector_machine(seed):
    svm = pytest.importorskip("sklearn.svm")
    Z = planted(seed, N=60, d=10, margin=0.4)
    found = lg.reference.max_margin(problem_of(Z))
    # The mirrored rows make the optimal bias zero.
    machine = svm.SVC(kernel="linear", C=1e8, tol=1e-8)
    machine.fit(np.vstack([Z, -Z]), np.repeat([1, -1], len(Z)))
    np.testing.assert_allclose(machine.coef_[0] * found.margin, found.direction, atol=1e-4)


def test_both_ways_to_the_active_rows_agree():
    Z = fixed_rows(2, M=4, n=10, d=60)
    A = Z / np.linalg.norm(Z, axis=1)[:, None]
    b = np.ones(len(A))
    guess = _block_pivots(A, b)
    assert guess is not None
    v = _nonnegative(A, b)
    assert np.flatnonzero(v).tolist() == sorted(guess.rows.tolist())
    w = v @ A
    np.testing.assert_allclose(w / np.min(A @ w), guess.w, rtol=1e-10)


def test_rows_around_the_origin_give_a_certificate():
    A = np.array([[1.0, 0.0], [-0.6, 0.8], [-0.6, -0.8]])
    answer = least_distance(A, np.ones(3), tolerance=1e-12)
    assert isinstance(answer, Unreachable)
    np.testing.assert_allclose(answer.weights @ A, 0, atol=1e-15)
    assert (answer.weights > 0).all()
    assert answer.weights.sum() == pytest.approx(1, rel=4 * EPS)


def test_rows_with_a_negative_multiplier_are_dropped():
    A = np.array([[1.0, 0.0], [0.96, 0.28], [0.8, -0.6]])  # the first row alone is tight
    solution = polish(A, np.array([1.0, 0.5, 0.5]), np.array([0, 1]), np.array([1.0, 1.0]))
    np.testing.assert_array_equal(solution.rows, [0])
    np.testing.assert_allclose(solution.w, [1, 0], atol=4 * EPS)
    np.testing.assert_allclose(solution.multipliers, [1], rtol=4 * EPS)


def test_a_solution_that_misses_the_rows_is_not_passed_on(monkeypatch):
    from localgd.reference import _hard_margin

    Z = np.eye(2)
    wrong = Polished(np.array([0]), np.array([1.0]), np.array([1.0, 0.0]))
    monkeypatch.setattr(_hard_margin, "least_distance", lambda A, b, tolerance: wrong)
    assert _hard_margin.hard_margin(Z) is None


def test_certificate_is_measured_not_assumed():
    from localgd.reference._hard_margin import certify

    Z = fixed_rows(0, M=2, n=10, d=30)
    found = lg.reference.max_margin(problem_of(Z))
    w, alpha = found.weights, found.dual
    off = certify(Z, w * (1 + 1e-6), alpha)
    assert off.kkt_residual == pytest.approx(1e-6, rel=0.1)
    short = certify(Z, w * (1 - 1e-3), alpha * (1 - 1e-3))
    assert short.kkt_residual == pytest.approx(1e-3, rel=0.1)
    other = w + 1e-3 * np.linalg.norm(w) * np.linalg.svd(Z)[2][-1]
    assert certify(Z, other, alpha).duality_gap == pytest.approx(1e-6, rel=0.1)
    wrong = alpha.copy()
    wrong[found.support[0]] *= -1
    assert certify(Z, w, wrong).kkt_residual >= alpha[found.support[0]] / (w @ w)


def test_duality_gap_brackets_the_best_margin():
    from localgd.reference._hard_margin import certify

    Z = fixed_rows(1, M=2, n=10, d=30)
    best = lg.reference.max_margin(problem_of(Z)).margin
    r = np.random.default_rng(0)
    w = lg.reference.max_margin(problem_of(Z)).weights + 0.1 * r.standard_normal(30)
    gap = certify(Z, w, r.random(20)).duality_gap
    reached = (Z @ w).min() / np.linalg.norm(w)
    assert reached <= best <= reached / np.sqrt(1 - gap)


def test_not_separable_carries_a_certificate():
    Z = np.array([[1.0, 0.0], [-2.0, 0.0], [1.0, 4.0]])
    with pytest.raises(lg.NotSeparableError, match=r"not separable.*on 1 at most") as caught:
        lg.reference.max_margin(problem_of(Z))
    v = caught.value.certificate
    assert v.min() >= 0 and v.sum() == pytest.approx(1, rel=4 * EPS)
    np.testing.assert_allclose(v @ Z, 0, atol=1e-15)


@pytest.mark.parametrize("seed", range(20))
def test_two_opposite_rows_of_any_direction(seed):
    # Their Gram matrix is singular; by rounding its factorisation may still go through.
    row = np.random.default_rng(seed).standard_normal((1, 3))
    with pytest.raises(lg.NotSeparableError):
        lg.reference.max_margin(problem_of(np.vstack([row, -3 * row])))


def test_a_zero_row_is_not_separable():
    with pytest.raises(lg.NotSeparableError) as caught:
        lg.reference.max_margin(problem_of([[1.0, 2.0], [0.0, 0.0]]))
    np.testing.assert_array_equal(caught.value.certificate, [0, 1])


@pytest.mark.parametrize("margin", [1e-13, 1e-14, 1e-20])
def test_margin_too_small_for_double_precision(margin):
    with pytest.raises(ValueError, match=r"less than 1e-12 of their norm.*rescale the features"):
        lg.reference.max_margin(problem_of([[1.0, margin], [-1.0, margin]]))


def test_wrong_kinds_of_problem():
    regression = lg.Problem([([[1.0, 2.0]], [0.5])])
    with pytest.raises(ValueError, match="max_margin got the task regression; want a binary task"):
        lg.reference.max_margin(regression)
    with pytest.raises(TypeError, match=r"problem: got ndarray; want a localgd\.Problem"):
        lg.reference.max_margin(np.eye(3))


def test_result_is_frozen_and_prints_on_one_line():
    found = lg.reference.max_margin(problem_of(fixed_rows(0), clients=5))
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.margin = 1.0
    for name in ("direction", "weights", "dual", "support", "on_margin"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(found, name)[0] = 0
    text = repr(found)
    assert text.startswith("MaxMargin(margin=0.143247712, ") and "\n" not in text
    assert f"{len(found.support)} support rows of 50" in text


def test_same_bits_twice():
    Z = fixed_rows(8, M=4, n=20, d=30)
    Z = Z[Z.sum(axis=1) > 0]
    first, second = (lg.reference.max_margin(problem_of(Z)) for _ in range(2))
    assert first.weights.tobytes() == second.weights.tobytes()
    assert first.dual.tobytes() == second.dual.tobytes()


# -- A bias that counts for nothing ----------------------------------------------------------------


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
def test_a_free_bias_gives_the_support_vector_machine(sparse, scale):
    svm = pytest.importorskip("sklearn.svm")
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((40, 6))
        y = np.where(X[:, 0] + 0.5 * X[:, 1] > 0.3, 1.0, -1.0)
        rows = sp.csr_array(X * scale) if sparse else X * scale
        problem = lg.Problem([(rows, y)], intercept="free")
        found = lg.reference.max_margin(problem, penalize_intercept=False)
        theirs = svm.SVC(kernel="linear", C=1e10, tol=1e-12).fit(X, y)
        np.testing.assert_allclose(found.weights[:-1] * scale, theirs.coef_[0], atol=1e-5)
        assert found.weights[-1] == pytest.approx(theirs.intercept_[0], abs=1e-5)
        assert found.margin == pytest.approx(1 / np.linalg.norm(found.weights[:-1]))
        assert found.kkt_residual < 1e-12
        assert found.duality_gap < 1e-12
        assert abs(found.dual @ y) < 1e-12 * found.dual.sum()
        assert set(found.support) <= set(found.on_margin)
        if scale == 1:  # a bias that counts in the norm makes the margin no larger
            assert lg.reference.max_margin(problem).margin <= found.margin


def test_minimisers_with_a_free_intercept_turn_there():
    problem = lg.Problem(
        [([[2.0, 0.0], [0.0, 1.5]], [1, 1]), ([[0.3, 0.4], [-1.0, 0.2]], [-1, -1])],
        intercept="free",
    )
    found = lg.reference.max_margin(problem, penalize_intercept=False)
    angles = [
        lg.angle(
            lg.reference.minimizer(problem, loss="exponential", l2=l2).weights, found.direction
        )
        for l2 in (1e-2, 1e-5, 1e-8, 1e-11)
    ]
    assert (np.diff(angles) < 0).all()
    assert angles[-1] < 0.05


def test_a_free_bias_wants_an_intercept_and_both_labels():
    rows = [([[1.0], [2.0]], [1, -1])]
    with pytest.raises(ValueError, match="penalize_intercept: got False for a problem without"):
        lg.reference.max_margin(lg.Problem(rows), penalize_intercept=False)
    one = lg.Problem([([[1.0], [2.0]], [1.0, 1.0])], task="binary", intercept="free")
    with pytest.raises(ValueError, match="all rows have one label"):
        lg.reference.max_margin(one, penalize_intercept=False)
    mixed = lg.Problem([([[1.0], [2.0], [3.0]], [1, -1, 1])], intercept="free")
    with pytest.raises(lg.NotSeparableError, match="no u and b") as caught:
        lg.reference.max_margin(mixed, penalize_intercept=False)
    v = caught.value.certificate
    assert v.min() >= 0
    assert np.abs(v @ mixed.signed_rows).max() < 1e-12 * v.sum()
