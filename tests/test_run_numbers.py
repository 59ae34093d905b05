"""Margin and angle of seed 0 of the fixed separable data, to all digits."""

import numpy as np
import oracle
import pytest

import localgd as lg


@pytest.fixture(scope="module")
def problem():
    X, y = oracle.separable_rows(seed=0, M=5, n=10, d=100)
    return lg.Problem(list(zip(X, y, strict=True)))


def test_generator_gives_the_same_rows(problem):
    made = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=0)
    np.testing.assert_array_equal(made.signed_rows, problem.signed_rows)


def test_margin(problem):
    assert f"{lg.reference.max_margin(problem).margin:.9f}" == "0.143247712"


def test_angle_after_a_million_rounds(problem):
    best = lg.reference.max_margin(problem)
    run = lg.run(
        problem, lg.LocalGD(local_steps=10, lr=1.0), rounds=10**6, engine="gram", reference=best
    )
    assert f"{np.degrees(run.history['angle'][-1]):.6f}" == "5.459076"
    assert f"{np.degrees(lg.angle(run.weights, best.direction)):.6f}" == "5.459076"
