"""E7: the verdict, and that other methods turn it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import localgd as lg
from localgd.reproducing import Context
from localgd.reproducing.experiments import e07_not_separable as e07

pytest.importorskip("sklearn")

EXPERIMENT = "E7"


@pytest.fixture(scope="module", autouse=True)
def shorter():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(e07, "_mixed_rounds", lambda context: 20_000)
        patch.setattr(Context, "seeds", lambda context, quick=3, full=10: range(1, 2))
        yield


def unmet(experiment, numbers):
    return {condition.number for condition in experiment.unmet(numbers)}


def test_limits_and_offset_are_as_predicted(experiment, measured):
    # The rounds are too few for the angle to fall like 1/log k alone.
    assert unmet(experiment, measured.numbers) <= {"mixed_worst_change_percent"}
    numbers = {name: estimate.value for name, estimate in measured.numbers.items()}
    assert numbers["worst_offset_error_percent"] < 3
    assert 0.9 < numbers["mixed_local_error"] / numbers["mixed_predicted_offset"]
    verdicts = experiment.judge(measured.numbers)
    fails = [title for title, verdict in verdicts.items() if verdict.answer != "holds"]
    assert fails in ([], ["Rate there"])


@pytest.mark.parametrize(
    "sabotage",
    [
        {"local": lambda L, lr: lg.LocalGD(L, lr, server=lg.Anchored())},
        {"corrected": lambda L, lr: lg.LocalGD((1, L, L, L), lr, fednova=False)},
    ],
    ids=["pulled back to w_0", "other weights of clients"],
)
def test_another_direction_is_found_out(experiment, measured, sabotage):
    numbers = {**measured.numbers, **mixed(experiment, 1, **sabotage)}
    assert "mixed_angle_gap_percent" in unmet(experiment, numbers)
    assert experiment.judge(numbers)["Rows separable in part"].answer == "does not hold"


def test_an_angle_that_stands_still_is_no_rate(experiment, measured, monkeypatch):
    monkeypatch.setattr(e07, "_mixed_rounds", lambda context: 100_000)
    for sabotage, answer in (
        ({}, "holds"),
        ({"local": lambda L, lr: lg.LocalGD(1, 1e-90)}, "does not hold"),
    ):
        numbers = {**measured.numbers, **mixed(experiment, 3, **sabotage)}
        assert experiment.judge(numbers)["Rate there"].answer == answer


def mixed(experiment, seed, **sabotage):
    """The numbers of the rows that are separable in part."""
    numbers: dict = {}
    tried = dataclasses.replace(experiment, **sabotage)
    tried._mixed(Context(quick=True), e07.mixed_rows(seed), numbers, shown=False)
    return numbers


def test_clients_that_differ_are_not_equal_ones(experiment, measured):
    """The distance that claims none, measured where there is one: L = 10 on unequal clients."""
    distance = experiment._distance_from_zero(Context(quick=True), e07._synthetic(1), 10)
    numbers = {**measured.numbers, "equal_clients_error": distance}
    assert experiment.judge(numbers)["No offset"].answer == "does not hold"


def test_a_method_with_an_offset_is_no_correction(experiment):
    plain = dataclasses.replace(experiment, corrected=lambda L, lr: lg.LocalGD(L, lr))
    numbers: dict = {}
    plain._removal(Context(quick=True), e07._synthetic(1), numbers)
    assert numbers["scaffold_error"] > 1e-2
    (condition,) = [c for c in experiment.criterion if c.number == "scaffold_error"]
    assert not condition.met(numbers)


def test_a_method_without_an_offset_turns_the_verdict(experiment, measured):
    """SCAFFOLD in the place of Local-GD: nothing stops at the predicted distance."""
    corrected = dataclasses.replace(experiment, local=lambda L, lr: lg.Scaffold(L, lr))
    ladder = corrected._ladder(Context(quick=True), e07._synthetic(1))
    numbers = {**measured.numbers, "worst_offset_error_percent": e07._worst(ladder)}
    assert numbers["worst_offset_error_percent"] > 90
    assert "worst_offset_error_percent" in unmet(experiment, numbers)
    assert experiment.judge(numbers)["Offset of local steps"].answer == "does not hold"


def test_the_offset_by_finite_differences_of_the_round_map():
    """δ from the gradient of f and its clients, without formulas for curvature."""
    problem = e07._synthetic(3)
    limit = lg.reference.limits(problem, loss="logistic")
    Z, v = problem.signed_rows, limit.finite_part

    def gradient(w, rows):
        return -(1 / (1 + np.exp(Z[rows] @ w))) @ Z[rows] / len(Z[rows])

    clients = [problem.rows(i) for i in range(problem.n_clients)]
    h, eye = 1e-5, np.eye(len(v))

    def directional(w, u, rows):
        return (gradient(w + h * u, rows) - gradient(w - h * u, rows)) / (2 * h)

    hessian = np.mean([[directional(v, e, rows) for e in eye] for rows in clients], axis=0)
    push = np.mean([directional(v, gradient(v, rows), rows) for rows in clients], axis=0)
    wanted = np.linalg.norm(np.linalg.solve(hessian, push)) / 2 / np.linalg.norm(v)
    assert e07.relative_offset(problem, limit) == pytest.approx(wanted, rel=1e-6)


def test_own_rows_are_used_or_the_reason_is_told():
    settled = lg.datasets.make_nonseparable(n_clients=3, n_samples=30, n_features=4, seed=5)
    assert e07.settling(settled) is settled
    with pytest.raises(ValueError, match="part of them is separable"):
        e07.settling(e07.mixed_rows(1))
    alone = lg.datasets.make_nonseparable(n_clients=1, n_samples=90, n_features=4, seed=5)
    with pytest.raises(ValueError, match="no offset is predicted"):
        e07.settling(alone)


def test_pictures_and_finding(experiment, measured):
    pytest.importorskip("matplotlib")
    assert [p.name for p in experiment.pictures(measured)] == [
        "finite",
        "angle",
        "offset",
        "removal",
    ]
    assert "Tumours: where η (L - 1) H" in experiment.words.claims[2].found(measured)


def test_the_code_shown_runs(experiment, capsys):
    exec(experiment.words.code, {})
    assert len(capsys.readouterr().out.splitlines()) == 8
