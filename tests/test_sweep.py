"""Sweeps: every run as by itself, none twice, failures beside the others."""

import errno
import json
import os
import shutil
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import localgd as lg
from localgd.sweeping.json_lines import JsonLines

GRID = {"lr": [0.1, 1.0], "local_steps": [1, 5]}
METHOD = lg.LocalGD(local_steps=1, lr=1.0)


def assert_equal_histories(a, b):
    assert list(a) == list(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_each_run_is_the_run_by_itself(small_problem):
    table = lg.sweep(small_problem, METHOD, grid=GRID, rounds=50)
    assert len(table) == 4
    for entry in table:
        values = {name: entry.values[name] for name in GRID}
        alone = lg.run(small_problem, lg.LocalGD(**values), rounds=50)
        assert_equal_histories(entry.history, alone.history)
        assert (entry.status, entry.engine) == ("completed", alone.engine)
    order = [(entry.values["lr"], entry.values["local_steps"]) for entry in table]
    assert order == [(0.1, 1), (0.1, 5), (1.0, 1), (1.0, 5)]


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_executors_give_the_same_table(small_problem, kind):
    alone = lg.sweep(small_problem, METHOD, grid=GRID, rounds=50, threads=1)
    with kind(2) as executor:
        table = lg.sweep(small_problem, METHOD, grid=GRID, rounds=50, executor=executor)
    for one, other in zip(alone, table, strict=True):
        assert one.values == other.values
        assert_equal_histories(one.history, other.history)


def test_several_problems_and_methods(small_problem):
    other = lg.datasets.make_separable(n_clients=3, n_samples=4, n_features=20, seed=1)
    table = lg.sweep(
        {"small": small_problem, "other": other},
        {"plain": METHOD, "prox": lg.FedProx(1, 1.0, 0.1)},
        grid={"seed": [0, 1], "local_steps": [2]},
        rounds=5,
    )
    shown = [(e.values["problem"], e.values["method"], e.values["seed"]) for e in table]
    assert shown == [
        (p, m, s) for p in ("small", "other") for m in ("plain", "prox") for s in (0, 1)
    ]
    frame = pytest.importorskip("pandas") and table.to_frame()
    assert len(frame) == sum(len(entry.history["round"]) for entry in table)
    assert set(frame["method"]) == {"plain", "prox"}


def test_finished_runs_are_not_run_again(small_problem, tmp_path, monkeypatch):
    file = tmp_path / "sweep.jsonl"
    first = lg.sweep(small_problem, METHOD, grid={"lr": [0.1, 1.0]}, rounds=20, out=file)
    asked = []

    def counted(problem, method, **settings):
        asked.append(method.lr)
        return lg.run(problem, method, **settings)

    monkeypatch.setattr("localgd.sweeping.runs.run", counted)
    again = lg.sweep(small_problem, METHOD, grid={"lr": [0.1, 0.5, 1.0]}, rounds=20, out=file)
    assert asked == [0.5]
    assert [entry.values["lr"] for entry in again] == [0.1, 0.5, 1.0]
    assert_equal_histories(again.entries[2].history, first.entries[1].history)
    assert len(file.read_text().splitlines()) == 3
    assert len(lg.load_sweep(file)) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"rounds": 21},
        {"dtype": "float32"},
        {"reference": np.ones(30)},
        {"record": [3]},
        {"init": np.ones(30)},
    ],
)
def test_other_settings_are_other_runs(small_problem, tmp_path, change):
    file = tmp_path / "sweep.jsonl"
    settings = {"grid": {"lr": [0.1]}, "rounds": 20, "out": file}
    lg.sweep(small_problem, METHOD, **settings)
    lg.sweep(small_problem, METHOD, **{**settings, **change})
    assert len(file.read_text().splitlines()) == 2


def test_a_line_that_was_cut_off_is_run_again(small_problem, tmp_path):
    file = tmp_path / "sweep.jsonl"
    table = lg.sweep(small_problem, METHOD, grid={"lr": [0.1, 1.0]}, rounds=20, out=file)
    text = file.read_text()
    file.write_text(text[: len(text) - 40])
    again = lg.sweep(small_problem, METHOD, grid={"lr": [0.1, 1.0]}, rounds=20, out=file)
    for one, other in zip(table, again, strict=True):
        assert_equal_histories(one.history, other.history)
    assert len(lg.load_sweep(file)) == 2


def test_failures_and_divergence_are_entries(small_problem):
    table = lg.sweep(
        small_problem,
        METHOD,
        grid={"lr": [1.0, 1e6], "engine": ["gram", "hybrid"]},
        rounds=20,
        memory_limit=25_000,
    )
    status = [(e.values["lr"], e.values["engine"], e.status) for e in table]
    assert status[0][2] == "completed"
    assert "diverged" in {s for lr, _, s in status if lr == 1e6}
    table = lg.sweep(
        small_problem, METHOD, grid={"engine": ["gram", "hybrid"]}, rounds=5, memory_limit=1
    )
    assert [entry.status for entry in table] == ["failed", "failed"]
    assert "Gram matrices" in table.entries[0].message
    assert np.isnan(table.last("loss")).all()


def test_ctrl_c_keeps_what_is_finished(small_problem, tmp_path):
    file = tmp_path / "sweep.jsonl"

    def progress(done):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lg.sweep(small_problem, METHOD, grid=GRID, rounds=20, out=file, progress=progress)
    assert len(lg.load_sweep(file)) == 2


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"grid": {"mu": [1.0]}}, ValueError, "grid: LocalGD has no parameter 'mu', nor has run"),
        ({"grid": {"lr": []}}, ValueError, "grid: 'lr' has no values"),
        ({"grid": {"lr": 1.0}}, TypeError, "grid: 'lr' has 1.0; want a list"),
        ({"grid": [1]}, TypeError, "grid: got .*; want a mapping"),
        ({"grid": {"lr": [-1]}}, ValueError, "lr: got -1"),
        ({"round": 3}, TypeError, "round: run has no such argument"),
    ],
)
def test_bad_sweeps(small_problem, settings, error, message):
    with pytest.raises(error, match=message):
        lg.sweep(small_problem, METHOD, **{"rounds": 5, **settings})


def test_bad_problems_and_methods(small_problem):
    with pytest.raises(TypeError, match="problem: got int"):
        lg.sweep([3], METHOD, rounds=5)
    with pytest.raises(TypeError, match="method: got 3; want a method"):
        lg.sweep(small_problem, [3], rounds=5)
    with pytest.raises(ValueError, match="method: got none"):
        lg.sweep(small_problem, [], rounds=5)


def test_other_files_are_refused(small_problem, tmp_path):
    file = tmp_path / "x.jsonl"
    file.write_text(json.dumps({"a": 1}) + "\n")
    with pytest.raises(ValueError, match="line 1 is not of a sweep"):
        lg.sweep(small_problem, METHOD, rounds=5, out=file)


def test_picture_has_a_line_per_run(small_problem):
    pytest.importorskip("matplotlib").use("Agg")
    table = lg.sweep(small_problem, METHOD, grid=GRID, rounds=50)
    ax = lg.plot.sweep(table, y="loss", by="lr")
    assert len(ax.lines) == 4
    assert len({line.get_color() for line in ax.lines}) == 2
    with pytest.raises(ValueError, match="y: no run has the column 'angle'"):
        lg.plot.sweep(table, y="angle")
    with pytest.raises(ValueError, match="by: got 'x'"):
        lg.plot.sweep(table, y="loss", by="x")


def test_a_picture_of_many_runs_has_bands(small_problem):
    pytest.importorskip("matplotlib").use("Agg")
    grid = {"lr": [0.5, 1.0], "seed": range(21)}
    table = lg.sweep(small_problem, lg.LocalSGD(2, 1.0, batch_size=2), grid=grid, rounds=5)
    ax = lg.plot.sweep(table, y="loss")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["lr 0.5", "lr 1.0"]
    assert (len(ax.lines), len(ax.collections)) == (2, 2)
    losses = np.log([entry.history["loss"][1:] for entry in table][:21])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), np.exp(np.median(losses, axis=0)))
    ax = lg.plot.sweep(table, y="loss", by="seed")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["all 42 runs"]


def test_parameters_stay_columns_beside_measures_of_their_name(small_problem):
    table = lg.sweep(small_problem, METHOD, grid={"local_steps": [1, 5]}, rounds=10, record=[10])
    assert table.columns["local_steps"].tolist() == [1, 1, 5, 5]
    assert table.columns["local_steps_so_far"].tolist() == [0, 10, 0, 50]


def test_objects_are_told_as_they_are_written(small_problem):
    table = lg.sweep(
        small_problem,
        [lg.LocalGD(1, 1.0), lg.LocalGD(5, 1.0), lg.GD(1.0)],
        grid={"server": [lg.Average(), lg.ServerSGD(0.5)]},
        rounds=2,
    )
    assert [entry.values["server"] for entry in table][:2] == [
        "Average()",
        "ServerSGD(lr=0.5, momentum=0.0, nesterov=False)",
    ]
    names = dict.fromkeys(entry.values["method"] for entry in table)
    assert list(names) == ["LocalGD(local_steps=1, lr=1.0)", "LocalGD(local_steps=5, lr=1.0)", "GD"]


# What fails -----------------------------------------------------------------------------------


def inverse(k):
    return 1 / k


def key_error(w):
    return {}["x"]


def out_of_memory(w):
    raise MemoryError


def overflow(k):
    return 1.0 / (k + 1) ** 1e4


FAILURES = {
    "schedule": ({"lr": [0.1, inverse, 0.2]}, "ZeroDivisionError: division by zero"),
    "overflow": ({"lr": [0.1, overflow, 0.2]}, "OverflowError: "),
    "rate": ({"lr": [0.1, lambda k: 0.3 - k, 0.2]}, "lr: the schedule gave "),
    "measure": ({"measures": [None, {"m": key_error}, {"m": len}]}, "KeyError: 'x'"),
    "memory": ({"measures": [None, {"m": out_of_memory}, {"n": len}]}, "MemoryError"),
    "setting": ({"dtype": ["float64", "float16", "float32"]}, "dtype: got 'float16'"),
    "rounds": ({"rounds": [5, -5, 6]}, "rounds: got -5"),
    "clients": ({"participation": [1.0, 99, 3]}, "participation: got 99 clients per round"),
}


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("name", FAILURES)
def test_one_bad_run_leaves_the_others_alone(small_problem, tmp_path, name, batch):
    grid, message = FAILURES[name]
    file = tmp_path / "s.jsonl"
    options = {"grid": grid, "batch": batch, "engine": "gram"}
    table = lg.sweep(small_problem, METHOD, **{"rounds": 5, **options}, out=file)
    assert [entry.status for entry in table] == ["completed", "failed", "completed"]
    assert table.entries[1].message.startswith(message)
    assert table.entries[1].history == {}
    assert np.isfinite(table.last("loss")).tolist() == [True, False, True]
    assert len(lg.load_sweep(file)) == 3


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_failures_in_workers_are_entries(small_problem, kind):
    grid = {"measures": [None, {"m": key_error}, {"m": lambda w: 1.0}]}
    with kind(2) as executor:
        table = lg.sweep(small_problem, METHOD, grid=grid, rounds=5, executor=executor)
    last = "completed" if kind is ThreadPoolExecutor else "failed"  # it cannot be pickled
    assert [entry.status for entry in table] == ["completed", "failed", last]
    assert ("made by def" in table.entries[2].message) == (kind is ProcessPoolExecutor)


def die(w):
    os._exit(1)


def test_a_worker_that_dies_costs_no_finished_run(small_problem, tmp_path):
    file = tmp_path / "s.jsonl"
    options = {"rounds": 5, "out": file}
    lg.sweep(small_problem, METHOD, grid={"lr": [0.1, 0.2]}, **options)
    with ProcessPoolExecutor(1) as executor:
        table = lg.sweep(
            small_problem,
            METHOD,
            grid={"lr": [0.1, 0.2, 0.3]},
            measures={},
            executor=executor,
            **options,
        )
        assert [entry.status for entry in table] == ["completed"] * 3
        grid = {"measures": [None, {"m": die}]}
        with pytest.warns(UserWarning, match="run anew"):
            table = lg.sweep(small_problem, METHOD, grid=grid, executor=executor, **options)
    assert table.entries[1].status == "failed"
    assert "BrokenProcessPool" in table.entries[1].message


def test_a_run_that_failed_is_tried_again(small_problem, tmp_path, monkeypatch):
    file = tmp_path / "s.jsonl"

    def no_memory(*_, **__):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr("localgd.sweeping.runs.run", no_memory)
        table = lg.sweep(small_problem, METHOD, rounds=5, out=file)
    assert [entry.status for entry in table] == ["failed"]
    table = lg.sweep(small_problem, METHOD, rounds=5, out=file)
    assert [entry.status for entry in table] == ["completed"]
    assert [entry.status for entry in lg.load_sweep(file)] == ["completed"]


def never(w):
    raise AssertionError("a run has begun")


@pytest.mark.parametrize("place", ["nowhere/s.jsonl", "folder", "file/s.jsonl", "m" * 256])
def test_a_file_that_cannot_be_written_is_refused_before_the_first_run(
    small_problem, tmp_path, place
):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises((OSError, ValueError), match=place.partition("/")[0]):
        lg.sweep(small_problem, METHOD, rounds=5, out=tmp_path / place, progress=never, batch=False)


def test_a_disk_that_fills_up_costs_no_run(small_problem, tmp_path, monkeypatch):
    """Half of a line is taken back, and what did not fit is written once there is room."""
    file = tmp_path / "s.jsonl"
    writes = []
    append = JsonLines._append

    def flaky(self, content):
        writes.append(content)
        if content and len(writes) in (3, 4):
            with monkeypatch.context() as patched:
                patched.setattr("localgd.sweeping.json_lines._write", full)
                append(self, content)
        append(self, content)

    def full(stream, content):
        stream.write(content[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(JsonLines, "_append", flaky)
    grid = {"lr": [0.1, 0.2, 0.3, 0.4]}
    with pytest.warns(RuntimeWarning, match=r"out: .*No space left .* goes on") as caught:
        table = lg.sweep(small_problem, METHOD, grid=grid, rounds=5, out=file, batch=False)
    assert len(caught) == 1
    assert [entry.status for entry in table] == ["completed"] * 4
    read = lg.load_sweep(file)
    assert [entry.values["lr"] for entry in read] == grid["lr"]
    assert len(file.read_text().splitlines()) == 4


def test_a_folder_that_vanishes_costs_no_run(small_problem, tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()

    def remove(done):
        shutil.rmtree(folder, ignore_errors=True)

    grid = {"lr": [0.1, 0.2, 0.3]}
    options = {"rounds": 5, "batch": False, "out": folder / "s", "progress": remove}
    with pytest.warns(RuntimeWarning, match=r"out: .*No such file"):
        table = lg.sweep(small_problem, METHOD, grid=grid, **options)
    assert [entry.status for entry in table] == ["completed"] * 3


def test_a_table_says_why_its_first_run_failed(small_problem):
    table = lg.sweep(small_problem, [lg.GD(0.1), lg.LocalSolve()], rounds=2, l2=0.1)
    said = "Sweep(2 runs: 1 completed, 1 failed; the first: l2: got 0.1, but the exact local solves"
    assert repr(table).startswith(said)


def test_one_entry_and_a_column_that_is_not_there(small_problem):
    table = lg.sweep(small_problem, METHOD, grid=GRID, rounds=5)
    assert table[1] is table.entries[1] and table[-1] is list(table)[-1]
    with pytest.raises(ValueError, match="name: no run has the column 'los'; did you mean 'loss'"):
        table.last("los")
    with pytest.raises(ValueError, match=r"columns: got 'los'; .* did you mean 'loss'"):
        table.summary(columns="los")
    with pytest.raises(ValueError, match=r"no parameter 'local_step', .*: did you mean 'local_ste"):
        lg.sweep(small_problem, METHOD, grid={"local_step": [1]}, rounds=5)
