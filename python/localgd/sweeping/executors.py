"""Executors by name: processes and threads of this machine, Dask, MPI."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from contextlib import contextmanager
from typing import Any

from .. import _validation as check
from ..engines import usable_cores

__all__ = ["FORMS", "Processes", "check_executor", "opened"]

FORMS = "processes, processes:COUNT, threads:COUNT, dask:ADDRESS or mpi"


class Processes(Executor):
    """Processes of this machine, each by itself, so that one that dies costs no other its run.

    Another takes its place.
    """

    def __init__(self, count: int):
        self.ahead = count  # tasks that are to be given at once: one for each
        # Not copies of this process, whose threads they would be without.
        known = multiprocessing.get_all_start_methods()
        self._context = multiprocessing.get_context(
            "forkserver" if "forkserver" in known else "spawn"
        )
        self._pools = [self._pool() for _ in range(count)]
        self._given: list[set[Future[Any]]] = [set() for _ in range(count)]

    def _pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, mp_context=self._context)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Give a task to the process with the fewest."""
        self._given = [{f for f in futures if not f.done()} for futures in self._given]
        place = min(range(len(self._pools)), key=lambda i: len(self._given[i]))
        try:
            future = self._pools[place].submit(fn, *args, **kwargs)
        except BrokenExecutor:
            self._pools[place] = self._pool()
            future = self._pools[place].submit(fn, *args, **kwargs)
        self._given[place].add(future)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End all processes."""
        for pool in self._pools:
            pool.shutdown(wait, cancel_futures=cancel_futures)


def check_executor(executor: Any) -> None:
    """An error unless it is an executor, the name of one, or None."""
    if isinstance(executor, str):
        kind, _, rest = executor.partition(":")
        counted = kind in ("processes", "threads") and (not rest or rest.strip("0").isdecimal())
        if not (counted or executor == "mpi" or (kind == "dask" and rest)):
            raise ValueError(f"executor: got {executor!r}; want {FORMS}")
    # Those of MPI and others need not be derived from that of Python.
    elif executor is not None and not callable(getattr(executor, "submit", None)):
        raise TypeError(f"executor: got {executor!r}; want an executor, or {FORMS}")


@contextmanager
def opened(executor: Any) -> Iterator[Executor | None]:
    """An executor as it is, or that of a name for as long as the block lasts."""
    check_executor(executor)
    if not isinstance(executor, str):
        yield executor
        return
    kind, _, rest = executor.partition(":")
    if kind in ("processes", "threads"):
        count = int(rest) if rest else usable_cores()
        with Processes(count) if kind == "processes" else ThreadPoolExecutor(count) as pool:
            yield pool
    elif kind == "dask":
        distributed = check.require("distributed", "cluster", f"executor {executor!r}")
        with distributed.Client(rest) as client:
            yield client.get_executor()
    else:
        futures = check.require("mpi4py.futures", "mpi", "executor 'mpi'")
        with futures.MPIPoolExecutor() as pool:
            yield pool
