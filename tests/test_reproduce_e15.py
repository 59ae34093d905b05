"""E15: the verdicts, and that constant rates, other steps and smooth units turn them."""

from __future__ import annotations

import dataclasses

import pytest
from verdicts import answers

import localgd as lg
from localgd.reproducing import Context
from localgd.reproducing.experiments import e15_network_kkt as e15

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

EXPERIMENT = "E15"
pytestmark = pytest.mark.usefixtures("one_draw")

QUICK = Context(quick=True)


def test_it_holds_as_it_is(experiment, measured):
    assert set(answers(experiment, measured.numbers).values()) == {"holds"}


def test_numbers_are_those_of_runs(measured):
    problem = e15.by_label(1)
    rounds = int(measured.numbers["rounds_10"].value)
    run = lg.run(
        problem,
        lg.LocalGD(10, lambda loss, norm: 1.0 / (loss * norm**2)),
        rounds=rounds,
        loss="exponential",
        model=lg.TwoLayer(30),
        seed=1,
    )
    assert run.history["log_loss"][-1] < -500
    residual, _ = lg.networks.kkt_residual(problem, run.model)
    assert measured.numbers["residual_10"].value == pytest.approx(residual, rel=1e-9)
    assert measured.numbers["margin_10"].value == pytest.approx(run.history["margin"][-1])


def test_clients_have_one_class_each():
    problem = e15.by_label(3)
    assert problem.sizes.tolist() == [8] * 5
    mixed = [len(set(problem.y[problem.rows(i)])) for i in range(5)]
    assert sum(mixed) <= 6  # where the labels change


@pytest.mark.slow
def test_constant_rates_of_several_steps_turn_the_verdicts(experiment, monkeypatch):
    monkeypatch.setattr(e15, "MOST_ROUNDS", 3000)
    monkeypatch.setattr(e15, "STEPS", (1, 10, 100, 1000))

    def constant(L, lr):
        return lg.LocalGD(L, lr if L == 1 else 0.003)

    numbers = dataclasses.replace(experiment, method=constant).measure(QUICK).numbers
    found = answers(experiment, numbers)
    assert found["A KKT point"] == found["The same margin"] == "does not hold"


@pytest.mark.slow
def test_rates_over_the_risk_turn_the_verdict_on_constant_ones(experiment, monkeypatch):
    def adapted(L, lr):
        return lg.LocalGD(L, lr if callable(lr) else lambda loss, norm: 1.0 / (loss * norm**2))

    numbers = dataclasses.replace(experiment, method=adapted).measure(QUICK).numbers
    assert answers(experiment, numbers)["Constant rates"] == "does not hold"


def test_a_network_without_kinks_turns_the_verdict_on_them(experiment):
    smooth = lg.TwoLayer(30, activation="quadratic")
    numbers = dataclasses.replace(experiment, network=smooth).measure(QUICK).numbers
    assert answers(experiment, numbers)["Kinks"] == "does not hold"
    assert numbers["kinks_ratio"].value == 1


def test_pictures_and_finding(experiment, measured):
    assert len(experiment.pictures(measured)) == 1
    assert "clients of one class" in experiment.words.claims[0].found(measured)


def test_the_code_shown_runs(experiment, capsys):
    exec(experiment.words.code, {})
    assert len(capsys.readouterr().out.splitlines()) == 3
