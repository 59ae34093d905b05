"""One object for each loss: what it says of itself is what it does, and what the core does."""

import dataclasses
import math

import numpy as np
import pytest
from extension.smooth_hinge import SmoothHinge
from scipy.optimize import minimize

import localgd as lg
from localgd._backend import core
from localgd.labels import TASKS
from localgd.losses import KINDS, LOSSES, BaseLoss, Tail, of_core

SEPARABLE = lg.datasets.make_separable(n_clients=3, n_samples=6, n_features=30, seed=0)
OVERLAPPING = lg.datasets.make_nonseparable(n_clients=3, n_samples=20, n_features=3, seed=0)
HINGE = SmoothHinge(  # unknown to the core
    "smooth_hinge", ("binary",), True, 1.0, Tail(4.0, math.exp(4.0)), True, 0
)
OBJECTS = [*LOSSES.values(), HINGE]
MARGIN = [loss for loss in OBJECTS if loss.signed]


def rows(loss):
    """Scores from small to large, and labels."""
    rng = np.random.default_rng(0)
    size = np.geomspace(1e-3, 20, 60)
    if loss.multiclass:
        return size[:, None] * rng.standard_normal((60, 4)), rng.integers(0, 4, 60).astype(float)
    u = size * rng.choice([-1.0, 1.0], 60)
    if loss.signed:
        return u, rng.choice([-1.0, 1.0], 60)
    y = rng.standard_normal(60)
    return u, y if loss.least_target < 0 else np.abs(y)


def directions(loss, u):
    """Unit changes of the scores: by each class."""
    return list(np.eye(u.shape[1])[:, None, :]) if loss.multiclass else [np.ones(1)]


def test_every_loss_is_one_of_the_core_and_every_kind_is_used():
    assert list(LOSSES) == list(core.schema()["losses"]) and set(KINDS) <= set(LOSSES)
    for name, kind in KINDS.items():
        assert type(LOSSES[name]) is kind and LOSSES[name].name == name


@pytest.mark.parametrize("name", LOSSES)
def test_values_and_slopes_are_those_of_the_core(name):
    loss, plain = LOSSES[name], of_core(name)
    u, y = rows(loss)
    np.testing.assert_allclose(loss.values(u, y), plain.values(u, y), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(loss.slopes(u, y), plain.slopes(u, y), rtol=1e-13)
    assert plain.values(u, y).shape == y.shape and plain.slopes(u, y).shape == u.shape


@pytest.mark.parametrize(
    ("loss", "margins", "targets", "message"),
    [
        ("hinge", np.zeros(2), np.ones(2), "loss: no loss named 'hinge'"),
        ("logistic", np.zeros(2), np.ones(3), "targets: want one number for each row of margins"),
        (
            "logistic",
            np.zeros((2, 2)),
            np.ones(2),
            "margins: want one column for each target of a row",
        ),
        ("softmax", np.zeros((2, 3)), np.array([1.0, 3.0]), "targets: want classes 0 to C - 1"),
        ("softmax", np.zeros((2, 3)), np.array([-1.0, np.nan]), "targets: want classes 0 to C - 1"),
    ],
)
def test_the_core_refuses_rows_that_do_not_fit(loss, margins, targets, message):
    with pytest.raises(ValueError, match=message):
        core.loss_of_rows(loss, margins, targets)


@pytest.mark.parametrize("loss", OBJECTS, ids=lambda loss: loss.name)
def test_slopes_and_curvatures_are_derivatives(loss):
    u, y = rows(loss)
    u, h = np.clip(u, -8, 8), 1e-5
    for c, d in enumerate(directions(loss, u)):
        slopes = (loss.values(u + h * d, y) - loss.values(u - h * d, y)) / (2 * h)
        own = loss.slopes(u, y)[:, c] if loss.multiclass else loss.slopes(u, y)
        np.testing.assert_allclose(own, slopes, rtol=1e-7, atol=1e-9)
        if loss.has_curvatures:
            by = (loss.slopes(u + h * d, y) - loss.slopes(u - h * d, y)) / (2 * h)
            own = loss.curvatures(u, y)
            np.testing.assert_allclose(own[:, c] if loss.multiclass else own, by, atol=1e-8)


@pytest.mark.parametrize(
    "loss", [loss for loss in OBJECTS if loss.has_curvatures], ids=lambda loss: loss.name
)
def test_curvatures_are_bounded_as_they_say(loss):
    u, y = rows(loss)
    own = loss.curvatures(u, y)
    roots = loss.roots(u, y)
    if loss.multiclass:
        largest = np.linalg.eigvalsh(own).max()
        np.testing.assert_allclose(roots @ roots.transpose(0, 2, 1), own, atol=1e-14)
    else:
        largest = (loss.curvatures(np.zeros(1), y[:1]) if loss.overflows else own).max()
        np.testing.assert_allclose(roots**2, own, rtol=1e-14)
    if math.isfinite(loss.curvature):
        assert 0.5 * loss.curvature <= largest <= loss.curvature * (1 + 1e-12)
    if loss.concordance is not None and not loss.multiclass:  # |l'''| <= concordance l''
        h = 1e-4
        thirds = (loss.curvatures(u + h, y) - loss.curvatures(u - h, y)) / (2 * h)
        assert (np.abs(thirds) <= loss.concordance * own * (1 + 1e-6) + 1e-11).all()


@pytest.mark.parametrize("loss", OBJECTS, ids=lambda loss: loss.name)
def test_tails_and_bounds(loss):
    far, y = np.array([-800.0, 800.0, 30.0]), np.ones(3)
    if loss.multiclass:  # the other class is behind by the margin
        far = np.stack([np.zeros(3), far], axis=1)
    with np.errstate(over="ignore"):
        values, slopes = loss.values(far, y), np.abs(loss.slopes(far, y)).reshape(3, -1).max(axis=1)
    assert np.isfinite(values).tolist() == [loss.overflows >= 0, loss.overflows <= 0, True]
    assert (slopes.max() <= 1 + 1e-12) == loss.bounded
    if loss.tail is not None:
        limit = slopes[2] * math.exp(30 * loss.tail.rate)
        assert limit == pytest.approx(loss.tail.factor, rel=1e-9)
    else:  # none that falls like e^-m, but perhaps to 0
        assert slopes[2] == 0 or slopes[2] > 1e-6


@pytest.mark.parametrize("loss", OBJECTS, ids=lambda loss: loss.name)
def test_curvatures_jump_where_a_loss_says_so(loss):
    u = np.linspace(-3, 3, 601)[:, None] * np.ones(3 if loss.multiclass else 1)
    y = np.ones(len(u))
    if loss.has_curvatures:
        jumps = np.abs(np.diff(loss.curvatures(u if loss.multiclass else u[:, 0], y), axis=0))
        assert (jumps.max() < 0.25) == loss.smooth


def test_a_loss_of_the_core_alone_has_its_gradients_and_no_minimiser(monkeypatch):
    w = np.linspace(-1, 1, 3)
    known = lg.analysis.gradient_alignment(OVERLAPPING, w, "logistic")
    monkeypatch.setitem(LOSSES, "logistic", of_core("logistic"))
    assert type(LOSSES["logistic"]) is BaseLoss
    found = lg.analysis.gradient_alignment(OVERLAPPING, w, "logistic")
    assert dataclasses.astuple(found) == pytest.approx(dataclasses.astuple(known), rel=1e-12)
    for find in (lg.reference.minimizer, lg.reference.limits):
        with pytest.raises(lg.UnsupportedError, match="loss: got 'logistic', whose second deriva"):
            find(OVERLAPPING, loss="logistic")
    with pytest.raises(lg.UnsupportedError, match="second derivative of the loss 'logistic' is no"):
        lg.fast_forward(OVERLAPPING, lg.GD(0.1), rounds=1e6, loss="logistic")


def test_what_depends_on_the_tail_refuses_a_loss_without(monkeypatch):
    limit = lg.reference.asymptote(SEPARABLE)
    far = lg.fast_forward(OVERLAPPING, lg.GD("1/H"), rounds=1e9, loss="logistic")
    lowest = lg.reference.minimizer(OVERLAPPING, loss="logistic")
    monkeypatch.setitem(LOSSES, "logistic", dataclasses.replace(LOSSES["logistic"], tail=None))
    wanted = r"loss: got 'logistic'; want one whose exponential tail is known, .*: 'exponential'$"
    with pytest.raises(lg.UnsupportedError, match=wanted):
        lg.reference.limits(OVERLAPPING, loss="logistic")
    with pytest.raises(lg.UnsupportedError, match=wanted):
        lg.fast_forward(SEPARABLE, lg.GD(0.1), rounds=1e6, loss="logistic")
    with pytest.raises(lg.UnsupportedError, match=r"asymptote: .* not known for the logistic loss"):
        lg.run(SEPARABLE, lg.GD(0.1), rounds=9, loss="logistic", asymptote=limit)
    run = lg.run(SEPARABLE, lg.GD(0.1), rounds=9, loss="logistic")
    with pytest.raises(lg.UnsupportedError, match="the loss is 'logistic'; want one of exponentia"):
        lg.analysis.residual(SEPARABLE, run, lg.reference.max_margin(SEPARABLE))
    with pytest.raises(ValueError, match="no minimiser of the logistic loss was found"):
        lg.reference.minimizer(SEPARABLE, loss="logistic")
    # What does not depend on it is as before.
    again = lg.fast_forward(OVERLAPPING, lg.GD("1/H"), rounds=1e9, loss="logistic")
    np.testing.assert_array_equal(again.weights, far.weights)
    found = lg.reference.minimizer(OVERLAPPING, loss="logistic")
    np.testing.assert_array_equal(found.weights, lowest.weights)


def test_a_loss_with_an_object_of_its_own_has_a_minimiser(monkeypatch):
    monkeypatch.setitem(LOSSES, "smooth_hinge", HINGE)
    c, Z = OVERLAPPING.row_weights, OVERLAPPING.signed_rows
    found = lg.reference.minimizer(OVERLAPPING, loss="smooth_hinge")
    plain = minimize(lambda w: c @ HINGE.values(Z @ w, np.ones(len(Z))), np.zeros(3), tol=1e-12)
    np.testing.assert_allclose(found.weights, plain.x, atol=1e-5)
    assert found.relative_gradient < 1e-14 and found.margin_error < 1e-12
    assert lg.analysis.gradient_alignment(
        OVERLAPPING, found.weights, "smooth_hinge"
    ).gradient_norm == pytest.approx(0, abs=1e-14)
    with pytest.raises(ValueError, match="are separable, so the smooth_hinge loss has no minimise"):
        lg.reference.minimizer(SEPARABLE, loss="smooth_hinge")


def test_the_first_loss_of_a_task_is_its_default():
    defaults = {"binary": "exponential", "multiclass": "softmax", "regression": "squared"}
    assert {task: lg.losses.default_loss(task) for task in TASKS} == defaults
    assert {task for loss in LOSSES.values() for task in loss.tasks} == set(TASKS)
