"""E16: its verdicts, and that the choice of step sizes is by validation rows."""

from __future__ import annotations

import numpy as np
import pytest
from verdicts import answers

import localgd as lg
from localgd.reproducing import Context
from localgd.reproducing.experiments import e16_network_alignment as e16
from localgd.reproducing.intervals import Estimate

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

EXPERIMENT = "E16"
QUICK = Context(quick=True)


@pytest.fixture
def narrow(monkeypatch):
    """Two splits and few hidden units: a part of the quick report's work."""
    monkeypatch.setattr(Context, "seeds", lambda context, quick=3, full=10: range(1, 3))
    monkeypatch.setattr(e16, "WIDTHS", {"narrow": 8, "wide": 16})


def test_variance_falls(experiment, measured):
    assert answers(experiment, measured.numbers)["Gradient variance"] == "holds"
    assert measured.numbers["wide_fedga_variance_ratio"].value < 0.7
    assert len(experiment.pictures(measured)) == 2
    assert len(measured.series["wide_accuracy_percent"]["FedGA"]) == 3
    assert "FedGA than FedAvg" in experiment.words.claims[1].found(measured)


def test_without_the_displacement_nothing_is_gained(narrow):
    plain = e16.NetworkAlignment(
        grad_align=lambda lr, beta: lg.GD(lr),
        fed_ga=lambda L, lr, beta: lg.LocalGD(L, lr),
    )
    numbers = plain.measure(QUICK).numbers
    for label in ("gradalign", "fedga"):
        assert numbers[f"worst_{label}_variance_ratio"] == (1.0, 1.0, 1.0)
    assert numbers["narrow_fedga_gain_points"] == (0.0, 0.0, 0.0)
    found = answers(plain, numbers)
    assert found["Gradient variance"] == "does not hold"
    assert found["Test accuracy"] != "holds"


def test_a_gain_for_both_widths_holds(experiment, measured):
    numbers = dict(measured.numbers)
    for name in numbers:
        if name.endswith("gain_points"):
            numbers[name] = Estimate(0.2, 0.1, 0.3)
    assert set(answers(experiment, numbers).values()) == {"holds"}
    numbers["least_fedga_scaffold_gain_points"] = Estimate(-0.2, -0.3, -0.1)
    assert answers(experiment, numbers)["Beside SCAFFOLD"] == "does not hold"


def test_the_choice_is_by_validation_rows_and_by_rounds():
    right = {
        (("GD", 2, 0), 100): 0.7,
        (("GD", 4, 0), 100): 0.8,
        (("GD", 8, 0), 100): 0.8,
        (("GD", 2, 0), 200): 0.9,
        (("FedAvg", 4, 0), 100): 0.95,
    }
    assert e16._best(right, "GD", 100) == ("GD", 4, 0)
    assert e16._best(right, "GD", 200) == ("GD", 2, 0)


def test_numbers_are_those_of_runs(experiment, narrow):
    (problem, check, test), _ = experiment.splits(QUICK).used
    chosen = experiment._chosen(QUICK, problem, check, test, 8, 1)
    _, eta, beta = chosen.keys["FedGA"]
    tried = {}
    for value in e16.QUICK_GRID["FedGA"][1]:
        run = lg.run(
            problem,
            lg.FedGA(10, eta, value),
            rounds=100,
            loss="softmax",
            model=lg.TwoLayer(8),
            seed=1,
            dtype="float32",
        )
        tried[value] = run, np.mean(run.predict(check[0]) == check[1])
    assert beta == max(tried, key=lambda value: (tried[value][1], -value))
    accuracy = 100 * np.mean(tried[beta][0].predict(test[0]) == test[1])
    assert chosen.accuracies()["FedGA"] == pytest.approx(accuracy, abs=1e-9)
