"""What ``check_extension`` finds of parts that are wrong in one thing, and that right ones pass."""

from __future__ import annotations

import ctypes
import dataclasses

import numpy as np
import own_losses
import pytest
from own_losses import POINTER, SIZE
from test_own_server import COPIES, Adam, Keeping, Momentum

import localgd as lg


@pytest.mark.parametrize("loss", own_losses.FORMULAS)
def test_losses_of_the_package_pass(loss):
    lg.check_extension(own_losses.own(loss))
    lg.check_extension(own_losses.native(loss))
    lg.check_extension(own_losses.native(loss, rows=False))


def exponential(**functions_and_facts):
    value, slope, curvature = own_losses.FORMULAS["exponential"]
    return lg.Loss(**{"value": value, "slope": slope, "curvature": curvature} | functions_and_facts)


def in_place(m):
    np.negative(m, out=m)
    return -np.exp(m)


class Counting:
    def __init__(self):
        self.calls = 0

    def __call__(self, m):
        self.calls += 1
        return self.calls * np.exp(-m)


WRONG_LOSSES = {
    "slope: it has the other sign": lambda: exponential(slope=lambda m: np.exp(-m)),
    "slope: .* want .* by differences of value": lambda: exponential(
        slope=lambda m: -2 * np.exp(-m)
    ),
    "curvature: .* by differences of slope": lambda: exponential(
        curvature=lambda m: 0.9 * np.exp(-m)
    ),
    "read-only": lambda: exponential(slope=in_place),
    "value: it gives other numbers for the same rows": lambda: exponential(value=Counting()),
    "slope: .* want each row by itself": lambda: exponential(
        slope=lambda m: -np.exp(-m) / np.sqrt(len(m))
    ),
    "value: nan at .* want finite numbers": lambda: exponential(
        value=lambda m: np.where(m > 20, np.nan, np.exp(-m))
    ),
    "largest_curvature: got 0.5; the second derivative is 0.8": lambda: exponential(
        largest_curvature=0.5, tail=(1, 1)
    ),
    "largest_curvature: got 1; the second derivative is 2": lambda: lg.Loss(
        np.square, lambda m: 2 * m, largest_curvature=1
    ),
    "tail: got a factor of 2": lambda: exponential(tail=(1, 2)),
    "tail: got a factor of 1 at the rate 2": lambda: exponential(tail=(2, 1)),
    "minimisers take the loss for convex": lambda: lg.Loss(
        np.cos, lambda m: -np.sin(m), lambda m: -np.cos(m)
    ),
}


@pytest.mark.parametrize("message", WRONG_LOSSES)
def test_wrong_losses(message):
    with pytest.raises(ValueError, match=message):
        lg.check_extension(WRONG_LOSSES[message]())


def test_native_functions_that_write_too_little_or_too_much():
    def pointer(function):
        return ctypes.CFUNCTYPE(None, POINTER, POINTER, SIZE)(function)

    def half(m, out, n):
        for j in range(n // 2):
            out[j] = -np.exp(-m[j])

    def beyond(m, out, n):
        for j in range(n + 1):
            out[j] = 1.0

    value = own_losses.FORMULAS["exponential"][0]
    with pytest.raises(ValueError, match="slope: nan at"):
        lg.check_extension(lg.Loss(value, pointer(half)))
    with pytest.raises(ValueError, match="wrote beyond the n-th number"):
        lg.Loss(value, pointer(beyond))


@pytest.mark.parametrize("server", COPIES)
def test_servers_of_the_package_pass(server):
    for shape in ((5,), (4, 3)):
        lg.check_extension(COPIES[server][0], shape=shape)


class Growing(lg.Server):
    def __init__(self):
        self.rounds = 0

    def step(self, w, change, state, round):
        self.rounds += 1
        return w + change, state


class Descending(lg.Server):
    def step(self, w, change, state, round):
        return w - change, state


class InPlace(lg.Server):
    def step(self, w, change, state, round):
        w += change
        return w, state


class Collecting(lg.Server):
    def start(self, w):
        return []

    def step(self, w, change, state, round):
        state.append(round)
        return w + change, state


class Random(lg.Server):
    def step(self, w, change, state, round):
        return w + change * np.random.default_rng().uniform(0.5, 1), state


class Flat(lg.Server):
    def step(self, w, change, state, round):
        return (w + change).ravel(), state


class Unbounded(lg.Server):
    def step(self, w, change, state, round):
        return w + change / 0.0, state


@pytest.mark.parametrize(
    ("server", "message"),
    (
        (Growing(), "changes its own attributes"),
        (Descending(), "goes against the clients' mean change"),
        (InPlace(), "changes the arrays that it is given"),
        (Collecting(), "changes the state that it is given in place"),
        (Random(), "another model for the same arguments"),
        (Flat(), r"returned a model of shape \(12,\); want \(4, 3\)"),
        (Unbounded(), "not finite"),
    ),
    ids=lambda value: type(value).__name__,
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_wrong_servers(server, message):
    with pytest.raises(ValueError, match=message):
        lg.check_extension(server, shape=(4, 3))


def test_a_state_that_cannot_be_saved_is_warned_of():
    with pytest.warns(UserWarning, match="the state of the server has a set"):
        lg.check_extension(Keeping())


def test_all_that_is_wrong_is_said():
    with pytest.raises(ValueError, match=r"Backwards: step: it changes .*\nstep: its first step"):
        lg.check_extension(Backwards())


class Backwards(Adam):
    def step(self, w, change, state, round):
        new, state = super().step(w, change, state, round)
        change *= 2
        return 2 * w - new, state


def spoiling(models):
    models[:] = 0
    return 0.0


def test_measures():
    lg.check_extension(lambda w: w.sum())
    lg.check_extension(lambda round, models, gradients, weights: 0.0 * round)
    lg.check_extension(lambda models: np.ptp(models))
    lg.check_extension(lambda weights: weights[:, 1].sum(), shape=(4, 3))
    with pytest.raises(ValueError, match="spoiling: it changes the arrays"):
        lg.check_extension(spoiling)
    draws = np.random.default_rng(0)
    with pytest.raises(ValueError, match="another number for the same record"):
        lg.check_extension(lambda w: draws.random())
    with pytest.raises(TypeError, match="want a number"):
        lg.check_extension(lambda w: w)
    with pytest.raises(ValueError, match=r"shape \(5,\); shape=problem\.weights_shape tries it"):
        lg.check_extension(lambda w: float(np.ones(7) @ w))
    with pytest.raises(TypeError, match="takes the arguments a, b"):
        lg.check_extension(lambda a, b: 0.0)


def test_what_is_none_of_them():
    for part in (3, "squared", Momentum, lg.Problem):
        with pytest.raises(TypeError, match="want a Loss, a Server or a measure"):
            lg.check_extension(part)
    for shape in ((), 5, (1, 2, 3)):
        with pytest.raises(TypeError, match="shape: got"):
            lg.check_extension(np.sum, shape=shape)
    with pytest.raises(ValueError, match="shape: got 0"):
        lg.check_extension(np.sum, shape=(0,))
    with pytest.raises(TypeError, match="of the package"):
        lg.check_extension(lg.Average())
    with pytest.raises(TypeError, match="of the package"):
        lg.check_extension(dataclasses.replace(lg.ServerAdam(lr=1.0), lr=0.5))
