"""Clients that are spread over ranks of MPI: the bits of one process that has them all."""

import importlib.util
import os
import pickle
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import over_ranks
import pytest

import localgd as lg

HERE = Path(__file__).parent
MPIEXEC = Path(sys.executable).with_name("mpiexec")

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("mpi4py") is None or not MPIEXEC.exists(),
        reason="needs mpi4py, and mpiexec of the package mpich: pip install mpi4py mpich",
    ),
    pytest.mark.long,
]


# As pyproject.toml has them.
WARNINGS = ("-W", "error", "-W", "ignore:participation:UserWarning")


def start(ranks, *arguments):
    """A job of so many ranks of Python."""
    folders = [str(Path(lg.__file__).parents[1]), str(HERE), os.environ.get("PYTHONPATH")]
    return subprocess.Popen(
        [str(MPIEXEC), "-n", str(ranks), sys.executable, *WARNINGS, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, folders))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(job, timeout=600):
    """What a job printed; it has to be well."""
    out, errors = job.communicate(timeout=timeout)
    assert job.returncode == 0, errors
    return out


def start_script(ranks, script):
    """A job that runs a script, which has comm, np, lg, part() and say()."""
    names = """
    import numpy as np
    import localgd as lg
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    rng = np.random.default_rng(0)
    X, ids = rng.standard_normal((60, 4)), np.repeat(np.arange(6), 10)
    y = np.where(X[:, 0] + 0.3 * rng.standard_normal(60) < 0, -1, 1)

    def say(*words):
        for line in comm.gather(" ".join(map(str, words))) or ():
            print(line, flush=True)

    def part(**about):
        keep = ids * comm.size // 6 == comm.rank
        return lg.Problem.from_arrays(X[keep], y[keep], ids[keep], **about) if keep.any() else None
    """
    return start(ranks, "-c", textwrap.dedent(names) + textwrap.dedent(script))


def ran(ranks, script, timeout=100):
    """What the ranks say() that run a script, a line each."""
    return finished(start_script(ranks, script), timeout)


def assert_bits_of_one_process(file, ranks, threads, which):
    job = start(ranks, str(HERE / "over_ranks.py"), str(file), str(threads), which)
    wanted = {
        name: over_ranks.arrays(case.run(case.problem()))
        for name, case in over_ranks.cases(which == "every")
    }
    finished(job, 3000)
    found = pickle.loads(file.read_bytes())
    assert list(found) == list(wanted)
    other = [name for name in wanted if not over_ranks.same(found[name], wanted[name])]
    assert not other, f"{len(other)} of {len(wanted)}: {other[:5]}"


def test_bits_are_those_of_one_process(tmp_path):
    assert_bits_of_one_process(tmp_path / "found", 3, 1, "some")


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
def test_bits_of_every_method_are_those_of_one_process(tmp_path, ranks, threads):
    assert_bits_of_one_process(tmp_path / "found", ranks, threads, "every")


def test_all_ranks_return_the_same_run():
    printed = ran(
        3,
        """
        run = lg.run(part(), lg.LocalGD(5, 0.1), rounds=20, loss="logistic", comm=comm)
        say(run.weights.tobytes().hex(), run.elapsed, run.threads, run, sorted(run.config))
        """,
    )
    lines = printed.splitlines()
    assert len(lines) == 3
    assert len(set(lines)) == 1


# Calls, and what the error on every rank says.
REFUSED = [
    (
        "lg.run(part(weights='equal' if comm.rank else 'samples'), M, rounds=1, comm=comm)",
        "weights: got equal and samples",
    ),
    ("lg.run(lg.Problem([(X, y)]), M, rounds=1, comm=comm)", "client 0 is on ranks 0 and 1"),
    ("lg.run(part(), M, rounds=1 + comm.rank, comm=comm)", "rounds: rank 1 was given another"),
    ("lg.run(part(), lg.LocalGD(2, 0.1 + comm.rank), rounds=1, comm=comm)", "lr: rank 1"),
    ("lg.run(part(), M, rounds=1, engine='gram', comm=comm)", "engine: got 'gram'; ranks"),
    ("lg.run(part(), lg.LocalGD(2, lg.Polyak(0.1)), rounds=1, comm=comm)", "lr: Polyak"),
    ("lg.run(part(class_weight='balanced'), M, rounds=1, comm=comm)", "class_weight"),
    (
        "lg.run(part(), M, rounds=1, measures={'g': lambda gradients: 0}, comm=comm)",
        "measures: over ranks",
    ),
    ("lg.run(None, M, rounds=1, comm=comm)", "got None on every rank"),
    ("lg.run(part() if comm.rank else 3, M, rounds=1, comm=comm)", "problem: got int"),
]


def test_what_cannot_be_is_refused_on_all_ranks():
    printed = ran(
        2,
        f"""
        M = lg.LocalGD(2, 0.1)
        for nr, call in enumerate({[call for call, _ in REFUSED]!r}):
            try:
                eval(call)
            except Exception as error:
                say(nr, error)
        """,
    )
    for nr, (call, said) in enumerate(REFUSED):
        lines = [line for line in printed.splitlines() if line.startswith(f"{nr} ")]
        assert [said in line for line in lines] == [True, True], (call, lines)


def test_presets_are_those_of_all_rows():
    printed = ran(
        3,
        """
        settings = dict(rounds=3, loss="logistic", l2="H/N", engine="primal")
        run = lg.run(part(), lg.LocalGD(2, "1/(LH)"), **settings, comm=comm)
        whole = lg.run(lg.Problem.from_arrays(X, y, ids), lg.LocalGD(2, "1/(LH)"), **settings)
        say(run.config["l2"] == whole.config["l2"], (run.weights == whole.weights).all())
        """,
    )
    assert printed == "True True\n" * 3


def test_functions_are_asked_on_the_first_rank_and_their_answers_count_for_all():
    printed = ran(
        3,
        """
        asked = []
        def norm(w):
            asked.append("measure")
            return float(np.abs(w).max())
        def stop(record):
            asked.append("stop")
            return record["round"] >= 10
        run = lg.run(
            part(), lg.LocalGD(2, lambda k: 0.1, participation=3), rounds=100, comm=comm,
            loss="logistic",
            record=range(0, 101, 5), measures={"largest": norm}, stop=stop,
            callback=lambda record: asked.append("callback"),
        )
        say(comm.rank, run.round, run.history["largest"].tolist(), sorted(set(asked)))
        """,
    )
    lines = sorted(printed.splitlines())
    assert lines[0].endswith("['callback', 'measure', 'stop']")
    assert all(line.endswith("[]") for line in lines[1:])
    assert len({line[1:].partition("]")[0] for line in lines}) == 1
    assert lines[0].startswith("0 10 ")


def test_an_error_of_the_callers_is_raised_on_all_ranks():
    printed = ran(
        3,
        """
        def fail(_):
            raise OSError("no more")
        for how in ({"callback": fail}, {"measures": {"m": fail}}, {"progress": fail}):
            try:
                lg.run(part(), lg.LocalGD(50, 0.1), rounds=10**8, loss="logistic", comm=comm, **how)
            except Exception as error:
                say(*how, error)
        """,
    )
    for how in ("callback", "measures", "progress"):
        lines = [line for line in printed.splitlines() if line.startswith(how)]
        assert ["no more" in line for line in lines] == [True] * 3, printed


def test_an_interrupt_of_one_rank_ends_the_run_of_all_with_the_same_history():
    printed = ran(
        3,
        """
        import os, signal, threading
        if comm.rank == 1:
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        run = lg.run(part(), lg.LocalGD(5, 0.1), rounds=10**9, loss="logistic", comm=comm)
        say(run.status, run.round, run.weights.tobytes().hex())
        """,
    )
    assert len(set(printed.splitlines())) == 1
    assert printed.startswith("interrupted")


def test_a_run_that_diverges_does_so_on_all_ranks():
    printed = ran(
        2,
        """
        import warnings
        warnings.simplefilter("ignore")
        run = lg.run(part(task="regression"), lg.LocalGD(5, 100.0), rounds=1000, comm=comm)
        say(run.status, run.round)
        """,
    )
    assert len(set(printed.splitlines())) == 1
    assert printed.startswith("diverged")


def test_ranks_without_clients_are_told_of_an_error():
    printed = ran(
        8,
        """
        try:
            lg.run(part(), lg.LocalGD(2, 0.1), rounds=-1, comm=comm)
        except ValueError as error:
            say(error)
        """,
    )
    assert printed.count("rounds: ") == 8


@pytest.mark.parametrize(
    "method",
    [
        "lg.Scaffold(3, 0.2, participation=4)",
        "lg.LocalSGD(3, 0.2, batch_size=2, server=lg.ServerSGD(0.5, 0.9))",
        "lg.LocalSolve(participation=4)",
    ],
)
def test_a_checkpoint_is_taken_up_by_another_number_of_ranks(tmp_path, method):
    engine = "hybrid" if "Solve" in method else "primal"
    script = """
    X[:, 0] += y
    y = np.sign(X[:, 0]).astype(int)
    how = dict(rounds={rounds}, loss="exponential", engine="{engine}", checkpoint={file!r})
    run = lg.run(part(), {method}, **how, comm=comm)
    if comm.rank == 0:
        columns = {{name: column.tobytes().hex() for name, column in run.history.items()}}
        print(run.round, run.weights.tobytes().hex(), columns)
    """
    file = str(tmp_path / "run.npz")
    for ranks, rounds in ((2, 7), (3, 12), (1, 20)):
        resumed = ran(ranks, script.format(method=method, rounds=rounds, engine=engine, file=file))
    whole = ran(
        3, script.format(method=method, rounds=20, engine=engine, file=str(tmp_path / "whole.npz"))
    )
    at_ends = lambda text: text.partition("{")[0]  # noqa: E731
    assert at_ends(resumed) == at_ends(whole)
    assert resumed == whole


def test_a_rank_that_is_killed_ends_the_job(tmp_path):
    file = tmp_path / "pid"
    job = start(
        3,
        "-c",
        textwrap.dedent(
            f"""
            import os
            import numpy as np, localgd as lg
            from mpi4py import MPI
            comm = MPI.COMM_WORLD
            if comm.rank == 1:
                open({str(file)!r}, "w").write(str(os.getpid()))
            problem = lg.Problem.from_arrays(np.ones((4, 3)), [1, 1, -1, 1], [comm.rank] * 4)
            lg.run(problem, lg.LocalGD(5, 0.1), rounds=10**12, loss="logistic", comm=comm)
            """
        ),
    )
    while not (file.exists() and file.read_text()):
        time.sleep(0.05)
    time.sleep(0.5)
    begin = time.monotonic()
    os.kill(int(file.read_text()), signal.SIGKILL)
    job.communicate(timeout=30)
    assert job.returncode != 0
    assert time.monotonic() - begin < 30


KILLED = """
import os, pathlib
folder = pathlib.Path({folder!r})
run = lg.run(
    part(), lg.Scaffold(3, 0.2, participation=4, server=lg.ServerSGD(0.5, 0.9)), rounds=1_000,
    loss="logistic", engine="primal", comm=comm, checkpoint=folder / "run.npz",
    checkpoint_seconds=0,
    callback=lambda record: None if record["round"] else (folder / "begun").touch(),
)
say(run.round, run.weights.tobytes().hex())
"""


@pytest.mark.slow
def test_jobs_of_which_a_rank_is_killed_are_taken_up_again(tmp_path):
    moments = random.Random(0)

    def begun(folder, ranks):
        folder.mkdir(exist_ok=True)
        job = start_script(ranks, KILLED.format(folder=str(folder)))
        while not (folder / "begun").exists():
            time.sleep(0.01)
        return job

    whole = begun(tmp_path / "whole", 3)
    begin = time.monotonic()
    wanted = set(finished(whole).splitlines())
    longest = time.monotonic() - begin
    killed = 0
    for turn in range(100):
        folder = tmp_path / f"{turn}"
        job = begun(folder, moments.choice([2, 3, 4]))
        time.sleep(moments.uniform(0, longest))
        ranks = children(job.pid)
        if ranks:
            begin = time.monotonic()
            os.kill(moments.choice(ranks), signal.SIGKILL)
            job.communicate(timeout=30)
            assert time.monotonic() - begin < 30
        else:
            job.communicate()
        killed += job.returncode != 0
        assert set(ran(3, KILLED.format(folder=str(folder)), 300).splitlines()) == wanted
        if killed == 20:
            return
    raise AssertionError(f"only {killed} were killed before their end")


def children(pid):
    """The processes of Python that a process has started, through others."""
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        for task in Path(f"/proc/{one}/task").iterdir():
            below = [int(child) for child in (task / "children").read_text().split()]
            waiting += below
            found += [
                child for child in below if "python" in Path(f"/proc/{child}/exe").readlink().name
            ]
    return found


def test_ranks_need_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    problem = lg.datasets.make_separable(n_clients=2, n_samples=3, n_features=4, seed=0)
    with pytest.raises(lg.MissingExtraError, match=r"localgd\[mpi\]"):
        lg.run(problem, lg.GD(0.1), rounds=1, comm=object())


def test_a_communicator_is_one_of_mpi4py():
    problem = lg.datasets.make_separable(n_clients=2, n_samples=3, n_features=4, seed=0)
    with pytest.raises(TypeError, match="comm: got 3"):
        lg.run(problem, lg.GD(0.1), rounds=1, comm=3)
    np.testing.assert_array_equal(problem.own_clients, slice(None))


@pytest.fixture
def tables(tmp_path):
    """Rows of six sites in a Parquet file, and in a folder of them."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pytest.importorskip("cyclopts")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4))
    y = np.where(X[:, 0] + 0.3 * rng.standard_normal(60) < 0, "well", "ill")
    columns = {f"x{k}": X[:, k] for k in range(4)}
    table = arrow.table({**columns, "site": np.repeat(np.arange(6), 10), "outcome": y})
    parquet.write_table(table, tmp_path / "all.parquet")
    (tmp_path / "folder").mkdir()
    for k in range(3):
        parquet.write_table(table.slice(25 * k, 25), tmp_path / "folder" / f"{k}.parquet")
    return tmp_path


OF_SHELL = (
    *("--client", "site", "--loss", "logistic", "--l2", "H/N", "--rounds", "20"),
    *("--engine", "primal", "--out"),
)


def test_the_shell_over_ranks_saves_the_bits_of_the_shell_alone(tables):
    shell = ("-m", "localgd", "run", "--data")
    over = start(3, *shell, tables / "folder", "--mpi", *OF_SHELL, tables / "ranks")
    printed = finished(over)
    alone = [*shell, tables / "all.parquet", *OF_SHELL, tables / "alone", "--no-reference"]
    subprocess.run([sys.executable, *alone, "--no-pooled"], check=True)
    ours, theirs = (lg.load(tables / name / "run.npz") for name in ("ranks", "alone"))
    history = {name: ours.history[name] for name in over_ranks.arrays(ours) if name != "weights"}
    assert set(theirs.history) - set(history) == {"accuracy"}  # which wants all rows
    assert all(history[name].tobytes() == theirs.history[name].tobytes() for name in history)
    assert ours.weights.tobytes() == theirs.weights.tobytes()
    said = " ".join(printed.split())
    assert said.count("60 rows of 4 features, on 3 ranks") == 1
    again = start(
        2,
        "-m",
        "localgd",
        "run",
        "--config",
        tables / "ranks" / "run.toml",
        "--out",
        tables / "again",
    )
    finished(again)
    assert lg.load(tables / "again" / "run.npz").weights.tobytes() == ours.weights.tobytes()


BREAKS = """
import sys
from mpi4py import MPI
from localgd.cli import main, over_ranks

def broken(*_):
    raise {error}

if MPI.COMM_WORLD.rank == 1:
    over_ranks.prepare_part = broken
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        ("OSError(5, 'unreadable', '1.parquet')", 2, "localgd: rank 1: 1.parquet: unreadable"),
        ("RuntimeError('a fault')", 1, "RuntimeError: a fault"),
        ("KeyboardInterrupt", 130, ""),
    ],
)
def test_an_error_of_one_rank_ends_the_shell_on_all(tables, error, code, said):
    command = ["run", "--mpi", "--data", tables / "folder", *OF_SHELL, tables / "out"]
    job = start(3, "-c", BREAKS.format(error=error), *command)
    _, errors = job.communicate(timeout=60)
    assert job.returncode == code
    assert said in errors and errors.count("localgd: ") <= 1, errors


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--lr nonsense", "lr: got 'nonsense'"),
        ("--engine gram", "engine: got 'gram'"),
    ],
)
def test_what_the_shell_cannot_do_over_ranks_is_said_once(tables, words, said):
    command = ("run", "--mpi", "--data", tables / "folder", *OF_SHELL, tables / "out")
    job = start(2, "-m", "localgd", *command, *words.split())
    _, errors = job.communicate(timeout=60)
    assert job.returncode == 2
    assert errors.count(said) == errors.count("localgd: ") == 1, errors


@pytest.mark.parametrize(
    "given",
    [
        {"reference": True},
        {"pooled": True},
        {"evaluate": "page.html"},
        {"test": 0.2},
        {"categorical": "onehot"},
        {"scale": "standard"},
        {"rounds": 10**100},
        {"data": "digits"},
        {"client": None},
    ],
)
def test_the_shell_refuses_what_wants_the_rows_of_all_ranks(given):
    pytest.importorskip("pydantic")
    from localgd.cli.over_ranks import settled
    from localgd.cli.settings import Settings

    some = {"data": "rows.parquet", "client": "site"}
    assert settled(Settings(**some)).pooled is False
    (name,) = given
    with pytest.raises(ValueError, match=f"{name}: got .* with mpi"):
        settled(Settings(**some | given))
