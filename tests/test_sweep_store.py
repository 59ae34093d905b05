"""The store of a sweep as a database: several processes at once, nothing lost, nothing twice."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import localgd as lg
from localgd.sweeping import database
from localgd.sweeping.database import Database, claimed
from localgd.sweeping.store import Claim
from localgd.sweeping.stores import merge, open_store
from localgd.sweeping.table import Sweep

METHOD = lg.LocalGD(local_steps=1, lr=1.0)
GRID = {"lr": [0.1, 1.0], "local_steps": [1, 5]}


def assert_same(one, other):
    assert (one.key, one.values, one.status) == (other.key, other.values, other.status)
    assert list(one.history) == list(other.history)
    for name in one.history:
        np.testing.assert_array_equal(one.history[name], other.history[name])


@pytest.fixture
def entries(small_problem):
    return lg.sweep(small_problem, METHOD, grid=GRID, rounds=20).entries


def counted(monkeypatch):
    asked = []

    def run(problem, method, **settings):
        asked.append(method)
        return lg.run(problem, method, **settings)

    monkeypatch.setattr("localgd.sweeping.runs.run", run)
    return asked


@pytest.mark.parametrize("suffix", [".sqlite", ".sqlite3", ".db", ".jsonl"])
def test_finished_runs_are_found_again(small_problem, tmp_path, monkeypatch, suffix):
    file = tmp_path / f"runs{suffix}"
    options = {"rounds": 20, "batch": False, "out": file}
    first = lg.sweep(small_problem, METHOD, grid=GRID, **options)
    asked = counted(monkeypatch)
    again = lg.sweep(small_problem, METHOD, grid={**GRID, "lr": [0.1, 0.5, 1.0]}, **options)
    assert [method.lr for method in asked] == [0.5, 0.5]
    assert_same(again.entries[0], first.entries[0])
    read = lg.load_sweep(file)
    assert len(read) == 6
    assert_same(read.entries[0], first.entries[0])
    head = file.read_bytes()[:16]
    assert (head == database.MAGIC) == (suffix != ".jsonl")


def test_a_database_is_known_by_its_content(small_problem, tmp_path):
    file = tmp_path / "runs.sqlite"
    lg.sweep(small_problem, METHOD, rounds=5, out=file)
    file.rename(tmp_path / "runs")
    lg.sweep(small_problem, METHOD, grid={"lr": [0.5]}, rounds=5, out=tmp_path / "runs")
    assert len(lg.load_sweep(tmp_path / "runs")) == 2


def test_a_run_that_failed_is_tried_again_by_later_sweeps_alone(entries, tmp_path):
    import dataclasses

    file = tmp_path / "runs.sqlite"
    bad = dataclasses.replace(entries[0], status="failed", history={})
    first = Database(file)
    beside = Database(file)
    assert first.claim([bad.key]) is Claim.OURS
    first.add(bad)
    # Who was at work then does not run it once more, later ones do.
    assert beside.claim([bad.key]) is Claim.DONE
    assert beside.found([bad.key])[bad.key].status == "failed"
    time.sleep(0.01)
    later = Database(file)
    assert later.found([bad.key]) == {}
    assert later.claim([bad.key]) is Claim.OURS
    later.add(entries[0])
    later.add(bad)  # which takes nothing away
    for store in (first, beside, later):
        store.close()
    (found,) = lg.load_sweep(file)
    assert_same(found, entries[0])


def test_claims_are_of_one_process(entries, tmp_path):
    keys = [entry.key for entry in entries]
    one, other = Database(tmp_path / "a.sqlite"), Database(tmp_path / "a.sqlite")
    assert one.claim(keys[:2]) is Claim.OURS
    assert other.claim(keys[1:3]) is Claim.THEIRS
    assert other.claim(keys[2:]) is Claim.OURS  # nothing of what was refused was taken
    assert claimed(tmp_path / "a.sqlite") == 4
    one.release(keys[:1])
    assert other.claim(keys[:1]) is Claim.OURS
    one.add(entries[1])
    assert other.claim(keys[1:2]) is Claim.DONE
    other.close()
    assert one.claim([keys[0], *keys[2:]]) is Claim.OURS
    one.close()
    assert claimed(tmp_path / "a.sqlite") == 0


def test_a_lease_is_renewed_and_ends(entries, tmp_path):
    keys = [entries[0].key]
    alive = Database(tmp_path / "a.sqlite", lease=2.0)
    other = Database(tmp_path / "a.sqlite")

    def until():
        with sqlite3.connect(tmp_path / "a.sqlite") as connection:
            (found,) = connection.execute("select until from claims").fetchone()
        connection.close()
        return found

    def waited(come_true):
        end = time.monotonic() + 60
        while not come_true():
            assert time.monotonic() < end
            time.sleep(0.05)

    assert alive.claim(keys) is Claim.OURS
    first = until()
    waited(lambda: until() > first)
    assert other.claim(keys) is Claim.THEIRS
    alive._closed.set()  # nobody renews it any more
    alive._renewing.join()
    waited(lambda: other.claim(keys) is Claim.OURS)
    alive.close()
    other.close()


def test_a_claim_of_a_dead_process_does_not_hold(entries, tmp_path, run_python):
    file = tmp_path / "a.sqlite"
    keys = [entry.key for entry in entries]
    done = run_python(
        f"""
import os
from localgd.sweeping.database import Database
store = Database({str(file)!r})
print(store.claim({keys!r}))
os._exit(0)  # as if killed: nothing is given back
""",
    )
    assert "OURS" in done.stdout, done.stderr
    with sqlite3.connect(file) as connection:
        assert connection.execute("select count(*) from claims").fetchone() == (4,)
    store = Database(file)
    expected = Claim.OURS if os.name == "posix" else Claim.THEIRS
    assert store.claim(keys) is expected
    store.close()


def test_others_read_while_it_grows(small_problem, tmp_path):
    file = tmp_path / "runs.sqlite"
    seen = []
    options = {"grid": GRID, "rounds": 5, "batch": False, "out": file}
    for _ in lg.sweep_iter(small_problem, METHOD, **options):
        seen.append(len(lg.load_sweep(file)))
    assert seen == [1, 2, 3, 4]


WORKER = """
import sys, time
import localgd as lg
from localgd.sweeping import runs

problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=30, seed=0)
run = runs.run

def logged(problem, method, **settings):
    with open(sys.argv[2], "a") as log:  # short lines are written whole
        log.write(f"{method.lr!r}\\n")
    time.sleep(0.01)
    return run(problem, method, **settings)

runs.run = logged
print("ready", flush=True)
grid = {"lr": [k / 1000 for k in range(1, int(sys.argv[3]) + 1)]}
table = lg.sweep(problem, lg.LocalGD(2, 1.0), grid=grid, rounds=5, batch=False, out=sys.argv[1])
assert len(table) == int(sys.argv[3])
assert [entry.values["lr"] for entry in table] == grid["lr"]
"""


def started(file, log, count):
    path = os.pathsep.join(
        filter(None, [str(Path(lg.__file__).parents[1]), os.environ.get("PYTHONPATH")])
    )
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", WORKER, str(file), str(log), str(count)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_eight_processes_of_which_two_are_killed_run_each_of_500_once(tmp_path):
    file, log = tmp_path / "runs.sqlite", tmp_path / "log"
    processes = [started(file, log, 500) for _ in range(8)]
    for process in processes:
        process.stdout.readline()
    while not log.exists() or len(log.read_text().splitlines()) < 60:
        time.sleep(0.02)
    for process in processes[:2]:
        process.send_signal(signal.SIGKILL)
    for place, process in enumerate(processes):
        _, errors = process.communicate(timeout=300)
        assert process.returncode == (-signal.SIGKILL if place < 2 else 0), errors
    table = lg.load_sweep(file)
    assert len(table) == len({entry.key for entry in table}) == 500
    assert {entry.status for entry in table} == {"completed"}
    begun = log.read_text().splitlines()
    # Only what a killed process was at has been begun once more.
    assert len(set(begun)) == 500 and 500 <= len(begun) <= 502
    with sqlite3.connect(file) as connection:
        assert connection.execute("select count(*) from claims").fetchone() == (0,)


def test_stores_become_one(small_problem, tmp_path, entries):
    import dataclasses

    a, b, c = (open_store(tmp_path / name) for name in ("a.sqlite", "b.jsonl", "c.sqlite"))
    a.add(dataclasses.replace(entries[0], status="failed", history={}))
    a.add(entries[1])
    b.add(entries[0])
    b.add(entries[2])
    other = {name: column + 1 for name, column in entries[1].history.items()}
    c.add(dataclasses.replace(entries[1], history=other))
    for store in (a, b, c):
        store.close()
    files = [tmp_path / name for name in ("a.sqlite", "b.jsonl", "c.sqlite")]
    for name in ("all.sqlite", "all.jsonl"):
        assert merge(files, tmp_path / name) == 1
        found = {entry.key: entry for entry in lg.load_sweep(tmp_path / name)}
        assert len(found) == 3
        for entry in entries[:3]:
            assert_same(found[entry.key], entry)
        assert merge(files, tmp_path / name) == 1  # once more, to no effect
        assert len(lg.load_sweep(tmp_path / name)) == 3


def test_other_databases_are_refused(small_problem, tmp_path):
    file = tmp_path / "other.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("create table runs (x)")
    connection.close()
    for opened in (lg.load_sweep, lambda path: lg.sweep(small_problem, METHOD, rounds=1, out=path)):
        with pytest.raises(ValueError, match=r"other\.sqlite: this database is not of a sweep"):
            opened(file)
    later = tmp_path / "later.sqlite"
    lg.sweep(small_problem, METHOD, rounds=1, out=later)
    with sqlite3.connect(later) as connection:
        connection.execute("pragma user_version = 99")
    connection.close()
    with pytest.raises(ValueError, match="of a later localgd"):
        lg.load_sweep(later)
    broken = tmp_path / "broken.sqlite"
    broken.write_bytes(database.MAGIC + b"\0" * 5000)
    with pytest.raises((ValueError, OSError), match="broken"):
        lg.load_sweep(broken)
    with pytest.raises(FileNotFoundError):
        lg.load_sweep(tmp_path / "none.sqlite")


def test_a_database_that_cannot_be_written_costs_no_run(small_problem, tmp_path, monkeypatch):
    write = Database._write
    calls = []

    def flaky(self, entries):
        calls.append(len(entries))
        if len(calls) in (2, 3):
            raise OSError(28, "No space left on device")
        write(self, entries)

    monkeypatch.setattr(Database, "_write", flaky)
    file = tmp_path / "runs.sqlite"
    with pytest.warns(RuntimeWarning, match=r"out: .*No space left .* goes on"):
        table = lg.sweep(small_problem, METHOD, grid=GRID, rounds=5, batch=False, out=file)
    assert calls == [1, 1, 2, 3]
    assert len(table) == len(lg.load_sweep(file)) == 4


def test_claims_that_cannot_be_written_cost_no_run(small_problem, tmp_path, monkeypatch):
    def full(self, keys):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Database, "_claim", full)
    with pytest.warns(RuntimeWarning, match=r"out: .*No space left .* goes on"):
        table = lg.sweep(small_problem, METHOD, grid=GRID, rounds=5, out=tmp_path / "a.sqlite")
    assert len(table) == len(lg.load_sweep(tmp_path / "a.sqlite")) == 4


def test_side_by_side_runs_are_claimed_together(small_problem, tmp_path):
    file = tmp_path / "runs.sqlite"
    grid = {"lr": [k / 100 for k in range(1, 33)]}
    table = lg.sweep(small_problem, METHOD, grid=grid, rounds=50, out=file, engine="gram")
    again = lg.sweep(small_problem, METHOD, grid=grid, rounds=50, out=file, engine="gram")
    alone = lg.sweep(small_problem, METHOD, grid=grid, rounds=50, engine="gram")
    assert table.entries[0].batch
    for one, two, three in zip(table, again, alone, strict=True):
        assert_same(one, two)
        assert_same(one, three)


# ---- what becomes of the runs


def test_runs_come_as_they_finish_and_in_windows(small_problem, monkeypatch):
    monkeypatch.setattr("localgd.sweeping.runs.WINDOW", 3)
    made = []
    cases = lg.sweeping.runs.cases

    def watched(*arguments):
        for case in cases(*arguments):
            made.append(case)
            yield case

    found = lg.sweep_iter(small_problem, METHOD, grid={"lr": np.arange(1, 21) / 20}, rounds=3)
    monkeypatch.setattr("localgd.sweeping.runs.cases", watched)
    first = next(found)
    assert first.values["lr"] == 0.05 and len(made) <= 4
    rest = list(found)
    assert [entry.values["lr"] for entry in [first, *rest]] == [k / 20 for k in range(1, 21)]


def test_sweep_iter_checks_before_it_is_asked(small_problem, tmp_path):
    with pytest.raises(ValueError, match="grid: 'lr' has no values"):
        lg.sweep_iter(small_problem, METHOD, grid={"lr": []}, rounds=1)
    with pytest.raises(TypeError, match="round: run has no such argument"):
        lg.sweep_iter(small_problem, METHOD, rounds=1, round=2)
    with pytest.raises(ValueError, match="out: there is no folder"):
        lg.sweep_iter(small_problem, METHOD, rounds=1, out=tmp_path / "no" / "x.jsonl")


def test_the_same_run_under_two_names_is_run_once(small_problem):
    found = lg.sweep_iter(
        {"a": small_problem, "b": small_problem}, METHOD, rounds=2, grid={"lr": [1, 1.0]}
    )
    assert len(list(found)) == 1


def test_tables_go_to_files(small_problem, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    table = lg.sweep(small_problem, METHOD, grid=GRID, rounds=20)
    frame = table.to_frame()
    table.to_csv(tmp_path / "runs.csv")
    pandas.testing.assert_frame_equal(pandas.read_csv(tmp_path / "runs.csv"), frame)
    table.to_parquet(tmp_path / "runs.parquet")
    read = pandas.read_parquet(tmp_path / "runs.parquet")
    pandas.testing.assert_frame_equal(read, frame)
    mixed = Sweep([*table, *lg.sweep(small_problem, METHOD, grid={"lr": ["1/H"]}, rounds=2)])
    mixed.to_parquet(tmp_path / "mixed.parquet")
    assert set(pandas.read_parquet(tmp_path / "mixed.parquet")["lr"]) == {"0.1", "1.0", "1/H"}
