"""Separable or not: certificates, and the subset against a linear program."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import linprog

import localgd as lg


def problem_of(Z) -> lg.Problem:
    Z = np.asarray(Z, dtype=float)
    y = np.where(np.arange(len(Z)) % 2, -1.0, 1.0)
    return lg.Problem([(Z * y[:, None], y)], task="binary")


def subset_by_linear_program(Z: np.ndarray) -> np.ndarray | None:
    """max Σ t_j  s.t.  t_j ≤ z_j·u, 0 ≤ t_j ≤ 1: t is 1 on the subset, 0 on the rest."""
    N, d = Z.shape
    answer = linprog(
        np.concatenate([np.zeros(d), -np.ones(N)]),
        A_ub=np.hstack([-Z, np.eye(N)]),
        b_ub=np.zeros(N),
        bounds=[(None, None)] * d + [(0, 1)] * N,
        method="highs",
    )
    if answer.status != 0:  # HiGHS gives up on a few degenerate ones
        return None
    return np.flatnonzero(answer.x[d:] > 0.5)


def check_certificate(Z: np.ndarray, found: lg.reference.Separability) -> None:
    """Every promise of the result, worked out again."""
    lengths = np.linalg.norm(Z, axis=1)
    if found.separable:
        assert found.margin == pytest.approx((Z @ found.direction).min(), rel=1e-6)
        assert found.margin > 0
        assert np.linalg.norm(found.direction) == pytest.approx(1, rel=1e-14)
        assert found.weights is None
        assert found.residual <= 1e-10
        np.testing.assert_array_equal(found.subset, np.arange(len(Z)))
        np.testing.assert_array_equal(found.subset_direction, found.direction)
        return
    rest = np.setdiff1d(np.arange(len(Z)), found.subset)
    assert found.direction is None and found.margin == 0
    assert (found.weights[rest] > 0).all()
    assert (found.weights[found.subset] == 0).all()
    assert found.weights.sum() == pytest.approx(1, rel=1e-14)
    assert np.linalg.norm(found.weights @ Z) <= 1e-12 * lengths.max()
    assert found.residual <= 1e-12
    if not len(found.subset):
        assert found.subset_direction is None
        return
    u = found.subset_direction
    assert np.linalg.norm(u) == pytest.approx(1, rel=1e-14)
    assert (Z[found.subset] @ u).min() > 0
    assert np.abs(Z[rest] @ u).max() <= 1e-12 * lengths.max()


def structured(seed: int, N: int, d: int, kind: str) -> np.ndarray:
    """Rows with and without a subset, in general and in special position."""
    r = np.random.default_rng(seed)
    if kind == "normal":
        return r.standard_normal((N, d))
    if kind == "signs":
        return r.integers(-1, 2, (N, d)).astype(float)
    if kind == "pixels":
        return r.integers(0, 2, (N, d)) * r.choice([-1.0, 1.0], N)[:, None]
    if kind == "planted":
        Z = r.integers(-3, 4, (N, d)).astype(float)
        side = np.sign(Z @ r.standard_normal(d))
        return Z * np.where(side == 0, 1, side)[:, None]
    # Some rows in a subspace, the others on one side of a plane that contains it; rotated.
    inside, rows = int(r.integers(0, d + 1)), int(r.integers(0, N + 1))
    Z = r.standard_normal((N, d))
    Z[:rows, inside:] = 0
    side = np.sign(Z[rows:, inside:] @ r.standard_normal(d - inside))
    Z[rows:] *= np.where(side == 0, 1, side)[:, None]
    return Z @ np.linalg.qr(r.standard_normal((d, d)))[0]


KINDS = ["normal", "signs", "pixels", "planted", "subspace"]
sizes = {"seed": st.integers(0, 10**6), "N": st.integers(1, 24), "d": st.integers(1, 8)}


@pytest.mark.parametrize("kind", KINDS)
@given(**sizes)
def test_subset_against_a_linear_program(kind, seed, N, d):
    Z = structured(seed, N, d, kind)
    wanted = subset_by_linear_program(Z)
    assume(wanted is not None)
    found = lg.reference.separability(problem_of(Z))
    np.testing.assert_array_equal(found.subset, wanted)
    assert found.separable == (len(wanted) == N)
    check_certificate(Z, found)


@given(**sizes)
def test_scale_of_rows_and_features_does_not_change_the_subset(seed, N, d):
    r = np.random.default_rng(seed)
    Z = structured(seed, N, d, KINDS[seed % len(KINDS)])
    scaled = Z * 2.0 ** r.integers(-8, 9, d) * 2.0 ** r.integers(-8, 9, N)[:, None]
    plain = lg.reference.separability(problem_of(Z))
    found = lg.reference.separability(problem_of(scaled))
    np.testing.assert_array_equal(found.subset, plain.subset)


def test_the_random_problems_cover_all_cases():
    kinds = set()
    for seed in range(60):
        found = lg.reference.separability(problem_of(structured(seed, 12, 4, "subspace")))
        kinds.add((found.separable, len(found.subset) > 0))
    assert kinds == {(True, True), (False, True), (False, False)}


def test_separable_direction_is_the_max_margin_direction():
    Z = structured(3, 10, 20, "normal")
    problem = problem_of(Z)
    found = lg.reference.separability(problem)
    best = lg.reference.max_margin(problem)
    np.testing.assert_array_equal(found.direction, best.direction)
    assert found.residual == best.kkt_residual
    check_certificate(Z, found)


def test_chain_of_faces():
    # Each pair cancels only up to the pair before it, so that rows leave one face at a time.
    Z = np.array(
        [[1, 0, 0, 0], [-1, 0, 0, 0], [5, 1, 0, 0], [0, -1, 0, 0], [7, 0, 2, 0], [1, 1, 1, 1]]
    )
    found = lg.reference.separability(problem_of(Z))
    np.testing.assert_array_equal(found.subset, [4, 5])
    check_certificate(Z.astype(float), found)
    longer = np.vstack([Z, [0, 3, -1, 0]])
    found = lg.reference.separability(problem_of(longer))
    np.testing.assert_array_equal(found.subset, [5])
    np.testing.assert_allclose(found.subset_direction, [0, 0, 0, 1], atol=1e-15)


def test_subset_direction_has_the_largest_margin():
    rest = np.array([[1.0, 0.0, 0.0], [-2.0, 0.0, 0.0]])
    Z = np.vstack([rest, [[9.0, 2.0, 0.0], [-4.0, 0.0, 1.0]]])
    found = lg.reference.separability(problem_of(Z))
    np.testing.assert_array_equal(found.subset, [2, 3])
    # On the complement the rows are (2, 0) and (0, 1): w = (½, 1).
    np.testing.assert_allclose(found.subset_direction, np.array([0, 1, 2]) / np.sqrt(5), rtol=1e-14)


def test_zero_rows_belong_to_the_rest():
    found = lg.reference.separability(problem_of([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))
    np.testing.assert_array_equal(found.subset, [1])
    np.testing.assert_allclose(found.weights, [0.5, 0, 0.5], rtol=1e-15)
    everything = lg.reference.separability(problem_of(np.zeros((2, 3))))
    assert len(everything.subset) == 0 and everything.subset_direction is None
    assert everything.residual == 0


def test_opposite_rows_among_duplicates():
    Z = np.repeat([[1.0, 2.0], [-1.0, -2.0]], 3, axis=0)
    found = lg.reference.separability(problem_of(Z))
    assert len(found.subset) == 0
    check_certificate(Z, found)


def test_weights_are_even_where_equal_ones_balance():
    # Every corner of a cube: a certificate needs two of them, the one returned uses all alike.
    corners = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    found = lg.reference.separability(problem_of(corners))
    np.testing.assert_allclose(found.weights, np.full(8, 1 / 8), rtol=1e-12)


def test_separable_by_less_than_double_precision_tells_from_the_norm():
    # The second feature alone separates them; in the units of the rows its share is 1e-14.
    found = lg.reference.separability(problem_of([[1.0, 1e-14], [-1.0, 1e-14]]))
    assert found.separable and np.isinf(found.residual)
    assert found.margin == pytest.approx(1e-14, rel=1e-6)


def test_many_rows_that_are_not_separable():
    r = np.random.default_rng(0)
    Z = r.standard_normal((3000, 20))
    found = lg.reference.separability(problem_of(Z))
    assert len(found.subset) == 0
    check_certificate(Z, found)
    assert found.weights.min() > 1e-7


def test_wrong_kinds_of_problem():
    regression = lg.Problem([([[1.0, 2.0]], [0.5])])
    with pytest.raises(ValueError, match="separability got the task regression; want a binary"):
        lg.reference.separability(regression)
    with pytest.raises(TypeError, match=r"problem: got list; want a localgd\.Problem"):
        lg.reference.separability([1, 2])


def test_repr_is_one_line():
    yes = repr(lg.reference.separability(problem_of([[1.0, 0.0], [0.0, 1.0]])))
    no = repr(lg.reference.separability(problem_of([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])))
    assert yes.startswith("Separability(separable, margin=0.707106781, residual=")
    assert no.startswith("Separability(not separable, subset of 1 of 3 rows, residual=")
