"""E9: its verdict is computed from what the methods do."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

import localgd as lg

pytest.importorskip("sklearn")
from localgd.reproducing import Context, find
from localgd.reproducing.intervals import Estimate, interval

(E9,) = find(["E9"])


def met(experiment, numbers):
    return [condition.met(numbers) for condition in experiment.criterion]


@pytest.fixture(scope="module")
def measured():
    return E9.measure(Context(quick=True))


def test_variance_falls_and_accuracy_is_not_shown_to_rise(measured):
    numbers = measured.numbers
    assert met(E9, numbers)[:3] == [True, True, True]
    assert numbers["gradalign_variance_ratio"].value < 0.9
    answers = {title: verdict.answer for title, verdict in E9.judge(numbers).items()}
    assert answers == {
        "Mechanism": "holds",
        "Gradient variance": "holds",
        "Test accuracy": "inconclusive",  # three splits
        "Test accuracy for as many bytes": "inconclusive",
    }


def test_without_the_displacement_nothing_is_gained():
    class Two(type(E9)):
        def _seeds(self, context):
            return range(1, 3)

        def _rates(self, context):
            return (4,)

    plain = Two(
        grad_align=lambda lr, beta: lg.GD(lr),
        fed_ga=lambda L, lr, beta: lg.LocalGD(L, lr),
    )
    numbers = plain.measure(Context(quick=True)).numbers
    assert numbers["mechanism_error"] == 1.0
    assert numbers["gradalign_worst_variance_ratio"] == (1.0, 1.0, 1.0)
    assert numbers["gradalign_gain_points"] == numbers["fedga_gain_points"] == (0.0, 0.0, 0.0)
    assert met(plain, numbers)[:5] == [False] * 5
    answers = [verdict.answer for verdict in plain.judge(numbers).values()]
    assert answers[:3] == ["does not hold"] * 3
    assert answers[3] != "holds"


def test_a_gain_in_every_split_holds(measured):
    numbers = dict(measured.numbers)
    for name in numbers:
        if name.endswith("gain_points"):
            numbers[name] = Estimate(0.2, 0.1, 0.3)
    assert {verdict.answer for verdict in E9.judge(numbers).values()} == {"holds"}
    numbers["fedga_scaffold_gain_points"] = Estimate(-0.2, -0.3, -0.1)
    assert E9.judge(numbers)["Test accuracy"].answer == "holds with a caveat"
    numbers["equal_bytes_gain_points"] = Estimate(-0.2, -0.3, -0.1)
    assert E9.judge(numbers)["Test accuracy for as many bytes"].answer == "does not hold"


def test_interval_is_students():
    mean, low, high = interval(np.array([1.0, 2.0, 3.0]))
    # t(0.975, 2) = 4.302653, standard error 1/sqrt(3)
    assert mean == 2.0
    assert low == pytest.approx(2 - 4.302653 / np.sqrt(3), rel=1e-6)
    assert high == pytest.approx(2 + 4.302653 / np.sqrt(3), rel=1e-6)


def test_own_rows_are_dealt_again(measured):
    X, y = lg.datasets.load_digits(classes=(0, 1, 2))
    clients = np.arange(len(y)) % 2
    own = lg.Problem.from_arrays(X, y, clients)
    context = dataclasses.replace(Context(quick=True), own=_own(own))
    splits = E9.splits(context)
    assert splits.own_rows.startswith("used: ")
    assert splits.used[0][0].n_classes == 3
    tiny = lg.Problem.from_arrays(X[:30], y[:30], clients[:30])
    splits = E9.splits(dataclasses.replace(context, own=_own(tiny)))
    assert splits.own_rows.startswith("not used: ")
    assert splits.used[0][0].n_classes == 10


def _own(problem):
    from localgd.reproducing.context import OwnRows

    return OwnRows(problem, "rows of a test")


def test_code_runs():
    done = subprocess.run([sys.executable, "-c", E9.words.code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "FedGA" in done.stdout
