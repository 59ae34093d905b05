"""``localgd run`` on several classes, on held-out rows, and what it says of labels and limits."""

from __future__ import annotations

import csv

import numpy as np
import pytest

import localgd as lg

pytest.importorskip("cyclopts")
pytest.importorskip("pydantic")

from test_cli import PROBLEM, here, read, write_csv

from localgd.cli import main, target
from localgd.cli.own_rows import read_own
from localgd.cli.report import table
from localgd.cli.rows import prepare
from localgd.cli.settings import Settings
from localgd.cli.target import MOST_WEIGHTS, find_target

__all__ = ["here"]  # the fixture


def write_rows(path, X, labels):
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*(f"x{j}" for j in range(X.shape[1])), "y"])
        writer.writerows(
            [*map(repr, x.tolist()), label] for x, label in zip(X, labels, strict=True)
        )
    return path


def three_classes(n=30, spread=0.3):
    """Rows around the first three axes of five, class after class."""
    y = np.arange(n) % 3
    return np.eye(5)[y] + spread * np.random.default_rng(0).standard_normal((n, 5)), y


def said(capsys):
    return " ".join(capsys.readouterr().out.split())


# Labels of the user's files -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "task", "y", "said"),
    [
        (["yes", "no", "yes"], None, [1, -1, 1], "no (-1) against yes (+1)"),
        ([1, 0, 0], None, [1, -1, -1], "0 (-1) against 1 (+1)"),
        ([2.5, 7, 7], "binary", [-1, 1, 1], "2.5 (-1) against 7 (+1)"),
        ([1, -1, -1], None, [1, -1, -1], ""),
        ([0.5, 1.5, 2], None, [0.5, 1.5, 2], ""),
        ([1, 0, 0], "regression", [1, 0, 0], ""),
        ([2, 0, 1], None, [2, 0, 1], "3 classes (0, 1, 2)"),
        (["c", "a", "b"], None, [2, 0, 1], "3 classes (a, b, c)"),
        ([7, 3, 12], "multiclass", [1, 0, 2], "3 classes (3, 7, 12)"),
        (["b", "a", "a"], "multiclass", [1, 0, 0], "2 classes (a, b)"),
        ([1, -1, -1], "multiclass", [1, 0, 0], "2 classes (-1, 1)"),
    ],
)
def test_labels_and_what_is_said_of_them(here, labels, task, y, said):
    path = write_rows(here / "rows.csv", np.eye(3), labels)
    values = {"data": "rows.csv", "clients": 1, **({} if task is None else {"task": task})}
    prepared = prepare(Settings.from_values(values))
    problem = prepared.problem
    np.testing.assert_array_equal(problem.y, np.array(y)[problem.row_order])
    assert prepared.data.startswith(f"rows.csv{', ' if said else ''}{said}: 3 rows")
    if problem.labels is not None:
        assert problem.labels == tuple(sorted(set(labels)))
    if task != "multiclass" and len(set(labels)) < 3:
        y = lg.datasets.read(path, task=task, label="y")[1]
        np.testing.assert_array_equal(problem.y, y[problem.row_order])


def test_labels_of_an_npz_file(tmp_path):
    path = tmp_path / "rows.npz"
    for labels, names in (
        (np.array([True, False]), (False, True)),
        (np.array([b"x", b"w"]), ("w", "x")),
        (np.array([4.0, 3.0]), (3, 4)),
    ):
        np.savez(path, X=np.eye(2), y=labels)
        own = read_own(path, None, None)
        problem = lg.Problem([(own.X, own.y)], task="binary")
        assert problem.labels == names
        np.testing.assert_array_equal(problem.y, lg.datasets.read(path)[1])


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([3, 7, 12], "", "data: integer label 3 at row 0, 3 distinct labels in all; want two di"),
        (
            [0.5, 1, 2],
            "--task multiclass",
            "label 0.5 at row 0 of a multiclass task; want whole numbers",
        ),
        (["a", "b", ""], "--task multiclass", "rows.csv line 4, column 'y': no label"),
        (["a", "b", "c"], "--task binary", "3 distinct labels in all ('a', 'b', 'c')"),
        (["a", "b", "3"], "--task multiclass", "label 'a' is not a number, others are"),
        ([1, 1, 1], "--task multiclass", "data: every label is 1; want at least two classes"),
        ([0, 1, 2], "--loss logistic", "loss: 'logistic' does not fit a multiclass task; want sof"),
        (["a", "b", "b"], "--loss softmax --task binary", "loss: 'softmax' does not fit a binary"),
    ],
)
def test_labels_that_are_refused(here, capsys, labels, options, message):
    write_rows(here / "rows.csv", np.eye(3), labels)
    arguments = f"run --data rows.csv --clients 1 --rounds 1 {options}"
    assert main(arguments.split()) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--data nowhere.csv", "data: no file at"),
        ("--data row.csv", "row.csv: did you mean 'rows.csv'?"),
        ("--data minst", "(.csv, .npz, .parquet, .svm): did you mean 'mnist'?"),
        ("--scheme dirchlet:1", "feature-shift:SCALE: did you mean 'dirichlet'?"),
        ("--data rows.xlsx", "data: rows.xlsx ends in '.xlsx'; want .csv, .npz"),
        ("--data rows.csv --clients 99", "clients: got 99 for 30 rows; want at most 30"),
        ("--data digits --classes 0,1,2 --task binary", "data: 3 distinct labels in all (0, 1, 2)"),
        ("--data digits --classes 1,1", "classes: [1] in both entries"),
        ("--data digits --classes 0,1,2 --method local-solve", "want a method with local steps"),
    ],
)
def test_messages_name_the_settings(here, capsys, arguments, message):
    pytest.importorskip("sklearn")
    write_csv(here / "rows.csv")
    (here / "rows.xlsx").write_text("x")
    assert main(["run", *arguments.split()]) == 2
    assert message in capsys.readouterr().err


# Several classes ------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["3,8", "0,1,2", "024,135", "0,1,23,9", "all"])
def test_classes(value):
    assert read("classes", value) == value


@pytest.mark.parametrize("value", ["3", "", "1,", "a,b", "0 1", "ALL", None])
def test_classes_refuse(value):
    with pytest.raises(ValueError, match=r"classes: got .* want two or more digits such as 3,8"):
        read("classes", value)


def test_three_digits(here, capsys):
    pytest.importorskip("sklearn")
    options = "--data digits --classes 2,0,1 --rounds 20 --local-steps 5"
    assert main(["run", *options.split()]) == 0
    printed = capsys.readouterr().out
    X, y = lg.datasets.load_digits(classes=(2, 0, 1))
    problem = lg.partition(X, y, n_clients=10)
    best = lg.reference.max_margin(problem)
    wanted = lg.run(problem, lg.LocalGD(5, "1/H"), rounds=20, reference=best)
    run = lg.load("localgd-run/run.npz")
    np.testing.assert_allclose(run.weights, wanted.weights, rtol=1e-12)
    assert run.config["loss"] == "softmax"
    right = np.mean(np.argmax(problem.X @ run.weights, axis=1) == problem.y)
    assert run.history["accuracy"][-1] == right
    assert "digits, 3 classes (2, 0, 1): 537 rows" in " ".join(printed.split())
    (last,) = [line.split() for line in printed.splitlines() if line.startswith("   20 ")]
    assert float(last[2]) == pytest.approx(100 * run.history["margin"][-1] / best.margin, abs=0.01)
    assert last[4:6] == [f"{100 * right:.2f}", "%"]
    assert last[-1].endswith("°")  # to pooled GD


def test_all_digits(here, capsys):
    pytest.importorskip("sklearn")
    options = "--data digits --classes all --rounds 2 --local-steps 1 --no-reference --no-pooled"
    assert main(["run", *options.split()]) == 0
    assert "10 classes (0, 1, 2, 3, 4, 5, 6, 7, 8, 9): 1,797 rows" in said(capsys)
    assert lg.load("localgd-run/run.npz").weights.shape == (64, 10)


@pytest.mark.parametrize(
    ("labels", "options", "shown"),
    [
        (["red", "green", "blue"], "", "3 classes (blue, green, red): 30 rows"),
        ([0, 1, 2], "", "3 classes (0, 1, 2): 30 rows"),
        ([3, 7, 12], "--task multiclass", "3 classes (3, 7, 12): 30 rows"),
        ([3, 7, 12], "--loss softmax", "3 classes (3, 7, 12): 30 rows"),
    ],
)
def test_own_rows_of_three_classes(here, capsys, labels, options, shown):
    X, y = three_classes()
    write_rows(here / "rows.csv", X, [labels[k] for k in y])
    base = "--data rows.csv --clients 3 --rounds 5 --local-steps 2"
    assert main(["run", *base.split(), *options.split()]) == 0
    assert shown in said(capsys)
    order = np.argsort(np.argsort(labels))  # the class of each label
    problem = lg.partition(X, order[y], n_clients=3)
    wanted = lg.run(problem, lg.LocalGD(2, "1/H"), rounds=5, loss="softmax")
    np.testing.assert_allclose(lg.load("localgd-run/run.npz").weights, wanted.weights, rtol=1e-12)


def test_two_classes_with_the_softmax_loss(here, capsys):
    write_csv(here / "rows.csv", labels=["a", "b"])
    assert main("run --data rows.csv --loss softmax --rounds 5".split()) == 0
    assert "2 classes (a, b)" in said(capsys)
    assert lg.load("localgd-run/run.npz").weights.shape == (PROBLEM.n_features, 2)


# Held-out rows --------------------------------------------------------------------------------


def test_held_out_rows(here, capsys):
    X, y = three_classes(60)
    write_rows(here / "rows.csv", X, y)
    options = "--data rows.csv --clients 3 --rounds 5 --local-steps 2 --test 0.25 --seed 4"
    assert main(["run", *options.split()]) == 0
    printed = capsys.readouterr().out
    assert "15 more rows held out as a test" in " ".join(printed.split())
    prepared = prepare(Settings.from_values({"data": "rows.csv", "test": 0.25, "seed": 4}))
    test_X, test_y = prepared.test
    kept = {tuple(x) for x in prepared.problem.X}
    held = {tuple(x) for x in test_X}
    assert kept | held == {tuple(x) for x in X}
    assert (len(kept), len(held)) == (45, 15)

    run = lg.load("localgd-run/run.npz")
    accuracy = np.mean(np.argmax(test_X @ run.weights, axis=1) == test_y)
    assert run.history["test_accuracy"][-1] == accuracy
    (last,) = [line for line in printed.splitlines() if line.startswith("    5 ")]
    assert f"{100 * accuracy:.2f} %" in last
    again = prepare(prepared.settings)
    assert (again.test[0] == test_X).all()
    other = prepare(prepared.settings.model_copy(update={"seed": 5}))
    assert (other.test[0] != test_X).any()


def test_held_out_rows_of_two_labels_and_of_named_clients(here):
    write_csv(here / "rows.csv", sites=True)
    options = "--data rows.csv --client site --label y --rounds 5 --test 0.2"
    assert main(["run", *options.split()]) == 0
    run = lg.load("localgd-run/run.npz")
    assert run.config["problem"]["n_samples"] == 24
    values = {"data": "rows.csv", "client": "site", "label": "y", "test": 0.2}
    X, y = prepare(Settings.from_values(values)).test
    assert run.history["test_accuracy"][-1] == np.mean(y * (X @ run.weights) > 0)


def test_held_out_rows_of_a_regression(here, capsys):
    problem = lg.datasets.make_regression(n_clients=2, n_samples=20, n_features=5, seed=0)
    write_csv(here / "rows.csv", problem)
    assert main("run --data rows.csv --clients 2 --rounds 3 --test 0.1".split()) == 0
    printed = capsys.readouterr().out
    X, y = prepare(Settings.from_values({"data": "rows.csv", "clients": 2, "test": 0.1})).test
    run = lg.load("localgd-run/run.npz")
    loss = 0.5 * np.mean((X @ run.weights - y) ** 2)
    assert run.history["test_loss"][-1] == pytest.approx(loss, rel=1e-12)
    assert f"{loss:.3e}" in printed


@pytest.mark.parametrize("value", ["0", "1", "-0.5", "2", "some", True])
def test_fractions_refuse(value):
    with pytest.raises(ValueError, match=r"test: got .* want a fraction above 0 and below 1"):
        read("test", value)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([0, 1] * 5, "--test 0.8", "test: 0.8 of 10 rows leaves 2 for 3 clients"),
        ([0] * 9 + [1], "--test 0.6", "leaves none with the label 1"),
    ],
)
def test_held_out_rows_leave_enough(here, capsys, labels, options, message):
    write_rows(here / "rows.csv", np.eye(10), labels)
    for seed in range(20):  # the single row of the second case is held out by most seeds
        arguments = f"run --data rows.csv --clients 3 --rounds 1 --seed {seed} {options}"
        if main(arguments.split()) == 2:
            assert message in capsys.readouterr().err
            return
    raise AssertionError("no seed was refused")


# Limits ---------------------------------------------------------------------------------------


def test_classes_that_are_not_separable_have_a_minimiser():
    X, y = three_classes(90, spread=1.0)
    problem = lg.partition(X, y, n_clients=3)
    found = find_target(problem, "softmax")
    assert found.kind == "minimiser"
    assert "classes are not separable: minimiser of the loss, norm" in found.about
    best = lg.reference.minimizer(problem, loss="softmax")
    np.testing.assert_array_equal(found.solution.weights, best.weights)
    run = lg.run(problem, lg.GD("1/H"), rounds=50, reference=found.solution)
    headings, rows = table(run, found, None)
    assert headings[2] == "distance to\nminimiser"
    wanted = np.linalg.norm(run.weights - best.weights) / np.linalg.norm(best.weights)
    assert float(rows[-1][2]) == pytest.approx(wanted, rel=1e-3)


def test_a_loss_of_counts_says_that_labels_are_numbers(here, capsys):
    write_rows(here / "rows.csv", np.eye(6), [0, 3, 1, 2, 0, 5])
    options = "--clients 2 --loss poisson --lr 0.1 --rounds 5"
    assert main(f"run --data rows.csv {options}".split()) == 0
    assert "poisson loss" in said(capsys)
    assert lg.load("localgd-run/run.npz").config["problem"]["task"] == "regression"


def test_no_minimiser_is_looked_for_in_large_models():
    rng = np.random.default_rng(0)
    n_features = MOST_WEIGHTS // 3 + 1
    X = np.zeros((9, n_features))
    X[:, :2] = rng.standard_normal((9, 2))
    X[3:6] = X[:3]  # the same rows in two classes
    found = find_target(lg.partition(X, np.repeat([0, 1, 2], 3), n_clients=1), "softmax")
    assert (found.kind, found.solution) == ("none", None)
    assert "too large to look for a minimiser" in found.about


def test_a_reference_that_takes_long_waits_to_be_asked_for(monkeypatch):
    X, y = three_classes()
    problem = lg.partition(X, y, n_clients=3)
    assert find_target(problem, "softmax", None).kind == "max-margin"
    monkeypatch.setattr(target, "MOST_NUMBERS", 30 * 2 * 5 - 1)
    unasked = find_target(problem, "softmax", None)
    assert unasked.kind == "none"
    assert "60 constraints in 5 features take many minutes; --reference computes" in unasked.about
    assert find_target(problem, "softmax", True).kind == "max-margin"
    assert find_target(problem, "softmax", False).about == "none: switched off"


def test_numbers_that_no_model_fits_have_a_least_squares_model():
    rng = np.random.default_rng(1)
    problem = lg.partition(rng.standard_normal((20, 3)), rng.standard_normal(20), n_clients=2)
    found = find_target(problem, "squared")
    assert found.kind == "minimiser"
    assert "no model fits all rows: least-squares model" in found.about
    run = lg.run(problem, lg.GD("1/H"), rounds=3000, reference=found.solution)
    assert float(table(run, found, None)[1][-1][2]) < 1e-6


def test_a_minimiser_at_zero_is_no_target():
    problem = lg.Problem([([[1.0], [1.0]], [1, -1])])
    found = find_target(problem, "logistic")
    assert found.kind == "none"
    assert "the rows are not separable, and the minimiser of the loss is 0" in found.about


# Sparse rows ----------------------------------------------------------------------------------


def test_sparse_rows_of_a_file_stay_sparse(here):
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 40)) * (rng.random((30, 40)) < 0.1)
    X[:, -1] = 1.0
    lines = [
        f"{1 + j % 2} " + " ".join(f"{k + 1}:{x[k]}" for k in np.flatnonzero(x).tolist())
        for j, x in enumerate(X)
    ]
    (here / "rows").write_text("\n".join(lines))
    values = {"data": "rows", "kind": "svmlight", "clients": 3, "test": 0.2, "intercept": "free"}
    sparse, dense = (prepare(Settings.from_values(values), sparse=kind) for kind in (None, False))
    assert sparse.problem.sparse
    assert not dense.problem.sparse
    assert sparse.problem.labels == (1, 2)
    assert sparse.problem.intercept == "free"
    np.testing.assert_allclose(sparse.problem.X.toarray(), dense.problem.X, rtol=1e-14)
    np.testing.assert_allclose(sparse.test[0].toarray(), dense.test[0], rtol=1e-14)
    assert f"41 features, {sparse.problem.X.nnz:,} numbers other than 0, largest" in sparse.data
    assert "1 (-1) against 2 (+1)" in sparse.data


@pytest.mark.parametrize("scale", ["rows", "spectral", "standard"])
def test_scales_and_rows_that_are_left_over(here, capsys, scale):
    write_csv(here / "rows.csv")
    X, y = lg.datasets.read(here / "rows.csv", label="y", header=True)
    options = f"--data rows.csv --clients 4 --scheme sorted --scale {scale} --rounds 3 --lr 1/H"
    assert main(f"run {options}".split()) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "4 dealt by sorted, seed 0 (2 rows left over), 7 rows each" in said
    with pytest.warns(UserWarning, match="leaves 2 of 30 rows out"):
        problem = lg.partition(X, y, n_clients=4, scheme=lg.Contiguous(sort="label"), scale=scale)
    run = lg.run(problem, lg.LocalGD(100, "1/H"), rounds=3)
    assert (lg.load(here / "localgd-run" / "run.npz").weights == run.weights).all()
