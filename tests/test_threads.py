"""The same bits for any number of threads, for any division of the work, and a second time."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import registry

import localgd as lg
from localgd import cgroups
from localgd._backend import core
from localgd.engines import usable_cores
from localgd.preparation import prepare
from localgd.simulation import local_options, run_options

SIZES = (12, 3, 40, 1, 25, 7, 19, 30, 2)
N_FEATURES = 600  # so that the server of the weight engines has more than one range of features


def runs(loss, engine, dtype, settings, rounds=60):
    problem = registry.problem(loss, "samples", sizes=SIZES, d=N_FEATURES)
    return [
        lg.run(
            problem,
            lg.LocalGD(local_steps=8, lr=0.4),
            rounds=rounds,
            loss=loss,
            engine=engine,
            dtype=dtype,
            reference=registry.model(loss, np.arange(1.0, N_FEATURES + 1)),
            **setting,
        )
        for setting in settings
    ]


@pytest.mark.parametrize("loss", registry.LOSSES)
@pytest.mark.parametrize(("engine", "dtype"), registry.engine_cases())
def test_one_two_and_seven_threads_give_the_same_bits(engine, dtype, loss):
    first, *others = runs(loss, engine, dtype, [{"threads": t} for t in (1, 2, 7)])
    assert first.weights.any()
    for other in others:
        registry.assert_same_bits(first, other)
    if core.build_info()["openmp"]:
        assert [run.threads for run in (first, *others)] == [1, 2, 7]


@pytest.mark.parametrize(("engine", "dtype"), registry.engine_cases())
def test_the_same_call_twice_gives_the_same_bits(engine, dtype):
    registry.assert_same_bits(*runs("exponential", engine, dtype, [{}, {}]))


@pytest.mark.parametrize(("engine", "dtype"), registry.engine_cases())
def test_records_do_not_touch_the_trajectory(engine, dtype):
    sparse, dense = runs("logistic", engine, dtype, [{"record": []}, {"record": range(61)}])
    np.testing.assert_array_equal(sparse.weights, dense.weights)
    assert [len(run.history["round"]) for run in (sparse, dense)] == [2, 61]
    for name, column in sparse.history.items():
        np.testing.assert_array_equal(column, dense.history[name][[0, -1]], err_msg=name)


@pytest.mark.parametrize(("engine", "dtype"), registry.engine_cases())
def test_a_schedule_that_never_changes_gives_the_bits_of_its_constant(engine, dtype):
    problem = registry.problem("exponential", sizes=SIZES, d=N_FEATURES)
    constant, schedule, stage = (
        lg.run(problem, lg.LocalGD(local_steps=2, lr=lr), rounds=300, engine=engine, dtype=dtype)
        for lr in (0.3, lambda k: 0.3, lg.TwoStage(0.3, 5.0, 300))
    )
    registry.assert_same_bits(constant, schedule)
    registry.assert_same_bits(constant, stage)


def test_learning_rates_are_asked_for_in_order_and_once(small_problem):
    asked = []

    def lr(k):
        asked.append(k)
        return 0.5

    lg.run(small_problem, lg.GD(lr=lr), rounds=3000)
    assert asked == list(range(3000))


@pytest.mark.parametrize(("engine", "dtype"), registry.engine_cases())
def test_bits_do_not_depend_on_where_arrays_start_in_memory(engine, dtype):
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((23, 37)) / 6
    method = lg.LocalGD(local_steps=5, lr=0.5)
    problem = lg.Problem.from_arrays(rows, np.ones(23), np.repeat([0, 1, 2], [10, 1, 12]))
    prepared = prepare(problem, method, rounds=20, record=[20])
    weights = set()
    for shift in range(0, 64, 8):
        buffer = np.zeros(rows.nbytes + 128, dtype=np.uint8)
        start = -buffer.ctypes.data % 64 + shift
        moved = buffer[start : start + rows.nbytes].view(np.float64).reshape(rows.shape)
        moved[:] = rows
        session = core.Simulation(
            moved,
            np.ones(23),
            [0, 10, 11, 23],
            np.full(3, 1 / 3),
            [run_options(prepared)],
            engine=engine,
            loss="logistic",
            single=dtype == "float32",
            local=local_options(prepared),
            threads=1,
        )
        session.advance(20, [0.5], np.full((1, 3), 1 / 3), None)
        history = session.history()
        weights.add(session.weights().tobytes() + history["drift"].tobytes())
    assert len(weights) == 1


def test_runs_side_by_side_in_python_threads_give_the_same_bits():
    alone = runs("exponential", "hybrid", "float64", [{"threads": 2}])[0]
    with ThreadPoolExecutor(4) as pool:
        together = list(
            pool.map(
                lambda _: runs("exponential", "hybrid", "float64", [{"threads": 2}])[0], range(8)
            )
        )
    for run in together:
        registry.assert_same_bits(alone, run)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_computes_instead_of_hanging(run_python):
    script = """
import os, sys, localgd as lg
problem = lg.datasets.make_separable(n_clients=8, n_samples=20, n_features=30, seed=0)
run = lambda: lg.run(problem, lg.GD(lr=0.1), rounds=50, threads=2).weights.tobytes()
before = run()
child = os.fork()
if child == 0:
    os._exit(0 if run() == before else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = run_python(script, timeout=60)
    assert done.returncode == 0, done.stderr


def test_more_threads_than_clients_are_not_started(small_problem):
    run = lg.run(small_problem, lg.GD(lr=0.1), rounds=1, threads=10**9)
    assert 1 <= run.threads <= small_problem.n_clients


def test_a_hundred_thousand_threads_for_as_many_clients(run_python):
    """OpenMP would end the process when the system refuses a thread."""
    script = """
import numpy as np, localgd as lg
problem = lg.Problem.from_arrays(np.ones((100_000, 1)), np.ones(100_000), np.arange(100_000))
print(lg.run(problem, lg.GD(lr=0.1), rounds=1, threads=100_000).status)
"""
    done = run_python(script)
    assert (done.returncode, done.stdout) == (0, "completed\n"), done.stderr


def test_default_threads_stay_within_the_machine_and_the_clients(small_problem, monkeypatch):
    heavy = registry.problem("exponential", sizes=(300,) * 3, d=50)
    run = lg.run(heavy, lg.LocalGD(local_steps=100, lr=0.1), rounds=1)
    expected = min(usable_cores(), 3) if core.build_info()["openmp"] else 1
    assert run.threads == expected
    # A round of a few microseconds is not worth a hand-over.
    assert lg.run(small_problem, lg.GD(lr=0.1), rounds=1).threads == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert lg.run(heavy, lg.LocalGD(local_steps=100, lr=0.1), rounds=1).threads == 1


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Writes the files of control groups; this process has 64 cores but for them."""
    monkeypatch.setattr(cgroups, "MOUNT", tmp_path)
    monkeypatch.setattr(cgroups, "MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def write(membership, **files):
        (tmp_path / "membership").write_text(membership)
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


@pytest.mark.parametrize(
    ("membership", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "99900000 100000\n"}, 64),
        ("0::/\n", {"cpu.max": "nonsense\n"}, 64),
        ("0::/\n", {}, 64),
        ("", {}, 64),
        # The smallest of the group and all above it.
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, 3),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000", "a/cpu.max": "800000 100000"}, 4),
        # A container that sees the path of its host, but only its own files.
        ("0::/docker/1f\n", {"cpu.max": "500000 100000"}, 5),
        ("0::/../../x\n", {"cpu.max": "500000 100000"}, 5),
        (
            "4:memory:/m\n3:cpu,cpuacct:/a\n",
            {
                "cpu,cpuacct/a/cpu.cfs_quota_us": "600000",
                "cpu,cpuacct/a/cpu.cfs_period_us": "100000",
            },
            6,
        ),
        (
            "3:cpuacct,cpu:/docker/1f\n0::/\n",
            {"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "50000\n"},
            5,
        ),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        ("1:cpuset:/\n", {"cpuset/cpu.cfs_quota_us": "1", "cpuset/cpu.cfs_period_us": "1"}, 64),
    ],
)
def test_quotas_of_control_groups(groups, monkeypatch, membership, files, cores):
    groups(membership, **files)
    assert usable_cores() == cores
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert usable_cores() == min(cores, 3)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 5}, raising=False)
    assert usable_cores() == min(cores, 2)


def test_default_threads_stay_within_a_quota(groups):
    groups("0::/\n", **{"cpu.max": "200000 100000"})
    heavy = registry.problem("exponential", sizes=(300,) * 3, d=50)
    run = lg.run(heavy, lg.LocalGD(local_steps=100, lr=0.1), rounds=1)
    assert run.threads == (2 if core.build_info()["openmp"] else 1)
