"""Losses whose second derivative jumps: the squared hinge and Huber's."""

import numpy as np
import pytest
import registry
from scipy.optimize import minimize

import localgd as lg
from localgd.losses import LOSSES, margin_rows

JUMPING = [name for name, loss in LOSSES.items() if not loss.smooth]


def far_from_fitted(loss, n=60, d=4):
    """Rows of which many are beyond the jump, at the minimiser, too."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((n, d)) * np.sqrt(4 / d)
    scores, noise = X @ rng.standard_normal(d), rng.standard_t(3, n)
    y = scores + 3 * noise if loss in registry.REGRESSION else np.sign(scores + 0.3 * noise)
    return lg.Problem.from_arrays(X, y, np.arange(n) % 3)


def objective(problem, loss, l2):
    A, c = margin_rows(problem, loss), problem.row_weights
    y = np.ones(len(A)) if LOSSES[loss].signed else problem.y
    return lambda w: c @ LOSSES[loss].values(A @ w, y) + l2 / 2 * w @ w


def beyond(problem, loss, w):
    """Which rows are where the loss is constant or linear."""
    margins = margin_rows(problem, loss) @ w
    return margins > 1 if LOSSES[loss].signed else np.abs(margins - problem.y) > 1


@pytest.mark.parametrize("loss", JUMPING)
@pytest.mark.parametrize("engine", registry.ENGINES)
def test_rows_that_pass_the_jump_within_a_round_are_seen(loss, engine):
    """Extrapolated from fewer, larger steps a round would not know of those that pass it late."""
    problem = far_from_fitted(loss, d=40)
    options = {"rounds": 100, "loss": loss, "engine": engine}
    method = lg.LocalGD(local_steps=200, lr=1e-3)
    run = lg.run(problem, method, **options, record=range(101), keep_weights=True)
    exact = lg.run(problem, method, **options, every_step=True)
    np.testing.assert_array_equal(run.weights, exact.weights)
    sides = np.array([beyond(problem, loss, w) for w in run.recorded_weights])
    assert (sides[1:] != sides[:-1]).sum() > 5
    assert run.shortened == 0
    if loss == "squared_hinge":  # a smooth loss needs fewer steps here
        assert lg.run(problem, method, **{**options, "loss": "logistic"}).shortened == 100


@pytest.mark.parametrize("loss", JUMPING)
@pytest.mark.parametrize("l2", [0.03, 1e-3, 1e-6])
@pytest.mark.parametrize("shape", [(60, 4), (12, 30)])
def test_minimisers_are_those_of_the_objective(loss, l2, shape):
    problem = far_from_fitted(loss, *shape)
    found, f = lg.reference.minimizer(problem, loss=loss, l2=l2), objective(problem, loss, l2)
    assert found.relative_gradient < 1e-14 and found.gap < 1e-18
    assert found.value == pytest.approx(f(found.weights), rel=1e-13)
    rng = np.random.default_rng(0)
    for size in (1e-3, 1e-1, 10):
        other = found.weights + size * rng.standard_normal(shape[1])
        assert f(other) >= found.value + l2 / 2 * np.sum((other - found.weights) ** 2) - 1e-13
    if shape[1] < shape[0]:
        plain = minimize(f, np.zeros(shape[1]), method="BFGS", options={"gtol": 1e-9})
        np.testing.assert_allclose(found.weights, plain.x, atol=1e-6)
        assert 2 < beyond(problem, loss, found.weights).sum() < 58  # both parts are there


@pytest.mark.parametrize("loss", JUMPING)
def test_scaffold_reaches_the_minimiser(loss):
    problem = far_from_fitted(loss)
    best = lg.reference.minimizer(problem, loss=loss, l2=0.01)
    method, options = lg.Scaffold(5, "1/(LH)"), {"loss": loss, "l2": 0.01, "reference": best}
    run = lg.run(problem, method, rounds=6000, **options)
    assert run.history["grad_norm"][-1] < 1e-12
    assert run.history["distance"][-1] < 1e-10
    assert abs(run.history["suboptimality"][-1]) < 1e-14


@pytest.mark.parametrize("threshold", [0.3, 5.0])
def test_huber_of_another_threshold_is_that_of_scaled_targets(threshold):
    problem = far_from_fitted("huber")
    scaled = lg.Problem.from_arrays(problem.X, problem.y / threshold, np.repeat([0, 1, 2], 20))
    run = lg.run(scaled, lg.LocalGD(1, 0.1), rounds=50, loss="huber", record=())
    w = np.zeros(4)
    for _ in range(50):
        residuals = np.clip(problem.X @ w - problem.y, -threshold, threshold)
        w = w - 0.1 * problem.X.T @ residuals / 60
    np.testing.assert_allclose(threshold * run.weights, w, rtol=1e-11)


@pytest.mark.parametrize("loss", JUMPING)
def test_what_depends_on_smoothness_or_a_tail_refuses_them_with_the_reason(loss):
    problem = far_from_fitted(loss)
    message = f"the second derivative of the loss '{loss}' jumps, the flow with it; use run"
    with pytest.raises(lg.UnsupportedError, match=message):
        lg.fast_forward(problem, lg.LocalGD(3, 0.1), rounds=1e9, loss=loss)
    with pytest.raises(
        lg.UnsupportedError, match=f"l2: got 0, with which the {loss} loss, .*l2 > 0"
    ):
        lg.reference.minimizer(problem, loss=loss)
    if problem.task == "binary":
        with pytest.raises(lg.UnsupportedError, match="want one whose exponential tail is known, "):
            lg.reference.limits(problem, loss=loss)


def test_the_exact_local_solve_is_not_that_of_huber():
    problem = far_from_fitted("huber")
    message = "loss: got 'huber', which the exact local solves .*want 'squared', or a method with"
    with pytest.raises(lg.UnsupportedError, match=message):
        lg.run(problem, lg.LocalSolve(), rounds=5, loss="huber")


def test_the_squared_hinge_is_zero_at_a_finite_model():
    problem = lg.datasets.make_separable(n_clients=3, n_samples=6, n_features=30, seed=0)
    run = lg.run(problem, lg.LocalGD(5, "1/H"), rounds=20_000, loss="squared_hinge")
    assert run.history["loss"][-1] < 1e-25
    assert (problem.signed_rows @ run.weights > 1 - 1e-10).all()
    # Where it is 0 the exact local solves leave the model alone: they project on the same rows.
    settings = {"rounds": 1, "loss": "squared_hinge"}
    solved = lg.run(problem, lg.LocalSolve(), init=2 * run.weights, **settings)
    np.testing.assert_array_equal(solved.weights, 2 * run.weights)
    with pytest.raises(ValueError, match="want one of exponential, logistic"):
        lg.analysis.residual(problem, run, lg.reference.max_margin(problem))
