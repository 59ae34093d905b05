"""E4: the verdict on heterogeneity, its controls, and that a method with another limit turns it."""

from dataclasses import replace

import numpy as np
import pytest

import localgd as lg
from localgd.reproducing import Context
from localgd.reproducing.experiments import e04_heterogeneity as e04

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

EXPERIMENT = "E4"


def unmet(experiment, numbers):
    return {condition.number for condition in experiment.unmet(numbers)}


def test_who_holds_the_rows_matters_little(experiment, measured):
    # The constant of 1/log(ηLk) is still on its way at 10^100 rounds: that prediction fails.
    verdicts = experiment.judge(measured.numbers)
    assert verdicts["Same law at every degree"].answer == "does not hold"
    assert "worst_spread_percent" in unmet(experiment, measured.numbers)
    assert "worst_fall" not in unmet(experiment, measured.numbers)
    assert verdicts["Who holds the rows"].answer == "holds"


def test_rounds_are_those_of_the_pooled_problem(experiment, measured):
    assert experiment.judge(measured.numbers)["Rounds by the pooled problem"].answer == "holds"
    assert measured.numbers["by_gd_error_decades"] < 0.3
    assert measured.numbers["best"] == "by_gd"


def test_a_quantity_that_knows_nothing_explains_nothing(experiment, measured):
    kinds = [measured.series[name] for name in ("feature_shift", "angle_between", "label_skew")]
    table = e04._joined(kinds)
    assert e04.explained([table])["by_gd"]["r2"] > 0.95
    order = np.random.default_rng(0).permutation(len(table["by_gd"]))
    told = e04.explained([{**table, "by_gd": table["by_gd"][order]}])
    numbers = {**measured.numbers, "by_gd_r2": told["by_gd"]["r2"]}
    assert experiment.judge(numbers)["Rounds by the pooled problem"].answer == "does not hold"


def test_lines_are_fitted_on_one_half_and_tested_on_the_other():
    table = {name: np.arange(8.0) for name in e04.QUANTITIES}
    table |= {"seed": np.array([1, 2] * 4), "decades 5°": 3 + 2 * np.arange(8.0)}
    told = e04.explained([table])["by_gd"]
    assert (told["r2"], told["slope"]) == (pytest.approx(1), pytest.approx(2))
    table["decades 5°"][1::2] = [9.0, -4.0, 2.0, 7.0]
    told = e04.explained([table])["by_gd"]
    assert told["fitted_r2"] == pytest.approx(1)
    assert told["r2"] < 0


def test_rounds_by_the_residual_are_those_of_a_line():
    """w = ŵ log τ + ρ_S on two rows, where ρ_S is known: tan 5° = across/(along ŵ)."""
    problem = lg.Problem([([[1.0, 0.5]], [1]), ([[1.0, -1.0]], [1])])
    limit = lg.reference.asymptote(problem)
    decades = e04.by_residual(limit, 10.0)["with_along"]
    w = limit.weights * np.log(10.0**decades * 10.0) + limit.rho
    assert np.degrees(lg.angle(w, limit.weights)) == pytest.approx(5.0)


def test_a_method_that_stops_short_is_found_out(experiment):
    """A step of 1e-150 does not get far: no law at any degree, and no rounds to be told."""
    stopped = replace(experiment, method=lambda L, lr: lg.LocalGD(1, 1e-150))
    part = stopped._kind(Context(quick=True), "shift", (0.0,), e04._shifted)
    (condition,) = [c for c in experiment.criterion if c.number == "worst_fall"]
    assert not condition.met({"worst_fall": float(part["fall"].max())})
    assert np.isnan(part["decades 5°"]).all()


def test_rho_of_other_weights_tells_no_rounds(experiment, measured, monkeypatch):
    """ρ_S of a problem in which the first client counts a million times as much."""
    asymptote = lg.reference.asymptote

    def of_other_weights(problem, best):
        weights = problem.weights * np.where(np.arange(problem.n_clients), 1.0, 1e6)
        clients = np.repeat(np.arange(problem.n_clients), problem.sizes)
        other = lg.Problem.from_arrays(
            problem.X, problem.y, clients, weights=weights / weights.sum()
        )
        return asymptote(other, best)

    monkeypatch.setattr(lg.reference, "asymptote", of_other_weights)
    context = Context(quick=True)
    shift = experiment._kind(context, "shift", (0.0, 4.0), e04._shifted)
    between = experiment._kind(context, "angle", (0.0, 100.0), e04._apart)
    wrong = {
        **measured.numbers,
        "synthetic_correlation": e04._correlation(e04._joined([shift, between])),
        "with_along_r2": e04.explained([shift, between])["with_along"]["r2"],
    }
    for title in ("Rounds by ρ_S", "Rounds by all of ρ_S"):
        assert experiment.judge(measured.numbers)[title].answer == "holds"
        assert experiment.judge(wrong)[title].answer == "does not hold"


def test_pictures_are_drawn_from_the_series(experiment, measured):
    names = [p.name for p in experiment.pictures(measured)]
    assert names == ["explained", "skew", "shift", "between"]


def test_weights_that_are_not_passed_on_are_found_out(experiment, measured):
    """p_i = n_i/N whatever was asked for."""
    deal = e04._dealing(Context(quick=True))

    def unweighted(scheme, seed, weights):
        return deal(scheme=scheme, seed=seed)

    skew = experiment._skew(Context(quick=True), unweighted, "digits")
    flat = {**measured.numbers, "equal_weights_decades": by_equal_weights(skew)}
    assert experiment.judge(flat)["Weights of clients"].answer == "does not hold"


def by_equal_weights(skew):
    return e04._against_last(e04.part(skew, equal=1))[0]


def test_local_steps_that_are_not_taken_are_found_out(experiment, measured):
    """A fit of log k hides a factor L in the rounds; the condition without a fit does not."""
    idle = replace(experiment, method=lambda L, lr: lg.LocalGD(1, lr))
    part = idle._kind(Context(quick=True), "shift", (0.0,), e04._shifted)
    gap = e04._worst_gap([part])
    assert gap == pytest.approx(np.log10(e04.L))
    numbers = {**measured.numbers, "worst_gd_gap_decades": gap}
    assert experiment.judge(numbers)["Rounds by the pooled problem"].answer == "does not hold"


def test_runs_that_get_nowhere_have_no_gap_to_gd():
    table = {"decades 5°": np.array([np.nan]), "by_gd": np.array([3.0])}
    assert np.isnan(e04._worst_gap([table]))


def test_a_deal_that_changes_the_weights_of_rows_is_found_out(experiment, measured):
    def uneven(problem, seed):
        clients = np.maximum(np.arange(problem.n_samples) - problem.n_samples + 5, 0)
        return lg.Problem.from_arrays(problem.X, problem.y, clients, weights="equal")

    sabotaged = replace(experiment, control=uneven)
    part = sabotaged._kind(Context(quick=True), "angle", (100.0,), e04._apart)
    decades = float(abs(np.median(part["holders"])))
    verdicts = experiment.judge({**measured.numbers, "worst_holder_decades": decades})
    assert "same rows shuffled" in verdicts["Who holds the rows"].reason


def test_displacements_are_at_the_angle_asked_for():
    problem = e04._apart(50.0, seed=3)
    means = np.stack([problem.signed_rows[problem.rows(i)].mean(axis=0) for i in range(5)])
    rng = np.random.default_rng(3)
    g = rng.standard_normal((50, 100)) / 10
    u = (means - g.reshape(5, 10, 100).mean(axis=1)) / e04.DISPLACEMENT
    cosines = u @ u.T
    assert cosines == pytest.approx(np.where(np.eye(5), 1.0, np.cos(np.radians(50))), abs=1e-12)


def test_shuffled_rows_are_the_same_rows():
    problem = e04._shifted(1.0, seed=1)
    other = e04.shuffled(problem, seed=1)
    assert other.sizes.tolist() == problem.sizes.tolist()
    order = [np.lexsort(p.signed_rows.T) for p in (problem, other)]
    assert (problem.signed_rows[order[0]] == other.signed_rows[order[1]]).all()
    assert not (problem.X[problem.rows(0)] == other.X[other.rows(0)]).all()
