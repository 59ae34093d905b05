"""References of sparse rows: those of the same rows dense, to rounding."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array
from shared_data import shared_problem
from sklearn.linear_model import LogisticRegression

import localgd as lg


def rows(seed: int, N: int, d: int, *, share: float = 0.3) -> np.ndarray:
    """Sparse rows, some of them twice, one column empty."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, d)) * (rng.random((N, d)) < share)
    X[:, d // 2] = 0.0
    X[N // 2 : N // 2 + 5] = X[:5]
    return X


def pair(X: np.ndarray, y: np.ndarray, **options) -> tuple[lg.Problem, lg.Problem]:
    """The same problem of sparse and of dense rows, on clients of unequal weight."""
    ids = np.minimum(np.arange(len(y)) // 7, 3)
    return tuple(
        lg.Problem.from_arrays(A, y, ids, weights="equal", **options) for A in (csr_array(X), X)
    )


@pytest.mark.parametrize(("N", "d"), [(60, 12), (30, 80)])
@pytest.mark.parametrize("loss", ["exponential", "logistic", "squared", "softmax"])
def test_the_minimiser_with_l2(loss, N, d):
    X = rows(0, N, d)
    y = np.arange(N) % 3.0 if loss == "softmax" else np.sign(np.sin(np.arange(N)) + 0.3)
    sparse, full = (lg.reference.minimizer(problem, loss=loss, l2=1e-2) for problem in pair(X, y))
    assert sparse.relative_gradient <= 1e-15
    np.testing.assert_allclose(sparse.weights, full.weights, atol=1e-12)
    assert sparse.value == pytest.approx(full.value, rel=1e-14)
    assert sparse.margin_error == pytest.approx(full.margin_error, abs=1e-12)


@pytest.mark.parametrize("name", ["a9a", "w8a", "phishing"])
@pytest.mark.parametrize("l2", [1e-3, 1e-4])
def test_the_minimiser_is_that_of_scikit_learn(name, l2):
    problem = shared_problem(name)
    found = lg.reference.minimizer(problem, loss="logistic", l2=l2)
    assert found.gradient_norm <= 1e-15
    theirs = LogisticRegression(
        C=1 / (l2 * problem.n_samples), fit_intercept=False, solver="newton-cholesky", tol=1e-12
    ).fit(problem.X, problem.y)
    np.testing.assert_allclose(found.weights, theirs.coef_[0], rtol=0, atol=1e-8)
