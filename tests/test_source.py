"""The line that makes a result again does."""

from __future__ import annotations

import numpy as np
import pytest

import localgd as lg
from localgd.source import source_of

RUNS = [
    (lg.GD(lr=1.0), {}),
    (lg.GD("1/H"), {"loss": "logistic", "l2": 0.1, "engine": "hybrid"}),
    (lg.LocalGD((1, 2, 3, 4, 5), 0.5, fednova=True), {"dtype": "float32"}),
    (lg.LocalSGD(3, lg.Polynomial(1.0, 0.5), batch_size=2, replacement=True), {"seed": 7}),
    (
        lg.Scaffold(3, lg.TwoStage(0.1, 1.0, 5), server=lg.ServerSGD(1.0, momentum=0.5)),
        {"record": lg.log_spaced(per_decade=3), "every_step": True},
    ),
    (lg.LocalGD(2, 1.0, participation=lg.Cyclic(count=2)), {"record": [1, 5]}),
    (lg.LocalGD(2, 1.0, participation=2, shares="unbiased"), {"init": np.ones(30)}),
    (lg.ModifiedLocalGD(None), {"reference": np.ones(30)}),
    (lg.LocalGD(2, lambda k: 1 / (k + 1)), {"measures": {"m": np.linalg.norm}}),
    (lg.GD(1.0), {"loss": lg.Loss(lambda m: (1 - m) ** 2, lambda m: 2 * (m - 1), name="own")}),
]


@pytest.mark.parametrize(("method", "settings"), RUNS, ids=lambda value: "")
def test_the_line_of_a_run_makes_it_again(small_problem, method, settings):
    run = lg.run(small_problem, method, rounds=20, **settings)
    names = {"lg": lg, "problem": small_problem, "lr": getattr(method, "lr", None), **settings}
    again = eval(run.command, names)
    assert again.config == run.config
    assert again.weights.tobytes() == run.weights.tobytes()
    assert list(again.history) == list(run.history)
    for name in run.history:
        np.testing.assert_array_equal(again.history[name], run.history[name])


def test_the_line_of_a_fast_forward_makes_it_again(small_problem):
    far = lg.fast_forward(small_problem, lg.LocalGD(5, 0.5), rounds=1e12)
    assert far.command.startswith("lg.fast_forward(problem, lg.LocalGD(local_steps=5, lr=0.5), ")
    again = eval(far.command, {"lg": lg, "problem": small_problem})
    assert again.weights.tobytes() == far.weights.tobytes()


def test_the_line_of_a_sweep_makes_it_again(small_problem):
    table = lg.sweep(
        small_problem,
        [lg.LocalGD(1, 1.0), lg.FedProx(1, 1.0, 0.1, server=lg.Average())],
        grid={"local_steps": (k for k in (1, 2)), "lr": ["1/H", lg.Polynomial(1.0, 0.5)]},
        rounds=5,
        loss="logistic",
    )
    again = eval(table.command, {"lg": lg, "problem": small_problem})
    assert again.command == table.command
    assert [entry.key for entry in again] == [entry.key for entry in table]
    assert type(table)(list(table)).command == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("inf"), "float('inf')"),
        (np.float64(0.5), "0.5"),
        ((1,), "(1,)"),
        ({"a": [1, None]}, "{'a': [1, None]}"),
        (range(3), "range(0, 3)"),
        (np.ones(3), "x"),
        (len, "x"),
        (lg.Dirichlet(0.3), "lg.Dirichlet(alpha=0.3)"),
    ],
)
def test_values_as_they_are_written(value, text):
    assert source_of(value, "x") == text
