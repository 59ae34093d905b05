"""E2: the verdict on the residual, and that other methods and rows turn it."""

from dataclasses import replace

import pytest

import localgd as lg
from localgd.reproducing import Context, find

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def experiment():
    (found,) = find(["E2"])
    return found


@pytest.fixture(scope="module")
def measured(experiment):
    return experiment.measure(Context(quick=True))


def test_the_residual_comes_to_its_limit(experiment, measured):
    assert experiment.judge(measured.numbers).answer == "holds"
    assert measured.numbers["norm_of_rho_S"] == pytest.approx(36.9616, abs=1e-4)
    assert "0.43 %" in experiment.finding(measured.numbers)


def test_pictures_are_drawn_from_the_series(experiment, measured):
    names = [picture.name for picture in experiment.pictures(measured)]
    assert names == ["distance", "outside", "real", "degenerate"]


def test_a_wrong_time_scale_is_found_out(experiment):
    # Twice the steps that τ = η L k counts move ρ_k by ŵ log 2, for ever.
    wrong = replace(experiment, method=lambda L, lr: lg.LocalGD(local_steps=2 * L, lr=lr))
    verdict = wrong.judge(wrong.measure(Context(quick=True)).numbers)
    assert verdict.answer == "does not hold"
    assert "halves" in verdict.reason


def test_a_residual_that_grows_is_found_out(experiment, measured):
    grows = {**measured.numbers, "worst_movement_ratio": 1.0}
    assert experiment.judge(grows).answer == "does not hold"
    late = {**measured.numbers, "synthetic_worst_distance_percent": 0.6}
    assert experiment.judge(late).answer == "holds with a caveat"
