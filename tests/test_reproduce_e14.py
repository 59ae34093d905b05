"""E14: the verdicts, and that one rate for all clients turns them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from verdicts import answers

import localgd as lg
from localgd.reproducing import Context
from localgd.reproducing.experiments import e14_own_risk as e14

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

EXPERIMENT = "E14"
pytestmark = pytest.mark.usefixtures("one_draw")

QUICK = Context(quick=True)


def test_it_holds_as_it_is(experiment, measured):
    assert set(answers(experiment, measured.numbers).values()) == {"holds"}


def test_angles_are_those_of_runs(measured):
    problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=1)
    average = lg.reference.average_margin(problem).direction
    pooled = lg.reference.max_margin(problem).direction
    method = lg.LocalGD(10, lg.RiskAdapted(0.5, own=True))
    w = lg.run(problem, method, rounds=10_000, loss="exponential").weights
    numbers = measured.numbers
    for name, angle in {
        "apart": lg.angle(average, pooled),
        "to_best_10": lg.angle(w, pooled),
        "to_average_10": lg.angle(w, average),
    }.items():
        assert numbers[name].value == pytest.approx(np.degrees(angle), rel=1e-6)


def test_one_rate_for_all_turns_the_verdicts(experiment, monkeypatch):
    """It goes to ŵ, however clients are weighted, drawn, or alike."""
    monkeypatch.setattr(e14, "_rounds", lambda context: 3000)

    def shared(L, **options):
        return lg.LocalGD(L, lg.RiskAdapted(0.5), **options)

    numbers = dataclasses.replace(experiment, method=shared).measure(QUICK).numbers
    found = answers(experiment, numbers)
    assert found.pop("Biased draws") == "holds with a caveat"
    assert set(found.values()) == {"does not hold"}


def test_a_limit_that_is_that_of_equal_weights_turns_the_verdicts(experiment, monkeypatch):
    """Of the real rows, whose clients have different weights."""
    monkeypatch.setattr(e14, "_rounds", lambda context: 3000)
    known = lg.reference.average_margin

    def of_equal(problem):
        clients = np.repeat(np.arange(problem.n_clients), problem.sizes)
        return known(lg.Problem.from_arrays(problem.X, problem.y, clients, weights="equal"))

    monkeypatch.setattr(lg.reference, "average_margin", of_equal)
    numbers = experiment.measure(QUICK).numbers
    assert answers(experiment, numbers)["Another limit"] == "does not hold"
    assert numbers["worst_gap_percent"] < 10 < numbers["real_worst_gap_percent"]


def test_alike_clients_hold_all_rows_at_last():
    problem = lg.datasets.make_separable(n_clients=3, n_samples=4, n_features=20, seed=0)
    alone, same = e14.alike(problem, 0.0, 0), e14.alike(problem, 1.0, 0)
    np.testing.assert_array_equal(alone.X, problem.X)
    assert same.sizes.tolist() == [12, 12, 12]
    assert {tuple(row) for row in same.X[:12]} == {tuple(row) for row in problem.X}


def test_pictures_and_finding(experiment, measured):
    assert len(experiment.pictures(measured)) == 3
    assert "from ŵ; after 10,000 rounds" in experiment.words.claims[0].found(measured)


def test_the_code_shown_runs(experiment, capsys):
    exec(experiment.words.code, {})
    assert len(capsys.readouterr().out.splitlines()) == 4
