"""``localgd.sweep``: the runs, side by side where they can be, here or in an executor."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, as_completed
from pathlib import Path
from typing import Any

from .. import _validation as check
from ..progress import progress_report
from ..running import run
from .batched import batch_entries
from .grid import Case, cases, settings_of_run
from .groups import Column, parts
from .table import Entry, Sweep, drop_cut_off_line, read_entries

__all__ = ["sweep"]

# Columns of a batch: enough to keep the core busy, few enough that finished runs come now and then,
# or that several workers have something to do.
MOST_COLUMNS, MOST_COLUMNS_OF_WORKER = 64, 32


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
        The names of a mapping, or their places in a list, are the column ``problem``.
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
        Whether runs that can be taken side by side are.
    out : path, optional
        A file (JSON, one run per line) that takes each run as it finishes. Runs that it holds
        already are not run again.
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
    allowed = settings_of_run()
    for name in settings:
        if name not in allowed:
            names = ", ".join(sorted(allowed))
            raise TypeError(f"{name}: run has no such argument; want one of {names}")
    check.flag("batch", batch)
    if grid is not None and not isinstance(grid, Mapping):
        raise TypeError(f"grid: got {grid!r}; want a mapping of names to lists")
    fixed: dict[str, Any] = {"rounds": rounds, **settings}
    if executor is not None:
        fixed.setdefault("threads", 1)
    wanted = cases(problem, method, grid or {}, fixed)
    path = None if out is None else Path(out)
    done: dict[str, Entry] = {}
    if path is not None and path.exists():
        done = read_entries(path)
        drop_cut_off_line(path)
    keys = [case.key for case in wanted]
    left = {key: case for key, case in zip(keys, wanted, strict=True) if key not in done}
    with progress_report(progress, len(left), unit="runs") as report:
        for count, entry in enumerate(_finished(left, executor, batch), start=1):
            done[entry.key] = entry
            if path is not None and entry.status != "interrupted":
                with path.open("a", encoding="utf-8") as file:
                    file.write(entry.to_json() + "\n")
            if report is not None:
                report(count)
    return Sweep([done[key] for key in keys if key in done])


def _finished(left: Mapping[str, Case], executor: Executor | None, batch: bool) -> Iterator[Entry]:
    """Entries as they finish; Ctrl-C ends them."""
    most = MOST_COLUMNS if executor is None else MOST_COLUMNS_OF_WORKER
    try:
        jobs = parts(left, most) if batch else list(left.items())
        if executor is None:
            for job in jobs:
                entries = _entries(job)
                yield from entries
                if any(entry.status == "interrupted" for entry in entries):
                    return
            return
        futures = [executor.submit(_entries, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield from future.result()
        finally:
            for future in futures:
                future.cancel()
    except KeyboardInterrupt:
        return


def _entries(job: list[Column] | tuple[str, Case]) -> list[Entry]:
    """A batch, or a single run. What a batch has no answer for is run by itself."""
    if isinstance(job, tuple):
        return [_entry(*job)]
    try:
        found = batch_entries(job)
    except (ValueError, TypeError, MemoryError):  # of one of the schedules, or all are too much
        found = []
    known = {entry.key for entry in found}
    runs = [run for column in job for run in column.cases]
    return found + [_entry(*run) for run in runs if run[0] not in known]


def _entry(key: str, case: Case) -> Entry:
    """One run; its errors are part of the table, so that others go on."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # the status tells of a divergence
            found = run(case.problem, case.method, **case.settings)
    except (ValueError, TypeError, MemoryError) as error:
        return Entry(case.values, "failed", str(error), "", 0.0, {}, key)
    return Entry(
        case.values, found.status, found.message, found.engine, found.elapsed, found.history, key
    )
