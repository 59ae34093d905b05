"""E10: its verdict is computed from what the methods do."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

import localgd as lg

pytest.importorskip("mlxtend")
from localgd.reproducing import Context, find
from localgd.reproducing.experiments import e10_last_layer as module

(E10,) = find(["E10"])


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Few rows and local steps: seconds in all."""
    monkeypatch.setattr(module, "_sizes", lambda context: (250, 500, 400))
    monkeypatch.setattr(module, "STEPS", (1, 10))
    monkeypatch.setattr(module, "ROUNDS", {1: 30, 10: 30})
    monkeypatch.setattr(module, "TOTALS", (1, 3, 10, 30, 100, 300))
    monkeypatch.setattr(module, "GROWTH", {1: 1.003, 10: 1.02})


def test_the_limit_is_approached_and_local_steps_save_rounds():
    numbers = E10.measure(Context(quick=True)).numbers
    assert [c.met(numbers) for c in E10.criterion[:2]] == [True, True]
    verdicts = E10.judge(numbers)
    assert verdicts["Limit"].answer == verdicts["Same rounds"].answer == "holds"
    assert verdicts["Same steps, finite rounds"].answer == "holds"


def test_steps_that_do_not_grow_get_nowhere():
    held = dataclasses.replace(E10, method=lambda L, lr: lg.LocalGD(L, 1.0))
    measured = held.measure(Context(quick=True))
    assert measured.numbers["limit_worst_ratio"].value > 0.5
    assert held.judge(measured.numbers)["Limit"].answer == "does not hold"


def test_local_steps_that_are_not_taken_save_no_rounds():
    idle = dataclasses.replace(E10, method=lambda L, lr: lg.LocalGD(1, lr))
    verdicts = idle.judge(idle.measure(Context(quick=True)).numbers)
    assert verdicts["Same rounds"].answer == "does not hold"
    assert verdicts["Same steps, finite rounds"].answer == "does not hold"


def test_the_pooled_model_is_that_of_a_constant_step():
    columns = E10.measure(Context(quick=True)).series["digits"]
    alone = columns["local_steps"] == 1
    assert columns["angle_deg"][alone].max() < 0.5  # steps grow to 3 within 30 of them
    assert columns["agreement_percent"][alone].min() >= 99


def test_a_run_that_diverges_is_no_success():
    wild = dataclasses.replace(E10, method=lambda L, lr: lg.LocalGD(L, lambda k: 1.7e308))
    X, y = np.random.default_rng(0).standard_normal((30, 40)), np.arange(30.0) % 3
    problem = lg.partition(X, y, n_clients=3, seed=0)
    with pytest.warns(RuntimeWarning, match="diverged"):
        limit = wild._limit(Context(quick=True), problem)
    assert np.isnan(module._limit_at(limit, 1, module.FAR))


def test_own_rows_are_used_or_refused():
    X, y = lg.datasets.load_digits(classes=(0, 1, 2))
    context = Context(quick=True)
    for rows, text in ((slice(None), "used: "), (slice(40), "not used: ")):
        own = lg.Problem.from_arrays(X[rows], y[rows], np.arange(len(y[rows])) % 2)
        given = dataclasses.replace(context, own=_own(own))
        made = E10.problems(given)
        problem, _, small = made.used[0]
        assert made.own_rows.startswith(text)
        assert problem.n_classes == small.n_classes == (3 if text == "used: " else 10)


def _own(problem):
    from localgd.reproducing.context import OwnRows

    return OwnRows(problem, "rows of a test")


def test_code_runs():
    done = subprocess.run([sys.executable, "-c", E10.words.code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "L = 100" in done.stdout
