"""A run that is stopped and taken up again is the run that was never stopped, bit for bit."""

import errno
import json
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import registry

import localgd as lg
from localgd import checkpointing


def settings(engine="gram", dtype="float64", **changes):
    return {
        "rounds": 200,
        "engine": engine,
        "dtype": dtype,
        "init": np.linspace(-1, 1, 30),
        "reference": np.arange(1.0, 31.0),
        **changes,
    }


METHOD = lg.LocalGD(local_steps=4, lr=lg.Polynomial(0.6, 0.2))


def stop_at(round):
    def progress(now):
        if now >= round:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize(("engine", "dtype"), registry.engine_cases())
def test_continued_run_equals_one_that_was_never_stopped(small_problem, tmp_path, engine, dtype):
    """In three parts; 70 and 150 are not rounds that the whole run records."""
    whole = lg.run(small_problem, METHOD, **settings(engine, dtype))
    file = tmp_path / "run.ckpt"
    for rounds in (70, 150, 200):
        part = lg.run(
            small_problem, METHOD, checkpoint=file, **settings(engine, dtype, rounds=rounds)
        )
        assert (part.status, part.round, part.history["round"][-1]) == ("completed", rounds, rounds)
    registry.assert_same_bits(part, whole)
    assert whole.history["round"].tolist()[-2:] == [158, 200]


@pytest.mark.parametrize("case", registry.METHODS, ids=lambda case: case.name)
def test_every_method_continues_with_what_it_remembers(tmp_path, case):
    """Momentum, control variates, the anchor, the draws: in other pieces and on other threads."""
    for nr, engine in enumerate(case.engines):
        loss = case.losses[(len(case.name) + nr) % len(case.losses)]
        problem, method = registry.problem(loss, "samples"), case.make(lg.Polynomial(0.4, 0.2))
        options = {
            **{"loss": loss, "engine": engine, "dtype": registry.DTYPES[nr % 2], "seed": nr},
            **{"record": [3, 17], "init": registry.model(loss, np.linspace(-0.5, 0.5, 5))},
        }
        whole = lg.run(problem, method, rounds=40, threads=1, **options)
        file = tmp_path / f"{nr}.ckpt"
        lg.run(problem, method, rounds=17, threads=1, checkpoint=file, **options)
        run = lg.run(problem, method, rounds=40, threads=2, checkpoint=file, **options)
        registry.assert_same_bits(run, whole)


@pytest.mark.parametrize("engine", registry.ENGINES)
def test_interrupted_run_continues_with_the_same_bits(small_problem, tmp_path, engine):
    """Stopped in the middle by Ctrl-C, at whatever round that is."""
    rounds = 10**6
    file = tmp_path / "run.ckpt"
    slow = lg.LocalGD(local_steps=50, lr=0.2)
    part = lg.run(
        small_problem,
        slow,
        checkpoint=file,
        progress=stop_at(1),
        **settings(engine, rounds=rounds),
    )
    assert part.status == "interrupted"
    assert 0 < part.round < rounds
    assert part.history["round"][-1] == part.round
    rest = lg.run(small_problem, slow, checkpoint=file, **settings(engine, rounds=part.round + 500))
    whole = lg.run(small_problem, slow, **settings(engine, rounds=part.round + 500))
    registry.assert_same_bits(rest, whole)


def test_file_written_between_two_chunks_serves_as_well(small_problem, tmp_path, monkeypatch):
    """A process that is killed leaves the last file of those written now and then."""
    file, kept = tmp_path / "run.ckpt", []
    write = checkpointing.Checkpoint.write

    def spy(self, session, *others):
        write(self, session, *others)
        kept.append((session.round, file.read_bytes()))

    monkeypatch.setattr(checkpointing.Checkpoint, "write", spy)
    whole = lg.run(small_problem, METHOD, checkpoint=file, checkpoint_seconds=0, **settings())
    early = [content for round, content in kept if 0 < round < 200]
    assert early
    for content in early:
        file.write_bytes(content)
        registry.assert_same_bits(
            lg.run(small_problem, METHOD, checkpoint=file, **settings()), whole
        )


def test_finished_run_is_read_not_computed(small_problem, tmp_path):
    file = tmp_path / "run.ckpt"
    first = lg.run(small_problem, METHOD, checkpoint=file, **settings())
    asked = []

    def lr(k):
        asked.append(k)
        return METHOD.lr(k)

    again = lg.run(small_problem, METHOD, checkpoint=file, **settings())
    registry.assert_same_bits(first, again)
    assert again.elapsed >= first.elapsed
    by_callable = tmp_path / "callable.ckpt"
    method = lg.LocalGD(local_steps=4, lr=lr)
    lg.run(small_problem, method, checkpoint=by_callable, **settings())
    asked.clear()
    lg.run(small_problem, method, checkpoint=by_callable, **settings())
    assert asked == list(range(200))  # once each, for the comparison


def test_end_at_the_stored_round_is_recorded(small_problem, tmp_path):
    """Stopped between two records, then asked for exactly so many rounds."""
    file = tmp_path / "run.ckpt"
    part = lg.run(
        small_problem,
        METHOD,
        checkpoint=file,
        progress=stop_at(1),
        **settings(rounds=10**7, record=[]),
    )
    assert part.status == "interrupted"
    end = settings(rounds=part.round, record=[])
    registry.assert_same_bits(
        lg.run(small_problem, METHOD, checkpoint=file, **end), lg.run(small_problem, METHOD, **end)
    )


def test_run_stopped_before_its_first_round(small_problem, tmp_path):
    file = tmp_path / "run.ckpt"

    def lr(k):
        raise KeyboardInterrupt

    stopped = lg.run(small_problem, lg.GD(lr=lr), checkpoint=file, **settings())
    assert (stopped.status, stopped.round) == ("interrupted", 0)
    assert stopped.history["round"].tolist() == [0]
    whole = lg.run(small_problem, lg.GD(lr=lambda k: 0.3), **settings())
    rest = lg.run(small_problem, lg.GD(lr=lambda k: 0.3), checkpoint=file, **settings())
    registry.assert_same_bits(rest, whole)


@pytest.mark.filterwarnings("ignore:diverged:RuntimeWarning")
@pytest.mark.parametrize("lr", [1e4, 1e308])
def test_diverged_run_diverges_again(tmp_path, lr):
    problem = lg.Problem([([[1.0, 0.0]], [1]), ([[-9.0, 1.0]], [1])])
    first, again = (
        lg.run(problem, lg.LocalGD(local_steps=3, lr=lr), rounds=50, checkpoint=tmp_path / "c")
        for _ in range(2)
    )
    assert first.status == again.status == "diverged"
    registry.assert_same_bits(first, again)


def test_automatic_engine_stays_when_rounds_are_added(tmp_path):
    """100,000 rounds would merit Gram matrices that one round does not."""
    problem = registry.problem("exponential", sizes=(40, 40), d=2000)
    method, file = lg.LocalGD(local_steps=1, lr=0.1), tmp_path / "run.ckpt"
    assert lg.run(problem, method, rounds=100_000, progress=stop_at(0)).engine != "primal"
    assert lg.run(problem, method, rounds=1, checkpoint=file).engine == "primal"
    run = lg.run(problem, method, rounds=100_000, checkpoint=file, progress=stop_at(0))
    assert (run.engine, run.config["engine"]) == ("primal", "auto")


CHANGES = {
    "data": {"problem": lambda p: lg.Problem([(1.5 * p.X[:10], p.y[:10]), (p.X[10:], p.y[10:])])},
    "weights": {"problem": lambda p: p.with_weights([1, 2, 3, 4, 5])},
    "init": {"init": np.zeros(30)},
    "reference": {"reference": np.ones(30)},
    "loss": {"loss": "logistic"},
    "dtype": {"dtype": "float32"},
    "engine": {"engine": "hybrid"},
    "local_steps": {"method": lg.LocalGD(local_steps=5, lr=METHOD.lr)},
    "method": {"method": lg.GD(lr=METHOD.lr)},
    "server": {"method": lg.LocalGD(4, METHOD.lr, server=lg.ServerSGD(0.5))},
    "participation": {"method": lg.LocalGD(4, METHOD.lr, participation=3)},
    "sampling": {"method": lg.LocalGD(4, METHOD.lr, sampling="weight")},
    "fednova": {"method": lg.LocalGD(4, METHOD.lr, fednova=False)},
    "batches": {"method": lg.LocalSGD(4, METHOD.lr, batch_size=2)},
    "lr": {"method": lg.LocalGD(local_steps=4, lr=lg.Polynomial(0.6, 0.21))},
    "seed": {"seed": 1},
    "keep_weights": {"keep_weights": True},
    "record": {"record": [7]},
}


@pytest.mark.parametrize("change", CHANGES)
def test_checkpoint_of_another_run_is_refused(small_problem, tmp_path, change):
    file = tmp_path / "run.ckpt"
    lg.run(small_problem, METHOD, checkpoint=file, **settings())
    before = file.read_bytes()
    changed = {**settings(), "method": METHOD, **CHANGES[change]}
    problem = changed.pop("problem", lambda p: p)(small_problem)
    with pytest.raises(ValueError, match=r"checkpoint: .*run\.ckpt belongs to another run"):
        lg.run(problem, changed.pop("method"), checkpoint=file, **changed)
    assert file.read_bytes() == before


def test_callables_are_told_apart_by_their_values(small_problem, tmp_path):
    file = tmp_path / "run.ckpt"
    lg.run(small_problem, lg.GD(lr=lambda k: 0.1 + 0.01 * k), checkpoint=file, **settings())
    with pytest.raises(ValueError, match=r"another run \(different: lr\)"):
        lg.run(small_problem, lg.GD(lr=lambda k: 0.1 + 0.02 * k), checkpoint=file, **settings())
    # The same values from elsewhere are the same run.
    lg.run(small_problem, lg.GD(lr=lambda round: 0.1 + 0.01 * round), checkpoint=file, **settings())


def test_fewer_records_may_be_asked_for(small_problem, tmp_path):
    file = tmp_path / "run.ckpt"
    lg.run(small_problem, METHOD, checkpoint=file, **settings())
    run = lg.run(small_problem, METHOD, checkpoint=file, **settings(rounds=300, record=[1, 10]))
    registry.assert_same_bits(
        run, lg.run(small_problem, METHOD, **settings(rounds=300, record=[1, 10]))
    )


def test_shorter_run_than_the_file_is_refused(small_problem, tmp_path):
    file = tmp_path / "run.ckpt"
    lg.run(small_problem, METHOD, checkpoint=file, **settings())
    with pytest.raises(ValueError, match=r"checkpoint: .* is at round 200, past rounds=158"):
        lg.run(small_problem, METHOD, checkpoint=file, **settings(rounds=158))


def damaged(content: bytes):
    yield b""
    yield b"round,loss\n0,1\n"
    for end in (3, 40, len(content) // 3, len(content) // 2, len(content) - 30, len(content) - 1):
        yield content[:end]
    for place in range(100, len(content), len(content) // 40):
        flipped = bytearray(content)
        flipped[place] ^= 0xFF
        yield bytes(flipped)


def test_damaged_file_is_refused_or_harmless(small_problem, tmp_path):
    """Cut short, or a byte flipped: refused, unless the byte is one that zip files do not use."""
    file = tmp_path / "run.ckpt"
    lg.run(small_problem, METHOD, checkpoint=file, **settings(rounds=100))
    content = file.read_bytes()
    whole = lg.run(small_problem, METHOD, **settings())
    refused = 0
    for wrong in damaged(content):
        file.write_bytes(wrong)
        try:
            run = lg.run(small_problem, METHOD, checkpoint=file, **settings())
        except ValueError as error:
            assert "run.ckpt: not a checkpoint of localgd, or damaged" in str(error)
            assert file.read_bytes() == wrong
            refused += 1
        else:
            registry.assert_same_bits(run, whole)
    assert refused >= 30


def test_saved_run_is_not_a_checkpoint(small_problem, tmp_path):
    file = lg.run(small_problem, METHOD, **settings()).save(tmp_path / "run.npz")
    with pytest.raises(ValueError, match=r"run\.npz: not a checkpoint of localgd"):
        lg.run(small_problem, METHOD, checkpoint=file, **settings())


def test_folder_that_does_not_exist_is_noticed_before_the_run(small_problem, tmp_path):
    def lr(k):
        raise AssertionError("the run has begun")

    with pytest.raises(ValueError, match=r"checkpoint: there is no folder .*missing"):
        lg.run(small_problem, lg.GD(lr=lr), rounds=5, checkpoint=tmp_path / "missing" / "c")


def test_no_other_files_are_left(small_problem, tmp_path):
    lg.run(small_problem, METHOD, checkpoint=tmp_path / "run.ckpt", **settings())
    assert [path.name for path in tmp_path.iterdir()] == ["run.ckpt"]


def test_the_interval_is_an_argument(small_problem, tmp_path, monkeypatch):
    written = []
    write = checkpointing.Checkpoint.write

    def spy(self, session, *others):
        written.append(session.round)
        write(self, session, *others)

    monkeypatch.setattr(checkpointing.Checkpoint, "write", spy)
    for seconds, times in ((0, range(5, 20)), (30, [1]), (1e9, [1])):
        written.clear()
        lg.run(
            small_problem,
            METHOD,
            checkpoint=tmp_path / f"{seconds}",
            checkpoint_seconds=seconds,
            **settings(),
        )
        assert len(written) in times, seconds


@pytest.mark.parametrize(
    ("seconds", "error"), [(-1, ValueError), (np.nan, ValueError), ("30", TypeError)]
)
def test_intervals_that_make_no_sense(small_problem, seconds, error):
    with pytest.raises(
        error, match=r"checkpoint_seconds: got .*; want a finite number of at least"
    ):
        lg.run(small_problem, METHOD, rounds=3, checkpoint_seconds=seconds)


# What is measured -----------------------------------------------------------------------------

ROWS = np.random.default_rng(0).standard_normal((50, 30))
LABELS = np.sign(np.random.default_rng(1).standard_normal(50))


class Accuracy:
    def __init__(self, n):
        self.n = n

    def __call__(self, w):
        return np.mean(LABELS[: self.n] * (ROWS[: self.n] @ w) > 0)


MEASURES = {
    "constants": (lambda w: 1.0, lambda w: 2.0),
    "equal at the beginning and at the end": (lambda w: 1.0, lambda w: 1.0 + (0.1 < w @ w < 1)),
    "objects": (Accuracy(50), Accuracy(7)),
    "partials": (partial(np.linalg.norm, ord=1), partial(np.linalg.norm, ord=3)),
    "ufuncs": (np.maximum.reduce, np.minimum.reduce),
    "the same": (np.linalg.norm, np.linalg.norm),
}


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("stop", [0, 17, 100, 200])
def test_columns_of_functions_are_those_of_the_present_function(
    small_problem, tmp_path, name, stop
):
    """A name says nothing of what a function does."""
    file, (first, second) = tmp_path / "run.ckpt", MEASURES[name]
    options = settings(rounds=stop) | {"checkpoint": file}
    lg.run(small_problem, METHOD, measures={"m": first}, **options)
    run = lg.run(small_problem, METHOD, measures={"m": second}, checkpoint=file, **settings())
    whole = lg.run(small_problem, METHOD, measures={"m": second}, **settings())
    registry.assert_same_bits(run, whole)
    assert run.recorded_weights is None


def test_models_for_functions_must_fit_into_memory(small_problem, tmp_path):
    options = {"checkpoint": tmp_path / "c", "memory_limit": 10**4, "engine": "primal"}
    with pytest.raises(ValueError, match=r"measures: a checkpoint keeps the models .*fewer rec"):
        lg.run(small_problem, METHOD, rounds=50, record=range(50), measures={"m": len}, **options)
    assert lg.run(small_problem, METHOD, rounds=50, record=range(50), **options).round == 50
    del options["checkpoint"]
    measured = {"measures": {"m": len}, **options}
    assert lg.run(small_problem, METHOD, rounds=50, record=range(50), **measured).round == 50


def test_test_rows_are_told_by_their_numbers(small_problem, tmp_path):
    file = tmp_path / "run.ckpt"
    lg.run(small_problem, METHOD, test=(ROWS, LABELS), checkpoint=file, **settings(rounds=70))
    for X, y in ((ROWS[:7], LABELS[:7]), (ROWS, -LABELS), (ROWS + 1e-9, LABELS)):
        with pytest.raises(ValueError, match=r"another run \(different: test\)"):
            lg.run(small_problem, METHOD, test=(X, y), checkpoint=file, **settings())
    with pytest.raises(ValueError, match=r"another run \(different: test\)"):
        lg.run(small_problem, METHOD, checkpoint=file, **settings())
    # The same rows, held otherwise.
    rows = pytest.importorskip("pandas").DataFrame(ROWS)
    run = lg.run(
        small_problem, METHOD, test=(rows, LABELS.astype(int)), checkpoint=file, **settings()
    )
    whole = lg.run(small_problem, METHOD, test=(ROWS, LABELS), **settings())
    registry.assert_same_bits(run, whole)


def test_asymptotes_are_told_by_their_numbers(small_problem, tmp_path):
    file, method = tmp_path / "run.ckpt", lg.LocalGD(4, 0.6)
    limit, other = (
        lg.reference.asymptote(p) for p in (small_problem, small_problem.with_weights("samples"))
    )
    wrong = lg.reference.asymptote(small_problem.with_weights([1, 2, 3, 4, 5]))
    assert limit is not other
    lg.run(small_problem, method, asymptote=limit, checkpoint=file, **settings(rounds=70))
    with pytest.raises(ValueError, match=r"asymptote: .* of other rows or client weights"):
        lg.run(small_problem, method, asymptote=wrong, checkpoint=file, **settings())
    run = lg.run(small_problem, method, asymptote=other, checkpoint=file, **settings())
    registry.assert_same_bits(run, lg.run(small_problem, method, asymptote=limit, **settings()))


# Schedules ------------------------------------------------------------------------------------


class Bump:
    """0.3, but for one round."""

    def __init__(self, round, height):
        self.round, self.height = round, height

    def __call__(self, k):
        return 0.3 + self.height * (k == self.round)


@pytest.mark.parametrize("round", [0, 1, 37, 68, 69])
def test_schedules_are_compared_in_every_round(small_problem, tmp_path, round):
    file = tmp_path / "run.ckpt"
    lg.run(small_problem, lg.GD(Bump(-1, 0)), checkpoint=file, **settings(rounds=70))
    with pytest.raises(ValueError, match=r"another run \(different: lr\)"):
        lg.run(small_problem, lg.GD(Bump(round, 0.1)), checkpoint=file, **settings())
    later = lg.GD(Bump(70, 0.1))  # is the same run up to there
    run = lg.run(small_problem, later, checkpoint=file, **settings())
    registry.assert_same_bits(run, lg.run(small_problem, later, **settings()))


def test_schedules_are_compared_over_several_sessions(small_problem, tmp_path):
    file, method = tmp_path / "run.ckpt", lg.GD(lambda k: 0.1 + 0.001 * k)
    for rounds in (0, 3, 70, 71, 150):
        lg.run(small_problem, method, checkpoint=file, **settings(rounds=rounds))
    with pytest.raises(ValueError, match=r"another run \(different: lr\)"):
        lg.run(small_problem, lg.GD(lambda k: 0.1), checkpoint=file, **settings())
    run = lg.run(small_problem, method, checkpoint=file, **settings())
    registry.assert_same_bits(run, lg.run(small_problem, method, **settings()))


def test_a_constant_is_not_the_function_that_gives_it(small_problem, tmp_path):
    file = tmp_path / "run.ckpt"
    lg.run(small_problem, lg.GD(0.1), checkpoint=file, **settings())
    with pytest.raises(ValueError, match=r"another run \(different: lr\)"):
        lg.run(small_problem, lg.GD(lambda k: 0.1), checkpoint=file, **settings())


SAME = {
    "init": {"init": None},
    "threads": {"threads": 2},
    "memory limit": {"memory_limit": 2**33},
    "loss": {"loss": "exponential"},
    "dtype": {"dtype": np.float64},
    "engine": {"engine": "auto"},
    "seed": {"seed": np.int64(0)},
    "record": {"record": lg.log_spaced(per_decade=10)},
    "progress": {"progress": lambda k: None},
    "interval": {"checkpoint_seconds": 0},
}


@pytest.mark.parametrize("change", SAME)
def test_what_does_not_bear_on_the_result_makes_no_other_run(small_problem, tmp_path, change):
    file, options = tmp_path / "run.ckpt", settings(init=np.zeros(30))
    lg.run(small_problem, METHOD, checkpoint=file, **options | {"rounds": 70})
    run = lg.run(small_problem, METHOD, checkpoint=file, **options | SAME[change])
    registry.assert_same_bits(run, lg.run(small_problem, METHOD, **options))


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_task_is_part_of_a_run(tmp_path, task):
    X, y, file = np.eye(4), [1, -1, 1, -1], tmp_path / "run.ckpt"
    options = {"rounds": 5, "loss": "squared", "checkpoint": file}
    lg.run(lg.Problem([(X, y)], task="binary"), lg.GD(0.1), **options)
    if task == "regression":
        with pytest.raises(ValueError, match="belongs to another run"):
            lg.run(lg.Problem([(X, y)], task=task), lg.GD(0.1), **options)
    else:
        assert lg.run(lg.Problem([(X, y)], task=task), lg.GD(0.1), **options).round == 5


# What fails -----------------------------------------------------------------------------------


@pytest.fixture
def disk(monkeypatch):
    """A disk that can be full: ``disk.full = True``."""
    state = SimpleNamespace(full=False)
    savez = np.savez

    def save(file, **arrays):
        if state.full:
            file.write(b"as much as it has room for")
            raise OSError(errno.ENOSPC, "No space left on device")
        savez(file, **arrays)

    monkeypatch.setattr(np, "savez", save)
    return state


def test_a_file_that_cannot_be_written_is_noticed_before_the_run(small_problem, tmp_path, disk):
    def lr(k):
        raise AssertionError("the run has begun")

    disk.full = True
    with pytest.raises(OSError, match="No space left on device") as raised:
        lg.run(small_problem, lg.GD(lr=lr), rounds=5, checkpoint=tmp_path / "c")
    assert raised.value.filename == str(tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_does_not_cost_the_run(small_problem, tmp_path, disk):
    file = tmp_path / "run.ckpt"
    lg.run(small_problem, METHOD, checkpoint=file, **settings(rounds=70))
    before = file.read_bytes()

    def fill(w):
        disk.full = True
        return 0.0

    plain = tmp_path / "plain.ckpt"
    with pytest.warns(
        RuntimeWarning, match="checkpoint: .*No space left on dev.* goes on"
    ) as caught:
        run = lg.run(
            small_problem,
            METHOD,
            measures={"m": fill},
            checkpoint=plain,
            checkpoint_seconds=0,
            **settings(),
        )
    assert len(caught) == 1
    whole = lg.run(small_problem, METHOD, measures={"m": fill}, **settings())
    registry.assert_same_bits(run, whole)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["run.ckpt"]


def test_a_folder_that_vanishes_does_not_cost_the_run(small_problem, tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()

    def remove(w):
        if folder.exists():
            folder.rmdir()
        return 0.0

    with pytest.warns(RuntimeWarning, match="checkpoint: .*No such file .*; the run goes on"):
        run = lg.run(
            small_problem,
            METHOD,
            measures={"m": remove},
            checkpoint=folder / "c",
            checkpoint_seconds=1e9,
            **settings(),
        )
    assert (run.status, run.round) == ("completed", 200)


def fails_after(calls):
    """A function that fails at last, and only once."""
    left = iter(range(calls))

    def function(*_):
        if next(left, None) == calls - 1:
            raise ZeroDivisionError
        return 0.25

    return function


@pytest.mark.parametrize("what", ["lr", "measure", "progress"])
def test_an_error_of_the_caller_keeps_the_state(small_problem, tmp_path, what):
    file = tmp_path / "run.ckpt"
    method, options = lg.LocalGD(40, 0.25), settings(rounds=3000, record=range(0, 3000, 100))
    failing = {
        "lr": {"method": lg.LocalGD(40, fails_after(2000))},
        "measure": {"measures": {"m": fails_after(12)}},
        "progress": {"progress": fails_after(1), "rounds": 10**8},
    }[what]
    if what == "lr":
        method = lg.LocalGD(40, lambda k: 0.25)
    if what == "measure":
        options["measures"] = {"m": lambda w: 0.25}
    with pytest.raises(ZeroDivisionError):
        lg.run(small_problem, **{"method": method, **options, **failing}, checkpoint=file)
    with np.load(file) as stored:
        round = json.loads(str(stored["meta"]))["round"]
    assert round > 0
    options["rounds"] = max(3000, round + 10)
    rest = lg.run(small_problem, method, checkpoint=file, **options)
    registry.assert_same_bits(rest, lg.run(small_problem, method, **options))


def test_a_checkpoint_of_an_older_version_is_named(small_problem, tmp_path):
    file = tmp_path / "run.ckpt"
    lg.run(small_problem, METHOD, checkpoint=file, **settings())
    with np.load(file) as stored:
        arrays = dict(stored)
    meta = json.loads(str(arrays.pop("meta")))
    with file.open("wb") as stream:
        np.savez(stream, meta=np.array(json.dumps(meta | {"format": 2})), **arrays)
    with pytest.raises(ValueError, match=r"not a checkpoint of localgd \(format 2; want 7\)"):
        lg.run(small_problem, METHOD, checkpoint=file, **settings())
