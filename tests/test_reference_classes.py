"""The hard margin of classes against closed forms, two classes, a general solver and digits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, minimize

import localgd as lg


def constraints(X, y, C):
    """All N(C - 1) rows, written out: vec(W) in the order of W.ravel()."""
    rows, pairs = [], []
    for j, own in enumerate(y.astype(int)):
        for c in range(C):
            if c != own:
                a = np.zeros((X.shape[1], C))
                a[:, own] += X[j]
                a[:, c] -= X[j]
                rows.append(a.ravel())
                pairs.append((j, c))
    return np.array(rows), np.array(pairs)


def problem_of(X, y, clients: int = 2, **options) -> lg.Problem:
    ids = np.arange(len(y)) % clients
    return lg.Problem.from_arrays(X, y, ids, task="multiclass", **options)


def check_optimal(problem, found, tolerance=1e-11):
    """Every promise of the result from the constraints written out."""
    C = problem.n_classes
    A, pairs = constraints(problem.X, problem.y, C)
    alpha = found.dual[tuple(pairs.T)]
    W = found.weights
    reach = A @ W.ravel()
    norm = np.linalg.norm(W)
    assert found.weights.shape == found.direction.shape == (problem.n_features, C)
    assert found.dual.shape == (problem.n_samples, C)
    assert (found.dual[np.arange(problem.n_samples), problem.y.astype(int)] == 0).all()
    assert np.linalg.norm(W.ravel() - alpha @ A) <= tolerance * norm
    assert reach.min() >= 1 - tolerance
    assert alpha.min() >= 0
    assert np.abs(alpha * (reach - 1)).max() <= tolerance * norm**2
    assert found.kkt_residual <= tolerance and 0 <= found.duality_gap <= 2 * tolerance
    assert found.margin == 1 / norm
    np.testing.assert_array_equal(found.support, np.flatnonzero(found.dual.any(axis=1)))
    tight = np.unique(pairs[np.abs(reach - 1) <= 1e-9, 0])
    np.testing.assert_array_equal(found.on_margin, tight)
    np.testing.assert_allclose(W.sum(axis=1), 0, atol=1e-12 * norm)


def blobs(seed, N, d, C, spread=0.3):
    r = np.random.default_rng(seed)
    y = np.concatenate([np.arange(C), r.integers(0, C, N - C)])
    means = np.linalg.qr(r.standard_normal((max(d, C), max(d, C))))[0][:C, :d]
    return means[y] + spread * r.standard_normal((N, d)) / np.sqrt(d), y


@pytest.mark.parametrize("C", [2, 3, 6])
def test_one_row_of_each_class_along_its_own_axis(C):
    # W = a(I - 1/C): (W_y - W_c)·x = a must be 1.
    found = lg.reference.max_margin(problem_of(np.eye(C), np.arange(C), clients=1))
    np.testing.assert_allclose(found.weights, np.eye(C) - 1 / C, atol=1e-15)
    np.testing.assert_allclose(found.dual, (1 - np.eye(C)) / C, atol=1e-15)
    assert found.margin == pytest.approx((C - 1) ** -0.5, rel=1e-15)
    np.testing.assert_array_equal(found.support, np.arange(C))


def test_two_classes_are_the_binary_problem():
    binary = lg.datasets.make_separable(n_clients=3, n_samples=10, n_features=40, seed=2)
    one = lg.reference.max_margin(binary)
    two = lg.reference.max_margin(lg.Problem([(binary.X, (binary.y + 1) / 2)], task="multiclass"))
    np.testing.assert_allclose(
        two.weights, np.column_stack([-one.weights, one.weights]) / 2, atol=1e-12
    )
    assert two.margin == pytest.approx(np.sqrt(2) * one.margin, rel=1e-13)
    np.testing.assert_array_equal(two.support, one.support)
    np.testing.assert_allclose(two.dual.sum(axis=1), one.dual / 2, atol=1e-11)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("N", "d", "C"), [(12, 20, 3), (40, 4, 3), (30, 6, 5)])
def test_against_a_general_quadratic_program(seed, N, d, C):
    X, y = blobs(seed, N, d, C)
    problem = problem_of(X, y)
    found = lg.reference.max_margin(problem)
    check_optimal(problem, found)
    A, _ = constraints(problem.X, problem.y, C)
    other = minimize(
        lambda w: 0.5 * w @ w,
        found.weights.ravel() + 0.1,
        jac=lambda w: w,
        method="SLSQP",
        constraints=LinearConstraint(A, 1, np.inf),
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    assert other.success, other.message
    scale = np.linalg.norm(found.weights)
    np.testing.assert_allclose(found.weights.ravel(), other.x, rtol=0, atol=1e-5 * scale)


@given(seed=st.integers(0, 10**6), N=st.integers(5, 40), d=st.integers(3, 12), C=st.integers(2, 5))
def test_optimality_or_a_certificate(seed, N, d, C):
    X, y = blobs(seed, N, d, C, spread=float(np.random.default_rng(seed).choice([0.1, 0.5, 3.0])))
    problem = problem_of(X, y)
    try:
        check_optimal(problem, lg.reference.max_margin(problem), tolerance=1e-9)
    except lg.NotSeparableError as error:
        check_certificate(problem, error.certificate)


def check_certificate(problem, v):
    """Convex weights that balance the constraints: so none of them can all be positive."""
    A, pairs = constraints(problem.X, problem.y, problem.n_classes)
    assert v.shape == (problem.n_samples, problem.n_classes)
    assert v.min() >= 0 and v.sum() == pytest.approx(1, rel=1e-13)
    assert (v[np.arange(len(v)), problem.y.astype(int)] == 0).all()
    assert np.linalg.norm(v[tuple(pairs.T)] @ A) <= 1e-12 * np.linalg.norm(problem.X, axis=1).max()


@pytest.mark.parametrize("seed", range(5))
def test_random_labels_are_not_separable(seed):
    r = np.random.default_rng(seed)
    problem = problem_of(r.standard_normal((80, 3)), r.permutation(80) % 4)
    with pytest.raises(lg.NotSeparableError, match="of the 80 rows above the 3 others") as caught:
        lg.reference.max_margin(problem)
    check_certificate(problem, caught.value.certificate)


def test_the_same_row_in_two_classes_and_a_row_of_zeros():
    with pytest.raises(lg.NotSeparableError) as caught:
        lg.reference.max_margin(problem_of([[1.0, 2], [1.0, 2], [0, 1.0]], [0, 1, 2], clients=1))
    v = caught.value.certificate
    np.testing.assert_allclose([v[0, 1], v[1, 0]], [0.5, 0.5])
    with pytest.raises(lg.NotSeparableError) as caught:
        lg.reference.max_margin(lg.Problem([([[1.0], [0.0]], [0, 1])], task="multiclass"))
    assert caught.value.certificate.tolist() == [[0, 0], [1, 0]]


def test_separable_by_less_than_double_precision():
    X = [[1.0, 1e-14], [1.0, -1e-14], [1.0, 3e-14]]
    with pytest.raises(ValueError, match=r"less than 1e-12 of their norm"):
        lg.reference.max_margin(problem_of(X, [0, 1, 0], clients=1))


def test_a_class_without_rows():
    # Class 1 is never the own one: its scores must still stay below.
    problem = problem_of([[1.0, 0.0], [0.0, 1.0]], [0, 2], clients=1, labels=[0, 1, 2])
    found = lg.reference.max_margin(problem)
    check_optimal(problem, found)
    assert found.weights.shape == (2, 3)


def test_duplicated_rows_and_scale():
    X, y = blobs(1, 30, 5, 3)
    plain = lg.reference.max_margin(problem_of(X, y, clients=1))
    twice = lg.reference.max_margin(problem_of(np.vstack([X, X]), np.tile(y, 2), clients=1))
    np.testing.assert_allclose(twice.weights, plain.weights, rtol=0, atol=1e-12)
    assert len(twice.on_margin) == 2 * len(plain.on_margin)
    for scale in (1e-100, 1e100):
        scaled = lg.reference.max_margin(problem_of(X * scale, y, clients=1))
        np.testing.assert_allclose(scaled.direction, plain.direction, rtol=0, atol=1e-13)
        assert scaled.margin == pytest.approx(plain.margin * scale, rel=1e-12)


def test_certificate_is_measured_not_assumed():
    from localgd.reference._class_margin import ClassMargin, certify_classes

    X, y = blobs(0, 20, 5, 3)
    problem = problem_of(X, y)
    found = lg.reference.max_margin(problem)
    X, y, W, alpha = problem.X, problem.y.astype(int), found.weights, found.dual

    def certificate(w, a):
        return certify_classes(X, y, ClassMargin(w, a))

    assert certificate(W, alpha).kkt_residual == found.kkt_residual
    assert certificate(W * (1 + 1e-6), alpha).kkt_residual == pytest.approx(1e-6, rel=0.1)
    # 1e-3 short of the constraints, and multipliers of 1e-3 too little.
    short = certificate(W * (1 - 1e-3), alpha * (1 - 1e-3))
    assert short.kkt_residual == pytest.approx(1e-3, rel=0.1)
    wrong = alpha.copy()
    where = np.unravel_index(alpha.argmax(), alpha.shape)
    wrong[where] *= -1
    assert certificate(W, wrong).kkt_residual >= alpha[where] / np.sum(W**2)


def test_digits_of_ten_classes():
    data = pytest.importorskip("sklearn.datasets").load_digits()
    problem = lg.Problem.from_arrays(data.data, data.target, np.arange(1797) % 10)
    assert problem.task == "multiclass"
    found = lg.reference.max_margin(problem)
    assert found.kkt_residual <= 1e-13 and found.duality_gap <= 1e-13
    assert found.margin == pytest.approx(0.736370997, rel=1e-8)
    # In plain NumPy.
    scores = problem.X @ found.weights
    y = problem.y.astype(int)
    own = scores[np.arange(1797), y]
    gaps = own[:, None] - scores
    gaps[np.arange(1797), y] = np.inf
    assert gaps.min() >= 1 - 1e-11
    push = -found.dual
    push[np.arange(1797), y] = found.dual.sum(axis=1)
    np.testing.assert_allclose(problem.X.T @ push, found.weights, rtol=0, atol=1e-12)
    assert np.abs(found.dual[found.dual > 0] * (gaps[found.dual > 0] - 1)).max() <= 1e-12


def test_digits_with_sixteen_pixels_are_not_separable():
    data = pytest.importorskip("sklearn.datasets").load_digits()
    problem = lg.Problem([(data.data[:, 20:36], data.target)])
    with pytest.raises(lg.NotSeparableError) as caught:
        lg.reference.max_margin(problem)
    check_certificate(problem, caught.value.certificate)


def test_kernel_problem():
    X, y = blobs(3, 24, 6, 3)
    ids = np.arange(24) % 2
    one = lg.reference.max_margin(lg.Problem.from_arrays(X, y, ids))
    other = lg.reference.max_margin(lg.Problem.from_gram(X @ X.T, y, ids))
    assert other.margin == pytest.approx(one.margin, rel=1e-12)
    np.testing.assert_allclose(other.dual, one.dual, atol=1e-9)
