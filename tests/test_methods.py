"""Methods, servers and schedules: checked when made, plain to read, frozen."""

import dataclasses

import numpy as np
import pytest
import registry
from hypothesis import given
from hypothesis import strategies as st

import localgd as lg

POSITIVE = st.floats(1e-300, 1e300)


def test_options_are_frozen_and_compare_by_value():
    a, b = lg.LocalGD(local_steps=3, lr=0.1), lg.LocalGD(3, 0.1)
    assert a == b
    assert hash(a) == hash(b)
    assert a != lg.LocalGD(local_steps=4, lr=0.1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        a.lr = 1.0


def test_defaults_and_conversions():
    method = lg.LocalGD(local_steps=1e3, lr=np.float32(0.5))
    assert (method.local_steps, method.lr, method.server) == (1000, 0.5, lg.Average())
    assert type(method.local_steps) is int
    assert type(method.lr) is float
    assert lg.GD(lr=1).local_steps == 1
    stage = lg.TwoStage(np.float32(0.5), 1, np.int64(3))
    assert [type(value) for value in dataclasses.astuple(stage)] == [float, float, int]


@pytest.mark.parametrize(
    ("local_steps", "error"),
    [
        *[(number, ValueError) for number in (0, -1, 1.5, np.nan, np.inf)],
        *[(value, TypeError) for value in (True, "3", None, [3])],
    ],
)
def test_bad_local_steps(local_steps, error):
    with pytest.raises(error, match=r"local_steps: got .*; want an integer of at least 1"):
        lg.LocalGD(local_steps=local_steps, lr=0.1)


@pytest.mark.parametrize("local_steps", [1e19, 10**400])
def test_local_steps_beyond_counting(local_steps):
    with pytest.raises(ValueError, match=r"local_steps: got \d+; want at most 2\*\*53"):
        lg.LocalGD(local_steps=local_steps, lr=0.1)


@pytest.mark.parametrize("make", [case.make for case in registry.METHODS])
@pytest.mark.parametrize(
    ("lr", "error", "message"),
    [
        (0, ValueError, "lr: got 0; want a finite number above 0"),
        (0.0, ValueError, "lr: got 0.0; want a finite number above 0"),
        (-0.1, ValueError, "lr: got -0.1; want a finite number above 0"),
        (np.nan, ValueError, "lr: got nan; want a finite number above 0"),
        (np.inf, ValueError, "lr: got inf; want a finite number above 0"),
        (10**400, ValueError, "lr: got 1000.*; want a finite number above 0"),
        (True, TypeError, "lr: got True; want a number above 0, a schedule, or a callable"),
        ("0.1", TypeError, "lr: got '0.1'; want a number above 0, a schedule, or a callable"),
        (None, TypeError, "lr: got None; want a number above 0, a schedule, or a callable"),
        (1j, TypeError, "lr: got 1j; want a number above 0, a schedule, or a callable"),
    ],
)
def test_bad_learning_rates(make, lr, error, message):
    with pytest.raises(error, match=message):
        make(lr)


def test_bad_server():
    with pytest.raises(TypeError, match=r"server: got 'mean'; want Average\(\)"):
        lg.GD(lr=0.1, server="mean")
    with pytest.raises(TypeError, match=r"server: got <class .*; want Average\(\)"):
        lg.LocalGD(1, 0.1, server=lg.Average)


@given(lr1=POSITIVE, lr2=POSITIVE, switch=st.integers(0, 10**9), k=st.integers(0, 10**9))
def test_two_stage(lr1, lr2, switch, k):
    assert lg.TwoStage(lr1, lr2, switch)(k) == (lr1 if k < switch else lr2)


@given(lr0=POSITIVE, power=st.floats(0, 2), k=st.integers(0, 10**9))
def test_polynomial(lr0, power, k):
    assert lg.Polynomial(lr0, power)(k) == pytest.approx(lr0 / (k + 1) ** power)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: lg.TwoStage(0, 1, 5), ValueError, "lr1: got 0; want a finite number above 0"),
        (lambda: lg.TwoStage(1, -1, 5), ValueError, "lr2: got -1; want a finite number above 0"),
        (lambda: lg.TwoStage(1, "a", 5), TypeError, "lr2: got 'a'; want a finite number"),
        (lambda: lg.TwoStage(1, 1, -5), ValueError, "switch_round: got -5; want an integer of at"),
        (lambda: lg.TwoStage(1, 1, 2.5), ValueError, "switch_round: got 2.5; want an integer"),
        (lambda: lg.Polynomial(np.nan, 1), ValueError, "lr0: got nan; want a finite number"),
        (lambda: lg.Polynomial(1, -0.5), ValueError, "power: got -0.5; want .* of at least 0"),
    ],
)
def test_bad_schedules(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("value", "error"),
    [
        *[(number, ValueError) for number in (0, 0.0, -1.0, np.nan, np.inf)],
        *[(value, TypeError) for value in (None, "0.1", True, 1j, np.array([0.1]), [0.1])],
    ],
)
def test_schedules_that_give_something_else(small_problem, value, error):
    def lr(k):
        return 0.1 if k < 7 else value

    message = r"lr: the schedule gave .* for round 7; want numbers above 0"
    with pytest.raises(error, match=message):
        lg.run(small_problem, lg.GD(lr=lr), rounds=20)


def test_schedules_may_give_any_real_number(small_problem):
    runs = [
        lg.run(small_problem, lg.GD(lr=lambda k, kind=kind: kind(2)), rounds=5)
        for kind in (float, int, np.int64, np.float32)
    ]
    for run in runs[1:]:
        registry.assert_same_bits(run, runs[0])
