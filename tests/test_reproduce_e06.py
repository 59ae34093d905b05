"""E6: the verdict, and that other methods turn it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import localgd as lg
from localgd.reproducing import Context, rows
from localgd.reproducing.context import OwnRows
from localgd.reproducing.experiments import e06_local_sgd as e06

pytest.importorskip("sklearn")

EXPERIMENT = "E6"


@pytest.fixture(scope="module", autouse=True)
def shorter():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(e06, "_seeds", lambda context: range(4))
        patch.setattr(e06, "TUNED_BATCHES", (4, e06.ALL))
        patch.setattr(e06, "_shares", lambda context: (0.0, 0.02, 1.0))
        yield


@pytest.fixture(scope="module")
def context():
    rows = lg.datasets.make_separable(n_clients=5, n_samples=8, n_features=60, seed=3)
    return Context(quick=True, own=OwnRows(rows, "synthetic"))


@pytest.fixture(scope="module")
def measured(experiment, context):
    return experiment.measure(context)


def unmet(experiment, numbers):
    return {condition.number for condition in experiment.unmet(numbers)}


def test_what_theory_predicts_without_noise(experiment, measured):
    # Under the noise of batches no difference between the tuned methods is shown with these seeds.
    noisy = {"noisy_equal_early_ratio", "noisy_class_late_ratio", "noise_evens"}
    at_floor = {"equal_late_ratio"}
    assert unmet(experiment, measured.numbers) <= {*noisy, *at_floor, "real_same_step_ratio"}
    assert measured.numbers["same_step_ratio"].value == pytest.approx(10, rel=0.1)
    assert measured.numbers["larger_step_ratio"].value == pytest.approx(1, rel=0.05)
    assert measured.own_rows == "used: they are the real separable rows"


def test_what_stands_at_the_floor_is_a_bound(experiment, measured):
    numbers = measured.numbers
    assert f"{numbers['equal_early_ratio']:.0e}".startswith("at least")
    assert f"{numbers['class_late_ratio']:.0e}".startswith("at most")
    assert f"{numbers['equal_late_ratio']:.0e}" == "unknown"  # both are
    assert experiment.judge(numbers)["Not separable, no noise"].answer == "inconclusive"


def test_clients_of_a_mixture_have_one_loss_in_common():
    alone, mixed = rows.mixture(0.0), rows.mixture(0.7)
    w = np.array([0.3, -0.2, 0.5])
    runs = [lg.run(p, lg.GD(1.0), rounds=3, loss="logistic", init=w) for p in (alone, mixed)]
    np.testing.assert_allclose(runs[0].weights, runs[1].weights, rtol=1e-12)
    assert e06.disagreement(alone) < 1e-12
    assert e06.disagreement(mixed) == pytest.approx(0.7 * e06.disagreement(rows.mixture(1.0)))


def test_local_sgd_in_the_place_of_minibatch_sgd_has_no_crossover(experiment, context, measured):
    same = dataclasses.replace(experiment, minibatch=e06._local)
    mixtures = same._mixtures(context)
    numbers = {**measured.numbers, **e06._of_crossovers(mixtures, e06._crossovers(mixtures))}
    assert experiment.judge(numbers)["Where they cross"].answer != "holds"
    tuned = same._not_separable(context)
    numbers = {**measured.numbers, **e06._of_tuned(tuned)}
    for title in ("Not separable, no noise", "Not separable, with noise"):
        assert experiment.judge(numbers)[title].answer == "does not hold"


def test_local_sgd_in_the_place_of_minibatch_sgd_turns_the_verdict(experiment, context, measured):
    same = dataclasses.replace(experiment, minibatch=e06._local)
    problem = context.own_problem("binary")
    compared = same._compared(context, [problem], "rows", (1,), 100)
    on_real = {**compared, "batch": np.full(len(compared["batch"]), e06.REAL_BATCH)}
    numbers = {**measured.numbers, **e06._of_compared(compared, on_real)}
    assert numbers["same_step_ratio"].value == pytest.approx(1, rel=1e-12)
    assert "same_step_ratio" in unmet(experiment, numbers)
    verdicts = experiment.judge(numbers)
    assert verdicts["Separable rows, the same η or Lη"].answer == "does not hold"


def test_a_larger_step_in_batches_turns_the_verdict(experiment, context, measured):
    """Batches that are run at a tenth of the rate do not reach Local-GD's angle."""

    def slow(lr, batch, replacement):
        return e06._local(lr if batch is None else lr / 10, batch, replacement)

    problem = context.own_problem("binary")
    batches = dataclasses.replace(experiment, local=slow)._batches(context, [problem])
    numbers = {**measured.numbers, **e06._of_batches(batches)}
    assert numbers["worst_angle_gap_percent"].value > 5
    assert "worst_angle_gap_percent" in unmet(experiment, numbers)
    assert experiment.judge(numbers)["Batches"].answer == "does not hold"


def test_choice_of_the_rate():
    # Every second seed chooses; the others, which would choose rate 1, do not.
    assert e06.best_rate(np.array([[1.0, 9.0, 1.0, 9.0], [2.0, 0.0, 2.0, 0.0]])) == 0


def test_pictures_and_finding(experiment, measured):
    pytest.importorskip("matplotlib")
    names = [picture.name for picture in experiment.pictures(measured)]
    assert names == ["batches", "separable", "real", "mixtures", "mixtures_noisy", "crossovers"]
    assert "with Lη" in experiment.words.claims[1].found(measured)


def test_the_code_shown_runs(experiment, capsys):
    exec(experiment.words.code, {})
    assert len(capsys.readouterr().out.splitlines()) == 3
