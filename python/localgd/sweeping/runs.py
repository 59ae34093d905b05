"""``localgd.sweep``: the runs, side by side where they can be, here or in an executor."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from typing import Any, NamedTuple

from .. import _validation as check
from ..participation import BIASED, is_biased
from ..progress import check_progress, progress_report
from ..running import run
from .entry import Entry
from .grid import SETTINGS, Case, cases
from .groups import CheckedRun, parts
from .json_lines import JsonLines
from .keys import Keys
from .side_by_side import ScheduleError, entries_side_by_side
from .table import Sweep

__all__ = ["sweep"]

Part = list[CheckedRun] | tuple[str, Case]  # runs side by side, or a single one with its key


class Taken(NamedTuple):
    """The entries of a part, and what kept its runs from going side by side."""

    entries: list[Entry]
    trouble: str = ""


# Runs side by side: enough to keep the core busy, few enough that finished ones come now and then,
# or that several workers have something to do.
MOST_RUNS, MOST_RUNS_OF_WORKER = 64, 32


def sweep(
    problem: Any,
    method: Any,
    *,
    grid: Mapping[str, Iterable[Any]] | None = None,
    rounds: int,
    executor: Executor | None = None,
    batch: bool = True,
    out: str | os.PathLike[str] | None = None,
    progress: bool | Callable[[int], None] = False,
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
    executor : concurrent.futures.Executor, optional
        Where to run: a ``ProcessPoolExecutor``, or that of Dask, MPI, …. Problems and methods must
        be picklable then. Each run takes one thread there unless ``threads`` is given.
    batch : bool, default True
        Whether runs that can be taken side by side are. Where a schedule fails, or they need too
        much memory together, they are single runs, and a RuntimeWarning says so.
    out : path, optional
        A file (JSON, one run per line; null for NaN) that takes each run as it finishes. Runs that
        it holds already are not run again: those of the same rows, method and settings, whatever
        they are called and on however many threads they ran. Runs that failed are, and so are those
        in which a function or an object of the caller's takes part (a schedule, a measure), since
        it cannot be told from others; a UserWarning says so.
    progress : bool or callable, default False
        True: a bar if standard error is a terminal; a callable is given the number of runs done.
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
    for name in settings:
        if name not in SETTINGS:
            names = ", ".join(sorted(SETTINGS))
            raise TypeError(f"{name}: run has no such argument; want one of {names}")
    check.flag("batch", batch)
    check_progress(progress)
    if grid is not None and not isinstance(grid, Mapping):
        raise TypeError(f"grid: got {grid!r}; want a mapping of names to lists")
    fixed: dict[str, Any] = {"rounds": rounds, **settings}
    if executor is not None:
        fixed.setdefault("threads", 1)
    wanted = cases(problem, method, grid or {}, fixed)
    if any(map(_is_biased, wanted)):
        warnings.warn(BIASED, UserWarning, stacklevel=2)
    file = None if out is None else JsonLines(out)
    keys = Keys()
    named = [(keys.of(case), case) for case in wanted]
    done = {} if file is None else _found(file, named, keys)
    left = {key: case for key, case in named if key not in done}
    most = MOST_RUNS if executor is None else MOST_RUNS_OF_WORKER
    work = _parts_to_run(dict(named), done, most) if batch else list(left.items())
    with progress_report(progress, len(left), unit="runs") as report:
        new = (entry for entry in _finished(work, executor) if entry.key in left)
        for count, entry in enumerate(new, start=1):
            done[entry.key] = entry
            if file is not None and entry.status != "interrupted":
                file.add(entry)
            if report is not None:
                report(count)
    if file is not None:
        file.write_waiting()
    # Runs that are the same have one entry in the file, under the names of one of them.
    return Sweep(
        [dataclasses.replace(done[key], values=case.values) for key, case in named if key in done]
    )


def _is_biased(case: Case) -> bool:
    try:
        return is_biased(case.problem, case.method)
    except (ValueError, TypeError):  # run will say what is wrong
        return False


def _found(file: JsonLines, named: list[tuple[str, Case]], keys: Keys) -> dict[str, Entry]:
    """The entries of a file that need not be run again; what failed may work now."""
    if file.entries and keys.unidentified:
        first, *others = {repr(value): None for value in keys.unidentified.values()}
        more = f" and {len(others)} more" if others else ""
        warnings.warn(
            f"out: {first}{more} cannot be told from others by a file: runs with it are not looked "
            f"up in {file.path} but run anew",
            UserWarning,
            stacklevel=3,
        )
    wanted = {key for key, _ in named} - {*keys.unidentified}
    return {
        key: entry
        for key, entry in file.entries.items()
        if key in wanted and entry.status != "failed"
    }


def _parts_to_run(wanted: Mapping[str, Case], done: Mapping[str, Entry], most: int) -> list[Part]:
    """What is to be run for those that are not done.

    The bits of runs side by side depend on which these are. So those of which a process that was
    killed has left a part are all run again, as they would have been without the stop.
    """
    work: list[Part] = []
    for part in parts(wanted, most):
        runs = _cases(part)
        left = {key: case for key, case in runs if key not in done}
        if len(left) == len(runs):
            work.append(part)
        elif left:
            of_the_same = {done[key].batch for key, _ in runs if key in done} == {_digest(part)}
            work += [part] if of_the_same else parts(left, most)
    return work


def _finished(work: Sequence[Part], executor: Executor | None) -> Iterator[Entry]:
    """Entries as they finish; Ctrl-C ends them."""
    try:
        if executor is None:
            for part in work:
                taken = _take(part)
                yield from taken.entries
                _warn_of(taken)
                if any(entry.status == "interrupted" for entry in taken.entries):
                    return
            return
        futures: dict[Future[Taken], Part] = {}
        try:
            for part in work:
                yield from _submit(executor, part, futures)
            for future in as_completed(futures):
                taken = _result(future, futures[future])
                yield from taken.entries
                _warn_of(taken)
        finally:
            for future in futures:
                future.cancel()
    except KeyboardInterrupt:
        return


def _warn_of(taken: Taken) -> None:
    if taken.trouble:
        warnings.warn(
            f"sweep: {len(taken.entries)} runs were taken one by one instead of side by side: "
            f"{taken.trouble}",
            RuntimeWarning,
            stacklevel=5,
        )


def _submit(executor: Executor, part: Part, futures: dict[Future[Taken], Part]) -> list[Entry]:
    """Give an executor a part; its entries if that fails since a worker has died meanwhile."""
    try:
        futures[executor.submit(_take, part)] = part
    except BrokenExecutor as error:
        if not futures:
            raise
        return [_failed(key, case, error) for key, case in _cases(part)]
    return []


def _result(future: Future[Taken], part: Part) -> Taken:
    """What a worker has come to, be it that it is gone, or could not be given its part."""
    try:
        return future.result()
    except Exception as error:
        return Taken([_failed(key, case, error) for key, case in _cases(part)])


def _cases(part: Part) -> list[tuple[str, Case]]:
    return [part] if isinstance(part, tuple) else [run for one in part for run in one.cases]


def _digest(part: Part) -> str:
    """By what runs side by side are told from others; empty for a single run."""
    keys = [key for key, _ in _cases(part)]
    return "" if isinstance(part, tuple) else hashlib.sha256(" ".join(keys).encode()).hexdigest()


def _take(part: Part) -> Taken:
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
