"""At which rounds a run is measured, and that other rounds leave nothing behind."""

import sys

import numpy as np
import pytest
import registry
from hypothesis import given
from hypothesis import strategies as st

import localgd as lg
from localgd import rounds
from localgd.schedules import rates


def recorded(problem, rounds, record):
    run = lg.run(problem, lg.LocalGD(local_steps=3, lr=0.1), rounds=rounds, record=record)
    assert run.history["round"].dtype == run.history["local_steps"].dtype == np.int64
    np.testing.assert_array_equal(run.history["local_steps"], 3 * run.history["round"])
    assert {len(column) for column in run.history.values()} == {len(run.history["round"])}
    return run.history["round"].tolist()


def test_default_is_ten_records_per_decade(small_problem):
    ten = recorded(small_problem, 1000, lg.log_spaced(per_decade=10))
    assert recorded(small_problem, 1000, None) == ten
    assert sum(100 <= k < 1000 for k in ten) == 10


@given(per_decade=st.integers(1, 40), last=st.integers(0, 10**15))
def test_log_spaced_rounds(per_decade, last):
    rounds = lg.log_spaced(per_decade=per_decade).rounds(last)
    assert (rounds[0], rounds[-1]) == (0, last)
    assert (np.diff(rounds) > 0).all()
    inner = rounds[(rounds > 10 * per_decade) & (rounds < last)]
    ratios = inner[1:] / inner[:-1]
    np.testing.assert_allclose(ratios, 10 ** (1 / per_decade), rtol=0.2 / per_decade)
    decades = [10**k for k in range(1, 16) if 10**k <= last]
    assert set(decades) <= set(rounds.tolist())


def test_explicit_rounds_in_any_order_and_twice(small_problem):
    assert recorded(small_problem, 9, [7, 3, 3, 9]) == [0, 3, 7, 9]
    assert recorded(small_problem, 9, (2.0, 4.0)) == [0, 2, 4, 9]
    assert recorded(small_problem, 9, np.array([5])) == [0, 5, 9]
    assert recorded(small_problem, 9, range(2, 9, 3)) == [0, 2, 5, 8, 9]
    assert recorded(small_problem, 9, []) == [0, 9]


@pytest.mark.parametrize("engine", registry.ENGINES)
def test_no_rounds_measure_the_start(small_problem, engine):
    w0 = np.arange(30.0) / 100
    run = lg.run(small_problem, lg.GD(lr=0.1), rounds=0, init=w0, reference=w0 + 1, engine=engine)
    assert (run.status, run.round) == ("completed", 0)
    assert run.history["round"].tolist() == [0]
    np.testing.assert_array_equal(run.weights, w0)
    assert not run.coefficients.any()
    margins = small_problem.signed_rows @ w0
    np.testing.assert_allclose(run.history["loss"], np.exp(-margins).mean(), rtol=1e-13)
    np.testing.assert_allclose(run.history["margin"], margins.min() / np.linalg.norm(w0))
    np.testing.assert_allclose(run.history["angle"], lg.angle(w0, w0 + 1), rtol=1e-13)
    assert np.isnan(run.history["drift"]).all()


@pytest.mark.parametrize(
    ("record", "error", "message"),
    [
        ([-1], ValueError, "record: want rounds, integers from 0 to 10; got -1 to -1"),
        ([0.5], ValueError, "record: want rounds, integers from 0 to 10; got 0.5 to 0.5"),
        ([3, 11], ValueError, "record: want rounds, integers from 0 to 10; got 3 to 11"),
        ([1, np.nan], ValueError, "record: nan at row 1 .*; want finite numbers$"),
        (5, ValueError, r"record: got an array of shape \(\); want 1 dimension"),
        ("all", TypeError, "record: got dtype <U3; want real numbers"),
    ],
)
def test_bad_records(small_problem, record, error, message):
    with pytest.raises(error, match=message):
        lg.run(small_problem, lg.GD(lr=0.1), rounds=10, record=record)


@pytest.mark.parametrize(
    ("per_decade", "error"), [(0, ValueError), (2.5, ValueError), ("ten", TypeError)]
)
def test_bad_records_per_decade(per_decade, error):
    with pytest.raises(error, match=r"per_decade: got .*; want an integer of at least 1"):
        lg.log_spaced(per_decade=per_decade)


def test_reference_may_be_an_array_a_reference_or_a_run(small_problem):
    best = lg.reference.max_margin(small_problem)
    method = lg.GD(lr=0.5)
    run = lg.run(small_problem, method, rounds=20, reference=best)
    scaled = lg.run(small_problem, method, rounds=20, reference=1e200 * best.weights)
    np.testing.assert_allclose(run.history["angle"], scaled.history["angle"], rtol=1e-12)
    assert run.history["angle"][-1] == pytest.approx(lg.angle(run.weights, best.weights))
    to_itself = lg.run(small_problem, method, rounds=20, reference=run)
    assert to_itself.history["angle"][-1] < 1e-7
    assert "angle" not in lg.run(small_problem, method, rounds=20).history


@pytest.mark.skipif(sys.platform == "win32", reason="needs getrusage")
def test_memory_does_not_grow_with_rounds(run_python):
    """Peak of the whole process: a leak of 50 bytes per round would show."""
    script = """
import resource, sys, registry, localgd as lg
problem, peaks = registry.problem("exponential"), []
for rounds in (140_000, 280_000):
    for engine in registry.ENGINES:
        lg.run(problem, lg.GD(lr=0.1), rounds=rounds, engine=engine)
    lg.run(problem, lg.GD(lr=lambda k: 0.1), rounds=rounds)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
unit = 1 if sys.platform == "darwin" else 1024
print((peaks[1] - peaks[0]) * unit)
"""
    done = run_python(script)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 6 * 2**20


def test_rates_of_a_schedule_are_made_a_piece_at_a_time(monkeypatch):
    lengths = []

    def spy(lr, first, until):
        lengths.append(until - first)
        return rates(lr, first, until)

    monkeypatch.setattr(rounds, "rates", spy)
    lg.run(registry.problem("exponential"), lg.GD(lr=lambda k: 0.1), rounds=300_000)
    assert sum(lengths) == 300_000
    assert max(lengths) <= 2**16


def test_history_does_not_grow_with_rounds():
    problem = registry.problem("exponential")
    runs = [lg.run(problem, lg.GD(lr=0.1), rounds=10**k) for k in (3, 5)]
    assert [len(run.history["round"]) for run in runs] == [29, 49]
