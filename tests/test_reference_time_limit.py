"""References that are given up when their time is over."""

from __future__ import annotations

import time

import numpy as np
import pytest

import localgd as lg
from localgd import reference
from localgd.reference._deadline import _DEADLINE, check_time, time_limited

SEPARABLE = lg.datasets.make_separable(n_clients=3, n_samples=8, n_features=40, seed=0)
CONTESTED = lg.datasets.make_nonseparable(n_clients=3, n_samples=20, n_features=5, seed=0)
COUNTS = lg.datasets.make_regression(n_clients=3, n_samples=5, n_features=40, seed=0)
rng = np.random.default_rng(0)
CLASSES = lg.partition(
    rng.standard_normal((30, 60)), rng.permutation(30) % 3, n_clients=3, task="multiclass"
)

CALLS = {
    "max_margin": lambda **o: reference.max_margin(SEPARABLE, **o),
    "max_margin of classes": lambda **o: reference.max_margin(CLASSES, **o),
    "separability": lambda **o: reference.separability(CONTESTED, **o),
    "limits": lambda **o: reference.limits(CONTESTED, **o),
    "minimizer": lambda **o: reference.minimizer(CONTESTED, **o),
    "minimizer with l2": lambda **o: reference.minimizer(CONTESTED, l2=0.1, **o),
    "minimizer of classes": lambda **o: reference.minimizer(CLASSES, loss="softmax", l2=0.1, **o),
    "min_norm": lambda **o: reference.min_norm(COUNTS, **o),
    "average_margin": lambda **o: reference.average_margin(SEPARABLE, **o),
    "asymptote": lambda **o: reference.asymptote(SEPARABLE, **o),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_reference_is_given_up(name):
    with pytest.raises(
        lg.TimeLimitError, match=rf"time_limit: {name.split()[0]} was not done after"
    ):
        CALLS[name](time_limit=1e-9)
    assert _DEADLINE.get() is None
    CALLS[name]()


@pytest.mark.parametrize("name", ["max_margin", "minimizer with l2", "limits"])
def test_a_reference_that_is_in_time_is_the_same(name):
    found, timed = CALLS[name](), CALLS[name](time_limit=3600)
    for field, value in vars(found).items():
        np.testing.assert_array_equal(value, getattr(timed, field))


class Clock:
    """Time that passes by one second each time that it is asked for."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


@pytest.mark.parametrize(
    ("name", "shape"),
    [("minimizer", (5,)), ("minimizer with l2", (5,)), ("minimizer of classes", (60, 3))],
)
def test_the_best_weights_so_far_come_with_the_error(monkeypatch, name, shape):
    """In the middle of the steps, whose number depends on how the machine's products round."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    CALLS[name](time_limit=1e6)
    monkeypatch.setattr(time, "monotonic", Clock())
    with pytest.raises(lg.TimeLimitError, match=r"\.best has the weights so far") as raised:
        CALLS[name](time_limit=clock.now // 2)
    best = raised.value.best
    assert best.shape == shape
    found = CALLS[name]().weights
    assert np.linalg.norm(best - found) < np.linalg.norm(found)
    assert best.any()


def test_of_limits_inside_each_other_the_first_counts():
    @time_limited
    def outer(*, time_limit, inner):
        return CALLS["max_margin"](time_limit=inner)

    with pytest.raises(lg.TimeLimitError, match="outer was not done after 1e-09 s"):
        outer(time_limit=1e-9, inner=100)
    with pytest.raises(lg.TimeLimitError, match="max_margin was not done"):
        outer(time_limit=100, inner=1e-9)
    assert outer(time_limit=100, inner=100).kkt_residual < 1e-12
    check_time()


@pytest.mark.parametrize(
    ("limit", "kind"),
    [(0, ValueError), (-1.0, ValueError), ("60", TypeError), (np.nan, ValueError)],
)
def test_limits_of_another_kind_are_refused(limit, kind):
    with pytest.raises(kind, match=r"time_limit: got .*; want a finite number above 0"):
        reference.max_margin(SEPARABLE, time_limit=limit)


def test_it_is_a_timeout_for_who_waits_for_one():
    with pytest.raises(TimeoutError):
        reference.minimizer(CONTESTED, time_limit=1e-9)
