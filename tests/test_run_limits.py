"""What the methods converge to, and how fast: the numbers that the theory and the issue name."""

import numpy as np
import oracle
import pytest
import registry

import localgd as lg

SPAN = ("gram", "hybrid")


# -- Separable rows: the max-margin direction ------------------------------------------------------


@pytest.fixture(scope="module")
def separable():
    """Seed 1 of the fixed separable data."""
    X, y = oracle.separable_rows(seed=1, M=5, n=10, d=100)
    return lg.Problem(list(zip(X, y, strict=True)))


@pytest.fixture(scope="module")
def best(separable):
    return lg.reference.max_margin(separable)


def degrees(run):
    return np.degrees(run.history["angle"])


@pytest.mark.parametrize("engine", SPAN)
def test_exact_solves_stop_short_of_max_margin(separable, best, engine):
    run = lg.run(separable, lg.LocalSolve(), rounds=2000, reference=best, engine=engine)
    assert f"{degrees(run)[-1]:.3f}" == "6.586"
    assert run.history["margin"][-1] * run.history["norm"][-1] > 1 - 1e-9  # feasible for all
    again = lg.run(separable, lg.LocalSolve(), rounds=100, init=run.weights, engine=engine)
    np.testing.assert_allclose(again.weights, run.weights, rtol=1e-8)


@pytest.mark.parametrize("engine", SPAN)
def test_anchored_exact_solves_reach_max_margin_like_one_over_k(separable, best, engine):
    run = lg.run(
        separable,
        lg.ModifiedLocalGD(local_steps=None),
        rounds=2000,
        reference=best,
        engine=engine,
        record=(200, 500, 1000),
    )
    shown = [f"{angle:.3f}" for angle in degrees(run)[1:]]
    assert shown == ["1.526", "0.596", "0.296", "0.147"]
    error = np.linalg.norm(run.weights - best.weights) / np.linalg.norm(best.weights)
    assert error < 0.01


@pytest.mark.parametrize("batch_size", [1, 8, 10, None])
def test_local_sgd_goes_where_local_gd_goes(separable, best, batch_size):
    settings = {"rounds": 10**5, "reference": best, "record": (10**3, 10**4)}
    exact = degrees(lg.run(separable, lg.LocalGD(10, 1.0), **settings))
    drawn = degrees(lg.run(separable, lg.LocalSGD(10, 1.0, batch_size=batch_size), **settings))
    assert drawn[-1] == pytest.approx(exact[-1], rel=0.1)
    assert (np.diff(drawn[1:]) < 0).all()


# -- Regression: exact solves of any shape ---------------------------------------------------------


@pytest.mark.parametrize(("engine", "dtype"), [(e, t) for e in SPAN for t in registry.DTYPES])
@pytest.mark.parametrize(("n", "d"), [(8, 2), (8, 8), (3, 9), (40, 10)])
def test_exact_regression_solve_is_the_pseudo_inverse(n, d, engine, dtype):
    """Also with more rows than features, and with a row that is there twice."""
    rng = np.random.default_rng(n)
    X, y, w0 = rng.standard_normal((n, d)), rng.standard_normal(n), rng.standard_normal(d)
    for rows in (X, np.vstack([X, X[:1]])):
        targets = np.append(y, y[0])[: len(rows)]
        problem = lg.Problem([(rows, targets)])
        run = lg.run(problem, lg.LocalSolve(), rounds=3, engine=engine, dtype=dtype, init=w0)
        expected = w0 + np.linalg.pinv(rows) @ (targets - rows @ w0)
        tolerance = {"float64": 1e-10, "float32": 1e-3}[dtype] * np.linalg.norm(expected)
        np.testing.assert_allclose(run.weights, expected, rtol=0, atol=tolerance)


# -- Client gradients that align -------------------------------------------------------------------


@pytest.mark.parametrize("loss", registry.LOSSES)
@pytest.mark.parametrize("engine", registry.ENGINES)
def test_grad_align_descends_on_loss_and_variance(loss, engine):
    """``(w_k - w_{k+1})/η = ∇f + (β/2) ∇ Σ p_i‖∇f_i - ∇f‖² + O(β²)``; differences in β and w."""
    rows, p = registry.clients(loss), registry.client_weights("samples", registry.SIZES)
    w0 = registry.model(loss, [0.6, -0.8, 0.3, 0.0, 0.7])

    def update(beta):
        method = lg.GradAlign(lr=0.25, beta=beta)
        problem = registry.problem(loss, "samples")
        run = lg.run(problem, method, rounds=1, loss=loss, init=w0, engine=engine)
        return (w0 - run.weights) / 0.25

    def regularised(w):
        value = oracle.measures(rows, p, loss, w, None)[0]
        return np.array([value, oracle.gradient_measures(rows, p, loss, w)[1]])

    h, slopes = 1e-5, np.zeros((*w0.shape, 2))
    for place in np.ndindex(w0.shape):
        e = np.zeros_like(w0)
        e[place] = h
        slopes[place] = (regularised(w0 + e) - regularised(w0 - e)) / (2 * h)
    b = 1e-3
    np.testing.assert_allclose(update(0.0), slopes[..., 0], rtol=1e-7, atol=1e-9)
    got = (-update(2 * b) + 4 * update(b) - 3 * update(0.0)) / (2 * b)
    np.testing.assert_allclose(got, slopes[..., 1] / 2, rtol=1e-4, atol=1e-6)


def test_grad_align_lowers_the_variance_of_the_gradients():
    """Digits split by class, where the clients pull in different directions."""
    pytest.importorskip("sklearn")
    X, y = lg.datasets.load_digits(classes=(3, 8))
    problem = lg.partition(X, y, n_clients=2, scheme=lg.ByClass(1), seed=0)
    settings = {"rounds": 400, "loss": "logistic", "record": range(401)}
    plain = lg.run(problem, lg.GD(lr=1.0), **settings).history
    aligned = lg.run(problem, lg.GradAlign(lr=1.0, beta=2.0), **settings).history
    variance = aligned["grad_variance"]
    assert variance[0] == pytest.approx(plain["grad_variance"][0], rel=1e-12)
    assert (variance[1:] < plain["grad_variance"][1:]).all()
    assert variance[-1] < 0.9 * plain["grad_variance"][-1]
    # Not for its faster descent alone: it is lower than that of GD at the same loss, too.
    reached = aligned["loss"] > plain["loss"][-1]
    at_same_loss = np.interp(aligned["loss"], plain["loss"][::-1], plain["grad_variance"][::-1])
    assert reached.sum() > 200
    assert (variance[reached][10:] < at_same_loss[reached][10:]).all()


# -- Rows that are not separable: the minimiser ----------------------------------------------------


@pytest.fixture(scope="module")
def mixed():
    return lg.datasets.make_nonseparable(n_clients=4, n_samples=25, n_features=5, seed=0)


@pytest.fixture(scope="module")
def minimum(mixed):
    return lg.reference.minimizer(mixed, loss="logistic").weights


def offset(problem, minimum, method, rounds, **settings):
    """``‖w_R - w*‖``."""
    run = lg.run(problem, method, rounds=rounds, loss="logistic", **settings)
    return np.linalg.norm(run.weights - minimum)


@pytest.mark.parametrize(
    "method",
    [lg.GD(lr=4.0), lg.MinibatchSGD(3, 4.0, batch_size=25), lg.LocalGD(5, lg.Polynomial(50, 1))],
    ids=repr,
)
@pytest.mark.parametrize("engine", registry.ENGINES)
def test_gradient_descent_reaches_the_minimiser(mixed, minimum, method, engine):
    error = offset(mixed, minimum, method, 20_000, engine=engine)
    assert error < 1e-4 * np.linalg.norm(minimum)


def test_offset_of_local_gd_is_proportional_to_rate_and_steps(mixed, minimum):
    """To η (L - 1), to be exact: a single local step has none, and ηL is its size for large L."""
    offsets = {
        (lr, L): offset(mixed, minimum, lg.LocalGD(L, lr), int(20_000 / (lr * L)), init=minimum)
        for lr in (0.25, 0.5, 1.0)
        for L in (2, 4, 16)
    }
    factors = [value / (lr * (L - 1)) for (lr, L), value in offsets.items()]
    assert min(factors) > 1e-3
    assert max(factors) / min(factors) < 1.05
    assert offset(mixed, minimum, lg.LocalGD(1, 1.0), 20_000, init=minimum) < 1e-9


@pytest.mark.parametrize("engine", registry.ENGINES)
@pytest.mark.parametrize("participation", [1.0, 2])
def test_scaffold_has_no_offset(mixed, minimum, engine, participation):
    settings = {"lr": 0.5, "participation": participation}
    corrected = lg.Scaffold(8, **settings)
    assert offset(mixed, minimum, corrected, 10_000, engine=engine) < 1e-6
    if participation == 1.0:
        plain = offset(mixed, minimum, lg.LocalGD(8, **settings), 10_000, engine=engine)
        assert plain > 1e-2


def test_fed_prox_shrinks_the_offset_and_keeps_some(mixed, minimum):
    offsets = [
        offset(mixed, minimum, lg.FedProx(8, 0.5, mu=mu), 10_000, init=minimum)
        for mu in (0.0, 0.3, 1.0, 3.0)
    ]
    assert (np.diff(offsets) < 0).all()
    assert offsets[0] > 1.5 * offsets[2] > 2 * offsets[3] > 1e-3


# -- Several classes -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    """All ten digits on ten clients, Dirichlet(0.3)."""
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = datasets.load_digits(return_X_y=True)
    X = X / np.linalg.norm(X, axis=1).max()
    return lg.partition(X, y, n_clients=10, scheme=lg.Dirichlet(0.3), seed=0, weights="samples")


@pytest.mark.parametrize("engine", registry.ENGINES)
def test_one_step_on_ten_digits_is_multinomial_logistic_regression(digits, engine):
    """Pooled gradient descent in four lines; the clients do not matter when L = 1."""
    onehot, W, rounds = np.eye(10)[digits.y.astype(int)], np.zeros((64, 10)), 60
    for _ in range(rounds):
        scores = np.exp(digits.X @ W)
        W -= 1.5 * digits.X.T @ (scores / scores.sum(axis=1, keepdims=True) - onehot) / len(onehot)
    run = lg.run(
        digits, lg.LocalGD(1, 1.5), rounds=rounds, loss="softmax", engine=engine, reference=W
    )
    registry.assert_close(run.weights, W, 1e-10, engine)
    assert run.history["angle"][-1] < 1e-8
    chances = np.exp(digits.X @ W)
    of_label = np.take_along_axis(chances, digits.y.astype(int)[:, None], axis=1)[:, 0]
    assert run.history["loss"][-1] == pytest.approx(
        -np.log(of_label / chances.sum(axis=1)).mean(), rel=1e-12
    )


def test_softmax_goes_towards_the_multiclass_max_margin(digits):
    some = lg.partition(
        digits.X[::9], digits.y[::9], n_clients=10, scheme=lg.Dirichlet(0.3), seed=0
    )
    best = lg.reference.max_margin(some)
    run = lg.run(
        some, lg.LocalGD(20, 10.0), rounds=500, loss="softmax", reference=best, record=(5, 50)
    )
    angles = degrees(run)[1:]
    assert (np.diff(angles) < 0).all()
    assert angles[-1] < 30
    assert (np.diff(run.history["margin"][1:]) > 0).all()
    assert run.history["margin"][-1] < best.margin


# -- Kernels ---------------------------------------------------------------------------------------

KERNEL_METHODS = [
    lg.LocalGD(4, 0.3),
    lg.LocalSGD(4, 0.3, batch_size=2, participation=2),
    lg.Scaffold(4, 0.3),
    lg.FedGA(4, 0.3, beta=0.2, server=lg.ServerSGD(0.7, momentum=0.5)),
    lg.ModifiedLocalGD(4, 0.3),
]


@pytest.mark.parametrize("loss", registry.LOSSES)
@pytest.mark.parametrize("method", KERNEL_METHODS, ids=repr)
@pytest.mark.parametrize("engine", SPAN)
def test_linear_kernel_is_the_run_on_features(loss, method, engine):
    explicit = registry.problem(loss, "samples", d=30)
    ids = np.repeat(np.arange(3), registry.SIZES)
    kernel = lg.Problem.from_gram(
        explicit.X @ explicit.X.T, explicit.y, ids, weights="samples", task=registry.task(loss)
    )
    settings = {"rounds": 200, "loss": loss, "seed": 2}
    run = lg.run(kernel, method, engine=engine, **settings)
    want = lg.run(explicit, method, engine="primal", **settings)
    assert run.weights is None
    registry.assert_close(run.coefficients, want.coefficients, 1e-9, "coefficients")
    sent = {"bytes", "bits", "bits_up", "bits_down"}
    assert set(want.history) - set(run.history) == sent
    gradients = want.history["grad_norm"] / want.history["grad_norm"].max()
    vanished = gradients < 1e-6
    rounding = 4 * np.finfo(float).eps / gradients.min()  # of what is left of them
    for name, column in run.history.items():
        if name == "log_loss":  # of a loss that may be rounding
            continue
        wanted = want.history[name]
        if name.startswith("grad_"):
            registry.assert_close(column[vanished], wanted[vanished], rounding, name)
            column, wanted = column[~vanished], wanted[~vanished]
        registry.assert_close(column, wanted, 1e-9, name)


def test_angle_in_the_feature_space_of_a_kernel():
    explicit = registry.problem("exponential", d=30)
    ids = np.repeat(np.arange(3), registry.SIZES)
    kernel = lg.Problem.from_gram(explicit.X @ explicit.X.T, explicit.y, ids, weights="equal")
    runs = [
        lg.run(problem, lg.LocalGD(4, 0.3), rounds=500, reference=lg.reference.max_margin(problem))
        for problem in (kernel, explicit)
    ]
    np.testing.assert_allclose(
        runs[0].history["angle"][1:], runs[1].history["angle"][1:], rtol=1e-8
    )


def test_rbf_kernel_on_digits_reaches_its_max_margin():
    pytest.importorskip("sklearn")
    X, y = lg.datasets.load_digits(classes=(3, 8))
    X, y = X[:120], y[:120]
    squares = ((X[:, None] - X[None]) ** 2).sum(axis=2)
    K = np.exp(-squares / np.median(squares))
    problem = lg.Problem.from_gram(K, y, np.arange(120) % 4)
    best = lg.reference.max_margin(problem)
    run = lg.run(problem, lg.LocalGD(10, 1.0), rounds=3000, reference=best)
    assert run.weights is None
    assert run.coefficients.shape == (120,)
    assert run.status == "completed"
    order = problem.row_order
    z = problem.y * (K[np.ix_(order, order)] @ (problem.y * run.coefficients))  # y_j f(x_j)
    assert run.history["norm"][-1] == pytest.approx(np.sqrt(run.coefficients @ z))
    assert run.history["margin"][-1] == pytest.approx(z.min() / run.history["norm"][-1])
    assert run.history["loss"][-1] == pytest.approx(
        np.mean([np.exp(-z[problem.rows(i)]).mean() for i in range(4)])
    )
    assert (np.diff(run.history["angle"][1:]) < 0).all()
    assert run.history["margin"][-1] > 0.5 * best.margin


@pytest.mark.parametrize("engine", ["gram", "hybrid", "primal"])
def test_float32_follows_float64(engine):
    """Millions of local steps: the deviation of a round keeps its digits, nothing freezes."""
    problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=1)
    one, other = (
        lg.run(problem, lg.LocalGD(100, 1.0), rounds=5_000, engine=engine, dtype=dtype).weights
        for dtype in ("float64", "float32")
    )
    assert np.linalg.norm(other - one) < 1e-5 * np.linalg.norm(one)
    assert (other != one).any()


@pytest.mark.parametrize("power", [200.0, 1e4, 1e308])
@pytest.mark.parametrize("kind", [int, float, np.int64, np.float64])
def test_steep_schedules_underflow(power, kind):
    """They do not overflow: Python's power has no infinity."""
    schedule = lg.Polynomial(1.0, power)
    with np.errstate(over="ignore"):
        assert [schedule(kind(k)) for k in (0, 10**9)] == [1.0, 0.0]


def test_a_rate_that_underflows_is_refused(small_problem, tmp_path):
    message = r"lr: the schedule gave 0\.0 for round \d+; want numbers above 0"
    method = lg.GD(lg.Polynomial(1.0, 200.0))
    with pytest.raises(ValueError, match=message):
        lg.run(small_problem, method, rounds=100)
    with pytest.raises(ValueError, match=message):
        lg.run(small_problem, method, rounds=100, checkpoint=tmp_path / "c")
    assert lg.run(small_problem, method, rounds=30).status == "completed"
    table = lg.sweep(small_problem, method, rounds=5, grid={"rounds": [30, 100]})
    assert [entry.status for entry in table] == ["completed", "failed"]
