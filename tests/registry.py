"""The one list of engines, losses, methods and dtypes that drives the tests.

An engine, loss or method is tested everywhere once it stands here; test_registry.py fails while one
that the package has does not.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import oracle

import localgd as lg

ENGINES = ("gram", "hybrid", "primal")
LOSSES = ("exponential", "logistic", "squared")
DTYPES = ("float64", "float32")

# Largest relative difference from the oracle after 1,000 rounds.
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}


@dataclass(frozen=True)
class MethodCase:
    """A method of the package and the oracle's round of it, both from a schedule."""

    name: str
    type: type
    make: Callable  # lr -> method
    step: Callable  # lr (a callable) -> a round for oracle.simulate


LOCAL_STEPS = 3
METHODS = (
    MethodCase("GD", lg.GD, lambda lr: lg.GD(lr=lr), lambda lr: partial(oracle.gd_round, lr=lr)),
    MethodCase(
        "LocalGD",
        lg.LocalGD,
        lambda lr: lg.LocalGD(local_steps=LOCAL_STEPS, lr=lr),
        lambda lr: partial(oracle.local_gd_round, lr=lr, local_steps=LOCAL_STEPS),
    ),
)

SIZES = (1, 6, 3)
N_FEATURES = 5
WEIGHTS = {"equal": "equal", "samples": "samples", "given": (0.5, 2.0, 0.25), "zero": (1, 0, 3)}

# name -> (for the package, the same as a function of the round). Large enough to get somewhere
# in 1,000 rounds, small enough to be stable for every loss.
SCHEDULES: dict[str, tuple] = {
    "constant": (0.2, lambda k: 0.2),
    "two-stage": (lg.TwoStage(0.02, 0.25, 300), lambda k: 0.02 if k < 300 else 0.25),
    "polynomial": (lg.Polynomial(0.5, 0.3), lambda k: 0.5 / (k + 1) ** 0.3),
}

# (schedule, w_0) pairs: every schedule, and each kind of start with a constant rate.
STARTS = (
    ("constant", None),
    ("constant", (0.6, -0.8, 0.3, 0.0, 0.7)),
    ("two-stage", (0.6, -0.8, 0.3, 0.0, 0.7)),
    ("polynomial", None),
)


def fitting_labels(loss: str, X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Labels for a loss: those of a teacher (±1), or numbers that no model fits exactly."""
    scores = X @ rng.standard_normal(X.shape[1])
    if loss == "squared":
        return scores + 0.5 * rng.standard_normal(len(X))
    return np.where(scores < 0, -1.0, 1.0)


@cache
def clients(loss: str, sizes: tuple[int, ...] = SIZES, d: int = N_FEATURES, seed: int = 3):
    """Rows of length about 1 dealt to clients of these sizes."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((sum(sizes), d)) / np.sqrt(d)
    y = fitting_labels(loss, X, rng)
    cuts = np.cumsum(sizes)[:-1]
    return list(zip(np.split(X, cuts), np.split(y, cuts), strict=True))


def problem(loss: str, weights="equal", **shape) -> lg.Problem:
    """The same rows as a Problem."""
    return lg.Problem(clients(loss, **shape), weights=weights)


def client_weights(weights, sizes) -> np.ndarray:
    """The p_i of mathematics.md for a value of ``weights``."""
    named = {"equal": np.ones(len(sizes)), "samples": np.array(sizes)}
    p = np.array(named.get(weights, weights), dtype=np.float64)
    return p / p.sum()


def assert_close(got: np.ndarray, want: np.ndarray, tolerance: float, what: str) -> None:
    """Equal to ``tolerance`` relative to each entry; entries near 0 relative to the largest one."""
    largest = np.nanmax(np.abs(want), initial=0.0)
    np.testing.assert_allclose(
        got, want, rtol=tolerance, atol=tolerance * 1e-2 * largest, err_msg=what
    )


def engine_cases(*columns):
    """(engine, dtype, …) for every engine, dtype and member of further lists."""
    return list(itertools.product(ENGINES, DTYPES, *columns))


def assert_same_bits(a: lg.Run, b: lg.Run) -> None:
    """Weights, coefficients and history, NaN in the same places and 0.0 apart from -0.0."""
    assert list(a.history) == list(b.history)
    pairs = {name: (a.history[name], b.history[name]) for name in a.history}
    pairs |= {"weights": (a.weights, b.weights), "coefficients": (a.coefficients, b.coefficients)}
    for name, (one, other) in pairs.items():
        np.testing.assert_array_equal(one.view(np.int64), other.view(np.int64), err_msg=name)
