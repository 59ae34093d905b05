"""E5: the verdict on fixed budgets, and that a step size that shrinks with L turns it."""

from dataclasses import replace

import pytest

import localgd as lg
from localgd.reproducing import Context

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

EXPERIMENT = "E5"
pytestmark = pytest.mark.usefixtures("one_draw")


def test_a_budget_gives_one_model_while_there_are_rounds(experiment, measured):
    verdicts = experiment.judge(measured.numbers)
    assert {verdict.answer for verdict in verdicts.values()} == {"holds"}
    # From a direct run: one round of 10^5 steps, and 10^5 rounds of one.
    assert measured.numbers["one_round_angle_deg"].value == pytest.approx(29.942, abs=1e-3)
    assert measured.numbers["one_step_angle_deg"].value == pytest.approx(7.818, abs=1e-3)
    assert measured.numbers["fewest_rounds"].value == 500


def test_few_rounds_are_worse(measured):
    split = measured.series["real"]
    few = split["rounds"] <= 10
    assert (split["angle_ratio"][few] > 1.1).all() and (split["loss_ratio"][few] > 2).all()


def test_pictures_are_drawn_from_the_series(experiment, measured):
    assert [p.name for p in experiment.pictures(measured)] == ["angle", "loss", "real"]


def test_a_smaller_step_for_more_local_steps_is_found_out(experiment):
    shrinks = replace(experiment, method=lambda L: lg.LocalGD(local_steps=L, lr=1.0 / L))
    verdicts = shrinks.judge(shrinks.measure(Context(quick=True)).numbers)
    assert verdicts["Same budget, same model"].answer == "does not hold"
    assert "the loss" in verdicts["Same budget, same model"].reason
    assert verdicts["One round"].answer == "does not hold"


def test_another_step_size_than_the_loss_is_predicted_for_is_found_out(experiment):
    halved = replace(experiment, method=lambda L: lg.LocalGD(local_steps=L, lr=0.5))
    verdicts = halved.judge(halved.measure(Context(quick=True)).numbers)
    assert verdicts["Size of the loss"].answer == "does not hold"


def test_real_rows_that_differ_are_a_caveat(experiment, measured):
    differ = {**measured.numbers, "real_worst_angle_ratio": 1.2}
    verdicts = experiment.judge(differ)
    assert verdicts["Same budget, same model"].answer == "holds with a caveat"
    assert verdicts["One round"].answer == "holds"
