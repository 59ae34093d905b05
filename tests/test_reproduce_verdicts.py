"""E1, E3 and E8: the verdict holds with the right method and turns with a sabotaged one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import localgd as lg

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

from localgd.reproducing import Context, find

QUICK = Context(quick=True)


def experiment(name, **sabotage):
    (found,) = find([name])
    return dataclasses.replace(found, **sabotage)


def verdict(name, **sabotage):
    """The answer, and which of the conditions are not met."""
    tried = experiment(name, **sabotage)
    numbers = tried.measure(QUICK).numbers
    unmet = {c.number for c in tried.criterion if not c.met(numbers)}
    return tried.judge(numbers).answer, unmet


@pytest.mark.parametrize("name", ["E1", "E3", "E8"])
def test_holds_as_it_is(name):
    assert verdict(name) == ("holds", set())


def test_e1_with_the_labels_of_a_client_flipped():
    def flipped(problem):
        y = problem.y.copy()
        y[problem.rows(0)] *= -1
        clients = np.repeat(np.arange(problem.n_clients), problem.sizes)
        wrong = lg.Problem.from_arrays(problem.X, y, clients)
        return wrong if lg.reference.separability(wrong).separable else problem

    answer, unmet = verdict("E1", trained=flipped)
    assert answer == "does not hold"
    assert "worst_angle_deg" in unmet


def test_e1_with_a_client_that_has_no_say():
    def silent(problem):
        weights = np.ones(problem.n_clients)
        weights[0] = 0.0
        clients = np.repeat(np.arange(problem.n_clients), problem.sizes)
        return lg.Problem.from_arrays(
            problem.X, problem.y, clients, weights=weights / weights.sum()
        )

    answer, unmet = verdict("E1", trained=silent)
    assert answer == "does not hold"
    assert {"worst_angle_deg", "real_worst_ratio"} <= unmet


def test_e3_with_plain_averaging_in_place_of_the_modified_server():
    def plain(local_steps):
        return lg.LocalSolve() if local_steps is None else lg.LocalGD(local_steps, 1.0)

    answer, unmet = verdict("E3", modified=plain)
    assert answer == "does not hold"
    assert unmet == {"modified_worst_slope_error", "real_ratio"}


def test_e3_with_the_modified_server_in_place_of_plain_averaging():
    answer, unmet = verdict("E3", plain=lambda: lg.ModifiedLocalGD(local_steps=None))
    assert answer == "does not hold"
    assert "plain_smallest_angle_deg" in unmet


def test_e8_from_a_start_outside_the_span_of_the_rows():
    answer, unmet = verdict("E8", start=lambda problem: np.ones(problem.n_features))
    assert answer == "does not hold"
    assert "worst_distance" in unmet


def test_e8_with_the_anchored_server():
    answer, unmet = verdict("E8", method=lambda L: lg.LocalGD(L, 1.0, server=lg.Anchored()))
    assert answer == "does not hold"
    assert "worst_distance" in unmet


def test_e8_with_another_step_size_than_the_rate_is_predicted_for():
    answer, unmet = verdict("E8", method=lambda L: lg.LocalGD(L, 0.9))
    assert answer == "does not hold"
    assert unmet == {"worst_rate_error_percent"}
