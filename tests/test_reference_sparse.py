"""References of sparse rows: those of the same rows dense, to rounding."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.sparse import csr_array
from shared_data import shared_problem
from sklearn.linear_model import LogisticRegression

import localgd as lg
from localgd.reference import _least_distance, _rows, _span


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


@pytest.mark.usefixtures("amount")
@pytest.mark.parametrize(("N", "d"), [(20, 80), (60, 12)])
def test_the_nearest_interpolant(N, d):
    X = rows(3, N, d)
    rng = np.random.default_rng(4)
    y, init = X @ rng.standard_normal(d), rng.standard_normal(d)
    sparse, full = (
        lg.reference.min_norm(problem, init=init) for problem in pair(X, y, task="regression")
    )
    agree(sparse, full, "weights", atol=1e-12)
    assert sparse.residual <= 1e-12
    assert sparse.row_space_residual <= 1e-12
    assert sparse.rank in (full.rank, None)
    with pytest.raises(ValueError, match="no w interpolates"):
        lg.reference.min_norm(pair(np.vstack([X, X]), np.append(y, -y), task="regression")[0])


@pytest.mark.usefixtures("amount")
@pytest.mark.parametrize(("N", "d"), [(60, 12), (30, 80)])
def test_the_asymptote(N, d):
    X = rows(2, N, d)
    X = X[X[:, 0] != 0]
    sparse, full = (lg.reference.asymptote(problem) for problem in pair(X, np.sign(X[:, 0])))
    agree(sparse, full, "rho support dual offsets weights")


@pytest.mark.usefixtures("amount")
def test_the_maximum_margin_of_classes():
    X = rows(2, 40, 60)
    y = np.argmax(X @ np.random.default_rng(0).standard_normal((60, 3)), axis=1)
    sparse, full = (lg.reference.max_margin(problem) for problem in pair(X, y))
    agree(sparse, full, "weights margin", atol=1e-12)


def test_measures_of_analysis(monkeypatch):
    X = rows(5, 80, 30)
    y = np.sign(X[:, 0] + 0.1)
    problems = pair(X, y)
    w = np.random.default_rng(0).standard_normal(30)
    for loss in ("logistic", "squared"):
        one, other = (lg.analysis.gradient_alignment(problem, w, loss) for problem in problems)
        agree(one, other, "variance alignment dissimilarity gradient_norm", atol=1e-13)
        constants = [lg.analysis.smoothness(problem, loss) for problem in problems]
        assert constants[0] == pytest.approx(constants[1], rel=1e-14)
    monkeypatch.setattr(sys.modules["localgd.smoothness"], "FEW", 5)
    iterated = lg.analysis.smoothness(problems[0], "squared")
    assert constants[1] * (1 - 1e-15) <= iterated <= constants[1] * (1 + 1e-12)
    margins = [lg.analysis.margins(problem, w) for problem in problems]
    np.testing.assert_allclose(margins[0], margins[1], atol=1e-14)


def test_heterogeneity():
    X = rows(6, 28, 60)
    y = np.sign(X @ np.random.default_rng(0).standard_normal(60))
    one, other = map(lg.analysis.heterogeneity, pair(X, y))
    agree(one, other, "pairwise to_global label_distance", atol=1e-12)


@pytest.mark.parametrize("storage", [np.asarray, csr_array])
def test_single_precision_is_worked_on_in_double(storage):
    X = rows(1, 300, 12).astype(np.float32)
    y = np.random.default_rng(0).choice([-1.0, 1.0], 300)
    ids = np.arange(300) % 3
    single = lg.Problem.from_arrays(storage(X), y, ids)
    double = lg.Problem.from_arrays(X.astype(float), y, ids)
    for l2 in (0.0, 1e-3):
        one, other = (lg.reference.minimizer(problem, l2=l2) for problem in (single, double))
        np.testing.assert_allclose(one.weights, other.weights, atol=1e-13)
    assert lg.analysis.smoothness(single, "logistic") == pytest.approx(
        lg.analysis.smoothness(double, "logistic"), rel=1e-14
    )
    targets = [lg.Problem.from_arrays(A[:9], y[:9], ids[:9]) for A in (storage(X), X.astype(float))]
    one, other = (lg.reference.min_norm(problem) for problem in targets)
    np.testing.assert_allclose(one.weights, other.weights, atol=1e-13)
    one, other = (lg.reference.max_margin(problem) for problem in targets)
    np.testing.assert_allclose(one.weights, other.weights, atol=1e-13)


@pytest.mark.parametrize(
    ("name", "separable"), [("a9a", 87), pytest.param("w8a", 7739, marks=pytest.mark.slow)]
)
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


@pytest.fixture(scope="module")
def texts() -> tuple[csr_array, np.ndarray]:
    """Unit rows of 40 entries, columns as frequent as 1/rank, and half-random labels."""
    rng = np.random.default_rng(0)
    N, d = 900, 2000
    share = 1 / np.arange(1, d + 1)
    columns = [np.unique(rng.choice(d, 60, p=share / share.sum()))[:40] for _ in range(N)]
    starts = np.cumsum([0, *map(len, columns)])
    X = csr_array((rng.random(starts[-1]) + 0.1, np.concatenate(columns), starts), shape=(N, d))
    X.data /= np.repeat(np.sqrt(X.power(2).sum(axis=1)), np.diff(X.indptr))
    score = X @ rng.standard_normal(d)
    return X, np.sign(score + 0.1 * rng.standard_normal(N))


@pytest.fixture
def narrow(monkeypatch) -> None:
    """As if these were too many rows and features."""
    monkeypatch.setattr(_rows, "MANY", 300)
    monkeypatch.setattr(_rows, "FEW_ENTRIES", 0)
    monkeypatch.setattr(_span, "WIDEST", 1500)
    monkeypatch.setattr(_least_distance, "LARGE", 300)


@pytest.mark.usefixtures("narrow")
def test_more_features_than_rows(texts):
    X, y = texts
    problem = lg.Problem.from_arrays(X, y, np.zeros(len(y), dtype=int))
    found = lg.reference.max_margin(problem)
    Z = problem.signed_rows
    assert len(found.support) > 400
    assert found.kkt_residual <= 1e-14
    assert found.duality_gap <= 1e-14
    assert (Z @ found.weights).min() >= 1 - 1e-12
    np.testing.assert_allclose(found.dual @ Z, found.weights, atol=1e-12)
    verdict = lg.reference.separability(problem)
    np.testing.assert_array_equal(verdict.direction, found.direction)
    np.testing.assert_array_equal(lg.reference.limits(problem).direction, found.direction)
    low = lg.reference.minimizer(problem, l2=1e-5)
    assert low.gradient_norm <= 1e-15


@pytest.mark.usefixtures("narrow")
def test_more_features_than_rows_that_are_not_separable(texts):
    X, y = texts
    X, y = csr_array(X[[*range(len(y)), 7]]), np.append(y, -y[7])
    problem = lg.Problem.from_arrays(X, y, np.zeros(len(y), dtype=int))
    with pytest.raises(lg.NotSeparableError):
        lg.reference.max_margin(problem)
    with pytest.raises(lg.UnsupportedError, match="2000 features, whose span"):
        lg.reference.separability(problem)
    with pytest.raises(lg.UnsupportedError, match="l2 > 0"):
        lg.reference.minimizer(problem)
