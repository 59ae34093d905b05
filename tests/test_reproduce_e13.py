"""E13: the verdicts, and that rates which do not see the risk turn them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from verdicts import answers

import localgd as lg
from localgd.reproducing import Context
from localgd.reproducing.experiments import e13_shared_risk as e13
from localgd.reproducing.reaching import late_slope

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

EXPERIMENT = "E13"
pytestmark = pytest.mark.usefixtures("one_draw")

QUICK = Context(quick=True)


def test_it_holds_as_it_is(experiment, measured):
    assert set(answers(experiment, measured.numbers).values()) == {"holds"}


def test_angles_are_those_of_runs(measured):
    problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=1)
    run = lg.run(
        problem,
        lg.LocalGD(10, lg.RiskAdapted(0.5)),
        rounds=10_000,
        loss="exponential",
        reference=lg.reference.max_margin(problem),
    )
    angles = np.degrees(run.history["angle"])
    assert measured.numbers["shared_10"].value == pytest.approx(angles[-1], rel=1e-9)
    assert measured.series["synthetic"]["shared, L = 10_deg"][-1] == pytest.approx(angles[-1])


def test_constant_steps_in_their_place_turn_the_verdicts(experiment, monkeypatch):
    monkeypatch.setattr(e13, "_rounds", lambda context: 1000)
    blind = dataclasses.replace(experiment, method=lambda L, lr: lg.LocalGD(L, 1.0))
    found = answers(experiment, blind.measure(QUICK).numbers)
    assert set(found.values()) == {"does not hold"}


def test_own_rates_in_their_place_turn_the_verdicts(experiment, monkeypatch):
    """They go to another direction."""
    monkeypatch.setattr(e13, "_rounds", lambda context: 3000)

    def own(L, lr):
        if isinstance(lr, lg.RiskAdapted):
            lr = dataclasses.replace(lr, own=True)
        return lg.LocalGD(L, lr)

    found = answers(experiment, dataclasses.replace(experiment, method=own).measure(QUICK).numbers)
    for title in ("Like 1/k", "Constant steps", "Local steps pay", "Unlike clients"):
        assert found[title] == "does not hold"


def test_the_slope_is_that_of_the_last_decade():
    run = lg.run(lg.Problem([([[1.0]], [1])]), lg.GD(lr=0.1), rounds=10)
    k = np.array([1, 10, 100, 1000])
    history = {"round": k, "angle": np.array([1.0, 1.0, 0.5, 0.05])}
    made = dataclasses.replace(run, history=history, round=1000)
    assert late_slope(made) == pytest.approx(-1)


def test_pictures_and_finding(experiment, measured):
    assert len(experiment.pictures(measured)) == 2
    assert experiment.words.claims[0].found(measured).startswith("Synthetic rows, after 10,000")


def test_the_code_shown_runs(experiment, capsys):
    exec(experiment.words.code, {})
    assert len(capsys.readouterr().out.splitlines()) == 3
