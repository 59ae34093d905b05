"""E12: the verdict on communication, and that a step size that shrinks with L turns it."""

from dataclasses import replace

import numpy as np
import pytest

import localgd as lg
from localgd.reproducing import Context
from localgd.reproducing.experiments import e12_communication as e12
from localgd.reproducing.reaching import rounds_to

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

EXPERIMENT = "E12"
pytestmark = pytest.mark.usefixtures("one_draw")


def test_where_local_steps_pay(experiment, measured):
    verdicts = experiment.judge(measured.numbers)
    assert {verdict.answer for verdict in verdicts.values()} == {"holds"}
    assert measured.numbers["bytes_per_round"].value == 5 * 2 * 100 * 8
    assert measured.numbers["last_angle_saving"].value == pytest.approx(1.4, abs=0.05)


def test_rounds_are_those_of_a_run(measured):
    problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=1)
    best = lg.reference.max_margin(problem)
    run = lg.run(
        problem,
        lg.LocalGD(local_steps=16, lr=1.0),
        rounds=1000,
        loss="exponential",
        reference=best,
        record=range(1001),
    )
    found = measured.series["synthetic"]
    (row,) = np.flatnonzero(found["local_steps"] == 16)
    first = np.flatnonzero(np.degrees(run.history["angle"][1:]) <= 10)[0] + 1
    assert found["angle 10°"][row] == pytest.approx(first, rel=0.01)
    first = np.flatnonzero(run.history["loss"][1:] <= 1e-2)[0] + 1
    assert found["loss 0.01"][row] == pytest.approx(first, rel=0.01)


def test_pictures_are_drawn_from_the_series(experiment, measured):
    assert [p.name for p in experiment.pictures(measured)] == ["loss", "angle", "real"]


def test_a_smaller_step_for_more_local_steps_is_found_out(experiment):
    shrinks = replace(experiment, method=lambda L: lg.LocalGD(local_steps=L, lr=1.0 / L))
    verdicts = shrinks.judge(shrinks.measure(Context(quick=True)).numbers)
    assert verdicts["Loss"].answer == verdicts["Real rows"].answer == "does not hold"


def test_more_local_steps_than_are_counted_are_found_out(experiment, monkeypatch):
    monkeypatch.setattr(e12, "_steps", lambda context: [1, 4, 16])
    squared = replace(experiment, method=lambda L: lg.LocalGD(local_steps=L * L, lr=1.0))
    verdicts = squared.judge(squared.measure(Context(quick=True)).numbers)
    assert verdicts["Angle"].answer == "does not hold"


def test_fewer_rounds_than_exact_solves_are_found_out(experiment, measured, monkeypatch):
    """Two rounds taken for one: fewer than exact solves take."""

    class Twice(Context):
        def fast_forward(self, problem, method, **options):
            run = super().fast_forward(problem, method, **options)
            run.history["round"][:] /= 2
            return run

    found = experiment._synthetic(Twice(quick=True), 1)
    numbers = {**measured.numbers, **e12._of_draw(*found)}
    assert numbers["least_rounds_over_solves"] < 1
    assert experiment.judge(numbers)["Angle"].answer == "does not hold"


def test_rounds_to_a_target():
    k = np.array([0, 1, 10, 100, 1000])
    assert rounds_to(k, np.array([9, 8, 4, 2, 1.0]), 2.0) == 100
    assert rounds_to(k, np.array([9, 8, 4, 1, 1.0]), 2.0) == 32  # 10^1.5, half way in both logs
    assert rounds_to(k, np.array([9, 1, 4, 2, 1.0]), 2.0) == 100  # it was above again
    assert rounds_to(k, np.array([9, 1, 1, 1, 1.0]), 2.0) == 1
    assert np.isnan(rounds_to(k, np.array([9, 8, 4, 4, 3.0]), 2.0))
    assert np.isnan(rounds_to(k, np.array([9, 8, 4, 1, np.nan]), 2.0))
