"""E2: the verdict on the residual, and that other methods and rows turn it."""

from dataclasses import replace

import numpy as np
import pytest

import localgd as lg
from localgd.reproducing import Context
from localgd.reproducing.experiments import e02_residual as e02

LIMIT = "Limit on the support rows' span"

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

EXPERIMENT = "E2"
pytestmark = pytest.mark.usefixtures("one_draw")


def test_the_residual_comes_to_its_limit(experiment, measured):
    verdicts = experiment.judge(measured.numbers)
    assert {verdict.answer for verdict in verdicts.values()} == {"holds"}
    assert measured.numbers["norm_of_rho_S"].value == pytest.approx(36.9616, abs=1e-4)
    limit = experiment.words.claims[1]
    assert "integrated, 0.43 % after 10^100" in limit.found(measured)


def test_pictures_are_drawn_from_the_series(experiment, measured):
    names = [picture.name for picture in experiment.pictures(measured)]
    assert names == ["distance", "outside", "real", "degenerate"]


def test_a_wrong_time_scale_is_found_out(experiment):
    # Twice the steps that τ = η L k counts move ρ_k by ŵ log 2, for ever.
    wrong = replace(experiment, method=lambda L, lr: lg.LocalGD(local_steps=2 * L, lr=lr))
    verdict = wrong.judge(wrong.measure(Context(quick=True)).numbers)[LIMIT]
    assert verdict.answer == "does not hold"
    assert "halves" in verdict.reason


def test_a_residual_that_grows_is_found_out(experiment, measured):
    """A client without a say: the model turns to another direction, and ρ_k grows like log k."""

    def silent(problem):
        clients = np.repeat(np.arange(problem.n_clients), problem.sizes)
        weights = np.array([0.0, *([1 / (problem.n_clients - 1)] * (problem.n_clients - 1))])
        return lg.Problem.from_arrays(problem.X, problem.y, clients, weights=weights)

    sabotaged = replace(experiment, trained=silent)
    grows = {**measured.numbers, **sabotaged._synthetic(Context(quick=True), 1).numbers()}
    assert grows["worst_movement_ratio"] == pytest.approx(2, rel=0.01)  # as log k doubles
    assert experiment.judge(grows)["Bounded"].answer == "does not hold"


def test_a_residual_that_is_late_is_a_caveat(experiment, measured):
    late = {**measured.numbers, "worst_distance_100_percent": 0.6}
    assert experiment.judge(late)[LIMIT].answer == "holds with a caveat"


def test_outside_the_span_a_single_small_step_is_found_out(experiment):
    """With one step of ηL/100 in place of L steps hardly anything is left of what L does."""
    same = replace(experiment, method=lambda L, lr: lg.LocalGD(local_steps=1, lr=L * lr / 100))
    found = same._synthetic(Context(quick=True), 1).over_variants()
    (condition,) = experiment.words.claims[2].conditions
    assert condition.answer(found) == "not met"


def test_without_the_row_on_the_margin_there_is_no_law_of_log_log(experiment, measured):
    """Trained with the second row beyond the margin, whose pull dies out."""
    beyond = lg.Problem([([[1.0, 0.0]], [1]), ([[2.0, 1.0]], [1])])
    sabotaged = replace(experiment, trained=lambda problem: beyond)
    slope = e02._late_slope(sabotaged._degenerate(Context(quick=True)))
    flat = {**measured.numbers, "degenerate_slope_error": abs(slope - 1)}
    assert experiment.judge(flat)["Rows of multiplier 0"].answer == "does not hold"
