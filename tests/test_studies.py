"""Studies: what a file may say, its folder, and that it is made again with the same bits."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

for extra in ("cyclopts", "pydantic", "rich", "tomli_w", "matplotlib", "pyarrow"):
    pytest.importorskip(extra)

import localgd as lg  # noqa: E402
from localgd.cli import main  # noqa: E402
from localgd.cli.studies.definition import read_study  # noqa: E402
from localgd.cli.studies.rerun import difference  # noqa: E402
from localgd.sweeping.database import Database  # noqa: E402

STUDY = """
data = "rows.csv"
clients = 3
loss = "logistic"
l2 = 0.01
rounds = 30

[grid]
scheme = ["iid", "dirichlet:1.0"]
seed = [1, 2, 3]

[[methods]]
method = "local-gd"
local_steps = [1, 10]

[[methods]]
method = "local-sgd"
name = "SGD, b = 4"
local_steps = 5
lr = 0.5
batch_size = 4

[[methods]]
method = "scaffold"
local_steps = 5
"""


def write_rows(path, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, 4))
    y = np.where(X[:, 0] + rng.normal(size=60) > 0, "yes", "no")
    lines = [",".join([*(f"{x:.4f}" for x in row), label]) for row, label in zip(X, y, strict=True)]
    path.write_text("a,b,c,d,outcome\n" + "\n".join(lines) + "\n")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The study of 24 runs, and its rows."""
    write_rows(tmp_path / "rows.csv")
    (tmp_path / "study.toml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The same after it was run, in a folder that is to be copied."""
    folder = tmp_path_factory.mktemp("made")
    write_rows(folder / "rows.csv")
    (folder / "study.toml").write_text(STUDY)
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(["sweep", "study.toml", "--out", "result", "--quiet"]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def copied(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def shell(*words, cwd=None):
    return python("-m", "localgd", *words, cwd=cwd)


def python(*words, cwd=None, before=()):
    path = os.pathsep.join(
        filter(None, [str(Path(lg.__file__).parents[1]), os.environ.get("PYTHONPATH")])
    )
    return subprocess.run(
        [*before, sys.executable, *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )


# ---- what a file may say


def test_runs_are_all_combinations(here):
    study = read_study(here / "study.toml")
    assert len(study.runs) == 24
    values = [run.values for run in study.runs]
    assert list(dict.fromkeys(one["method"] for one in values)) == [
        "local-gd",
        "SGD, b = 4",
        "scaffold",
    ]
    assert list(values[0]) == ["method", "scheme", "seed", "local_steps", "lr", "batch_size"]
    assert values[0] == {
        "method": "local-gd",
        "scheme": "iid",
        "seed": 1,
        "local_steps": 1,
        "lr": None,
        "batch_size": None,
    }
    assert study.runs[0].settings.lr == "1/H"  # settled
    assert study.data == ["rows.csv"]


def test_a_study_without_tables_is_one_run(here):
    (here / "one.toml").write_text('data = "rows.csv"\nmethod = "gd"\nrounds = 5\n')
    (run,) = read_study(here / "one.toml").runs
    assert run.values == {"method": "gd"}
    assert run.command == "localgd run --data rows.csv --method gd --rounds 5"


def test_methods_may_be_in_the_grid(here):
    (here / "m.toml").write_text('data = "rows.csv"\n[grid]\nmethod = ["gd", "local-gd"]\n')
    assert [run.values for run in read_study(here / "m.toml").runs] == [
        {"method": "gd"},
        {"method": "local-gd"},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rouns = 3", "unknown setting 'rouns'; did you mean 'rounds'"),
        ("rounds = -3", "rounds: got -3; want a whole number of at least 0 (line 1)"),
        ('out = "x"', "out: is of single runs; a study has none"),
        ("pooled = true", "pooled: is of single runs"),
        ("grid = 3", "grid: got 3; want a table of lists"),
        ("[grid]\nlr = 1.0", "grid: lr: got 1.0; want a list of values"),
        ("[grid]\nlr = []", "grid: lr: got []; want a list of values"),
        ("[grid]\nlr = [1.0, -1.0]", "grid: lr: got -1.0; want a finite number above 0 (line 2)"),
        ("[grid]\nspeed = [1]", "grid: unknown setting 'speed'"),
        ("methods = 3", "methods: got 3; want tables [[methods]]"),
        ('method = "gd"\n[[methods]]\nmethod = "gd"', "method: stands beside [[methods]]"),
        ('[[methods]]\nmethod = "sgd"', "methods: method: got 'sgd'; want one of 'gd'"),
        ('[[methods]]\nname = 3\nmethod = "gd"', "methods: name: got 3; want a text"),
        ('[[methods]]\nmethod = "gd"\nlocal_steps = 3', "local_steps: got 3; gd takes none"),
        ('[[methods]]\nmethod="gd"\n[[methods]]\nmethod="gd"', "two runs are called {'method'"),
        ("[grid]\nseed = [1, 1]", "two runs are called"),
        ("rounds = [1, 2]", "rounds: got [1, 2]"),
        ("x = [", "not TOML"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(here, capsys, text, message):
    (here / "bad.toml").write_text(text)
    assert main(["sweep", "bad.toml"]) == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("localgd: bad.toml: ") and said.count("\n") == 1
    assert not (here / "bad").exists()


# ---- what comes of it


def test_a_folder_holds_all_that_came_of_it(made):
    result = made / "result"
    assert {file.name for file in result.iterdir()} == {
        *("study.toml", "record.json", "runs.sqlite", "runs.csv"),
        *("summary.md", "summary.tex", "comparison.png", "comparison.pdf"),
    }
    record = json.loads((result / "record.json").read_text())
    assert record["runs"] == 24 and list(record["data"]) == ["../rows.csv"]
    assert record["made_with"]["version"] == lg.__version__
    assert read_study(result / "study.toml").runs[0].given["data"] == "../rows.csv"
    table = lg.load_sweep(result)
    assert table.command == "localgd sweep study.toml --out result"
    assert len(table) == 24 and {entry.status for entry in table} == {"completed"}
    assert {"suboptimality", "accuracy", "passes"} <= set(table.entries[0].history)
    lines = (result / "summary.md").read_text().splitlines()
    assert len(lines) == 2 + 8 and "±" in lines[2] and "None" not in "".join(lines)


def test_the_line_of_a_run_makes_it_alone(copied, monkeypatch, capsys):
    import shlex

    with open("result/runs.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 24
    monkeypatch.chdir(copied / "result")
    for line in (lines[0], lines[7], lines[-1]):
        words = shlex.split(line["command"])
        assert words[0] == "localgd"
        assert main([*words[1:], "--out", "alone", "--quiet"]) == 0
        run = lg.load("alone/run.npz")
        for name in ("loss", "suboptimality", "grad_norm", "accuracy"):
            assert repr(run.history[name][-1].item()) == line[f"last_{name}"]
        assert run.command == "localgd run --config run.toml"


def test_processes_give_the_same_bits(here, made):
    assert main(["sweep", "study.toml", "-o", "result", "-q", "--executor", "processes:2"]) == 0
    for file in ("runs.csv", "summary.md"):
        assert (here / "result" / file).read_text() == (made / "result" / file).read_text()


@pytest.mark.slow
def test_mpi_gives_the_same_bits(here, made):
    pytest.importorskip("mpi4py")
    mpiexec = Path(sys.executable).with_name("mpiexec")
    if not mpiexec.exists():
        pytest.skip("needs mpiexec beside Python")
    words = ["mpi4py.futures", "-m", "localgd", "sweep", "study.toml", "-o", "result"]
    done = python("-m", *words, "--executor", "mpi", before=[mpiexec, "-n", "3"])
    assert done.returncode == 0, done.stderr
    assert (here / "result/runs.csv").read_text() == (made / "result/runs.csv").read_text()


def test_an_interrupted_study_goes_on(copied, capsys):
    import sqlite3

    store = copied / "result/runs.sqlite"
    with sqlite3.connect(store) as connection:
        connection.execute("delete from runs where rowid > 10")
    connection.close()
    assert main(["status", "result"]) == 1
    said = capsys.readouterr().out
    assert "10 completed, 14 to go" in said and "../rows.csv is as recorded" in said
    before = {entry.key: entry.elapsed for entry in lg.load_sweep(store)}
    assert main(["sweep", "study.toml", "--out", "result", "--quiet"]) == 0
    after = {entry.key: entry.elapsed for entry in lg.load_sweep(store)}
    assert len(after) == 24 and before.items() <= after.items()
    assert main(["status", "result"]) == 0
    assert "24 completed" in capsys.readouterr().out


def test_a_folder_is_of_one_study(copied, capsys):
    (copied / "study.toml").write_text(STUDY.replace("rounds = 30", "rounds = 31"))
    assert main(["sweep", "study.toml", "--out", "result"]) == 2
    assert "out: result holds another study" in capsys.readouterr().err
    (copied / "study.toml").write_text(STUDY)
    write_rows(copied / "rows.csv", seed=1)
    assert main(["sweep", "study.toml", "--out", "result"]) == 2
    assert "../rows.csv has another SHA-256" in capsys.readouterr().err


def test_failed_and_diverged_runs_are_said(here, capsys):
    (here / "bad.toml").write_text(
        'data = "rows.csv"\nclients = 3\nrounds = 20\nloss = "exponential"\nreference = false\n'
        "[grid]\nlr = [0.1, 1e9]\n"
    )
    assert main(["sweep", "bad.toml"]) == 1
    said = capsys.readouterr()
    assert "diverged: method local-gd, lr 1000000000.0: diverged in round" in said.err
    assert main(["status", "bad"]) == 1
    assert "1 completed, 1 diverged" in capsys.readouterr().out
    assert main(["rerun", "bad", "--check"]) == 0  # it diverges with the same bits


@pytest.mark.parametrize("store", ["runs.sqlite", "runs.jsonl"])
def test_runs_alone(here, capsys, store):
    assert main(["sweep", "study.toml", "--out", store]) == 0
    assert not (here / "study").exists() and len(lg.load_sweep(store)) == 24
    assert "Figure" not in capsys.readouterr().out
    assert main(["status", store]) == 0


def test_stores_are_merged_and_become_tables(here, copied, capsys):
    assert main(["sweep", "--merge", "result", "result/runs.sqlite", "--out", "all.jsonl"]) == 0
    assert len(lg.load_sweep("all.jsonl")) == 24
    for name in ("all.csv", "all.parquet"):
        assert main(["sweep", "--merge", "all.jsonl", "--out", name]) == 0
    pandas = pytest.importorskip("pandas")
    read = pandas.read_csv("all.csv")
    wanted = lg.load_sweep("all.jsonl").to_frame()
    same = [name for name in wanted if not wanted[name].isna().any()]  # None is empty, and NaN
    assert {"method", "scheme", "seed", "loss", "round"} <= set(same)
    pandas.testing.assert_frame_equal(read[same], wanted[same])
    assert main(["sweep", "--merge", "--out", "x.sqlite"]) == 2
    assert main(["sweep", "--merge", "all.jsonl"]) == 2
    assert main(["sweep", "study.toml", "all.jsonl"]) == 2


# ---- made again


def test_a_clean_clone_makes_the_same_bits(made, tmp_path):
    git = shutil.which("git")
    if git is None:
        pytest.skip("needs git")

    def said(*words, cwd):
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        done = subprocess.run([git, *who, *words], cwd=cwd, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    here = tmp_path / "origin"
    here.mkdir()
    for name in ("rows.csv", "study.toml"):
        shutil.copy(made / name, here)
    said("init", "-q", cwd=here)
    said("add", ".", cwd=here)
    said("commit", "-qm", "A study", cwd=here)
    done = shell("sweep", "study.toml", "--out", "result", cwd=here)
    assert done.returncode == 0, done.stderr
    record = json.loads((here / "result/record.json").read_text())
    assert record["commit"] == {"id": said("rev-parse", "HEAD", cwd=here), "changed": False}
    said("add", ".", cwd=here)
    said("commit", "-qm", "What came of it", cwd=here)
    said("clone", "-q", str(here), str(tmp_path / "clone"), cwd=tmp_path)
    shutil.rmtree(here)
    done = shell("rerun", str(tmp_path / "clone/result"), "--check", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "24 of 24 runs, bit for bit" in done.stdout
    assert record["commit"]["id"] in done.stdout
    assert said("status", "--porcelain", cwd=tmp_path / "clone") == ""  # nothing was written


def test_a_rerun_says_what_differs(copied, capsys):
    store = Database(copied / "result/runs.sqlite")
    entries = list(lg.load_sweep("result"))
    for entry in entries[:2]:
        loss = entry.history["loss"] * (1 + 1e-12)
        changed = dataclasses.replace(entry, history={**entry.history, "loss": loss})
        with store._used():
            store._connection.execute(
                "update runs set entry = ? where key = ?", (changed.to_json(), entry.key)
            )
    store.close()
    assert main(["rerun", "result", "--check"]) == 1
    said = capsys.readouterr().out
    assert "22 of 24 runs, bit for bit" in said
    assert said.count("1 columns, most of all loss by a relative 1.0e-12") == 2
    record = json.loads(Path("result/record.json").read_text())
    record["made_with"]["numpy"] = "0.1"
    Path("result/record.json").write_text(json.dumps(record))
    main(["status", "result"])
    assert f"numpy 0.1, now {np.__version__}" in capsys.readouterr().out


def test_a_rerun_wants_the_same_data(copied, capsys):
    write_rows(copied / "rows.csv", seed=1)
    assert main(["rerun", "result", "--check"]) == 1
    assert "../rows.csv has another SHA-256: other rows" in capsys.readouterr().err
    (copied / "rows.csv").unlink()
    assert main(["rerun", "result", "--check"]) == 1
    assert "../rows.csv is missing" in capsys.readouterr().err
    assert main(["status", "result"]) == 1


def test_a_rerun_that_is_kept(copied, capsys):
    assert main(["rerun", "result"]) == 0
    assert len(lg.load_sweep("result-again")) == 24
    assert main(["rerun", "result", "--out", "third", "--executor", "threads:2"]) == 0
    assert main(["rerun", "third", "--check"]) == 0
    assert main(["rerun", "result", "--check", "--out", "x"]) == 2
    assert main(["rerun", "nowhere"]) == 2
    assert "nowhere: no record.json; want the folder of localgd sweep" in capsys.readouterr().err


def test_differences_of_runs(made):
    one = lg.load_sweep(made / "result").entries[0]

    def other(**columns):
        return dataclasses.replace(one, history={**one.history, **columns})

    assert difference(one, one) == ""
    assert difference(one, dataclasses.replace(one, status="failed", message="no")) == (
        "completed then, failed now no"
    )
    assert "columns speed are on one side only" in difference(one, other(speed=np.zeros(3)))
    shorter = {name: column[:-1] for name, column in one.history.items()}
    assert "records then" in difference(one, other(**shorter))
    assert "loss by a relative inf" in difference(
        one, other(loss=np.full_like(one.history["loss"], np.nan))
    )
