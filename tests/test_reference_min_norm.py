"""The interpolant nearest to the start."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import localgd as lg


@given(seed=st.integers(0, 10**6), n=st.integers(1, 12), extra=st.integers(0, 20))
def test_interpolates_and_moves_in_the_row_span_only(seed, n, extra):
    r = np.random.default_rng(seed)
    X, y, start = (
        r.standard_normal((n, n + extra)),
        r.standard_normal(n),
        r.standard_normal(n + extra),
    )
    found = lg.reference.min_norm(lg.Problem([(X, y)], task="regression"), init=start)
    np.testing.assert_allclose(X @ found.weights, y, atol=1e-9)
    beside = np.linalg.qr(X.T, mode="complete")[0][:, n:]  # orthogonal to all rows
    np.testing.assert_allclose(beside.T @ (found.weights - start), 0, atol=1e-9)
    assert found.rank == n
    assert found.residual <= 1e-10 and found.row_space_residual <= 1e-10


def test_equals_the_pseudoinverse():
    r = np.random.default_rng(0)
    X, y, start = r.standard_normal((8, 30)), r.standard_normal(8), r.standard_normal(30)
    problem = lg.Problem([(X[:3], y[:3]), (X[3:], y[3:])])
    np.testing.assert_allclose(
        lg.reference.min_norm(problem).weights, np.linalg.pinv(X) @ y, rtol=1e-12
    )
    np.testing.assert_allclose(
        lg.reference.min_norm(problem, init=start).weights,
        start + np.linalg.pinv(X) @ (y - X @ start),
        rtol=1e-12,
        atol=1e-13,
    )


def test_dependent_rows_with_consistent_targets():
    r = np.random.default_rng(1)
    X = r.standard_normal((6, 3)) @ r.standard_normal((3, 10))
    problem = lg.Problem([(X, X @ r.standard_normal(10))])
    found = lg.reference.min_norm(problem)
    assert found.rank == 3 and found.residual <= 1e-13


def test_more_rows_than_features_with_consistent_targets():
    r = np.random.default_rng(2)
    X, w = r.standard_normal((20, 4)), r.standard_normal(4)
    found = lg.reference.min_norm(lg.Problem([(X, X @ w)]), init=np.ones(4))
    np.testing.assert_allclose(found.weights, w, rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_ill_conditioned_rows(seed):
    r = np.random.default_rng(seed)
    U, V = (np.linalg.qr(r.standard_normal((n, 8)))[0] for n in (8, 30))
    X = U * np.logspace(0, -9, 8) @ V.T
    found = lg.reference.min_norm(lg.Problem([(X, X @ V @ np.ones(8))]))
    assert found.rank == 8
    assert found.residual <= 2e-15


def test_labels_of_a_binary_problem_are_targets():
    problem = lg.Problem([([[1.0, 0.0, 1.0], [0.0, 2.0, 0.0]], [1, -1])])
    np.testing.assert_allclose(lg.reference.min_norm(problem).weights, [0.5, -0.5, 0.5], rtol=1e-15)


def test_targets_and_rows_of_zero():
    zero = lg.reference.min_norm(lg.Problem([([[1.0, 2.0]], [0.0])], task="regression"))
    np.testing.assert_array_equal(zero.weights, [0, 0])
    assert zero.residual == 0 and zero.row_space_residual == 0
    moved = lg.reference.min_norm(
        lg.Problem([([[1.0, 2.0]], [0.0])], task="regression"), init=[1.0, 2.0]
    )
    np.testing.assert_allclose(moved.weights, [0, 0], atol=1e-15)
    empty = lg.reference.min_norm(
        lg.Problem([([[0.0, 0.0]], [0.0])], task="regression"), init=[3.0, 4.0]
    )
    np.testing.assert_array_equal(empty.weights, [3, 4])
    assert empty.rank == 0


def test_rows_that_cannot_be_interpolated():
    problem = lg.Problem([([[1.0], [1.0]], [0.5, 1.5])])
    with pytest.raises(ValueError, match=r"no w interpolates the 2 rows \(rank 1, 1 features; "):
        lg.reference.min_norm(problem)


def test_bad_starts_and_problems():
    problem = lg.Problem([([[1.0, 2.0]], [0.5])])
    with pytest.raises(
        ValueError, match=r"init: got shape \(3,\); want \(2,\), one number per feature"
    ):
        lg.reference.min_norm(problem, init=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="init: nan at row 1"):
        lg.reference.min_norm(problem, init=[1.0, np.nan])
    with pytest.raises(TypeError, match="init"):
        lg.reference.min_norm(problem, init=["a", "b"])
    with pytest.raises(TypeError, match=r"problem: got int; want a localgd\.Problem"):
        lg.reference.min_norm(3)


def test_result_is_read_only_and_prints_on_one_line():
    start = np.array([1.0, 1.0])
    found = lg.reference.min_norm(lg.Problem([([[3.0, 4.0]], [7.5])]), init=start)
    with pytest.raises(ValueError, match="read-only"):
        found.weights[0] = 0
    assert start.flags.writeable
    assert repr(found).startswith("MinNorm(norm=") and "rank=1" in repr(found)


@pytest.mark.parametrize("scale", [1e-150, 1e-18, 1e-15, 1e-6, 1e6, 1e18, 1e100])
def test_no_row_hides_behind_larger_ones(scale):
    rng = np.random.default_rng(0)
    R, t, factor = rng.standard_normal((4, 8)), rng.standard_normal(4), np.array([1, scale, 1, 1])
    plain = lg.reference.min_norm(lg.Problem([(R, t)]))
    found = lg.reference.min_norm(lg.Problem([(R * factor[:, None], t * factor)]))
    np.testing.assert_allclose(found.weights, plain.weights, rtol=1e-12)
    assert found.rank == 4 and found.residual < 1e-13


@pytest.mark.parametrize("scale", [1e-150, 1e-18, 1e-8])
def test_no_feature_hides_beside_larger_ones(scale):
    # The second feature alone tells the rows apart: w = (0, 1/scale, 0).
    X = np.array([[1.0, 1.0, 1.0], [1.0, 2.0, 1.0]]) * [1, scale, 1]
    found = lg.reference.min_norm(lg.Problem([(X, [1.0, 2.0])], task="regression"))
    np.testing.assert_allclose(found.weights * [1, scale, 1], [0, 1, 0], rtol=0, atol=1e-14)
    np.testing.assert_allclose(X @ found.weights, [1, 2], rtol=1e-14)
    assert found.rank == 2


def test_a_row_that_is_off_is_refused_at_any_scale():
    for scale in (1e-150, 1e-18, 1e-6, 1.0, 1e6, 1e18):
        X = np.array([[1.0, 0.0], [0.0, 1.0], [scale, scale]])
        with pytest.raises(ValueError, match="no w interpolates the 3 rows"):
            lg.reference.min_norm(lg.Problem([(X, [1.0, 2.0, 4 * scale])], task="regression"))
        targets = [1.0, 2.0, 3 * scale]
        found = lg.reference.min_norm(lg.Problem([(X, targets)], task="regression"))
        np.testing.assert_allclose(found.weights, [1, 2], rtol=1e-14)


def test_weights_that_rounding_hides_are_refused():
    # w = (1e-60, 0, 1e-120), but rounding of the margins alone may put 1e-17 in the second place.
    X = np.array([[0.0, 2, 0], [1, -2, 1], [1, 2, 1]]) * [2.0**200, 1, 1]
    with pytest.raises(ValueError, match=r"rounding hides the weights.*rescale the features"):
        lg.reference.min_norm(lg.Problem([(X, [0.0, 2.0, 2.0])], task="regression"))


def test_targets_of_zero():
    X = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    found = lg.reference.min_norm(lg.Problem([(X, [0.0, 0.5])]))
    np.testing.assert_allclose(found.weights, [0, 0.5, 0], atol=1e-16)
    still = lg.reference.min_norm(lg.Problem([(X, [0.0, 0.0])], task="regression"))
    assert not still.weights.any() and still.residual == 0
    none = lg.reference.min_norm(lg.Problem([(np.zeros((2, 2)), [0.0, 0.0])], task="regression"))
    assert none.rank == 0 and not none.weights.any()
