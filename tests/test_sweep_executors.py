"""Sweeps in executors: the problem travels once, lost workers are replaced, nothing is lost."""

import gc
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections import OrderedDict
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import localgd as lg
from localgd.sweeping import courier
from localgd.sweeping.executors import Processes

METHOD = lg.LocalGD(local_steps=1, lr=1.0)


@pytest.fixture(scope="module")
def large():
    """A problem of 4 MB."""
    return lg.datasets.make_separable(n_clients=10, n_samples=50, n_features=1000, seed=0)


def assert_equal_tables(one, other):
    assert [entry.values for entry in one] == [entry.values for entry in other]
    for a, b in zip(one, other, strict=True):
        assert (a.status, a.engine) == (b.status, b.engine)
        for name in a.history:
            np.testing.assert_array_equal(a.history[name], b.history[name])


class Counting(Executor):
    """Hands tasks to workers as bytes, and counts those."""

    def __init__(self, workers=1, files=True):
        self.ahead = 2 * workers
        self.files = files
        self.sent = []

    def submit(self, function, /, *arguments):
        content = pickle.dumps((function, arguments))
        self.sent.append(len(content))
        future = Future()
        function, arguments = pickle.loads(content)
        if not self.files and function is courier._call:  # those of another machine
            paths = dict.fromkeys(arguments[2], "/nowhere")
            arguments = (*arguments[:2], paths, *arguments[3:])
        future.set_result(function(*arguments))
        return future


@pytest.fixture(autouse=True)
def empty_worker():
    courier._kept.clear()
    yield
    courier._kept.clear()


@pytest.fixture
def spool(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "spool"))
    (tmp_path / "spool").mkdir()
    return tmp_path / "spool"


@pytest.mark.parametrize("batch", [True, False])
def test_runs_go_to_workers_without_their_problem(large, spool, batch):
    reference = np.ones(1000)
    options = {"rounds": 3, "grid": {"lr": np.arange(1, 31) / 100}, "reference": reference}
    options |= {"batch": batch, "threads": 1}
    executor = Counting()
    table = lg.sweep(large, METHOD, executor=executor, **options)
    assert max(executor.sent) < 200_000 < large.X.nbytes / 10
    assert_equal_tables(table, lg.sweep(large, METHOD, **options))
    assert not list(spool.iterdir())  # nothing is left behind
    assert len(courier._kept) == 1


def test_large_arrays_of_settings_go_like_problems(large, spool):
    test = large.X[:200], large.y[:200]  # 1.6 MB
    executor = Counting()
    table = lg.sweep(large, METHOD, rounds=2, grid={"lr": [0.1, 0.2]}, test=test, executor=executor)
    assert max(executor.sent) < 100_000
    assert np.isfinite(table.last("test_loss")).all()


def test_what_a_worker_of_another_machine_lacks_is_sent_once(large):
    executor = Counting(files=False)
    options = {"rounds": 2, "grid": {"lr": np.arange(1, 31) / 100}, "batch": False, "threads": 1}
    table = lg.sweep(large, METHOD, executor=executor, **options)
    assert sum(size > large.X.nbytes for size in executor.sent) == 2  # two were on their way
    assert_equal_tables(table, lg.sweep(large, METHOD, **options))


def test_a_spool_without_space_sends_the_problem(large, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    executor = Counting()
    monkeypatch.setattr(courier.pickle, "dump", full)
    table = lg.sweep(large, METHOD, rounds=2, grid={"lr": [0.1, 0.2]}, executor=executor)
    assert [entry.status for entry in table] == ["completed"] * 2


def test_problems_of_the_same_contents_have_the_same_hash(large):
    def name(problem):
        (found,) = courier.packed(problem, OrderedDict())[1]
        return found

    def made(X=large.X, y=large.y, **more):
        return lg.Problem.from_arrays(X, y, np.repeat(np.arange(10), 50), **more)

    assert name(made(large.X.copy())) == name(made())
    others = [
        made(large.X.astype(np.float32)),
        made(weights="equal") if len(set(large.sizes)) > 1 else made(weights=np.arange(1, 11)),
        made(y=-large.y),
        made(2 * large.X),
        lg.Problem.from_arrays(large.X, large.y, np.repeat(list("abcdefghij"), 50)),
    ]
    assert len({name(problem) for problem in [made(), *others]}) == 6


def test_workers_keep_some_problems_only(spool):
    problems = [
        lg.datasets.make_separable(n_clients=2, n_samples=4, n_features=9, seed=s)
        for s in range(12)
    ]
    most = []

    class Watching(Counting):
        def submit(self, function, /, *arguments):
            most.append(len(list(spool.iterdir())))
            return super().submit(function, *arguments)

    lg.sweep(problems, METHOD, rounds=1, executor=Watching())
    assert len(courier._kept) == courier.KEPT == max(most)
    assert not list(spool.iterdir())


def test_executors_by_name(small_problem):
    options = {"rounds": 20, "grid": {"lr": [0.1, 1.0], "local_steps": [1, 5]}, "threads": 1}
    alone = lg.sweep(small_problem, METHOD, **options)
    for name in ("processes:2", "threads:2"):
        assert_equal_tables(lg.sweep(small_problem, METHOD, executor=name, **options), alone)
    for name in ("processes:0", "processes:x", "dask", "dask:", "mpi:3", "slurm", ""):
        with pytest.raises(ValueError, match=f"executor: got '{name}'; want processes, processes:"):
            lg.sweep(small_problem, METHOD, executor=name, **options)
    with pytest.raises(TypeError, match="executor: got 3; want an executor"):
        lg.sweep(small_problem, METHOD, executor=3, **options)


@pytest.mark.parametrize("name", ["dask:tcp://127.0.0.1:1", "mpi"])
def test_without_the_extra(small_problem, monkeypatch, name):
    import sys

    for module in ("distributed", "mpi4py", "mpi4py.futures"):
        monkeypatch.setitem(sys.modules, module, None)
    extra = "cluster" if name.startswith("dask") else "mpi"
    with pytest.raises(lg.MissingExtraError, match=rf"executor '{name}' needs .*\[{extra}\]"):
        lg.sweep(small_problem, METHOD, rounds=1, executor=name)


@dataclass
class DieOnce:
    """Kills the worker that gets there first."""

    trace: Path

    def __call__(self, w):
        try:
            self.trace.touch(exist_ok=False)
        except FileExistsError:
            return 0.0
        return os.kill(os.getpid(), signal.SIGKILL)


def die(w):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_another_process_takes_the_place_of_one_that_dies(small_problem, tmp_path):
    grid = {"lr": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}
    options = {"grid": grid, "rounds": 5, "measures": {"m": DieOnce(tmp_path / "died")}}
    with Processes(2) as executor:
        table = lg.sweep(small_problem, METHOD, executor=executor, **options)
    assert (tmp_path / "died").exists()
    assert [entry.status for entry in table] == ["completed"] * 6
    grid = {"measures": [None, {"m": die}, None], "lr": [0.1, 0.2]}
    with Processes(2) as executor:
        table = lg.sweep(small_problem, METHOD, grid=grid, rounds=5, executor=executor)
    found = [entry.status for entry in table]
    assert found == ["completed"] * 2 + ["failed"] * 2 + ["completed"] * 2
    assert "BrokenProcessPool" in table.entries[2].message


def test_processes_and_a_database(small_problem, tmp_path):
    file = tmp_path / "runs.sqlite"
    grid = {"lr": np.arange(1, 41) / 40}
    with ProcessPoolExecutor(2) as executor:
        table = lg.sweep(small_problem, METHOD, grid=grid, rounds=5, out=file, executor=executor)
        again = lg.sweep(small_problem, METHOD, grid=grid, rounds=5, out=file, executor=executor)
    assert len(lg.load_sweep(file)) == 40
    assert_equal_tables(table, again)


# ---- Dask


@pytest.fixture
def cluster():
    """Two workers of one thread each, in processes of their own."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client
    gc.collect()


def received(client):
    """How many things workers have asked of each other, beside what was scattered to all."""

    def counted(dask_worker):
        return sum(len(transfer["keys"]) for transfer in dask_worker.transfer_incoming_log)

    return sum(client.run(counted).values())


@pytest.mark.long
@pytest.mark.filterwarnings("default")  # of Dask's own
def test_dask_sends_a_problem_once_for_each_worker(cluster, large, monkeypatch):
    pickled = []
    state = lg.Problem.__getstate__

    def counted(self):
        pickled.append(self)
        return state(self)

    monkeypatch.setattr(lg.Problem, "__getstate__", counted)
    options = {"rounds": 2, "grid": {"lr": np.arange(1, 61) / 100}, "batch": False}
    table = lg.sweep(large, METHOD, executor=cluster.get_executor(), **options)
    assert_equal_tables(table, lg.sweep(large, METHOD, **options, threads=1))
    assert len(pickled) <= 2  # for its hash, and to be scattered
    assert received(cluster) <= 1


@pytest.mark.long
@pytest.mark.filterwarnings("default")
def test_dask_survives_the_kill_of_a_worker(cluster, large, tmp_path):
    file = tmp_path / "runs.sqlite"
    pids = list(cluster.run(os.getpid).values())
    count = 0
    options = {"rounds": 3000, "grid": {"lr": np.arange(1, 61) / 100}, "batch": False}
    for _ in lg.sweep_iter(large, METHOD, executor=cluster.get_executor(), out=file, **options):
        count += 1
        if count == 10:
            os.kill(pids[0], signal.SIGKILL)
    assert count == 60
    assert {entry.status for entry in lg.load_sweep(file)} == {"completed"}


@pytest.mark.filterwarnings("default")
def test_dask_takes_functions_without_a_name(cluster, small_problem):
    table = lg.sweep(
        small_problem,
        METHOD,
        rounds=2,
        measures={"m": lambda w: 1.0},
        executor=cluster.get_executor(),
    )
    assert table.last("m").tolist() == [1.0]
    named = lg.sweep(small_problem, METHOD, rounds=2, executor=f"dask:{cluster.scheduler.address}")
    assert [entry.status for entry in named] == ["completed"]


# Of the driver of a sweep: it says how many runs it asks for, and ends each line of a record.
DRIVER = """
import os
import sys
import distributed
import numpy as np
import localgd as lg

def main():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12_500, 1000))  # 100 MB
    problem = lg.Problem.from_arrays(X, np.sign(X[:, 0]), np.arange(12_500) // 1250, task="binary")
    options = dict(grid={"lr": np.arange(1, 501) / 1000}, rounds=1, engine="primal", batch=False)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        executor, asked = client.get_executor(), []
        submit = executor.submit
        executor.submit = lambda *task, **how: asked.append(1) or submit(*task, **how)
        print(*client.run(os.getpid).values(), flush=True)
        options |= dict(executor=executor, out=sys.argv[1])
        for _ in lg.sweep_iter(problem, lg.LocalGD(1, 1.0), **options):
            print("run", flush=True)
        print("asked", len(asked), flush=True)

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_500_runs_of_100_megabytes_on_dask_survive_the_kills_of_a_worker_and_of_the_driver(
    tmp_path,
):
    pytest.importorskip("distributed")
    psutil = pytest.importorskip("psutil")
    script, file = tmp_path / "driver.py", tmp_path / "runs.sqlite"
    script.write_text(DRIVER)

    def started():
        path = os.pathsep.join(
            filter(None, [str(Path(lg.__file__).parents[1]), os.environ.get("PYTHONPATH")])
        )
        job = subprocess.Popen(
            [sys.executable, str(script), str(file)],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )
        return job, [int(pid) for pid in job.stdout.readline().split()]

    def sent():
        return psutil.net_io_counters(pernic=True)["lo"].bytes_recv

    driver, workers = started()
    before = sent()
    for finished in range(1, 201):
        assert driver.stdout.readline() == "run\n"
        if finished == 50:
            first = (sent() - before) / 1e6
            os.kill(workers[0], signal.SIGKILL)
    later = (sent() - before) / 1e6 - first
    driver.kill()
    driver.communicate()
    kept = len(lg.load_sweep(file))
    assert kept >= 200
    driver, _ = started()
    lines = driver.communicate()[0].splitlines()
    print(f"MB over the loopback: {first:.0f} of the first 50 runs, {later:.0f} of the next 150")
    # To the scheduler, from there to the workers, and once more where one takes a place.
    assert first < 600 and later < 300
    assert driver.returncode == 0 and lines[-1] == f"asked {500 - kept}"
    table = lg.load_sweep(file)
    assert len(table) == len({entry.key for entry in table}) == 500
    assert {entry.status for entry in table} == {"completed"}
