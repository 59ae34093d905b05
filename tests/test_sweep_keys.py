"""What makes two runs of a sweep the same: what their result depends on, and nothing else."""

import dataclasses
import functools
import json
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import pytest

import localgd as lg
from localgd.identification import digest

METHOD = lg.LocalGD(local_steps=2, lr=0.1)
X = np.random.default_rng(0).standard_normal((6, 30))
TEST = (X, np.sign(X[:, 0]))


def lines(path):
    return path.read_text().splitlines()


def counted(problem, file, *options, method=METHOD):
    """How many runs a file holds after a sweep with each of some options."""
    for changes in options:
        lg.sweep(problem, method, out=file, **{"rounds": 20, **changes})
    return len(lg.load_sweep(file))


SAME = {
    "threads": ({"threads": 1}, {"threads": 2}, {"threads": None}),
    "memory limit": ({"memory_limit": 2**33},),
    "seed": ({"seed": 0}, {"seed": np.int64(0)}),
    "rounds": ({"rounds": 20.0}, {"rounds": np.int32(20)}, {"grid": {"rounds": [20]}}),
    "loss": ({"loss": "exponential"}, {"loss": None}),
    "dtype": ({"dtype": "float64"}, {"dtype": np.float64}, {"dtype": np.dtype("f8")}),
    "engine": ({"engine": "auto"},),
    "init": ({"init": None}, {"init": np.zeros(30)}, {"init": [0] * 30}),
    "record": ({"record": lg.log_spaced()}, {"record": lg.log_spaced(per_decade=10).rounds(20)}),
    "reference": ({"reference": None},),
    "measures": ({"measures": None}, {"measures": {}}),
    "every step": ({"every_step": False},),
    "one by one": ({"batch": False},),
    "progress": ({"progress": lambda done: None},),
    "in the grid": ({"grid": {"lr": [0.1]}}, {"grid": {"local_steps": [2], "threads": [1, 2]}}),
}


@pytest.mark.parametrize("name", SAME)
def test_what_does_not_bear_on_the_result_makes_no_new_run(small_problem, tmp_path, name):
    assert counted(small_problem, tmp_path / "s.jsonl", {}, *SAME[name]) == 1


def test_an_executor_makes_no_new_run(small_problem, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        assert counted(small_problem, tmp_path / "s.jsonl", {}, {"executor": pool}) == 1


def test_names_of_methods_and_problems_make_no_new_run(small_problem, tmp_path):
    file = tmp_path / "s.jsonl"
    lg.sweep(small_problem, METHOD, rounds=20, out=file)
    table = lg.sweep({"mine": small_problem}, {"plain": METHOD}, rounds=20, out=file)
    assert [entry.values["method"] for entry in table] == ["plain"]
    both = lg.sweep(small_problem, {"a": METHOD, "b": METHOD}, rounds=20, out=file)
    assert [entry.values["method"] for entry in both] == ["a", "b"]
    assert len(lines(file)) == 1


def test_defaults_of_a_method_make_no_new_run(small_problem, tmp_path):
    spelled = lg.LocalGD(
        2, 0.1, server=lg.Average(), participation=1.0, sampling="uniform", fednova=True
    )
    file = tmp_path / "s.jsonl"
    counted(small_problem, file, {})
    assert counted(small_problem, file, {}, method=spelled) == 1


def kinds_of(values):
    pd = pytest.importorskip("pandas")
    return [values, values.tolist(), pd.DataFrame(values), np.asfortranarray(values)]


def test_rows_are_told_by_their_numbers_whatever_holds_them(tmp_path):
    rows = np.random.default_rng(1).integers(-3, 4, (8, 3)).astype(float)
    y = np.sign(rows.sum(axis=1) + 0.5)
    file = tmp_path / "s.jsonl"
    for kind in [*kinds_of(rows), rows.astype(np.float32), rows.astype(np.int8)]:
        lg.sweep(lg.Problem([(kind, y)]), METHOD, rounds=5, dtype="float64", out=file)
        lg.sweep(
            lg.Problem.from_arrays(kind, y.astype(int), ["a"] * 8),
            METHOD,
            rounds=5,
            dtype="float64",
            out=file,
        )
    assert len(lines(file)) == 1
    options = {"init": rows[0], "reference": rows[1] + 0.5, "test": (rows, y)}
    for change in (np.array, list, lambda a: np.asarray(a, np.float32)):
        given = {"init": change(rows[0]), "reference": change(rows[1] + 0.5)}
        for kind in kinds_of(rows):
            test = {"test": (kind, change(y))}
            lg.sweep(
                lg.Problem([(rows, y)]),
                METHOD,
                rounds=5,
                dtype="float64",
                out=file,
                **options | given | test,
            )
    assert len(lines(file)) == 2


OTHER = {
    "task": lambda p: {"problem": lg.Problem([(p.X, p.y)], task="regression")},
    "clients": lambda p: {"problem": lg.Problem([(p.X[:9], p.y[:9]), (p.X[9:], p.y[9:])])},
    "weights": lambda p: {"problem": p.with_weights([1, 2, 3, 4, 5])},
    "labels": lambda p: {"problem": lg.Problem([(p.X, -p.y)])},
    "shape": lambda p: {"problem": lg.Problem([(p.X.reshape(100, 15), np.tile(p.y, 2))])},
    "server": lambda p: {"method": dataclasses.replace(METHOD, server=lg.ServerSGD(0.5))},
    "participation": lambda p: {"method": dataclasses.replace(METHOD, participation=2)},
    "prox": lambda p: {"method": lg.FedProx(2, 0.1, mu=0.5)},
    "schedule": lambda p: {"method": lg.LocalGD(2, lg.Polynomial(0.1, 0.5))},
    "test": lambda p: {"test": TEST},
    "fewer test rows": lambda p: {"test": (TEST[0][:3], TEST[1][:3])},
    "seed": lambda p: {"seed": 1},
    "every step": lambda p: {"every_step": True},
    "asymptote": lambda p: {"asymptote": lg.reference.asymptote(p)},
}


@pytest.mark.parametrize("name", OTHER)
def test_what_bears_on_the_result_makes_a_new_run(small_problem, tmp_path, name):
    first = {"problem": small_problem, "method": METHOD, "rounds": 20, "out": tmp_path / "s.jsonl"}
    lg.sweep(**first)
    changed = first | OTHER[name](small_problem)
    for again in (1, 2):  # it is found again by itself
        got = lg.sweep(**changed)
        assert len(lines(tmp_path / "s.jsonl")) == 2, again
    want = lg.sweep(**changed | {"out": None})
    for column, values in want.columns.items():
        np.testing.assert_array_equal(got.columns[column], values, err_msg=column)


@pytest.mark.parametrize("name", ["rank", "same asymptote"])
def test_further_inputs_are_told_by_value(small_problem, tmp_path, name):
    if name == "rank":
        K = small_problem.X @ small_problem.X.T
        kernel = lg.Problem.from_gram(K, small_problem.y, [0] * 50)
        as_rows = lg.Problem([(kernel.X, kernel.y)])
        lg.sweep([kernel, as_rows], METHOD, rounds=5, out=tmp_path / "s")
        assert len(lines(tmp_path / "s")) == 2
        return
    for _ in range(2):
        limit = lg.reference.asymptote(small_problem)
        lg.sweep(small_problem, METHOD, rounds=5, out=tmp_path / "s", asymptote=limit)
    assert len(lines(tmp_path / "s")) == 1


# Functions and objects -----------------------------------------------------------------------


def closure(c):
    return lambda k: c


def default(c):
    def rate(k, c=c):
        return c

    return rate


def constant(c, k):
    return c


class Rate:
    def __init__(self, c):
        self.c = c

    def __call__(self, k):
        return self.c

    def rate(self, k):
        return self.c

    def __repr__(self):
        return "Rate()"


class Equal(Rate):
    """Says of itself that it is like any other."""

    def __eq__(self, other):
        return True

    def __hash__(self):
        return 0


@dataclasses.dataclass(frozen=True)
class Hidden:
    """Compares and shows none of what it does."""

    c: float = dataclasses.field(compare=False, repr=False)

    def __call__(self, k):
        return self.c


class Steeper(lg.Polynomial):
    def __call__(self, k):
        return super().__call__(k) / 2


class Slots:
    """Takes no weak references."""

    __slots__ = ("c",)

    def __init__(self, c):
        self.c = c

    def __call__(self, k):
        return self.c


MAKERS = {
    "closure": closure,
    "default": default,
    "partial": lambda c: functools.partial(constant, c),
    "object": Rate,
    "bound method": lambda c: Rate(c).rate,
    "equal object": Equal,
    "hidden field": Hidden,
    "slots": Slots,
    "ufunc": lambda c: np.frompyfunc(closure(c), 1, 1),
}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("count", [2, 8])  # one by one, side by side
def test_functions_in_a_grid_are_runs_of_their_own(small_problem, kind, count):
    numbers = np.geomspace(0.05, 1.0, count).tolist()
    schedules = [MAKERS[kind](c) for c in numbers]
    options = {"rounds": 30, "engine": "gram"}
    table = lg.sweep(small_problem, METHOD, grid={"lr": schedules}, **options)
    want = lg.sweep(small_problem, METHOD, grid={"lr": numbers}, **options)
    np.testing.assert_allclose(table.last("loss"), want.last("loss"), rtol=1e-10)
    assert len({entry.key for entry in table}) == count
    rates = [str(entry.values["lr"]) for entry in table]
    assert len({*rates}) == count or kind in ("bound method", "ufunc", "hidden field")


@pytest.mark.parametrize("kind", MAKERS)
def test_functions_are_not_looked_up_in_a_file(small_problem, tmp_path, kind):
    file = tmp_path / "s.jsonl"
    lg.sweep(small_problem, lg.GD(MAKERS[kind](0.05)), rounds=30, out=file)
    with pytest.warns(UserWarning, match=r"out: .* cannot be told .*s\.jsonl but run anew"):
        table = lg.sweep(small_problem, lg.GD(MAKERS[kind](1.0)), rounds=30, out=file)
    want = lg.run(small_problem, lg.GD(1.0), rounds=30).history["loss"][-1]
    assert table.last("loss").tolist() == [pytest.approx(want, rel=1e-12)]


def test_an_object_that_changes_between_two_sweeps_is_run_anew(small_problem, tmp_path):
    rate, file = Rate(0.05), tmp_path / "s.jsonl"
    lg.sweep(small_problem, lg.GD(rate), rounds=30, out=file)
    rate.c = 1.0
    with pytest.warns(UserWarning, match="run anew"):
        table = lg.sweep(small_problem, lg.GD(rate), rounds=30, out=file)
    want = lg.run(small_problem, lg.GD(1.0), rounds=30).history["loss"][-1]
    assert table.last("loss").tolist() == [pytest.approx(want, rel=1e-12)]


def test_a_schedule_derived_from_one_of_localgd_is_not_it(small_problem, tmp_path):
    file = tmp_path / "s.jsonl"
    lg.sweep(small_problem, lg.GD(lg.Polynomial(1.0, 0.5)), rounds=30, out=file)
    with pytest.warns(UserWarning, match="run anew"):
        table = lg.sweep(small_problem, lg.GD(Steeper(1.0, 0.5)), rounds=30, out=file)
    want = lg.run(small_problem, lg.GD(lg.Polynomial(0.5, 0.5)), rounds=30).history["loss"][-1]
    assert table.last("loss").tolist() == [pytest.approx(want, rel=1e-12)]


def test_measures_of_one_name_are_told_apart(small_problem, tmp_path):
    file = tmp_path / "s.jsonl"
    for value in (1.0, 2.0):
        measures = [None, {"m": lambda w, value=value: value}, {"m": Rate(3.0)}]
        with pytest.warns(UserWarning, match="run anew") if value == 2 else nullcontext():
            table = lg.sweep(small_problem, METHOD, grid={"measures": measures}, rounds=5, out=file)
        np.testing.assert_array_equal(table.last("m"), [np.nan, value, 3.0])


def test_runs_without_functions_are_found_beside_those_with(small_problem, tmp_path, monkeypatch):
    file, grid = tmp_path / "s.jsonl", {"lr": [0.1, closure(0.2), 0.3]}
    options = {"grid": grid, "rounds": 20, "out": file, "batch": False}
    first = lg.sweep(small_problem, METHOD, **options)
    ran = []

    def spy(problem, method, **settings):
        ran.append(method.lr)
        return lg.run(problem, method, **settings)

    monkeypatch.setattr("localgd.sweeping.runs.run", spy)
    with pytest.warns(UserWarning, match="run anew"):
        again = lg.sweep(small_problem, METHOD, **options)
    assert ran == [grid["lr"][1]]
    np.testing.assert_array_equal(first.last("loss"), again.last("loss"))


def test_a_function_of_another_process_is_not_this_one(tmp_path, run_python):
    script = f"""
import warnings, localgd as lg
warnings.simplefilter("ignore")
rate = RATE
problem = lg.datasets.make_separable(n_clients=3, n_samples=5, n_features=20, seed=0)
table = lg.sweep(problem, lg.GD(lambda k: rate), rounds=30, out={str(tmp_path / "s")!r})
print(table.last("loss")[0] == lg.run(problem, lg.GD(rate), rounds=30).history["loss"][-1])
"""
    for rate in ("0.05", "1.0"):
        done = run_python(script.replace("RATE", rate))
        assert done.stdout == "True\n", done.stderr
    assert len(lg.load_sweep(tmp_path / "s")) == 2


# Hashing -------------------------------------------------------------------------------------


def test_rows_are_hashed_once_without_a_copy(monkeypatch):
    """However many runs a sweep has, and however many sweeps a problem."""
    hashed = []

    def spy(*arrays):
        hashed.append(arrays)
        return digest(*arrays)

    monkeypatch.setattr("localgd.problem.digest", spy)
    monkeypatch.setattr("localgd.sweeping.keys.digest", spy)
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((200, 50))
    problem = lg.partition(rows, np.sign(rows[:, 0]), n_clients=4, seed=0)
    test = (rows, np.sign(rows[:, 0]))
    grid = {"lr": np.geomspace(1e-3, 1e-1, 20), "seed": [0, 1]}
    for _ in range(2):
        lg.sweep(problem, METHOD, grid=grid, rounds=1, test=test)
    assert sum(any(array is problem.X for array in arrays) for arrays in hashed) == 1
    assert sum(any(a.shape == rows.shape and a is not problem.X for a in h) for h in hashed) == 2


def test_hashing_makes_no_copy():
    rows = np.zeros((1000, 1000))
    tracemalloc.start()
    digest(rows)
    assert tracemalloc.get_traced_memory()[1] < rows.nbytes / 100
    tracemalloc.stop()


def test_entries_are_strict_json(small_problem, tmp_path):
    """NaN and infinities are no words of JSON; they come back as they were."""

    def odd(w):
        return [np.nan, np.inf, -np.inf, 0.1][int(10 * np.linalg.norm(w)) % 4]

    file = tmp_path / "s.jsonl"
    table = lg.sweep(small_problem, METHOD, rounds=50, out=file, measures={"odd": odd})

    def refuse(word):
        raise AssertionError(word)

    for line in lines(file):
        json.loads(line, parse_constant=refuse)
    (read,), (made,) = lg.load_sweep(file), table
    assert not np.isfinite(made.history["odd"]).all()
    for name, column in made.history.items():
        np.testing.assert_array_equal(read.history[name], column, err_msg=name)
        assert read.history[name].dtype == column.dtype, name
    assert read.__dict__ | {"history": 0} == made.__dict__ | {"history": 0}


def test_a_line_of_an_older_version_is_read(small_problem, tmp_path):
    """Which wrote NaN, and no checksum."""
    file = tmp_path / "s.jsonl"
    (entry,) = lg.sweep(small_problem, METHOD, rounds=5)
    history = {name: column.tolist() for name, column in entry.history.items()}
    file.write_text(json.dumps({**entry.__dict__, "history": history}) + "\n")
    (read,) = lg.load_sweep(file)
    for name, column in entry.history.items():
        np.testing.assert_array_equal(read.history[name], column, err_msg=name)
