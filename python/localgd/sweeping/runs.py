"""``localgd.sweep``: the runs, side by side where they can be, here or in an executor."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

from .. import _validation as check
from ..arguments import check_callback
from ..participation import BIASED, is_biased
from ..progress import check_progress, progress_report
from ..running import run
from ..source import call, source_of
from .entry import Entry
from .executing import Found, Part, Taken, carried_out
from .executors import check_executor, opened
from .grid import SETTINGS, Case, axis_of, cases
from .groups import CheckedRun, parts
from .keys import Keys
from .side_by_side import ScheduleError, entries_side_by_side
from .store import Store
from .stores import open_store
from .table import Sweep

__all__ = ["carry_out", "sweep", "sweep_iter", "windows"]

log = logging.getLogger("localgd")

Work = list[CheckedRun] | tuple[str, Case]  # runs side by side, or a single one with its key
Named = list[tuple[str, Case]]  # runs with their keys

# Runs side by side: enough to keep the core busy, few enough that finished ones come now and then,
# or that several workers have something to do.
MOST_RUNS, MOST_RUNS_OF_WORKER = 64, 32
WINDOW = 4096  # runs that are looked at together, of however many


def sweep(
    problem: Any,
    method: Any,
    *,
    grid: Mapping[str, Iterable[Any]] | None = None,
    rounds: int,
    executor: Executor | str | None = None,
    batch: bool = True,
    out: str | os.PathLike[str] | None = None,
    progress: bool | Callable[[int], None] = False,
    callback: Any = None,
    **settings: Any,
) -> Sweep:
    """Run every combination of a grid.

    ``problems × methods × grid``, each as :func:`localgd.run` would run it by itself

    Runs of full-batch methods without corrections (GD, LocalGD, ModifiedLocalGD, FedProx) that
    share problem, ``local_steps``, loss and dtype and have all clients in every round are taken
    side by side in the engine "gram", where that is cheaper than one by one, equal to single runs
    to rounding; all others are single runs, bit for bit.

    Parameters
    ----------
    problem : Problem, or list or mapping of them
        The names of a mapping, or their positions in a list, are the column ``problem``.
    method : Method, or list or mapping of them
        Names of a mapping, or the types, are the column ``method``.
    grid : mapping of names to lists, optional
        Names are parameters of the method (``lr``, ``local_steps``, ``server``, …) or arguments of
        run (``seed``, ``init``, ``loss``, ``dtype``, …).
    rounds : int
        Unless it is in the grid.
    executor : concurrent.futures.Executor or str, optional
        Where to run: a ``ProcessPoolExecutor``, or that of Dask (``client.get_executor()``), MPI
        (``mpi4py.futures.MPIPoolExecutor``), …, or one by its name for as long as the sweep lasts:
        "processes:8", "threads:2", "dask:ADDRESS" or "mpi". Methods and settings must be picklable
        then; each worker is given a problem once. Each run takes one thread there unless
        ``threads`` is given. Runs of a worker that dies are taken by others, up to three times,
        where the executor goes on (those by name, and Dask's), and have failed otherwise.
    batch : bool, default True
        Whether runs that can be taken side by side are. Where a schedule fails, or they need too
        much memory together, they are single runs, and a RuntimeWarning says so.
    out : path, optional
        A file that takes each run as it finishes: an SQLite database if its name ends in .sqlite,
        .sqlite3 or .db, into which several processes of a machine may write the same sweep at once,
        each run by one of them; otherwise lines of JSON (null for NaN), for one process. Runs that
        it holds already are not run again: those of the same rows, method and settings, whatever
        they are called and on however many threads they ran. Runs that failed are, and so are those
        in which a function or an object of the caller's takes part (a schedule, a measure), since
        it cannot be told from others; a UserWarning says so.
    progress : bool or callable, default False
        True: a bar if standard error is a terminal; a callable is given the number of runs done.
    callback : callable or list of callables, optional
        Each is given every run as it finishes: a dict of what distinguishes it from the others, its
        ``status``, and its last record. If one of them says True no other run begins; the table has
        those that have finished.
    **settings
        Further arguments of :func:`localgd.run`, the same for all runs.

    Returns
    -------
    Sweep
        A run that fails is an entry with status "failed" and the error as its message. Ctrl-C ends
        the sweep and keeps what is there: runs that it stopped have the status "interrupted" and
        are not in the output file.

    Raises
    ------
    ValueError, TypeError
        For names that neither the method nor run has, empty lists, or a file of something else.
    OSError
        For a file that cannot be written, before the first run. If that happens later, there is a
        RuntimeWarning and the sweep goes on.

    References
    ----------
    Zhu, Vardhan, Mazumdar, arXiv:2412.07971.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=0)
    >>> best = lg.reference.max_margin(problem)
    >>> table = lg.sweep(problem, lg.LocalGD(local_steps=1, lr=1.0), rounds=100, reference=best,
    ...                  grid={"local_steps": [1, 10, 100]})
    >>> table.last("angle").round(3).tolist()
    [0.34, 0.236, 0.18]
    """
    check_progress(progress)
    callbacks = check_callback(callback)
    asked = _asked(problem, method, grid, rounds, executor, batch, settings)
    wanted = list(asked.cases())
    _warn_of_bias(wanted, stacklevel=3)
    keys = Keys()
    named = [(keys.of(case), case) for case in wanted]
    done: dict[str, Entry] = {}
    with ExitStack() as stack:
        store = None if out is None else stack.enter_context(closing(open_store(out)))
        pool = stack.enter_context(opened(executor))
        entries = carry_out(windows(named), pool, store, batch=batch, keys=keys)
        total = len({key for key, _ in named})
        report = stack.enter_context(progress_report(progress, total, unit="runs"))
        for entry in entries:
            done[entry.key] = entry
            log.info("run %d of %d: %s", len(done), total, entry.status)
            if report is not None:
                report(len(done))
            told = [function(entry.last_record()) for function in callbacks]
            if any(told):
                break
    # Runs that are the same have one entry in the file, under the names of one of them.
    return Sweep(
        [dataclasses.replace(done[key], values=case.values) for key, case in named if key in done],
        call(
            "lg.sweep",
            ["problem", source_of(method, "method")],
            {"grid": asked.grid, "rounds": rounds, **settings},
        ),
    )


def sweep_iter(
    problem: Any,
    method: Any,
    *,
    grid: Mapping[str, Iterable[Any]] | None = None,
    rounds: int,
    executor: Executor | str | None = None,
    batch: bool = True,
    out: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> Iterator[Entry]:
    """The runs of a sweep as they finish.

    ``problems × methods × grid``, as :func:`sweep`, without keeping them

    Of a large grid only a part is in memory at any time: 4,096 runs that are still to be taken, and
    with an executor as many as keep its workers busy.

    Parameters
    ----------
    problem, method, grid, rounds, executor, batch, out, **settings
        As for :func:`sweep`. Arguments are checked before the first entry is asked for.

    Returns
    -------
    iterator of Entry
        Those that ``out`` holds already come first; of runs that are the same there is one. Whoever
        stops asking ends the sweep.

    Raises
    ------
    ValueError, TypeError, OSError
        As :func:`sweep`.

    References
    ----------
    Zhu, Vardhan, Mazumdar, arXiv:2412.07971.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=0)
    >>> grid = {"local_steps": [1, 10, 100]}
    >>> for entry in lg.sweep_iter(problem, lg.LocalGD(1, lr=1.0), rounds=100, grid=grid):
    ...     print(entry.values["local_steps"], round(float(entry.history["loss"][-1]), 4))
    1 0.2861
    10 0.0452
    100 0.0052
    """
    asked = _asked(problem, method, grid, rounds, executor, batch, settings)
    _warn_of_bias(asked.cases(), stacklevel=3)
    stack = ExitStack()
    store = None if out is None else stack.enter_context(closing(open_store(out)))
    return _iterated(asked, store, stack)


def _iterated(asked: Asked, store: Store | None, stack: ExitStack) -> Iterator[Entry]:
    keys = Keys()
    names: dict[str, dict[str, Any]] = {}  # of runs that are not finished

    def named() -> Iterator[tuple[str, Case]]:
        for case in asked.cases():
            key = keys.of(case)
            names.setdefault(key, case.values)
            yield key, case

    with stack:
        pool = stack.enter_context(opened(asked.executor))
        for entry in carry_out(windows(named()), pool, store, batch=asked.batch, keys=keys):
            yield dataclasses.replace(entry, values=names.pop(entry.key))


@dataclass(frozen=True)
class Asked:
    """What a sweep is to do."""

    problem: Any
    method: Any
    grid: dict[str, list[Any]]
    settings: dict[str, Any]
    executor: Any
    batch: bool

    def cases(self) -> Iterator[Case]:
        """Every run."""
        return cases(self.problem, self.method, self.grid, self.settings)


def _asked(
    problem: Any,
    method: Any,
    grid: Any,
    rounds: Any,
    executor: Any,
    batch: Any,
    settings: dict[str, Any],
) -> Asked:
    """The arguments, checked; values that can be gone through once are kept."""
    for name in settings:
        if name not in SETTINGS:
            names = ", ".join(sorted(SETTINGS))
            near = check.did_you_mean(name, SETTINGS)
            raise TypeError(f"{name}: run has no such argument; want one of {names}{near}")
    check.flag("batch", batch)
    check_executor(executor)
    if grid is not None and not isinstance(grid, Mapping):
        raise TypeError(f"grid: got {grid!r}; want a mapping of names to lists")
    fixed: dict[str, Any] = {"rounds": rounds, **settings}
    if executor is not None:
        fixed.setdefault("threads", 1)
    axes = {name: axis_of(name, values) for name, values in (grid or {}).items()}
    return Asked(problem, method, axes, fixed, executor, batch)


def carry_out(
    named: Iterable[Named],
    executor: Executor | None,
    store: Store | None,
    *,
    batch: bool,
    keys: Keys,
) -> Iterator[Entry]:
    """Entries of runs as they finish, each key once; what is new is in the store by then."""
    most = MOST_RUNS if executor is None else MOST_RUNS_OF_WORKER
    work = _work(named, store, keys, most if batch else 0)
    given: set[str] = set()
    for result in carried_out(work, _take, _failures, executor, store):
        for entry in result.entries:
            if entry.key in given:  # of a part that was taken again for the others in it
                continue
            given.add(entry.key)
            if store is not None and isinstance(result, Taken) and entry.status != "interrupted":
                store.add(entry)
            yield entry
        if isinstance(result, Taken):
            _warn_of(result)


def _work(
    runs: Iterable[Named], store: Store | None, keys: Keys, most: int
) -> Iterator[Part | Found]:
    """What is to be run, and what is there; ``most`` runs side by side, 0 for none."""
    seen: set[str] = set()
    for named in runs:
        wanted = {key: case for key, case in named if key not in seen}
        seen.update(wanted)
        done = {} if store is None else _found(store, wanted, keys)
        if done:
            yield Found(list(done.values()))
        if most:
            left = _parts_to_run(wanted, done, most)
        else:
            left = [(key, case) for key, case in wanted.items() if key not in done]
        for one in left:
            yield Part(tuple(key for key, _ in _cases(one)), one)


def windows(named: Iterable[tuple[str, Case]]) -> Iterator[Named]:
    """Runs one after the other, as many as are looked at together; each of one problem."""
    for _, of_one in itertools.groupby(named, key=lambda run: id(run[1].problem)):
        while window := list(itertools.islice(of_one, WINDOW)):
            yield window


def _warn_of_bias(wanted: Iterable[Case], stacklevel: int) -> None:
    if any(map(_is_biased, wanted)):
        warnings.warn(BIASED, UserWarning, stacklevel=stacklevel)


def _is_biased(case: Case) -> bool:
    try:
        return is_biased(case.problem, case.method)
    except (ValueError, TypeError):  # run will say what is wrong
        return False


def _found(store: Store, wanted: Iterable[str], keys: Keys) -> dict[str, Entry]:
    """The entries of a store that need not be run again; what failed may work now."""
    if keys.unidentified and not keys.warned and not store.empty:
        keys.warned = True
        first, *others = {repr(value): None for value in keys.unidentified.values()}
        more = f" and {len(others)} more" if others else ""
        warnings.warn(
            f"out: {first}{more} cannot be told from others by a file: runs with it are not looked "
            f"up in {store.path} but run anew",
            UserWarning,
            stacklevel=6,
        )
    return store.found([key for key in wanted if key not in keys.unidentified])


def _parts_to_run(wanted: Mapping[str, Case], done: Mapping[str, Entry], most: int) -> list[Work]:
    """What is to be run for those that are not done.

    The bits of runs side by side depend on which these are. So those of which a process that was
    killed has left a part are all run again, as they would have been without the stop.
    """
    work: list[Work] = []
    for part in parts(wanted, most):
        runs = _cases(part)
        left = {key: case for key, case in runs if key not in done}
        if len(left) == len(runs):
            work.append(part)
        elif left:
            of_the_same = {done[key].batch for key, _ in runs if key in done} == {_digest(part)}
            work += [part] if of_the_same else parts(left, most)
    return work


def _warn_of(taken: Taken) -> None:
    if taken.trouble:
        warnings.warn(
            f"sweep: {len(taken.entries)} runs were taken one by one instead of side by side: "
            f"{taken.trouble}",
            RuntimeWarning,
            stacklevel=5,
        )


def _failures(work: Work, error: Exception) -> list[Entry]:
    """The entries of runs whose worker is gone, or could not be given them."""
    return [_failed(key, case, error) for key, case in _cases(work)]


def _cases(part: Work) -> list[tuple[str, Case]]:
    return [part] if isinstance(part, tuple) else [run for one in part for run in one.cases]


def _digest(part: Work) -> str:
    """By what runs side by side are told from others; empty for a single run."""
    keys = [key for key, _ in _cases(part)]
    return "" if isinstance(part, tuple) else hashlib.sha256(" ".join(keys).encode()).hexdigest()


def _take(part: Work) -> Taken:
    """Runs side by side, or a single one, as those are that have no answer side by side."""
    if isinstance(part, tuple):
        return Taken([_entry(*part)])
    digest, trouble = _digest(part), ""
    try:
        found = [dataclasses.replace(entry, batch=digest) for entry in entries_side_by_side(part)]
    except ScheduleError as error:
        found, trouble = [], str(error)
    except MemoryError:
        found, trouble = [], "together they need too much memory"
    known = {entry.key for entry in found}
    alone = [_entry(*run) for run in _cases(part) if run[0] not in known]
    return Taken(found + alone, trouble)


def _entry(key: str, case: Case) -> Entry:
    """One run; its errors are part of the table, so that others go on."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # the status says that it diverged
            warnings.filterwarnings("ignore", re.escape(BIASED))  # the sweep has said so
            found = run(case.problem, case.method, **case.settings)
    except Exception as error:  # of a function of the caller's it may be any
        return _failed(key, case, error)
    return Entry.of(key, case.values, found)


def _failed(key: str, case: Case, error: Exception) -> Entry:
    message = str(error)
    if not isinstance(error, ValueError | TypeError) or not message:
        message = f"{type(error).__name__}: {message}"
    return Entry(case.values, "failed", message, "", 0.0, {}, key)
