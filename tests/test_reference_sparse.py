"""References of sparse rows: those of the same rows dense, to rounding."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array
from shared_data import shared_problem
from sklearn.linear_model import LogisticRegression

import localgd as lg
from localgd.reference import _rows


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


@pytest.fixture(params=["few rows", "many rows"])
def amount(request, monkeypatch) -> None:
    """Once as rows that may be dense for a while, once as if there were too many of them."""
    if request.param == "many rows":
        monkeypatch.setattr(_rows, "MANY", 10)
        monkeypatch.setattr(_rows, "FEW_ENTRIES", 0)


@pytest.mark.usefixtures("amount")
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


def noisy(seed: int, N: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels with noise in half of the features; the last two separate a third of the rows."""
    X = rows(seed, N, d)
    rng = np.random.default_rng(seed + 1)
    y = np.sign(X[:, : d // 4].sum(axis=1) + rng.standard_normal(N))
    X[:, -2:] = 0.0
    X[::3, -2:] = y[::3, None] * (0.1 + rng.random((len(y[::3]), 2)))
    X[X.any(axis=1) == 0, 0] = 1.0
    return X, y


def agree(sparse, full, names: str, *, atol: float = 1e-10) -> None:
    for name in names.split():
        np.testing.assert_allclose(getattr(sparse, name), getattr(full, name), atol=atol)


def check_split(problem: lg.Problem, found: lg.reference.Separability) -> None:
    """The certificates, on the rows as they are."""
    Z = problem.signed_rows
    rest = np.setdiff1d(np.arange(problem.n_samples), found.subset)
    assert (found.weights[rest] > 0).all()
    assert (found.weights[found.subset] == 0).all()
    assert np.linalg.norm(found.weights @ Z) <= 1e-13
    if len(found.subset):
        assert (Z @ found.subset_direction)[found.subset].min() > 0
        assert np.abs((Z @ found.subset_direction)[rest]).max() <= 1e-12


@pytest.mark.parametrize("seed", range(4))
def test_the_split(seed, monkeypatch):
    X, y = noisy(seed, 300, 12)
    sparse, full = pair(X, y)
    expected, limit = lg.reference.separability(full), lg.reference.limits(full)
    assert 0 < len(expected.subset) < 300
    for many in (_rows.MANY, 10):
        monkeypatch.setattr(_rows, "MANY", many)
        monkeypatch.setattr(_rows, "FEW_ENTRIES", 0)
        for problem in (sparse, full):
            found = lg.reference.separability(problem)
            check_split(problem, found)
            agree(found, expected, "subset subset_direction")
            agree(lg.reference.limits(problem), limit, "subset rest finite_part direction margin")


@pytest.mark.usefixtures("amount")
@pytest.mark.parametrize("loss", ["exponential", "logistic", "squared", "softmax"])
def test_the_minimiser_without_l2(loss):
    X = rows(1, 300, 12)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300) * 1.0 if loss == "softmax" else rng.choice([-1.0, 1.0], 300)
    sparse, full = (lg.reference.minimizer(problem, loss=loss) for problem in pair(X, y))
    agree(sparse, full, "weights value rank", atol=1e-12)
    assert sparse.margin_error <= 1e-12
    assert sparse.rank == 11


@pytest.mark.usefixtures("amount")
def test_the_maximum_margin():
    X = rows(2, 300, 12)
    X = X[X[:, 0] != 0]
    sparse, full = (lg.reference.max_margin(problem) for problem in pair(X, np.sign(X[:, 0])))
    agree(sparse, full, "weights margin on_margin", atol=1e-12)
    assert sparse.kkt_residual <= 1e-14


@pytest.mark.usefixtures("amount")
def test_rows_that_no_model_separates_have_no_margin():
    X, y = noisy(0, 300, 12)
    with pytest.raises(lg.NotSeparableError) as refusal:
        lg.reference.max_margin(pair(X, y)[0])
    v = refusal.value.certificate
    assert v.shape == (300,)
    assert v.min() >= 0
    assert np.linalg.norm(v @ (X * y[:, None])) <= 1e-13


@pytest.mark.parametrize(("name", "separable"), [("a9a", 87), ("w8a", 7739)])
def test_the_split_of_real_rows(name, separable):
    problem = shared_problem(name)
    found = lg.reference.separability(problem)
    assert len(found.subset) == separable
    check_split(problem, found)
    limits = lg.reference.limits(problem)
    np.testing.assert_array_equal(limits.subset, found.subset)
    assert limits.relative_gradient <= 1e-12
    assert limits.kkt_residual <= 1e-12
    np.testing.assert_allclose(limits.direction, found.subset_direction, atol=1e-9)


def test_the_margin_of_mushrooms():
    found = lg.reference.max_margin(shared_problem("mushrooms"))
    assert found.margin == pytest.approx(0.256935974, rel=1e-8)
    assert found.kkt_residual <= 1e-14
