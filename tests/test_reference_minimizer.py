"""The minimiser against closed forms, other solvers, finite differences and real rows."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax

import localgd as lg


def losses_of(problem: lg.Problem, loss: str):
    """f(w) = Σ p_i f_i(w), written out client by client."""

    def f(w):
        total = 0.0
        for i in range(problem.n_clients):
            X, y = problem.X[problem.rows(i)], problem.y[problem.rows(i)]
            if loss == "softmax":
                logs = log_softmax(X @ w.reshape(X.shape[1], -1), axis=1)
                terms = -logs[np.arange(len(y)), y.astype(int)]
            elif loss == "squared":
                terms = 0.5 * (X @ w - y) ** 2
            elif loss == "logistic":
                terms = np.logaddexp(0, -y * (X @ w))
            else:
                terms = np.exp(-y * (X @ w))
            total += problem.weights[i] * terms.mean()
        return total

    return f


def gradient_by_differences(f, w, h=1e-6):
    """Central differences of f at w."""
    flat = w.ravel()
    out = np.zeros_like(flat)
    for j in range(len(flat)):
        e = np.zeros_like(flat)
        e[j] = h
        out[j] = (f((flat + e).reshape(w.shape)) - f((flat - e).reshape(w.shape))) / (2 * h)
    return out


def check_weights(problem, found):
    """Every promise of the result."""
    f = losses_of(problem, found.loss)
    assert found.value == pytest.approx(f(found.weights), rel=1e-13)
    assert found.relative_gradient <= 1e-12
    assert np.abs(gradient_by_differences(f, found.weights)).max() <= 1e-8
    norm = np.linalg.norm(found.weights)
    np.testing.assert_allclose(found.direction * norm, found.weights, rtol=1e-14)
    # In the span of the rows.
    rows = problem.X[problem.row_weights > 0]
    back = np.linalg.pinv(rows) @ (rows @ found.weights)
    np.testing.assert_allclose(back, found.weights, atol=1e-10 * norm)
    assert found.rank == np.linalg.matrix_rank(rows)


def nonseparable(seed=0, weights="equal", sizes=(30, 50, 70)):
    return lg.datasets.make_nonseparable(
        n_clients=len(sizes), n_samples=list(sizes), n_features=6, seed=seed, weights=weights
    )


@pytest.mark.parametrize(("loss", "factor"), [("logistic", 1.0), ("exponential", 0.5)])
@pytest.mark.parametrize(("up", "down"), [(3, 1), (1, 1), (1, 7), (100, 1)])
def test_counts_at_plus_and_minus_one(loss, factor, up, down):
    # p/(1-p) = e^w for the logistic loss, e^{2w} for the exponential one.
    problem = lg.Problem([(np.ones((up + down, 1)), [1] * up + [-1] * down)])
    found = lg.reference.minimizer(problem, loss=loss)
    np.testing.assert_allclose(found.weights, [factor * math.log(up / down)], atol=1e-14)
    if up == down:
        assert found.value == pytest.approx(math.log(2) if loss == "logistic" else 1.0, rel=1e-14)


def test_client_weights_count():
    # One row each at +1 and -1: the odds are those of the clients, whatever their sizes.
    clients = [(np.ones((4, 1)), np.ones(4)), (np.ones((2, 1)), -np.ones(2))]
    for p in ([0.5, 0.5], [0.9, 0.1], [1 / 3, 2 / 3]):
        problem = lg.Problem(clients, weights=p)
        found = lg.reference.minimizer(problem, loss="logistic")
        np.testing.assert_allclose(found.weights, [math.log(p[0] / p[1])], atol=1e-14)
    by_size = lg.reference.minimizer(lg.Problem(clients, weights="samples"))
    np.testing.assert_allclose(by_size.weights, [math.log(2)], rtol=1e-14)


def test_weights_equal_repeated_rows():
    problem = nonseparable(sizes=(20, 20), weights=[0.75, 0.25])
    X, y = problem.X, problem.y
    repeated = lg.Problem([(np.vstack([X, X[:20], X[:20]]), np.concatenate([y, y[:20], y[:20]]))])
    for loss in ("exponential", "logistic"):
        one, other = (lg.reference.minimizer(p, loss=loss) for p in (problem, repeated))
        np.testing.assert_allclose(one.weights, other.weights, rtol=1e-11)
        assert one.value == pytest.approx(other.value, rel=1e-13)


def test_clients_of_weight_zero_do_not_count():
    problem = nonseparable(sizes=(40, 50, 60), weights=[1, 1, 0])
    kept = [(problem.X[problem.rows(i)], problem.y[problem.rows(i)]) for i in (0, 1)]
    alone = lg.Problem(kept, weights="equal")
    one, other = lg.reference.minimizer(problem), lg.reference.minimizer(alone)
    np.testing.assert_array_equal(one.weights, other.weights)


@pytest.mark.parametrize("loss", ["exponential", "logistic", "squared"])
@pytest.mark.parametrize("weights", ["equal", "samples", [0.2, 0.5, 0.3]])
def test_against_a_general_minimiser(loss, weights):
    problem = nonseparable(1, weights)
    found = lg.reference.minimizer(problem, loss=loss)
    check_weights(problem, found)
    other = minimize(
        losses_of(problem, loss), np.zeros(6), method="BFGS", options={"gtol": 1e-9, "maxiter": 500}
    )
    scale = np.linalg.norm(found.weights)
    np.testing.assert_allclose(found.weights, other.x, rtol=0, atol=1e-5 * scale)
    assert found.value <= other.fun * (1 + 1e-14)


@given(
    seed=st.integers(0, 10**6),
    N=st.integers(4, 40),
    d=st.integers(1, 5),
    loss=st.sampled_from(["exponential", "logistic"]),
    integers=st.booleans(),
)
def test_it_exists_where_the_subset_is_empty(seed, N, d, loss, integers):
    r = np.random.default_rng(seed)
    Z = r.integers(-2, 3, (N, d)).astype(float) if integers else r.standard_normal((N, d))
    assume(Z.any())
    p = r.random(N) + 0.01
    problem = lg.Problem([(z[None], [1]) for z in Z], task="binary", weights=p)
    if len(lg.reference.separability(problem).subset):
        with pytest.raises(ValueError, match="has no minimiser"):
            lg.reference.minimizer(problem, loss=loss)
        return
    found = lg.reference.minimizer(problem, loss=loss)
    assert found.relative_gradient <= 1e-12
    assert found.margin_error < 1e-6
    # f is larger a little way off in any direction of the span.
    f = losses_of(problem, loss)
    step = r.standard_normal(N) @ Z
    step *= 1e-3 / max(np.linalg.norm(step), 1e-300)
    assert f(found.weights + step) >= f(found.weights) * (1 - 1e-14)


def test_margin_error_is_a_bound():
    # Along one axis the minimiser is log 3; at w the bound must cover log 3 - w.
    from localgd.losses import LOSSES
    from localgd.reference._losses import Margins

    Z, c = np.array([[1.0], [-1.0]]), np.array([0.75, 0.25])
    objective = Margins(c, np.ones(2), LOSSES["logistic"])
    for off in (1e-1, 1e-3, 1e-6):
        w = np.array([math.log(3) + off])
        m = Z @ w
        H = objective.hessian(Z, m)
        lower = np.sqrt(H)
        gradient = objective.pull(Z, objective.slopes(m))
        decrement = float(np.sqrt(gradient @ gradient / H[0, 0]))
        bound = objective.error(objective.reach(Z, lower) * decrement)
        assert off <= bound <= 1.2 * off
    assert objective.error(1.0) == np.inf


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_rows_in_a_subspace_and_more_features_than_rows(loss):
    small = nonseparable(3)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((300, 6)))[0]
    clients = [(small.X[small.rows(i)] @ turn.T, small.y[small.rows(i)]) for i in range(3)]
    wide = lg.reference.minimizer(lg.Problem(clients, weights="equal"), loss=loss)
    narrow = lg.reference.minimizer(small, loss=loss)
    assert wide.rank == narrow.rank == 6
    np.testing.assert_allclose(wide.weights, turn @ narrow.weights, atol=1e-11)


def test_scale_of_the_features_does_not_matter():
    problem = nonseparable(2)
    scale = 10.0 ** np.arange(-6, 6, 2)
    scaled = lg.Problem([(problem.X * scale, problem.y)])
    plain = lg.Problem([(problem.X, problem.y)])
    one, other = lg.reference.minimizer(plain), lg.reference.minimizer(scaled)
    np.testing.assert_allclose(other.weights * scale, one.weights, rtol=1e-9)


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
@pytest.mark.parametrize("seed", range(6))
def test_rows_of_mixed_scale(loss, seed):
    # Far rows make a full Newton step overshoot by a factor 1e3 in their margins.
    r = np.random.default_rng(seed)
    Z = r.standard_normal((60, 4)) * 10.0 ** r.integers(-1, 3, 60)[:, None]
    problem = lg.Problem([(Z, np.ones(60))], task="binary")
    assert len(lg.reference.separability(problem).subset) == 0
    found = lg.reference.minimizer(problem, loss=loss)
    assert found.relative_gradient <= 1e-12 and found.margin_error <= 1e-7


def test_a_minimiser_beyond_the_reach_of_the_proof():
    # log(1 + e^-w) + log(1 + e^{tw}), t = 1e-20: e^w = 2/t, where the second derivative is 1e-20.
    Z = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1e-20]])
    turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    for rows in (Z, Z @ turn):
        problem = lg.Problem([(rows, np.ones(4))], task="binary")
        assert len(lg.reference.separability(problem).subset) == 0
        with pytest.raises(ValueError, match=r"rounding hides the minimiser.*rescale the rows"):
            lg.reference.minimizer(problem)
        with pytest.raises(ValueError, match=r"rounding hides the minimiser.*rescale the rows"):
            lg.reference.limits(problem)


def test_least_squares():
    r = np.random.default_rng(0)
    X, y = r.standard_normal((40, 7)), r.standard_normal(40)
    X[:, 6] = X[:, 0]  # the shortest of many
    problem = lg.Problem([(X[:10], y[:10]), (X[10:], y[10:])], weights=[0.3, 0.7])
    found = lg.reference.minimizer(problem, loss="squared")
    root = np.sqrt(problem.row_weights)
    wanted = np.linalg.lstsq(root[:, None] * X, root * y, rcond=None)[0]
    np.testing.assert_allclose(found.weights, wanted, atol=1e-13)
    assert found.rank == 6 and found.loss == "squared"
    check_weights(problem, found)


def test_least_squares_that_interpolates_is_the_min_norm_solution():
    problem = lg.datasets.make_regression(n_clients=3, n_samples=5, n_features=40, seed=2)
    found = lg.reference.minimizer(problem, loss="squared")
    np.testing.assert_allclose(
        found.weights, lg.reference.min_norm(problem).weights, rtol=0, atol=1e-13
    )
    assert found.value <= 1e-26


def test_softmax_of_counts():
    # One constant feature: p_c are the shares of the classes, W_c = log p_c less their mean.
    counts = [5, 3, 1, 7]
    y = np.repeat(np.arange(4), counts)
    problem = lg.Problem([(np.full((16, 1), 2.0), y)], task="multiclass")
    found = lg.reference.minimizer(problem, loss="softmax")
    logs = np.log(counts)
    np.testing.assert_allclose(found.weights, [(logs - logs.mean()) / 2], atol=1e-14)


def test_softmax_of_two_classes_is_the_logistic_loss():
    binary = nonseparable(4, [0.5, 0.2, 0.3])
    ids = np.repeat(np.arange(3), binary.sizes)
    classes = lg.Problem.from_arrays(
        binary.X, (binary.y + 1) / 2, ids, task="multiclass", weights=binary.weights
    )
    one = lg.reference.minimizer(binary, loss="logistic")
    two = lg.reference.minimizer(classes, loss="softmax")
    half = one.weights / 2
    np.testing.assert_allclose(two.weights, np.column_stack([-half, half]), atol=1e-12)
    assert two.value == pytest.approx(one.value, rel=1e-13)


@pytest.mark.parametrize("C", [3, 5])
def test_softmax_against_its_formula(C):
    r = np.random.default_rng(C)
    X, y = r.standard_normal((150, 4)), np.concatenate([np.arange(C), r.integers(0, C, 150 - C)])
    problem = lg.Problem.from_arrays(
        X, y, np.arange(150) % 3, task="multiclass", weights=[0.6, 0.3, 0.1]
    )
    found = lg.reference.minimizer(problem, loss="softmax")
    check_weights(problem, found)
    assert found.weights.shape == (4, C)
    np.testing.assert_allclose(found.weights.sum(axis=1), 0, atol=1e-13)


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_breast_cancer(loss):
    datasets = pytest.importorskip("sklearn.datasets")
    X, labels = datasets.load_breast_cancer(return_X_y=True)
    X, y = (X - X.mean(axis=0)) / X.std(axis=0), 2.0 * labels - 1
    problem = lg.Problem.from_arrays(X, y, np.arange(len(y)) % 7)
    found = lg.reference.minimizer(problem, loss=loss)
    # By a hair: the weights are a hundred times as long as for ten of the features.
    assert found.relative_gradient <= 1e-12 and found.margin_error <= 1e-6
    assert np.linalg.norm(found.weights) > 100
    assert found.value == pytest.approx(losses_of(problem, loss)(found.weights), rel=1e-12)


def test_breast_cancer_against_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, labels = datasets.load_breast_cancer(return_X_y=True)
    X = (X[:, :10] - X[:, :10].mean(axis=0)) / X[:, :10].std(axis=0)
    found = lg.reference.minimizer(lg.Problem([(X, 2.0 * labels - 1)]))
    model = linear_model.LogisticRegression(
        C=np.inf, fit_intercept=False, solver="newton-cholesky", tol=1e-12, max_iter=200
    )
    model.fit(X, labels)
    np.testing.assert_allclose(found.weights, model.coef_[0], rtol=1e-6)


def test_digits_of_ten_classes_against_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y = datasets.load_digits(return_X_y=True)
    X = X - X.mean(axis=0)
    X = X @ np.linalg.svd(X, full_matrices=False)[2][:6].T / 16
    found = lg.reference.minimizer(lg.Problem([(X, y)], task="multiclass"), loss="softmax")
    assert found.relative_gradient <= 1e-12 and found.margin_error <= 1e-8
    model = linear_model.LogisticRegression(
        C=np.inf, fit_intercept=False, solver="lbfgs", tol=1e-9, max_iter=5000
    )
    model.fit(X, y)
    wanted = model.coef_.T - model.coef_.T.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(
        found.weights, wanted, rtol=0, atol=1e-4 * np.linalg.norm(found.weights)
    )


def test_kernel_problem():
    problem = nonseparable(5, [0.2, 0.3, 0.5])
    ids = np.repeat(np.arange(3), problem.sizes)
    kernel = lg.Problem.from_gram(problem.X @ problem.X.T, problem.y, ids, weights=problem.weights)
    one, other = lg.reference.minimizer(problem), lg.reference.minimizer(kernel)
    np.testing.assert_allclose(
        problem.signed_rows @ one.weights, kernel.signed_rows @ other.weights, atol=1e-10
    )


def test_separable_rows_are_refused():
    separable = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20)
    with pytest.raises(ValueError, match=r"separable, so the logistic.*reference\.max_margin"):
        lg.reference.minimizer(separable)
    mixed = lg.Problem([([[1.0, 0.0], [2.0, 0.0]], [1, -1]), ([[1.0, 4.0]], [1])])
    with pytest.raises(ValueError, match=r"1 of 3 rows can be separated.*reference\.limits"):
        lg.reference.minimizer(mixed, loss="exponential")
    classes = lg.Problem([(np.eye(3), [0, 1, 2])])
    with pytest.raises(ValueError, match="softmax loss has no minimiser that could be found"):
        lg.reference.minimizer(classes, loss="softmax")
    # Two rows of three classes contradict each other, the third stands alone.
    part = lg.Problem([([[1.0, 0], [1.0, 0], [0, 1.0]], [0, 1, 2])])
    with pytest.raises(ValueError, match="softmax loss has no minimiser that could be found"):
        lg.reference.minimizer(part, loss="softmax")


def test_rows_of_zeros():
    problem = lg.Problem([(np.zeros((3, 2)), [1, 1, -1])])
    found = lg.reference.minimizer(problem)
    np.testing.assert_array_equal(found.weights, [0, 0])
    assert found.direction is None and found.rank == 0 and found.gradient_norm == 0
    assert found.value == pytest.approx(math.log(2), rel=1e-15)


def test_wrong_arguments():
    problem = nonseparable()
    with pytest.raises(TypeError, match=r"problem: got list; want a localgd\.Problem"):
        lg.reference.minimizer([1])
    with pytest.raises(ValueError, match="loss: got 'hinge'; want one of 'exponential'"):
        lg.reference.minimizer(problem, loss="hinge")
    with pytest.raises(ValueError, match="loss: 'softmax' does not fit a binary task"):
        lg.reference.minimizer(problem, loss="softmax")
    with pytest.raises(ValueError, match="'logistic' does not fit a regression task; want squ"):
        lg.reference.minimizer(lg.Problem([([[1.0]], [0.5])]))
    with pytest.raises(ValueError, match="tolerance: got 0; want a finite number above 0"):
        lg.reference.minimizer(problem, tolerance=0)
    with pytest.raises(ValueError, match=r"tolerance: got 1e-30, but rounding keeps"):
        lg.reference.minimizer(problem, tolerance=1e-30)


def test_result_is_frozen_and_prints_on_one_line():
    found = lg.reference.minimizer(nonseparable())
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.value = 0.0
    for name in ("weights", "direction"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(found, name)[0] = 0
    assert repr(found).startswith("Minimizer(logistic, value=0.") and "\n" not in repr(found)


@pytest.mark.parametrize("scale", [1e-150, 1e-18, 1e-15, 1e15, 1e18, 1e150])
@pytest.mark.parametrize("loss", ["logistic", "exponential", "squared", "softmax"])
def test_no_feature_hides_beside_larger_ones(loss, scale):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 3))
    targets = {
        "squared": rng.standard_normal(30),
        "softmax": rng.integers(0, 3, 30).astype(float),
    }
    y = np.where(X @ [1.0, -2, 0.5] + 1.5 * rng.standard_normal(30) > 0, 1.0, -1.0)
    y = targets.get(loss, y)
    plain = lg.reference.minimizer(lg.Problem([(X, y)]), loss=loss)
    for factor in ([1, scale, 1], [scale] * 3):
        found = lg.reference.minimizer(lg.Problem([(X * factor, y)]), loss=loss)
        assert found.rank == 3 and found.value == pytest.approx(plain.value, rel=1e-14)
        off = np.abs((X * factor) @ found.weights - X @ plain.weights).max()
        assert off <= found.margin_error + plain.margin_error < 1e-11


def test_certificate_is_of_the_place_where_it_is_given():
    # Steps of polishing move the margins of rows without a minimiser by 1 each: curvature taken
    # before them would prove one.
    from localgd.losses import LOSSES
    from localgd.reference._losses import Margins
    from localgd.reference._newton import minimise

    for Z in ([[0, 0, 0], [4, -1, 3], [-3, -2, -5]], [[-9, -9], [9, 9], [-4, -3]]):
        for loss in ("logistic", "exponential"):
            ones = np.ones(len(Z))
            found = minimise(np.array(Z, dtype=float), Margins(ones / 3, ones, LOSSES[loss]))
            assert found is None or found.margin_error == np.inf
