"""E1, E3 and E8: the verdicts hold with the right method and turn with a sabotaged one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import localgd as lg

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

from localgd.reproducing import Context, find, rows

QUICK = Context(quick=True)
FAILS = "does not hold"


@pytest.fixture(scope="module", autouse=True)
def one_draw():
    """Of one draw every number is known, so that nothing is inconclusive."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Context, "seeds", lambda context, quick=3, full=10: range(1, 2))
        yield


def verdicts(name, **sabotage):
    """The answer to each claim, and which of the conditions are not met."""
    (found,) = find([name])
    tried = dataclasses.replace(found, **sabotage)
    numbers = tried.measure(QUICK).numbers
    unmet = {c.number for c in tried.criterion if not c.met(numbers)}
    return {title: verdict.answer for title, verdict in tried.judge(numbers).items()}, unmet


@pytest.mark.parametrize("name", ["E1", "E3", "E8"])
def test_holds_as_it_is(name):
    answers, unmet = verdicts(name)
    assert set(answers.values()) == {"holds"}
    assert unmet == set()


def test_e1_with_the_labels_of_a_client_flipped():
    def flipped(problem):
        if problem.n_features != 100:  # the synthetic rows only
            return problem
        y = problem.y.copy()
        y[problem.rows(0)] *= -1
        clients = np.repeat(np.arange(problem.n_clients), problem.sizes)
        return lg.Problem.from_arrays(problem.X, y, clients)

    answers, unmet = verdicts("E1", trained=flipped)
    assert answers["Direction"] == answers["Rate"] == FAILS
    assert "worst_angle_deg" in unmet


def test_e1_with_a_client_that_has_no_say():
    def silent(problem):
        weights = np.ones(problem.n_clients)
        weights[0] = 0.0
        clients = np.repeat(np.arange(problem.n_clients), problem.sizes)
        return lg.Problem.from_arrays(
            problem.X, problem.y, clients, weights=weights / weights.sum()
        )

    answers, unmet = verdicts("E1", trained=silent)
    assert answers["Direction"] == answers["Rate"] == FAILS
    assert "worst_angle_deg" in unmet


def test_e1_with_rounds_one_by_one_that_are_others():
    (found,) = find(["E1"])

    class Other(type(found)):
        def _exact(self, context, problem):
            return super()._exact(context, rows.synthetic(2))

    numbers = Other().measure(QUICK).numbers
    assert numbers["worst_exact_gap"] > 1e-3
    assert found.judge(numbers)["Check of the integration"].answer == FAILS


def test_e3_with_plain_averaging_in_place_of_the_modified_server():
    def plain(local_steps):
        return lg.LocalSolve() if local_steps is None else lg.LocalGD(local_steps, 1.0)

    answers, unmet = verdicts("E3", modified=plain)
    assert answers["Modified server"] == FAILS
    assert answers["Plain averaging"] == "holds"
    assert unmet == {"modified_worst_slope_error", "real_ratio"}


def test_e3_with_the_modified_server_in_place_of_plain_averaging():
    answers, unmet = verdicts("E3", plain=lambda: lg.ModifiedLocalGD(local_steps=None))
    assert answers["Plain averaging"] == FAILS
    assert "plain_smallest_angle_deg" in unmet


def test_e3_with_gradient_steps_in_place_of_plain_solves():
    """They stop nowhere, and the clients' constraints are not met."""
    answers, unmet = verdicts("E3", plain=lambda: lg.LocalGD(1, 1e-3))
    assert answers["Plain averaging"] == FAILS
    assert "plain_least_margin" in unmet
    assert answers["Modified server, L local steps"] == "holds"


def test_e3_with_local_steps_that_stop_short():
    def solves_only(local_steps):
        return lg.ModifiedLocalGD(local_steps=None) if local_steps is None else lg.LocalGD(1, 1e-90)

    answers, unmet = verdicts("E3", modified=solves_only)
    assert answers["Modified server, L local steps"] == FAILS
    assert answers["Modified server"] == "holds"
    assert unmet == {"steps_angle_100_deg"}


def test_e8_from_a_start_outside_the_span_of_the_rows():
    answers, unmet = verdicts("E8", start=lambda problem: np.ones(problem.n_features))
    assert answers["Limit"] == FAILS
    assert "worst_distance" in unmet


def test_e8_with_the_anchored_server():
    answers, unmet = verdicts("E8", method=lambda L: lg.LocalGD(L, 1.0, server=lg.Anchored()))
    assert answers["Limit"] == FAILS
    assert "worst_distance" in unmet


def test_e8_with_another_step_size_than_the_rate_is_predicted_for():
    answers, unmet = verdicts("E8", method=lambda L: lg.LocalGD(L, 0.9))
    assert answers["Rate"] == FAILS
    assert unmet == {"worst_rate_error_percent"}


def test_e8_with_a_closed_form_of_one_round_more():
    class Late(Context):
        def fast_forward(self, problem, method, *, rounds, **options):
            late = rounds if "record" in options else rounds + 1
            return super().fast_forward(problem, method, rounds=late, **options)

    (found,) = find(["E8"])
    answers = found.judge(found.measure(Late(quick=True)).numbers)
    assert answers["Check of the closed form"].answer == FAILS
    assert answers["Limit"].answer == "holds"
