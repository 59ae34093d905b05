"""fast_forward where its path may be lost: what it claims holds, or it says why it cannot."""

from __future__ import annotations

import numpy as np
import pytest

import localgd as lg

SEPARABLE = lg.datasets.make_separable(n_clients=3, n_samples=4, n_features=30, seed=1)
UNEQUAL = SEPARABLE.with_weights([0.7, 0.2, 0.1])
TWO_ROWS = lg.Problem([(np.array([[1.0, 0.0]]), [1]), (np.array([[0.0, 1.0]]), [1])])


def relative(found, right):
    return np.linalg.norm(found - right) / np.linalg.norm(right)


def exact(problem, method, rounds, loss="exponential", **options):
    """Rounds one by one in the weights."""
    return lg.run(
        problem, method, rounds=rounds, loss=loss, engine="primal", every_step=True, **options
    )


# -- Displacements and schedules -------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("steps", [None, 1, 5])
def test_displacements_cancel_however_small_the_rate(steps, power, loss):
    lr, options = lg.Polynomial(1.0, power), {"rounds": 1e100, "loss": loss, "threads": 1}
    plain, method = lg.LocalGD(steps or 1, lr), lg.FedGA(steps or 1, lr, 1e-3)
    if steps is None:
        method = lg.GradAlign(lr, 1e-3)
    near, far = (lg.fast_forward(UNEQUAL, each, **options) for each in (plain, method))
    assert relative(far.weights, near.weights) < 1e-3
    assert far.history["error"].max() < 1e-4


@pytest.mark.parametrize("seed", range(12))
def test_displaced_methods_beside_their_rounds(seed):
    """Local steps, weights, schedules and servers at random; the error claimed holds."""
    rng = np.random.default_rng(seed)
    clients = int(rng.integers(2, 5))
    problem = lg.datasets.make_separable(
        n_clients=clients, n_samples=3, n_features=int(rng.integers(4, 20)), seed=seed
    ).with_weights(rng.dirichlet(np.ones(clients)))
    rate, beta = 10 ** rng.uniform(-1, 0.5), 10 ** rng.uniform(-3, 0.5)
    lr = (rate, lg.Polynomial(rate, rng.uniform(0.2, 1)), lg.TwoStage(rate, rate / 3, 90))[seed % 3]
    server = lg.ServerSGD(0.7, rng.uniform(0, 0.7)) if seed % 4 == 3 else lg.Average()
    method = lg.GradAlign(lr, beta, server=server)
    if seed % 2:
        method = lg.FedGA(tuple(rng.integers(1, 20, clients).tolist()), lr, beta, server=server)
    options = {"record": [0, 100, 1000, 3000], "keep_weights": True, "threads": 1}
    far = lg.fast_forward(problem, method, rounds=3000, **options)
    near = lg.run(problem, method, rounds=3000, engine="primal", every_step=True, **options)
    gap = np.linalg.norm(far.recorded_weights - near.recorded_weights, axis=1)[1:]
    gap /= np.linalg.norm(near.recorded_weights[1:], axis=1)
    assert (gap <= 3 * far.history["error"][1:] + 1e-11).all()
    np.testing.assert_allclose(far.history["drift"], near.history["drift"], rtol=1e-5, atol=1e-24)


def test_displacements_of_several_classes_cancel():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 20))
    problem = lg.Problem.from_arrays(
        X, np.arange(12) % 3, np.repeat(np.arange(3), 4), weights=[0.7, 0.2, 0.1], task="multiclass"
    )
    lr = lg.Polynomial(0.3, 0.8)
    near, far = (
        lg.fast_forward(problem, method, rounds=1e60, threads=1)
        for method in (lg.GD(lr), lg.GradAlign(lr, 1e-3))
    )
    assert relative(far.weights, near.weights) < 1e-3


def test_displacements_with_the_squared_loss_cancel():
    problem = lg.datasets.make_regression(n_clients=3, n_samples=4, n_features=20, seed=0)
    problem = problem.with_weights([0.7, 0.2, 0.1])
    near, far = (
        lg.fast_forward(problem, method, rounds=1e24, threads=1)
        for method in (lg.GD(1e-20), lg.GradAlign(1e-20, 1e-3))
    )
    assert relative(far.weights, near.weights) < 1e-3


@pytest.mark.parametrize("rtol", [1e-2, 1e-4, 1e-8])
@pytest.mark.parametrize("beta", [0.3, 3.0])
def test_displaced_starts_count_as_long_as_they_matter(beta, rtol):
    problem = lg.datasets.make_separable(n_clients=3, n_samples=4, n_features=6, seed=1)
    method = lg.GradAlign(lg.Polynomial(1.0, 0.95), beta=beta)
    right = exact(problem, method, 10**5)
    far = lg.fast_forward(problem, method, rounds=10**5, rtol=rtol, loss="exponential", threads=1)
    off = relative(far.weights, right.weights)
    assert off <= 3 * far.history["error"][-1] and off <= 30 * rtol


def test_an_anchor_draws_a_model_at_rest_back():
    """Rates whose sum is finite: (k + 1) w tends to a limit."""
    method = lg.LocalGD(1, lg.Polynomial(0.5, 2.5), server=lg.Anchored())
    far = lg.fast_forward(SEPARABLE, method, rounds=1e40, keep_weights=True, threads=1)
    late = far.history["round"] > 1e8
    scaled = far.history["round"][late, None] * far.recorded_weights[late]
    assert np.ptp(scaled, axis=0).max() < 1e-3 * np.abs(scaled).max()
    assert far.history["error"].max() < 1e-2


# -- Small rates -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [lg.GD, lambda lr: lg.LocalGD(3, lr)], ids=["gd", "local"])
@pytest.mark.parametrize("lr", [1e-3, 1e-6, 1e-9, 1e-12, 1e-100, 1e-250])
def test_small_rates(lr, method):
    """e^w grows by lr L/2 per round and row, to rounding and O(lr)."""
    method = method(lr)
    steps = int(method.rule.core_steps(2).max())
    for rounds in (10 / lr, 1e280):
        far = lg.fast_forward(TWO_ROWS, method, rounds=rounds, loss="exponential", threads=1)
        right = np.log1p(0.5 * steps * lr * float(far.round))
        off = relative(far.weights, np.full(2, right))
        assert off < 1e-7 + 10 * lr
        assert np.isfinite(far.history["error"]).all()


@pytest.mark.parametrize("lr", [1e-4, 1e-6])
def test_small_rates_against_rounds_one_by_one(lr):
    """Increments that do not change at first change late."""
    method = lg.LocalGD(4, lr)
    right = exact(SEPARABLE, method, 10**6)
    far = lg.fast_forward(SEPARABLE, method, rounds=10**6, loss="exponential", threads=1)
    off = relative(far.weights, right.weights)
    assert off <= 3 * far.history["error"][-1] < 1e-6


# -- Instability -----------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 5])
def test_a_path_that_rounds_overshoot_is_not_followed(steps):
    """Nearly opposite rows with the same margin: the path is smooth, and the map overshoots."""
    rows = np.array([[1.0, 0.01], [-1.0, 0.01 + 1e-9]])
    problem, method = lg.Problem([(rows, [1, 1])]), lg.LocalGD(steps, 2.2 / steps)
    far = lg.fast_forward(problem, method, rounds=600, loss="logistic", threads=1)
    right = exact(problem, method, 600, loss="logistic")
    assert relative(far.weights, right.weights) <= 3 * max(far.history["error"][-1], 1e-11)


def test_rounds_that_become_unstable_after_they_were_smooth():
    """The second rate is too large: what rounding makes of it is owned up to, or refused."""
    rows = np.array([[1.0, 0.05], [-1.0, 0.051]])
    problem, method = lg.Problem([(rows, [1, 1])]), lg.LocalGD(1, lg.TwoStage(0.5, 9.0, 300))
    far = lg.fast_forward(problem, method, rounds=2000, loss="logistic", threads=1)
    right = exact(problem, method, 2000, loss="logistic")
    assert relative(far.weights, right.weights) <= 3 * max(far.history["error"][-1], 1e-11)
    with pytest.raises(lg.UnsupportedError, match="unstable"):
        lg.fast_forward(problem, method, rounds=1e30, loss="logistic", max_exact_rounds=400)


def test_rounds_that_become_unstable_late_are_refused():
    """FedNova's factors let displacements move the model: curvature outgrows the falling rate.

    From round 18,000 on every other round jumps by 3 %, which way is chance.
    """
    X = np.array(
        [
            [-0.308, -0.023, 0.234, 0.397, -0.525, -0.079],
            [0.039, 0.189, -0.396, -0.057, -0.102, -0.397],
            [-0.090, 0.271, -0.350, -0.072, 0.394, 0.611],
            [-0.468, -0.255, 0.520, -0.116, -0.053, -0.655],
            [0.017, -0.118, 0.197, -0.224, -0.013, 0.106],
            [0.106, 0.794, 0.144, 0.269, -0.445, -0.259],
            [-0.310, -0.205, -0.261, 0.299, -0.031, -0.168],
        ]
    )
    y = [-1, -1, -1, 1, 1, -1, -1]
    problem = lg.Problem.from_arrays(X, y, [0, 0, 0, 0, 1, 1, 1], weights=[0.227, 0.773])
    method, options = lg.FedGA((10, 26), lg.Polynomial(0.3, 1.0), 0.01), {"loss": "logistic"}
    try:
        far = lg.fast_forward(problem, method, rounds=19_953, threads=1, **options)
    except lg.UnsupportedError as error:
        assert "unstable" in str(error)
        return
    right = exact(problem, method, 19_953, **options)
    assert relative(far.weights, right.weights) <= 3 * max(far.history["error"][-1], 1e-11)


@pytest.mark.parametrize("momentum", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_keeps_what_it_claims(momentum, nesterov):
    method = lg.LocalGD(3, 0.5, server=lg.ServerSGD(0.7, momentum, nesterov))
    options = {"rounds": 30_000, "loss": "logistic", "keep_weights": True, "threads": 1}
    far = lg.fast_forward(SEPARABLE, method, **options)
    right = lg.run(SEPARABLE, method, engine="primal", every_step=True, **options)
    gap = np.linalg.norm(far.recorded_weights - right.recorded_weights, axis=1)[1:]
    gap /= np.linalg.norm(right.recorded_weights, axis=1)[1:]
    assert (gap <= np.maximum(3 * far.history["error"][1:], 1e-11)).all()
    assert far.history["error"].max() < 1e-6


# -- Rows that are not separable -------------------------------------------------------------------


@pytest.mark.parametrize("lr", [1e-9, 1e-17])
def test_a_model_that_moves_by_less_than_rounding_need_not_be_at_rest(lr):
    blurred = lg.datasets.make_nonseparable(n_clients=3, n_samples=20, n_features=4, seed=0)
    start = lg.reference.minimizer(blurred, loss="logistic").weights + 1e-3
    with pytest.raises(lg.UnsupportedError, match="still moves"):
        lg.fast_forward(
            blurred, lg.GD(lr), rounds=1e30, loss="logistic", init=start, max_exact_rounds=1000
        )


# -- Drift -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    [
        lg.LocalGD(5, 0.3),
        lg.LocalGD((1, 5, 2), 0.3),
        lg.ModifiedLocalGD(5, 0.3),
        lg.FedGA(5, 0.3, 0.2),
        lg.Scaffold(5, 0.3),
        lg.LocalGD(5, 0.3, server=lg.ServerSGD(0.7, 0.5)),
        lg.LocalGD(5, lg.Polynomial(1.0, 0.8)),
    ],
    ids=repr,
)
@pytest.mark.parametrize("loss", ["squared", "exponential"])
def test_drift_is_that_of_the_round_before(method, loss):
    problem, rounds = SEPARABLE, 2000
    if loss == "squared":
        if callable(method.lr):
            pytest.skip("needs a constant rate")
        problem, rounds = (
            lg.datasets.make_regression(n_clients=3, n_samples=4, n_features=5, seed=0),
            60,
        )
    options = {"rounds": rounds, "loss": loss, "threads": 1}
    far, near = lg.fast_forward(problem, method, **options), lg.run(problem, method, **options)
    np.testing.assert_allclose(far.history["drift"], near.history["drift"], rtol=1e-5, atol=1e-24)


# -- Numbers out of range, and the caller's NumPy --------------------------------------------------


@pytest.mark.parametrize("loss", ["exponential", "logistic", "squared"])
def test_it_does_not_depend_on_seterr(loss):
    problem, options = SEPARABLE, {"rounds": 1e50, "loss": loss, "threads": 1}
    if loss == "squared":
        problem = lg.datasets.make_regression(n_clients=3, n_samples=4, n_features=20, seed=0)
    usual = lg.fast_forward(problem, lg.LocalGD(20, 0.5), **options)
    with np.errstate(all="raise"):
        strict = lg.fast_forward(problem, lg.LocalGD(20, 0.5), **options)
    np.testing.assert_array_equal(strict.weights, usual.weights)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_rows_whose_squares_are_no_numbers_are_refused(size):
    problem = lg.Problem([(size * np.eye(2), [1, 1])])
    with pytest.raises(lg.UnsupportedError, match=r"problem: .*divide the rows"):
        lg.fast_forward(problem, lg.GD(1.0), rounds=1e9)
