"""Pictures: the numbers that are drawn, labels, scales, errors."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

import localgd as lg

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from localgd.plot import _style  # noqa: E402
from localgd.plot.convergence import curves  # noqa: E402
from localgd.plot.margins import margin_counts  # noqa: E402


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def problem():
    return lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=0)


@pytest.fixture(scope="module")
def ref(problem):
    return lg.reference.max_margin(problem)


@pytest.fixture(scope="module")
def runs(problem, ref):
    return {
        f"L = {L}": lg.run(
            problem,
            lg.LocalGD(local_steps=L, lr=1.0),
            rounds=1000,
            loss="exponential",
            reference=ref,
        )
        for L in (1, 10)
    }


def line(ax, label):
    (found,) = [one for one in ax.get_lines() if one.get_label() == label]
    return found


def dashed(ax):
    return [one for one in ax.get_lines() if one.is_dashed() and len(one.get_xdata()) > 2]


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def with_history(run, **columns):
    return dataclasses.replace(run, history={**run.history, **columns})


def with_config(run, loss="exponential", **method):
    return dataclasses.replace(run, config={**run.config, "loss": loss, "method": method})


# ---- convergence


def test_angle_is_drawn_in_degrees_from_round_one(runs, ref):
    ax = lg.plot.convergence(runs, ref)
    for label, run in runs.items():
        drawn = line(ax, label)
        assert run.history["round"][0] == 0
        np.testing.assert_array_equal(drawn.get_xdata(), run.history["round"][1:])
        np.testing.assert_allclose(drawn.get_ydata(), run.history["angle"][1:] * 180 / math.pi)
    assert ax.get_xscale() == "log" and ax.get_yscale() == "linear"
    assert ax.get_ylim()[0] == 0
    assert ax.get_xlabel() == "Communication rounds"
    assert ax.get_ylabel() == "Angle to max-margin model (°)"
    assert legend_texts(ax) == ["L = 1", "L = 10", "∝ 1/log(ηLk)"]


def test_margin_is_drawn_as_a_share_of_the_best(runs, ref):
    ax = lg.plot.convergence(runs, ref, quantity="margin")
    drawn = line(ax, "L = 10").get_ydata()
    np.testing.assert_allclose(drawn, runs["L = 10"].history["margin"][1:] / ref.margin)
    assert drawn.max() < 1
    (best,) = [one for one in ax.get_lines() if one.get_linestyle() == ":"]
    assert list(best.get_ydata()) == [1.0, 1.0]
    assert ax.get_ylabel() == "Normalised margin / γ"
    assert legend_texts(ax)[-1] == "gap ∝ 1/log(ηLk)"


def test_guide_is_the_law_through_the_last_record(runs, ref):
    for quantity in ("angle", "margin"):
        ax = lg.plot.convergence(runs, ref, quantity=quantity)
        for (label, run), guide in zip(runs.items(), dashed(ax), strict=True):
            drawn = line(ax, label)
            k, law = guide.get_data()
            assert (k[-1], law[-1]) == pytest.approx(
                (drawn.get_xdata()[-1], drawn.get_ydata()[-1]), rel=1e-12
            )
            gap = law if quantity == "angle" else 1 - law
            constant = gap * np.log(run.config["method"]["local_steps"] * k)
            np.testing.assert_allclose(constant, constant[-1], rtol=1e-12)
            assert law.max() <= drawn.get_ydata().max() and law.min() >= drawn.get_ydata().min()
            assert guide.get_color() == drawn.get_color()


def test_guide_needs_a_run_that_the_law_governs(runs, ref):
    run = runs["L = 10"]
    for other in (
        with_config(run, name="LocalSolve"),
        with_config(run, name="LocalGD", local_steps=10, lr={"name": "TwoStage"}),
        with_config(run, loss="squared", name="LocalGD", local_steps=10, lr=1.0),
        with_config(run, name="LocalGD", local_steps=10, lr=1e-5),  # ηLk = 0.1 at the end
    ):
        (curve,) = curves(other, ref)
        assert curve.guide.size == 0
        ax = lg.plot.convergence(other, ref)
        assert "∝ 1/log(ηLk)" not in legend_texts(ax)


def test_angles_over_more_than_a_decade_get_a_log_axis(runs, ref):
    run = runs["L = 1"]
    falling = with_history(run, angle=1.0 / (1.0 + run.history["round"]))
    assert lg.plot.convergence(falling, ref).get_yscale() == "log"
    touching_zero = with_history(run, angle=np.zeros_like(run.history["angle"]))
    assert lg.plot.convergence(touching_zero, ref).get_yscale() == "linear"


def test_records_without_a_direction_are_left_out(runs, ref):
    run = runs["L = 1"]
    angles = run.history["angle"].copy()
    angles[5] = np.nan
    (curve,) = curves(with_history(run, angle=angles), ref)
    assert len(curve.rounds) == len(angles) - 2
    assert np.isfinite(curve.values).all()
    with pytest.raises(ValueError, match="no finite angle after round 0"):
        curves(with_history(run, angle=np.full_like(angles, np.nan)), ref)


def test_a_single_record_is_a_visible_point(problem, ref):
    run = lg.run(problem, lg.GD(lr=1.0), rounds=1, reference=ref, record=[1])
    ax = lg.plot.convergence(run, ref)
    assert line(ax, "GD").get_marker() == "o"


def test_runs_in_a_list_are_named_by_what_differs(runs, problem, ref):
    both = list(runs.values())
    assert [curve.label for curve in curves(both)] == ["LocalGD, L = 1", "LocalGD, L = 10"]
    assert [curve.label for curve in curves(both[1])] == ["LocalGD, L = 10"]
    other = with_config(both[1], name="LocalGD", local_steps=10, lr=0.5)
    assert [curve.label for curve in curves([both[1], other])] == [
        "LocalGD, L = 10, η = 1.0",
        "LocalGD, L = 10, η = 0.5",
    ]
    solve = with_config(both[1], name="ModifiedLocalGD", local_steps=None)
    assert [curve.label for curve in curves(solve)] == ["ModifiedLocalGD"]


def test_labels_tell_runs_of_one_method_apart(problem, ref):
    methods = [
        lg.LocalGD(5, 1.0),
        lg.LocalGD(5, 1.0, participation=2),
        lg.LocalGD(5, 1.0, server=lg.ServerSGD(1.0, 0.5)),
        lg.LocalSGD(5, 1.0, 1),
        lg.LocalSGD(5, 1.0, 2),
        lg.FedProx((2, 3, 4, 2, 2), 1.0, 0.1),
        lg.FedProx((2, 3, 4, 2, 2), 1.0, 0.2),
        lg.GradAlign(1.0, 0.5),
        lg.LocalSolve(),
        lg.ModifiedLocalGD(None),
    ]
    runs = [lg.run(problem, method, rounds=2) for method in methods]
    assert [curve.label for curve in curves(runs, quantity="margin", ref=ref)] == [
        "LocalGD, L = 5, 100 % of clients, Average",
        "LocalGD, L = 5, 2 clients, Average",
        "LocalGD, L = 5, 100 % of clients, ServerSGD",
        "LocalSGD, L = 5, b = 1",
        "LocalSGD, L = 5, b = 2",
        "FedProx, L = 2 to 4, μ = 0.1",
        "FedProx, L = 2 to 4, μ = 0.2",
        "GradAlign",
        "LocalSolve",
        "ModifiedLocalGD",
    ]


def test_runs_of_several_classes_are_drawn():
    problem = lg.Problem([(np.eye(3), [0, 1, 2]), (2 * np.eye(3), [0, 1, 2])])
    ref = lg.reference.max_margin(problem)
    run = lg.run(problem, lg.LocalGD(5, 1.0), rounds=50, reference=ref)
    figure = lg.plot.overview(run, ref)
    margin = line(figure.axes[1], "LocalGD, L = 5").get_ydata()
    np.testing.assert_allclose(margin, run.history["margin"][1:] / ref.margin)


def test_without_a_reference_the_axis_does_not_say_max_margin(runs):
    assert lg.plot.convergence(runs).get_ylabel() == "Angle to reference model (°)"


def test_any_column_can_be_drawn(runs):
    ax = lg.plot.convergence(runs, quantity="loss")
    drawn = line(ax, "L = 10").get_ydata()
    np.testing.assert_array_equal(drawn, runs["L = 10"].history["loss"][1:])
    assert (ax.get_yscale(), ax.get_ylabel()) == ("log", "Loss")
    assert legend_texts(ax) == ["L = 1", "L = 10"]  # no law is known of it
    assert lg.plot.convergence(runs, quantity="grad_alignment").get_yscale() == "linear"


def test_many_runs_are_bands(problem, ref):
    def runs(count):
        methods = [lg.LocalSGD(L, 0.5, batch_size=2) for L in (1, 10)]
        return [
            lg.run(problem, method, rounds=20, seed=seed, reference=ref)
            for method in methods
            for seed in range(count)
        ]

    few, many = runs(3), runs(21)
    assert len(lg.plot.convergence(few, ref).get_lines()) == 2 * 6  # and their laws
    ax = lg.plot.convergence(many, ref)
    assert legend_texts(ax) == ["LocalSGD, L = 1", "LocalSGD, L = 10"]
    assert ax.get_legend().get_title().get_text() == "median and middle 90 % of 21 runs"
    angles = np.degrees([run.history["angle"][1:] for run in many[:21]])
    np.testing.assert_allclose(
        line(ax, "LocalSGD, L = 1").get_ydata(), np.median(angles, axis=0), rtol=1e-12
    )
    (band, _) = ax.collections
    ends = band.get_paths()[0].get_extents()
    low, high = np.quantile(angles, [0.05, 0.95], axis=0)
    assert (ends.y0, ends.y1) == pytest.approx((low.min(), high.max()))
    named = lg.plot.convergence({str(i): run for i, run in enumerate(many)}, ref)
    assert legend_texts(named) == ["all 42 runs"]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.3, 0.31, 0.34], ["0.3", "0.31", "0.32", "0.33", "0.34"]),
        ([2e-9, 3e-9, 7e-9], [f"${k}{{\\times}}10^{{-9}}$" for k in (2, 4, 6)]),
        ([0.02, 0.1, 0.9], ["0.02", "0.05", "0.1", "0.2", "0.5"]),
    ],
)
def test_log_axes_under_two_decades_are_labelled(runs, values, shown):
    run = runs["L = 1"]
    rounds = np.array([1, 2, 3])
    ax = lg.plot.convergence(
        with_history(run, round=rounds, loss=np.array(values)), quantity="loss"
    )
    ax.figure.canvas.draw()
    texts = [*ax.yaxis.get_ticklabels(), *ax.yaxis.get_ticklabels(minor=True)]
    low, high = ax.get_ylim()
    got = [t.get_text() for t in texts if t.get_text() and low <= t.get_position()[1] <= high]
    assert ax.get_yscale() == "log"
    assert set(shown) <= set(got) and len(got) <= 8, got


def test_convergence_draws_into_the_axes_given(runs, ref):
    _, ax = plt.subplots()
    ax.plot([1, 2], [3, 4], label="mine")
    assert lg.plot.convergence(runs, ref, ax=ax) is ax
    assert legend_texts(ax) == ["L = 1", "L = 10", "∝ 1/log(ηLk)"]
    assert len(plt.get_fignums()) == 1


def test_what_is_drawn_unless_it_is_said(problem, runs):
    objective = {"loss": "logistic", "l2": 0.1}
    minimum = lg.reference.minimizer(problem, **objective)
    for reference, column in ((None, "Loss"), (minimum, "$f - f^*$")):
        options = {"rounds": 5, "reference": reference, **objective}
        table = lg.sweep(problem, lg.GD(0.5), grid={"seed": [0, 1]}, **options)
        assert lg.plot.sweep(table).get_ylabel() == column
        run = lg.run(problem, lg.GD(0.5), **options)
        assert lg.plot.convergence(run).get_ylabel() == column
        assert lg.plot.convergence([run, runs["L = 1"]]).get_ylabel() != "$f - f^*$"
    assert "Angle" in lg.plot.convergence(runs).get_ylabel()


def test_convergence_refuses(runs, problem, ref):
    without = lg.run(problem, lg.GD(lr=1.0), rounds=5)
    with pytest.raises(ValueError, match=r"run 'GD': no angle .*; pass reference=lg\.reference"):
        lg.plot.convergence(without, ref)
    with pytest.raises(ValueError, match=r"run 'b': no angle"):
        lg.plot.convergence({"a": runs["L = 1"], "b": without}, ref)
    with pytest.raises(ValueError, match="ref: got None"):
        lg.plot.convergence(runs, quantity="margin")
    with pytest.raises(TypeError, match="ref: got ndarray; want the result of"):
        lg.plot.convergence(runs, ref.weights, quantity="margin")
    with pytest.raises(ValueError, match="quantity: no run has the column 'speed'; want one of"):
        lg.plot.convergence(runs, ref, quantity="speed")
    with pytest.raises(ValueError, match="run: got no run"):
        lg.plot.convergence([], ref)
    with pytest.raises(TypeError, match=r"run: got ndarray; want a result of lg\.run"):
        lg.plot.convergence({"a": runs["L = 1"].weights}, ref)
    regression = lg.datasets.make_regression(n_clients=2, n_samples=3, n_features=9, seed=0)
    squared = lg.run(regression, lg.GD(lr=0.1), rounds=5, loss="squared")
    with pytest.raises(ValueError, match="no margin in its history; want a run of a binary"):
        lg.plot.convergence(squared, ref, quantity="margin")
    assert plt.get_fignums() == []


def test_overview_has_both_panels_and_one_legend(runs, ref):
    figure = lg.plot.overview(runs, ref)
    angle, margin = figure.axes
    assert angle.get_ylabel() == "Angle to max-margin model (°)"
    assert margin.get_ylabel() == "Normalised margin / γ"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["L = 1", "L = 10", "∝ 1/log(ηLk)"]
    assert angle.get_legend() is None and margin.get_legend() is None


def test_overview_draws_into_the_figure_given(runs, ref, tmp_path):
    figure = Figure(figsize=(7, 2.6))
    assert lg.plot.overview(runs, ref, figure=figure) is figure
    assert plt.get_fignums() == []
    figure.savefig(tmp_path / "overview.png")
    box = figure.legends[0].get_window_extent()
    for ax in figure.axes:
        assert not box.overlaps(ax.get_window_extent())
    upper, _ = Figure(figsize=(7, 5)).subfigures(2, 1)
    assert lg.plot.overview(runs, ref, figure=upper) is upper
    assert len(upper.axes) == 2


# ---- margins


def test_histogram_counts_every_row_by_label(problem, ref, runs):
    w = runs["L = 10"].weights
    ax = lg.plot.margins(problem, w, ref=ref)
    outlines = {p.get_label(): p.get_data() for p in ax.patches if not p.get_fill()}
    m = lg.analysis.margins(problem, w)
    for label, name in ((-1, "label −1"), (1, "label +1")):
        counts, edges, _ = outlines[name]
        rows = m[problem.y == label]
        np.testing.assert_array_equal(counts, np.histogram(rows, edges)[0])
        assert counts.sum() == len(rows)
    assert ax.get_xlabel() == "Normalised margin z·w / ‖w‖" and ax.get_ylabel() == "Rows"


def test_margins_mark_the_smallest_and_the_best(problem, ref, runs):
    w = runs["L = 10"].weights
    ax = lg.plot.margins(problem, w, ref=ref)
    smallest, best = ax.get_lines()
    assert smallest.get_xdata()[0] == lg.analysis.margins(problem, w).min()
    assert best.get_xdata()[0] == ref.margin
    assert legend_texts(ax)[2:] == [
        f"smallest margin, {smallest.get_xdata()[0]:#.3g}",
        "best possible, γ = 0.143",
    ]
    assert len(lg.plot.margins(problem, w).get_lines()) == 1


def test_a_rare_label_is_seen():
    X = np.concatenate([np.linspace(1, 2, 400), np.linspace(-3, -1, 8)])[:, None]
    y = np.repeat([1, -1], [400, 8])
    rare = lg.plot.margins(lg.Problem([(X, y)]), [1.0])
    assert rare.get_yscale() == "log"
    assert 0 < rare.get_ylim()[0] < 1  # a single row has a bar
    even = lg.plot.margins(lg.Problem([(X[392:], y[392:])]), [1.0])
    assert even.get_yscale() == "linear" and even.get_ylim()[0] == 0


def test_a_row_on_the_wrong_side_is_named_with_a_minus_sign():
    ax = lg.plot.margins(lg.Problem([([[1.0], [-0.5]], [1, 1])]), [1.0])
    assert legend_texts(ax)[-1] == "smallest margin, −0.500"


def test_margins_of_equal_rows_and_one_label():
    problem = lg.Problem([([[2.0, 0.0]] * 3, [1, 1, 1])])
    data = margin_counts(problem, [1.0, 0.0])
    assert data.labels == (1.0,) and data.counts.sum() == 3 and data.smallest == 2.0
    assert legend_texts(lg.plot.margins(problem, [1.0, 0.0]))[0] == "label +1"


def test_margins_refuse(problem):
    with pytest.raises(ValueError, match="w: no entry differs from 0"):
        lg.plot.margins(problem, np.zeros(100))
    with pytest.raises(TypeError, match="ref: got float"):
        lg.plot.margins(problem, np.ones(100), ref=0.14)
    with pytest.raises(ValueError, match=r"label_names: no name for label 1; got \{-1: 'zero'\}"):
        lg.plot.margins(problem, np.ones(100), label_names={-1: "zero"})
    assert plt.get_fignums() == []


# ---- clients


def skewed():
    X = np.ones((9, 2))
    y = [1, 1, 1, -1, -1, -1, -1, 1, 1]
    return lg.Problem.from_arrays(X, y, ["b", "b", "b", "b", "a", "a", "c", "c", "c"])


def test_bars_are_the_counts_of_each_label():
    ax = lg.plot.clients(skewed(), label_names={-1: "cat", 1: "dog"})
    cats, dogs = ax.containers[:2]
    assert [bar.get_width() for bar in cats] == [2, 1, 1]
    assert [bar.get_width() for bar in dogs] == [0, 3, 2]
    assert [bar.get_x() for bar in dogs] == [2, 1, 1]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "c"]
    assert [text.get_text() for text in ax.texts] == ["2", "4", "3"]
    assert legend_texts(ax) == ["cat", "dog"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first client is on top
    assert ax.get_xlabel() == "Rows" and ax.get_ylabel() == "Client"


def test_many_clients_are_bands_sorted_by_majority_and_size():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((4000, 2)), np.where(rng.random(4000) < 0.4, 1.0, -1.0)
    problem = lg.partition(X, y, n_clients=500, scheme=lg.Dirichlet(0.5), seed=0)
    ax = lg.plot.clients(problem)
    (negative, edges, _), (ends, _, starts) = [band.get_data() for band in ax.patches]
    np.testing.assert_array_equal(edges, np.arange(501))
    np.testing.assert_array_equal(starts, negative)
    positive = ends - starts
    assert negative.sum() == (y == -1).sum() and positive.sum() == (y == 1).sum()
    assert sorted(ends) == sorted(problem.sizes)
    mostly_positive = positive > negative
    first = int(np.argmax(mostly_positive))
    assert 0 < first and mostly_positive[first:].all()
    assert (np.diff(ends[:first]) <= 0).all() and (np.diff(ends[first:]) <= 0).all()


def test_regression_shows_rows_alone():
    problem = lg.Problem([([[1.0], [2.0]], [0.5, 1.5]), ([[1.0]], [2.5])])
    ax = lg.plot.clients(problem)
    (bars,) = ax.containers
    assert [bar.get_width() for bar in bars] == [2, 1]
    assert ax.get_legend() is None


def test_clients_refuse():
    with pytest.raises(TypeError, match=r"problem: got list; want a localgd\.Problem"):
        lg.plot.clients([])
    with pytest.raises(ValueError, match="label_names: no name for label -1"):
        lg.plot.clients(skewed(), label_names={1: "dog"})


# ---- what all share


def test_the_users_settings_are_left_alone(runs, ref, problem):
    before = dict(matplotlib.rcParams)
    lg.plot.overview(runs, ref)
    lg.plot.clients(problem)
    assert dict(matplotlib.rcParams) == before


def test_style_is_for_one_column_or_two(runs, ref, problem):
    before = dict(matplotlib.rcParams)
    with lg.plot.style("two-column"):
        assert lg.plot.convergence(runs, ref).figure.get_figwidth() == 7.0
        own, ax = plt.subplots()
        assert own.get_figwidth() == 7.0 and ax.xaxis.label.get_size() == 8
        with lg.plot.style("column"):
            assert lg.plot.clients(problem).figure.get_figwidth() == 3.5
        assert lg.plot.clients(problem).figure.get_figwidth() == 7.0
        with lg.plot.style(5.2):
            assert lg.plot.clients(problem).figure.get_figwidth() == 5.2
    assert dict(matplotlib.rcParams) == before
    assert lg.plot.clients(problem).figure.get_figwidth() == 3.5
    for wrong, error, message in (
        ("wide", ValueError, "width: got 'wide'; want one of 'column', 'two-column'"),
        (0.5, ValueError, "width: got 0.5"),
        (99, ValueError, "width: got 99; want at most 20 inches"),
        (None, TypeError, "width: got None"),
    ):
        with pytest.raises(error, match=message), lg.plot.style(wrong):
            pass


def test_letters_are_readable_at_column_width(runs, ref):
    ax = lg.plot.convergence(runs, ref)
    figure = ax.figure
    figure.canvas.draw()
    assert figure.get_size_inches()[0] == _style.COLUMN_WIDTH
    texts = [ax.xaxis.label, ax.yaxis.label, *ax.get_xticklabels(), *ax.get_legend().get_texts()]
    assert all(7 <= text.get_size() <= 8 for text in texts)
    width, height = figure.canvas.get_width_height()
    for text in texts[:2] + texts[-3:]:
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
    assert not ax.get_legend().get_window_extent().overlaps(ax.get_window_extent())


def test_colours_are_distinct_for_any_number():
    for n in (1, 2, 7, 8, 20):
        got = [matplotlib.colors.to_hex(colour) for colour in _style.colours(n)]
        assert len(set(got)) == n
    assert _style.colours(2) == ["#0072B2", "#D55E00"]


def test_importing_plot_needs_no_matplotlib(run_python):
    done = run_python(
        "import sys\n"
        "sys.modules['matplotlib'] = sys.modules['matplotlib.pyplot'] = None\n"
        "import localgd as lg\n"
        "problem = lg.Problem([([[1.0]], [1])])\n"
        "for draw in (lambda: lg.plot.clients(problem), lambda: lg.plot.margins(problem, [1.0])):\n"
        "    try:\n"
        "        draw()\n"
        "    except lg.MissingExtraError as error:\n"
        "        print(error)\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "lg.plot.clients needs matplotlib: pip install 'localgd[plot]'",
        "lg.plot.margins needs matplotlib: pip install 'localgd[plot]'",
    ]


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        (["no", "yes"], ["label no", "label yes"]),
        ([0, 1], ["label 0", "label 1"]),
        ([False, True], ["label False", "label True"]),
        ([-1.0, 1.0], ["label −1", "label +1"]),
    ],
)
def test_labels_are_called_as_they_came(labels, shown):
    y = np.array(labels, dtype=object)[[0, 1, 1, 0]]
    problem = lg.Problem([([[1.0], [2.0], [3.0], [-1.0]], y)])
    for ax in (lg.plot.clients(problem), lg.plot.margins(problem, [1.0])):
        assert [text.get_text() for text in ax.get_legend().get_texts()][:2] == shown
    names = {label: f"group {label}" for label in labels}
    ax = lg.plot.clients(problem, label_names=names)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(names.values())


def test_a_minimiser_is_not_taken_for_a_margin():
    problem = lg.datasets.make_nonseparable(n_clients=2, n_samples=10, n_features=3, seed=0)
    objective = {"loss": "logistic", "l2": 0.1}
    best = lg.reference.minimizer(problem, **objective)
    run = lg.run(problem, lg.GD("1/H"), rounds=5, reference=best, **objective)
    with pytest.raises(TypeError, match=r"ref: got Minimizer, .* want quantity='suboptimality'"):
        lg.plot.convergence(run, best)
    assert lg.plot.convergence(run, quantity="suboptimality").get_ylabel() == "$f - f^*$"
