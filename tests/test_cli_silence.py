"""The shell says what it does where there is no bar, and leaves what it has in a file meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cyclopts")
pytest.importorskip("pydantic")

from test_cli import here

import localgd as lg
from localgd.cli import main, screen, target
from localgd.cli.screen import Screen
from localgd.cli.target import find_target

__all__ = ["here"]  # the fixture


def test_what_takes_long_is_said_again_and_again(monkeypatch, capsys):
    monkeypatch.setattr(screen, "SILENCE", 0.02)
    with Screen().busy("computing, for at most 60 s"):
        time.sleep(0.5)
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 25
    assert set(lines) <= {f"localgd: computing, for at most 60 s, {k} s" for k in range(3)}
    with Screen(quiet=True).busy("computing"):
        time.sleep(0.1)
    assert capsys.readouterr() == ("", "")


def test_how_far_a_run_is_is_said(monkeypatch, capsys):
    monkeypatch.setattr(screen, "SILENCE", 0.02)
    with Screen().progress("Local-GD", 1000, "rounds") as update:
        update(250)
        time.sleep(0.3)
    assert "localgd: Local-GD, 250 of 1,000 rounds, 0 s" in capsys.readouterr().err
    with Screen(quiet=True).progress("Local-GD", 1000, "rounds") as update:
        assert update is None


def test_what_is_short_is_not_said(capsys):
    with Screen().busy("computing"), Screen().progress("GD", 1, "steps") as update:
        update(1)
    assert capsys.readouterr().err == ""


def test_the_history_can_be_followed(here, monkeypatch):
    lines = []
    finish = lg.loggers.CsvLogger.__call__

    def counted(log, record):
        finish(log, record)
        lines.append(Path("localgd-run/history.csv").read_text().count("\n"))

    monkeypatch.setattr(lg.loggers.CsvLogger, "__call__", counted)
    words = ["--data=digits", "--rounds=10", "--records-per-decade=3", "--no-pooled"]
    assert main(["run", *words]) == 0
    assert lines == [2, 3, 4, 5, 6]  # rounds 0, 1, 2, 5 and 10


def test_a_reference_that_takes_too_long_is_left_out(monkeypatch):
    problem = lg.datasets.make_nonseparable(n_clients=2, n_samples=20, n_features=4, seed=0)
    monkeypatch.setattr(target, "MOST_SECONDS", 1e-9)
    for l2 in (0.0, 0.1):
        found = find_target(problem, "logistic", None, l2)
        assert found.about == "none: not found in 1e-09 s; --reference takes as long as it needs"
        assert find_target(problem, "logistic", True, l2).kind != "none"


def test_rows_that_are_not_separable_are_split_once(monkeypatch):
    calls = []
    split = lg.reference._limits.facial_reduction
    for module in (lg.reference._limits, lg.reference._max_margin):
        counted = lambda Z: calls.append(len(Z)) or split(Z)  # noqa: E731
        monkeypatch.setattr(module, "facial_reduction", counted)
    X = np.array([[1.0, 0], [1, 0], [1, 0], [1, 0], [5, 2]])
    problem = lg.Problem([(X, [1, 1, 1, -1, 1])])
    assert find_target(problem, "logistic").kind == "limits"
    assert len(calls) == 1
