"""Runs over their seeds: pictures, and tables for papers."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

import localgd as lg
from localgd.sweeping import Sweep
from localgd.sweeping.aggregation import aggregated

METHODS = {
    "SGD": lg.LocalSGD(2, 0.5, batch_size=2),
    "SCAFFOLD": lg.Scaffold(2, 0.5, batch_size=2),
}


@pytest.fixture(scope="module")
def table():
    problem = lg.datasets.make_nonseparable(n_clients=5, n_samples=10, n_features=4, seed=0)
    best = lg.reference.minimizer(problem, loss="logistic", l2=0.1)
    return lg.sweep(
        problem,
        METHODS,
        grid={"participation": [2, 1.0], "seed": range(4)},
        rounds=30,
        loss="logistic",
        l2=0.1,
        reference=best,
    )


def chosen(table, **values):
    return [e for e in table if all(e.values[name] == value for name, value in values.items())]


def changed(table, place, **fields):
    entries = list(table)
    entries[place] = dataclasses.replace(entries[place], **fields)
    return Sweep(entries)


# ---- curves as one


def test_of_curves_at_the_same_places():
    x = np.array([1.0, 2.0, 4.0])
    y = np.array([[1.0, 2.0, 8.0], [4.0, 8.0, 2.0]])
    curves = [(x, row) for row in y]
    plain = aggregated(curves)
    np.testing.assert_array_equal(plain.middle, y.mean(axis=0))
    np.testing.assert_allclose(plain.high - plain.middle, y.std(axis=0, ddof=1))
    logs = aggregated(curves, log_y=True)
    np.testing.assert_allclose(logs.middle, np.sqrt(y[0] * y[1]))
    np.testing.assert_allclose(logs.low * logs.high, logs.middle**2)
    assert (logs.low > 0).all()
    middle = aggregated([*curves, (x, y[0])], center="median", spread="quantiles", level=0.5)
    np.testing.assert_array_equal(middle.middle, y[0])
    np.testing.assert_allclose(
        [middle.low, middle.high], np.quantile([y[0], y[1], y[0]], [0.25, 0.75], axis=0)
    )
    alone = aggregated(curves[:1])
    assert (alone.low == alone.middle).all() and alone.runs == 1


def test_of_curves_at_other_places_and_of_other_lengths():
    one = np.array([1.0, 10.0, 100.0]), np.array([1.0, 0.1, 0.01])
    other = np.array([1.0, 5.0, 10.0]), np.array([1.0, 0.2, 0.1])  # the same law, y = 1/x
    both = aggregated([one, other], log_x=True, log_y=True)
    np.testing.assert_allclose(both.middle, 1 / both.x)
    assert both.x[-1] == pytest.approx(10)  # as far as both go
    half = aggregated([one, other], log_x=True, log_y=True, spread=None, least=0.5)
    assert half.x[-1] == pytest.approx(100)
    zero = np.array([0.0, 1.0]), np.array([0.0, 3.0])
    assert aggregated([zero], log_x=True, log_y=True).x.tolist() == [1.0]
    still = np.array([1.0, 1.0, 2.0]), np.array([3.0, 2.0, 1.0])  # nobody took part in between
    assert aggregated([still]).middle.tolist() == [2.0, 1.0]
    assert aggregated([one, (np.zeros(0), np.zeros(0))]) is None
    assert aggregated([]) is None


def test_bootstrap_holds_the_mean_and_is_narrower_than_the_runs():
    values = np.random.default_rng(0).normal(size=(30, 1))
    curves = [(np.ones(1), row) for row in values]
    boot = aggregated(curves, spread="bootstrap", level=0.95)
    assert boot.low < boot.middle < boot.high
    wanted = 2 * 1.96 * values.std(ddof=1) / math.sqrt(30)
    assert (boot.high - boot.low).item() == pytest.approx(wanted, rel=0.15)
    again = aggregated(curves, spread="bootstrap", level=0.95)
    assert (again.low, again.high) == (boot.low, boot.high)


# ---- pictures


@pytest.fixture
def pyplot():
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot

    return pyplot


def test_lines_are_the_means_of_the_logs(table, pyplot):
    figure = lg.plot.compare(table, y="suboptimality", x="bits", by="method", facet="participation")
    assert [ax.get_title() for ax in figure.axes] == ["2 clients", "100 % of clients"]
    for ax, share in zip(figure.axes, (2, 1.0), strict=True):
        for line, method in zip(ax.lines, METHODS, strict=True):
            entries = chosen(table, method=method, participation=share)
            logs = np.log([entry.history["suboptimality"][1:] for entry in entries])
            np.testing.assert_allclose(line.get_ydata(), np.exp(logs.mean(axis=0)))
            np.testing.assert_allclose(line.get_xdata(), entries[0].history["bits"][1:])
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("Communication (bits)", "$f - f^*$")
        assert len(ax.collections) == 2
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(METHODS)
    assert legend.get_title().get_text() == "mean ± standard deviation of log y, 4 runs"


@pytest.mark.parametrize(("width", "columns"), [("column", 1), ("two-column", 2)])
def test_panels_are_side_by_side_where_there_is_room(table, pyplot, width, columns):
    with lg.plot.style(width):
        figure = lg.plot.compare(table, y=["suboptimality", "grad_norm"], by=["method"],
                                 facet="participation")  # fmt: skip
    figure.canvas.draw()
    boxes = [ax.get_window_extent() for ax in figure.axes]
    assert len({round(box.x0) for box in boxes}) == columns
    assert len(boxes) == 4
    whole = figure.bbox
    texts = [t for ax in figure.axes for t in (ax.title, ax.xaxis.label, ax.yaxis.label)]
    for box in [text.get_window_extent() for text in texts if text.get_text()]:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= whole.x1 and box.y1 <= whole.y1
    assert not any(figure.legends[0].get_window_extent().overlaps(box) for box in boxes)


def test_lines_are_told_apart_by_all_that_varies(table, pyplot):
    figure = lg.plot.compare(table, y="loss", band=None, xscale="linear")
    (ax,) = figure.axes
    assert ax.get_xscale() == "linear" and not ax.collections
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        f"{method}, {share}" for method in METHODS for share in ("2 clients", "100 % of clients")
    ]
    many = lg.sweep(lg.Problem([([[1.0]], [1])]), lg.GD(1.0), rounds=2,
                    grid={"lr": np.linspace(0.1, 1, 30)})  # fmt: skip
    lines = lg.plot.compare(many, y="loss").axes[0].lines
    looks = {(line.get_color(), str(line._dash_pattern)) for line in lines}
    assert (len(lines), len(looks)) == (30, 28)


def test_runs_that_were_not_completed_are_left_out_and_said(table, pyplot):
    some = changed(table, 0, status="diverged")
    figure = lg.plot.compare(some, y="loss")
    assert figure.legends[0].get_texts()[0].get_text() == "SGD, 2 clients (3 of 4)"
    few = Sweep([dataclasses.replace(e, status="failed", history={})
                 if e.values["method"] == "SGD" else e for e in table])  # fmt: skip
    with pytest.warns(UserWarning, match="no run was completed of .*method SGD, which"):
        figure = lg.plot.compare(few, y="loss", facet="participation")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["SCAFFOLD"]


def test_compare_draws_into_the_figure_given(table, pyplot):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3))
    assert lg.plot.compare(table, y=["loss", "angle"], figure=figure) is figure
    assert len(figure.axes) == 2 and not pyplot.get_fignums()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"y": "speed"}, ValueError, "y: no run has the column 'speed'; want one of angle, bits"),
        ({"y": []}, TypeError, r"y: got \[\]; want the name of a column"),
        ({"y": 3}, TypeError, "y: got 3"),
        ({"x": "time"}, ValueError, "x: no run has the column 'time'"),
        ({"by": "mu"}, ValueError, "by: got 'mu'; want one of method, participation, seed"),
        ({"by": 3}, TypeError, "by: got 3; want a name, or a list of names"),
        (
            {"by": "method"},
            ValueError,
            r"runs of the same method differ in participation, too; "
            r"want by=\['method', 'participation'\]",
        ),
        ({"over": "mu"}, ValueError, "over: got 'mu'"),
        ({"facet": "mu"}, ValueError, "facet: got 'mu'"),
        ({"facet": ["method"]}, TypeError, r"facet: got \['method'\]; want the name"),
        ({"band": "se"}, ValueError, "band: got 'se'; want one of 'std', 'quantiles', 'bootstrap'"),
        ({"center": "mode"}, ValueError, "center: got 'mode'; want one of 'mean', 'median'"),
        ({"center": "median"}, ValueError, "center: got 'median' with band='std'"),
        ({"level": 1.5}, ValueError, "level: got 1.5"),
        ({"xscale": "sqrt"}, ValueError, "xscale: got 'sqrt'; want one of 'log', 'linear'"),
    ],
)
def test_compare_refuses(table, pyplot, settings, error, message):
    with pytest.raises(error, match=message):
        lg.plot.compare(table, **{"y": "loss", **settings})
    assert not pyplot.get_fignums()


def test_compare_needs_a_sweep_with_something_to_draw(table, pyplot):
    with pytest.raises(TypeError, match=r"table: got list; want the result of localgd\.sweep"):
        lg.plot.compare(list(table), y="loss")
    stopped = Sweep([dataclasses.replace(entry, status="diverged") for entry in table])
    with pytest.raises(ValueError, match="table: no completed run has points to draw"):
        lg.plot.compare(stopped, y="loss")


# ---- tables


def test_summary_has_means_and_standard_deviations(table):
    found = table.summary(columns=["loss", "angle"]).columns
    assert list(found["method"]) == ["SGD", "SGD", "SCAFFOLD", "SCAFFOLD"]
    assert found["runs"].tolist() == found["completed"].tolist() == [4] * 4
    for i, (method, share) in enumerate([(m, s) for m in METHODS for s in (2, 1.0)]):
        last = np.array([e.history["loss"][-1] for e in chosen(table, method=method,
                                                               participation=share)])  # fmt: skip
        assert found["loss"][i] == pytest.approx(last.mean())
        assert found["loss_std"][i] == pytest.approx(last.std(ddof=1))
        assert found["loss_median"][i] == pytest.approx(np.median(last))
    angles = np.degrees([e.history["angle"][-1] for e in table][:4])
    assert found["angle"][0] == pytest.approx(angles.mean())


def test_targets_count_from_the_first_record_that_reaches_them(table):
    def first(entry, cost):
        met = np.flatnonzero(entry.history["suboptimality"] <= 0.01)
        return entry.history[cost][met[0]] if len(met) else np.nan

    summary = table.summary(
        columns=[], target={"suboptimality": [0.01, 1e-30]}, until=("round", "passes")
    )
    for i, (method, share) in enumerate([(m, s) for m in METHODS for s in (2, 1.0)]):
        entries = chosen(table, method=method, participation=share)
        for cost in ("round", "passes"):
            wanted = [value for value in (first(e, cost) for e in entries) if not np.isnan(value)]
            key = f"{cost}_until_suboptimality_0.01"
            assert summary.columns[f"{key}_runs"][i] == len(wanted)
            assert summary.columns[key][i] == pytest.approx(np.mean(wanted))
    assert np.isnan(summary.columns["round_until_suboptimality_1e-30"]).all()
    head, _, *rows = summary.to_markdown().splitlines()
    assert "| rounds until f - f* ≤ 0.01 | passes over the rows until f - f* ≤ 0.01 |" in head
    assert all(row.endswith("| – | – |") for row in rows)
    assert summary.to_latex().splitlines()[4].endswith(r"& -- & -- \\")
    rising = table.summary(columns=[], target={"margin": -1e9}, until="round")
    assert rising.columns["round_until_margin_-1e+09"].tolist() == [1.0] * 4  # none at w = 0
    assert "≥" in rising.to_markdown()


def test_what_is_not_completed_or_not_reached_is_said(table):
    some = changed(table, 0, status="failed", history={})
    lines = some.summary(columns="loss").to_markdown().splitlines()
    assert lines[0] == "| method | participation | completed | loss |"
    assert lines[2].startswith("| SGD | 2 | 3/4 | ")
    worse = {name: column + (name == "loss") for name, column in table.entries[0].history.items()}
    late = changed(table, 0, history=worse)
    text = late.summary(columns=[], target={"loss": 0.7}, until="round").to_markdown()
    assert text.splitlines()[2].endswith("(3/4) |")


@pytest.mark.parametrize(
    ("values", "markdown", "latex"),
    [
        ([3.0], "3", "$3$"),
        ([0.12345], "0.123", "$0.123$"),
        ([1.0, 2.0], "1.50 ± 0.71", r"$1.50 \pm 0.71$"),
        ([12.0, 12.0], "12 ± 0", r"$12 \pm 0$"),
        ([1.2345e-6], "1.23e-06", r"$1.23 \times 10^{-6}$"),
        ([1e-6, 3e-6], "(2.00 ± 1.41)e-06", r"$(2.00 \pm 1.41) \times 10^{-6}$"),
        ([1200.0, 1300.0], "1,250 ± 71", r"$1{,}250 \pm 71$"),
        ([0.5, 0.5001], "0.50005 ± 0.00007", r"$0.50005 \pm 0.00007$"),
        ([1.0, 1.0 + 1e-7], "1.00 ± 7e-08", r"$1.00 \pm 7 \times 10^{-8}$"),
        ([0.1, 0.1 + 2e-17], "0.1 ± 0", r"$0.1 \pm 0$"),
        ([-2.0, -2.0], "-2 ± 0", r"$-2 \pm 0$"),
        ([0.0], "0", "$0$"),
        ([math.inf], "inf", "$inf$"),
        ([math.inf, 1.0], "inf", "$inf$"),
        ([1e300, 3e300], "(2.00 ± inf)e+300", r"$(2.00 \pm inf) \times 10^{300}$"),
    ],
)
def test_numbers_are_written_to_the_same_place(table, values, markdown, latex):
    entry = table.entries[0]
    made = Sweep([
        dataclasses.replace(entry, values={"method": "A_b & c|d", "seed": seed},
                            history={"loss": np.array([value])})
        for seed, value in enumerate(values)
    ])  # fmt: skip
    summary = made.summary(columns="loss")
    assert summary.to_markdown().splitlines()[2] == rf"| A_b & c\|d | {markdown} |"
    assert summary.to_latex().splitlines()[4] == rf"A\_b \& c|d & {latex} \\"


def test_summary_as_a_frame_and_as_text(table):
    pytest.importorskip("pandas")
    summary = table.summary()
    frame = summary.to_frame()
    assert list(frame["participation"]) == [2, 1.0, 2, 1.0] and len(frame) == len(summary) == 4
    assert str(summary) == summary.to_markdown()
    assert repr(summary) == "Summary(4 groups of 16 runs)"


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"columns": "speed"}, ValueError, "columns: got 'speed'; want one of round,"),
        ({"target": 3}, TypeError, "target: got 3; want a mapping"),
        ({"target": {"speed": 1}}, ValueError, "target: got 'speed'"),
        ({"target": {"loss": "x"}}, TypeError, "target: loss: got 'x'"),
        ({"target": {"loss": 1}, "until": "time"}, ValueError, "until: got 'time'"),
        ({"by": "method"}, ValueError, "differ in participation, too"),
    ],
)
def test_summary_refuses(table, settings, error, message):
    with pytest.raises(error, match=message):
        table.summary(**settings)


def test_digits_are_at_least_one(table):
    with pytest.raises(ValueError, match="digits: got 0"):
        table.summary().to_markdown(digits=0)


def test_suboptimality_that_is_rounding_is_zero_in_a_summary():
    problem = lg.datasets.make_nonseparable(n_clients=2, n_samples=20, n_features=3, seed=0)
    objective = {"loss": "logistic", "l2": 0.1}
    best = lg.reference.minimizer(problem, **objective)
    table = lg.sweep(
        problem,
        lg.GD("1/H"),
        grid={"seed": [0, 1], "rounds": [3, 3000]},
        rounds=1,
        reference=best,
        **objective,
    )
    found = table.summary(by="rounds", columns="suboptimality")
    assert found.columns["suboptimality"][0] > 1e-6
    assert found.columns["suboptimality"][1] == 0
    assert "| 3000 | 0 ± 0 |" in str(found)
