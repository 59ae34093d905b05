"""Runs of a sweep side by side: what each would be by itself, to rounding."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import registry
from hypothesis import given, settings
from hypothesis import strategies as st

import localgd as lg
from localgd import losses
from localgd.sweeping import groups, runs, side_by_side

SERVERS = [
    lg.Average(),
    lg.Anchored(),
    lg.ServerSGD(0.6),
    lg.ServerSGD(0.6, 0.5),
    lg.ServerSGD(0.6, 0.5, True),
]
RATES = [0.05, "1/H", lg.TwoStage(0.02, 0.2, 7), lg.Polynomial(0.3, 0.4), lambda k: 0.1 + k / 1e3]
LOSSES = tuple(loss for loss in registry.LOSSES if loss != "softmax")


@pytest.fixture
def counts(monkeypatch):
    """How many runs went side by side each time."""
    sizes = []

    def counted(beside):
        sizes.append(len(beside))
        return side_by_side.entries_side_by_side(beside)

    monkeypatch.setattr(runs, "entries_side_by_side", counted)
    monkeypatch.setattr(groups, "WORTH", 0.0)
    return sizes


def assert_same_tables(got, want, tolerance):
    assert len(got) == len(want)
    for one, other in zip(got, want, strict=True):
        names = ("values", "status", "message", "engine", "key")
        assert [getattr(one, name) for name in names] == [getattr(other, name) for name in names]
        assert list(one.history) == list(other.history)
        norm = other.history["norm"] if "norm" in other.history else 0
        for name, want_column in other.history.items():
            assert one.history[name].dtype == want_column.dtype
            if name in ("round", "local_steps", "bytes"):
                np.testing.assert_array_equal(one.history[name], want_column)
            elif name == "log_loss":  # of a loss that may be 0 but for rounding
                np.testing.assert_allclose(np.exp(one.history[name]), one.history["loss"])
            elif name in ("drift", "grad_variance", "grad_alignment", "grad_dissimilarity"):
                np.testing.assert_allclose(
                    one.history[name], want_column, rtol=100 * tolerance, atol=tolerance
                )
            else:
                slack = tolerance * (np.abs(want_column) + (name == "margin") + 1e-2 * norm)
                np.testing.assert_array_equal(np.isnan(one.history[name]), np.isnan(want_column))
                wrong = np.abs(one.history[name] - want_column) > slack
                assert not wrong.any(), name


def both(problem, method, **options):
    """The table of a sweep and that of its runs one by one."""
    return (
        lg.sweep(problem, method, **options),
        lg.sweep(problem, method, batch=False, **options),
    )


@pytest.mark.parametrize("dtype", registry.DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("weights", [(0.5, 2.0, 0.25), (1, 0, 3)], ids=str)
def test_they_are_the_runs_by_themselves(counts, loss, dtype, weights):
    problem = registry.problem(loss, weights)
    start = np.array([0.6, -0.8, 0.3, 0.0, 0.7])
    smooth = np.isfinite(losses.LOSSES[loss].curvature)  # has an H
    rates = [rate for rate in RATES if smooth or not isinstance(rate, str)]
    tables = both(
        problem,
        [lg.LocalGD(3, 0.1), lg.FedProx(3, 0.1, 0.4)],
        grid={"server": SERVERS, "lr": rates, "init": [None, start], "rounds": [15, 20]},
        rounds=20,
        engine="gram",
        loss=loss,
        dtype=dtype,
        record=[0, 1, 5, 15],
        reference=registry.reference(loss, problem),
    )
    assert_same_tables(*tables, registry.TOLERANCE[dtype])
    assert sum(counts) == len(tables[0]) == 40 * len(rates)
    assert max(counts) <= 64


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    features=st.integers(1, 50),
    count=st.integers(2, 40),
    steps=st.integers(1, 12),
    loss=st.sampled_from(LOSSES),
    dtype=st.sampled_from(registry.DTYPES),
    seed=st.integers(0, 10**6),
)
@settings(deadline=None, max_examples=15)
def test_any_shape(sizes, features, count, steps, loss, dtype, seed):
    problem = registry.problem(loss, sizes=tuple(sizes), d=features, seed=seed)
    tables = both(
        problem,
        lg.LocalGD(steps, 0.1),
        grid={"lr": np.geomspace(0.01, 0.2, count).tolist()},
        rounds=8,
        engine="gram",
        loss=loss,
        dtype=dtype,
    )
    assert_same_tables(*tables, registry.TOLERANCE[dtype])


@pytest.mark.parametrize(
    "method", [lg.GD(0.1), lg.LocalGD(1, 0.1), lg.ModifiedLocalGD(4, 0.1)], ids=repr
)
def test_each_method(small_problem, counts, method):
    grid = {"lr": [0.05, 0.1, 0.2, 0.3, 0.4]}
    assert_same_tables(*both(small_problem, method, grid=grid, rounds=30, engine="gram"), 1e-10)
    assert counts == [5]


def test_methods_with_the_same_steps_go_together(small_problem, counts):
    methods = [lg.LocalGD(5, 0.1), lg.ModifiedLocalGD(5, 0.1), lg.FedProx(5, 0.1, 0.2)]
    tables = both(small_problem, methods, grid={"lr": [0.1, 0.2]}, rounds=30, engine="gram")
    assert_same_tables(*tables, 1e-10)
    assert counts == [6]


def test_kernel_problems_too(counts):
    X, y = np.concatenate([X for X, _ in registry.clients("logistic")]), np.array([1.0, -1] * 5)
    K = np.exp(-((X[:, None] - X[None]) ** 2).sum(axis=2))
    problem = lg.Problem.from_gram(K, y, [0] * 4 + [1] * 6)
    grid = {"lr": [0.1, 0.2, 0.3, 0.4]}
    tables = both(problem, lg.LocalGD(3, 1.0), grid=grid, rounds=20, engine="gram")
    assert_same_tables(*tables, 1e-10)
    assert counts == [4]


def test_several_problems_losses_and_steps_go_each_by_itself(small_problem, counts):
    other = lg.datasets.make_separable(n_clients=3, n_samples=4, n_features=20, seed=1)
    tables = both(
        [small_problem, other],
        lg.LocalGD(1, 0.1),
        grid={
            "lr": [0.1, 0.2, 0.3, 0.4],
            "local_steps": [2, 3],
            "loss": ["exponential", "logistic"],
            "dtype": list(registry.DTYPES),
        },
        rounds=5,
        engine="gram",
    )
    assert_same_tables(*tables, 1e-4)
    assert counts == [4] * 16


def test_seeds_of_a_deterministic_run_are_one_run(small_problem, counts):
    grid = {"lr": [0.1, 0.2], "seed": [0, 1, 2]}
    tables = both(small_problem, lg.LocalGD(3, 0.1), grid=grid, rounds=20, engine="gram")
    assert_same_tables(*tables, 1e-10)
    assert counts == [2]
    assert len({entry.key for entry in tables[0]}) == 6


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (lg.LocalSGD(3, 0.1, batch_size=2), {}),
        (lg.FedProx(3, 0.1, 0.2, batch_size=2), {}),
        (lg.LocalGD(3, 0.1, participation=0.5), {}),
        (lg.LocalGD(3, 0.1, sampling="weight"), {}),
        (lg.LocalGD((1, 2, 3, 4, 5), 0.1), {}),
        (lg.LocalGD(3, 0.1, server=lg.ServerAdam(0.1)), {"engine": "auto"}),
        (lg.Scaffold(3, 0.1), {}),
        (lg.FedGA(3, 0.1, 0.2), {}),
        (lg.GradAlign(0.1, 0.2), {}),
        (lg.LocalGD(3, 0.1), {"engine": "hybrid"}),
        (lg.LocalGD(3, 0.1), {"engine": "primal"}),
        (lg.LocalGD(3, 0.1), {"measures": {"first": lambda w: w[0]}}),
        (lg.LocalGD(3, 0.1), {"batch": False}),
    ],
    ids=lambda value: str(value).split(" at 0x")[0],
)
def test_all_else_is_run_by_itself_bit_for_bit(counts, method, options):
    problem = lg.datasets.make_separable(n_clients=5, n_samples=4, n_features=30, seed=2)
    grid = {"lr": [0.1, 0.2, 0.3, 0.4]}
    settings = {"engine": "gram", **options}
    table = lg.sweep(problem, method, grid=grid, rounds=10, **settings)
    settings.pop("batch", None)
    assert counts == []
    for entry in table:
        made = type(method)(**{**method.__dict__, "lr": entry.values["lr"]})
        alone = lg.run(problem, made, rounds=10, **settings)
        for name, column in alone.history.items():
            np.testing.assert_array_equal(entry.history[name], column, err_msg=name)


def test_the_engine_is_chosen_run_by_run(small_problem, counts):
    table = lg.sweep(
        small_problem, lg.LocalGD(50, 0.1), grid={"lr": [0.1, 0.2, 0.3, 0.4]}, rounds=1000
    )
    assert {entry.engine for entry in table} == {"gram"}
    assert counts == [4]
    wide = lg.datasets.make_separable(n_clients=2, n_samples=400, n_features=3, seed=0)
    table = lg.sweep(wide, lg.LocalGD(50, 0.1), grid={"lr": [0.1, 0.2, 0.3, 0.4]}, rounds=2)
    assert {entry.engine for entry in table} == {"primal"}
    assert counts == [4]


@pytest.mark.parametrize("dtype", registry.DTYPES)
def test_many_runs_go_side_by_side_where_each_alone_would_take_another_engine(dtype, counts):
    problem = registry.problem("exponential", sizes=(150, 70, 131), d=200)
    grid = {"lr": np.geomspace(0.01, 0.2, 40).tolist()}
    options = {"grid": grid, "rounds": 10, "dtype": dtype}
    table, alone = both(problem, lg.LocalGD(4, 0.1), **options)
    assert "gram" not in {entry.engine for entry in alone}
    assert {entry.engine for entry in table} == {"gram"}
    assert counts == [40]
    of_gram = lg.sweep(problem, lg.LocalGD(4, 0.1), batch=False, engine="gram", **options)
    keys = [other.key for other in of_gram]  # tell the engine asked for
    table = [replace(entry, key=key) for entry, key in zip(table, keys, strict=True)]
    assert_same_tables(table, of_gram, registry.TOLERANCE[dtype])


def test_memory_limit_is_respected(small_problem, counts):
    grid = {"lr": [0.1, 0.2, 0.3, 0.4]}
    table = lg.sweep(
        small_problem, lg.LocalGD(9, 0.1), grid=grid, rounds=5, engine="gram", memory_limit=1
    )
    assert counts == []
    assert {entry.status for entry in table} == {"failed"}
    assert "Gram matrices" in table.entries[0].message


@pytest.mark.parametrize("dtype", registry.DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
def test_runs_that_diverge_leave_the_others_alone(counts, loss, dtype):
    problem = registry.problem(loss)
    tables = both(
        problem,
        lg.LocalGD(3, 0.1),
        grid={"lr": [0.1, 1e30, 0.2, lg.TwoStage(0.1, 1e30, 7), 0.05, 1e5, 0.15]},
        rounds=40,
        engine="gram",
        loss=loss,
        dtype=dtype,
    )
    assert counts == [7]
    assert_same_tables(*tables, registry.TOLERANCE[dtype])
    assert [tables[0].entries[i].status for i in (0, 2, 4, 6)] == ["completed"] * 4
    if not losses.LOSSES[loss].bounded and loss != "squared_hinge":  # which may leap to 0
        assert [tables[0].entries[i].status for i in (1, 3, 5)] == ["diverged"] * 3


def test_a_start_of_infinite_loss_is_a_failure_of_its_own(small_problem, counts):
    far = -1e6 * lg.reference.max_margin(small_problem).direction
    options = {"grid": {"init": [None, far], "lr": [0.1, 0.2]}, "rounds": 10, "engine": "gram"}
    tables = both(small_problem, lg.LocalGD(3, 0.1), **options)
    assert counts == [4]
    assert_same_tables(*tables, 1e-10)
    assert [entry.status for entry in tables[0]] == ["completed", "completed", "failed", "failed"]
    assert "init: its exponential loss is not finite" in tables[0].entries[2].message


def test_a_schedule_that_goes_wrong_is_a_failure_of_its_own(small_problem, counts):
    message = "sweep: 4 runs .* one by one .*: the schedule of one of them failed .*gave 0.0 for ro"
    with pytest.warns(RuntimeWarning, match=message) as caught:
        tables = both(
            small_problem,
            lg.LocalGD(3, 0.1),
            grid={"lr": [0.1, 0.2, lambda k: 0.3 - k / 10, 0.4]},
            rounds=10,
            engine="gram",
        )
    assert [warning.filename for warning in caught] == [__file__]
    assert_same_tables(*tables, 1e-10)
    assert [entry.status for entry in tables[0]] == ["completed"] * 2 + ["failed", "completed"]
    assert counts == [4]


def test_what_keeps_runs_of_a_worker_apart_is_said(small_problem):
    grid = {"lr": [*np.geomspace(0.1, 0.4, 7), lambda k: 1 / 0]}
    with ThreadPoolExecutor(2) as pool, pytest.warns(RuntimeWarning, match="8 runs .*ZeroDivision"):
        table = lg.sweep(
            small_problem, lg.LocalGD(3, 0.1), grid=grid, rounds=9, engine="gram", executor=pool
        )
    assert [entry.status for entry in table] == ["completed"] * 7 + ["failed"]


def test_runs_that_are_too_much_together_go_one_by_one(small_problem, counts, monkeypatch):
    def too_much(beside):
        raise MemoryError

    monkeypatch.setattr(runs, "entries_side_by_side", too_much)
    options = {"grid": {"lr": [0.1, 0.2]}, "rounds": 5, "engine": "gram"}
    with pytest.warns(RuntimeWarning, match="2 runs .* together they need too much memory"):
        tables = both(small_problem, lg.LocalGD(3, 0.1), **options)
    assert_same_tables(*tables, 0)


def test_a_fault_of_the_package_is_not_hidden(small_problem, counts, monkeypatch):
    def wrong(beside):
        raise KeyError("records")

    monkeypatch.setattr(runs, "entries_side_by_side", wrong)
    with pytest.raises(KeyError, match="records"):
        lg.sweep(
            small_problem, lg.LocalGD(3, 0.1), grid={"lr": [0.1, 0.2]}, rounds=5, engine="gram"
        )


def test_schedules_are_not_asked_beyond_their_run(small_problem, counts):
    asked = []

    def schedule(round):
        asked.append(round)
        return 0.1

    methods = {"short": lg.LocalGD(3, schedule), "plain": lg.LocalGD(3, 0.1)}
    lg.sweep(small_problem, methods, grid={"rounds": [0, 1, 11, 50]}, rounds=0, engine="gram")
    assert counts == [8]
    assert max(asked) == 49
    assert asked.count(12) == 1


@pytest.mark.parametrize("dtype", registry.DTYPES)
def test_threads_give_the_same_bits(small_problem, counts, dtype):
    def table(threads):
        return lg.sweep(
            small_problem,
            lg.LocalGD(4, 0.1),
            grid={"lr": np.geomspace(0.01, 1, 21).tolist(), "server": SERVERS[:2]},
            rounds=20,
            engine="gram",
            threads=threads,
            dtype=dtype,
        )

    one = table(1)
    for threads in (2, 3):
        for a, b in zip(one, table(threads), strict=True):
            for name in a.history:
                np.testing.assert_array_equal(a.history[name], b.history[name], err_msg=name)
    assert counts == [42] * 3


def test_executors_take_runs_side_by_side(small_problem):
    options = {"grid": {"lr": np.geomspace(0.01, 1, 70).tolist()}, "rounds": 20, "engine": "gram"}
    counts = []
    with ProcessPoolExecutor(2) as executor:
        table = lg.sweep(
            small_problem, lg.LocalGD(4, 0.1), executor=executor, progress=counts.append, **options
        )
    alone = lg.sweep(small_problem, lg.LocalGD(4, 0.1), batch=False, threads=1, **options)
    assert counts == list(range(1, 71))
    assert_same_tables(table, alone, 1e-10)


def test_output_files_hold_them_run_by_run(small_problem, tmp_path, counts):
    file = tmp_path / "sweep.jsonl"
    lrs = np.geomspace(0.01, 1, 9).tolist()
    settings = {"rounds": 20, "out": file, "engine": "gram"}
    lg.sweep(small_problem, lg.LocalGD(4, 0.1), grid={"lr": lrs[:4]}, **settings)
    table = lg.sweep(small_problem, lg.LocalGD(4, 0.1), grid={"lr": lrs}, **settings)
    assert counts == [4, 5]
    assert len(file.read_text().splitlines()) == 9
    assert [entry.values["lr"] for entry in table] == lrs
    assert {entry.status for entry in lg.load_sweep(file)} == {"completed"}


def test_ctrl_c_keeps_what_is_there(small_problem, tmp_path):
    file = tmp_path / "sweep.jsonl"

    def interrupt(round):
        if round == 30:
            raise KeyboardInterrupt
        return 0.2

    table = lg.sweep(
        small_problem,
        lg.LocalGD(4, 0.1),
        grid={"rounds": [10, 1000], "lr": [0.1, 0.2, 0.3, interrupt]},
        rounds=0,
        engine="gram",
        out=file,
    )
    status = [entry.status for entry in table]
    assert status == ["completed"] * 4 + ["interrupted"] * 4
    stopped = table.entries[4]
    assert 10 <= stopped.history["round"][-1] <= 30
    assert stopped.message.endswith("of 1,000")
    alone = lg.run(
        small_problem, lg.LocalGD(4, 0.1), rounds=int(stopped.history["round"][-1]), engine="gram"
    )
    assert stopped.history["loss"][-1] == pytest.approx(alone.history["loss"][-1], rel=1e-10)
    assert len(lg.load_sweep(file)) == 4


def test_real_signal_during_a_round_that_would_last_for_years(run_python):
    script = """
import os, signal, threading, localgd as lg
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs start without
problem = lg.datasets.make_separable(n_clients=4, n_samples=50, n_features=400, seed=0)

def lr(round):
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    return 1e-20

table = lg.sweep(problem, lg.LocalGD(local_steps=10**15, lr=1e-20), rounds=5, engine="gram",
                 every_step=True, grid={"lr": [lr, *(1e-20 * j for j in range(1, 8))]})
print([(entry.status, entry.history["round"].tolist()) for entry in table])
"""
    done = run_python(script, timeout=60)
    assert done.stdout == str([("interrupted", [0])] * 8) + "\n", done.stderr


def test_a_few_runs_go_one_by_one_bit_for_bit(small_problem):
    few = int(groups.WORTH * groups.STRIP["float64"]) - 1
    grid = {"lr": np.geomspace(0.1, 1, few).tolist()}
    table = lg.sweep(small_problem, lg.LocalGD(3, 0.1), grid=grid, rounds=10, engine="gram")
    for entry in table:
        alone = lg.run(small_problem, lg.LocalGD(3, entry.values["lr"]), rounds=10, engine="gram")
        for name, column in alone.history.items():
            np.testing.assert_array_equal(entry.history[name], column, err_msg=name)


def test_batch_is_a_bool(small_problem):
    with pytest.raises(TypeError, match="batch: got 1; want True or False"):
        lg.sweep(small_problem, lg.GD(0.1), rounds=1, batch=1)


@pytest.mark.parametrize("left", [0, 1, 5, 9, 17, 23])
def test_a_sweep_that_was_killed_ends_with_the_same_bits(small_problem, tmp_path, counts, left):
    """Runs side by side share their rounding: a part of them is not run without the rest."""
    file = tmp_path / "sweep.jsonl"
    methods = [lg.LocalGD(4, 0.1), lg.FedProx(4, 0.1, 0.2), lg.LocalSGD(4, 0.1, batch_size=2)]
    options = {"grid": {"lr": np.geomspace(0.01, 3, 11).tolist()}, "rounds": 200, "engine": "gram"}
    whole = lg.sweep(small_problem, methods, out=file, **options)
    assert counts
    counts.clear()
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:left]) + lines[left][:30])
    table = lg.sweep(small_problem, methods, out=file, **options)
    for one, other in zip(table, whole, strict=True):
        for name, column in other.history.items():
            np.testing.assert_array_equal(one.history[name], column, err_msg=name)
    assert len(file.read_text().splitlines()) == len(lines) == 33
    assert [entry.key for entry in table] == [entry.key for entry in whole]
