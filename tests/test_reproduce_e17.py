"""E17: its verdicts, and that other units, kernels and scales turn them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from verdicts import answers

import localgd as lg
from localgd.reproducing import Context
from localgd.reproducing.experiments import e17_lazy_rich as e17

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

EXPERIMENT = "E17"
pytestmark = pytest.mark.usefixtures("one_draw")

QUICK = Context(quick=True)


def test_smooth_units_follow_their_kernel(experiment, measured):
    found = answers(experiment, measured.numbers)
    assert found["Smooth units"] == found["Units with a kink"] == "holds"
    assert len(experiment.pictures(measured)) == 2
    assert "tanh" in experiment.words.claims[0].found(measured)


def test_the_difference_is_that_of_the_linearised_network(measured):
    """Of gradient descent on the tangent model itself, by differences of the network's outputs."""
    problem, (X, _) = e17.digits(QUICK, 1)
    network = lg.TwoLayer(e17.HIDDEN, "tanh", scale=10.0, centered=True)
    options = {"loss": "logistic", "model": network, "seed": 1}
    start = lg.run(problem, lg.GD(1.0), rounds=0, **options).model
    W, V = start.first, start.second

    def features(rows):
        P = rows @ W
        of_first = rows[:, :, None] * ((1 - np.tanh(P) ** 2) * V[:, 0])[:, None, :]
        return 10 * np.hstack([of_first.reshape(len(rows), -1), np.tanh(P)])

    phi = features(problem.X)
    clients = np.repeat(np.arange(10), problem.sizes)
    tangent = lg.Problem.from_arrays(phi, problem.y, clients)
    linear = lg.run(tangent, lg.LocalGD(10, 0.01), rounds=50, loss="logistic")
    run = lg.run(problem, lg.LocalGD(10, 0.01), rounds=50, **options)
    wanted = features(X) @ linear.weights
    difference = np.linalg.norm(run.decision_function(X) - wanted) / np.linalg.norm(wanted)
    draws = measured.series["draws"]
    at = (draws["units"] == "tanh") & (draws["L"] == 10) & (draws["alpha"] == 10)
    assert draws["difference"][at] == pytest.approx(difference, rel=1e-9)


def test_clients_have_one_digit_each_and_test_rows_are_others():
    problem, (X, y) = e17.digits(QUICK, 3)
    assert problem.sizes.tolist() == [40] * 10
    assert [len(set(problem.y[problem.rows(i)])) for i in range(10)] == [1] * 10
    assert len(X) == len(y) == 1000
    assert not {row.tobytes() for row in X} & {row.tobytes() for row in np.asarray(problem.X)}


def test_other_units_turn_the_verdicts(experiment, monkeypatch):
    monkeypatch.setattr(e17, "LOCAL_STEPS", 100)
    numbers = dataclasses.replace(experiment, units=("relu", "tanh")).measure(QUICK).numbers
    found = answers(experiment, numbers)
    assert found["Smooth units"] == found["Units with a kink"] == "does not hold"


def test_another_rate_than_the_kernels_turns_the_verdicts(experiment, monkeypatch):
    def method(L, lr):
        return lg.LocalGD(L, lr if lr == e17.ETA else 2 * lr)

    monkeypatch.setattr(e17, "LOCAL_STEPS", 100)
    numbers = dataclasses.replace(experiment, method=method).measure(QUICK).numbers
    found = answers(experiment, numbers)
    assert found["Smooth units"] == found["Local steps"] == "does not hold"


def test_a_large_scale_is_not_rich(experiment, monkeypatch):
    monkeypatch.setattr(e17, "LOCAL_STEPS", 100)
    monkeypatch.setattr(e17, "RICH", 1000)
    numbers = experiment.measure(QUICK).numbers
    assert answers(experiment, numbers)["Rich"] == "does not hold"
