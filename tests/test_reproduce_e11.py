"""E11: the verdict, and that a method that does not use its local steps turns it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import localgd as lg
from localgd.reproducing import Context
from localgd.reproducing.context import OwnRows
from localgd.reproducing.experiments import e11_step_sizes as e11

EXPERIMENT = "E11"


@pytest.fixture(scope="module")
def context():
    """The two rows in the place of the real ones, which take too long for a test."""
    return Context(quick=True, own=OwnRows(e11.two_clients(), "two rows"))


@pytest.fixture(scope="module")
def measured(experiment, context):
    return experiment.measure(context)


def test_two_rows_are_as_predicted(experiment, measured):
    for verdict in experiment.judge(measured.numbers).values():
        assert verdict.answer == "holds", verdict.reason
    grid = measured.series["two_grid"]
    monotone = (grid["rises"] == 0) & (grid["lr_steps_smoothness"] > 1)
    assert monotone.any()
    assert np.abs(grid["law_ratio"][monotone] - 1).max() < 0.2
    assert measured.own_rows == "used: they are the real rows"


def test_the_seed_changes_nothing(experiment, context, measured):
    other = dataclasses.replace(context, seed=7)
    assert experiment.measure(other).numbers == measured.numbers
    assert experiment.setting(other) == experiment.setting(context)


def test_local_steps_that_are_not_taken_turn_the_verdict(experiment, context):
    idle = dataclasses.replace(experiment, method=lambda L, lr: lg.LocalGD(1, lr))
    numbers = idle.measure(context).numbers
    assert numbers["worst_law_ratio"] > 30  # L times too much
    verdicts = experiment.judge(numbers)
    assert verdicts["Law of the loss"].answer == "does not hold"
    assert verdicts["Large steps"].answer == "does not hold"


def test_divergence_turns_the_verdict(experiment, context):
    """A proximal term with ημ > 2, whose steps overshoot by more and more."""
    wild = dataclasses.replace(experiment, method=lambda L, lr: lg.FedProx(L, lr, mu=1.0))
    with pytest.warns(RuntimeWarning, match="diverged"):
        numbers = wild.measure(context).numbers
    assert numbers["diverged"] > 0
    assert wild.judge(numbers)["No divergence"].answer == "does not hold"


def test_a_loss_that_goes_on_rising_turns_the_verdict(experiment, context):
    """One client a round, drawn at random: the loss of both rises when the other one moves."""
    half = dataclasses.replace(
        experiment, method=lambda L, lr: lg.LocalGD(L, lr, participation=0.5)
    )
    verdicts = half.judge(half.measure(context).numbers)
    assert verdicts["Unstable phase"].answer == "does not hold"
    assert "below ηLM/γ²" in verdicts["Unstable phase"].reason
    assert verdicts["No divergence"].answer == "does not hold"  # small steps rise, too


def test_without_an_unstable_run_the_best_one_is_unknown(experiment, measured):
    grids = {name: measured.series[f"{name}_grid"] for name in ("two", "real")}
    quiet = e11.part(grids["real"], rises=0)
    numbers = measured.numbers | e11._of_grids({**grids, "real": quiet})
    assert f"{numbers['real_best_unstable_to_stable']:.2g}" == "unknown"
    assert experiment.judge(numbers)["Large steps"].answer == "inconclusive"


def test_stable_from():
    assert e11.stable_from(np.array([3.0, 2.0, 1.0])) == 0
    assert e11.stable_from(np.array([3.0, 2.0, 2.5, 1.0])) == 2
    assert e11.stable_from(np.array([1.0, 2.0, 1.0, 1.5])) == 3
    assert e11.stable_from(np.array([1.0, 1.0 + 1e-15, 0.5])) == 0  # rounding


def test_own_rows_that_are_too_many_are_refused(monkeypatch):
    monkeypatch.setattr(e11, "MOST_ENTRIES", 3)
    with pytest.raises(ValueError, match="4 numbers; 3 at most"):
        e11.few_separable(e11.two_clients())


def test_pictures_and_finding(experiment, measured):
    pytest.importorskip("matplotlib")
    assert len(experiment.pictures(measured)) == 5
    assert "up to η = 2^10, 0 diverge" in experiment.words.claims[0].found(measured)


def test_the_code_shown_runs(experiment, capsys):
    exec(experiment.words.code, {})
    assert len(capsys.readouterr().out.splitlines()) == 8
