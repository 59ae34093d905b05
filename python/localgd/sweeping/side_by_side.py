"""Runs side by side: one call of the core for many of them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..engines import choose_threads
from ..preparation import Preparation
from ..result import ending, make_run
from ..running import next_chunk
from ..schedules import rates
from ..simulation import SIDE_BY_SIDE, make_simulation, start_is_finite
from .entry import Entry
from .groups import STRIP, CheckedRun

__all__ = ["ScheduleError", "entries_side_by_side"]

RATES_AT_ONCE = 2**16  # of schedules


class ScheduleError(Exception):
    """A learning-rate schedule of one of the runs has failed."""


def entries_side_by_side(runs: Sequence[CheckedRun]) -> list[Entry]:
    """The entries of runs of the same group; Ctrl-C keeps what they have come to.

    A run whose start has an infinite loss has none.
    """
    session = _session(runs)
    start = time.perf_counter()
    try:
        _advance(session, [run.prepared for run in runs])
    except KeyboardInterrupt:
        pass  # the statuses say so
    elapsed = (time.perf_counter() - start) / sum(len(run.cases) for run in runs)
    return [
        entry for place, run in enumerate(runs) for entry in _entries(session, place, run, elapsed)
    ]


def _session(runs: Sequence[CheckedRun]) -> Any:
    prepared, plan = runs[0].prepared, runs[0].plan
    whole = dataclasses.replace(
        plan,
        seconds_early=plan.seconds_early * len(runs),
        parts=plan.parts * -(-len(runs) // STRIP[prepared.dtype]),
    )
    threads = choose_threads(prepared.threads, whole)
    return make_simulation([run.prepared for run in runs], SIDE_BY_SIDE, threads)


def _advance(session: Any, runs: Sequence[Preparation]) -> None:
    """To the end of all runs in chunks of about a second."""
    scheduled = any(callable(run.lr) for run in runs)
    most = RATES_AT_ONCE // len(runs) if scheduled else 2**50
    shares = runs[0].problem.weights
    chunk = 1
    while True:  # at least once: runs of 0 rounds record round 0
        first = session.round
        going = [session.status(place) == "running" for place in range(len(runs))]
        # To the next end of a run, so that no schedule is asked about rounds that are not run.
        ends = [run.rounds for run, goes in zip(runs, going, strict=True) if goes]
        until = min(first + chunk, *ends)
        begin = time.perf_counter()
        lrs = [
            _rates(run, first, until) if goes and until > first else [1.0]
            for run, goes in zip(runs, going, strict=True)
        ]
        session.advance(until, np.stack(np.broadcast_arrays(*lrs), axis=1), shares, None)
        if not session.running:
            return
        if until == first + chunk:
            chunk = next_chunk(chunk, time.perf_counter() - begin, most)


def _rates(prepared: Preparation, first: int, until: int) -> list[float]:
    try:
        return rates(prepared.lr, first, until)
    except Exception as error:  # of a function of the caller's it may be any
        raise ScheduleError(f"the schedule of one of them failed ({error!r})") from error


def _entries(session: Any, place: int, run: CheckedRun, elapsed: float) -> Iterator[Entry]:
    """Those of a run: one for each seed."""
    if not start_is_finite(session, place):
        return
    status = session.status(place)
    if status == "running":
        status = "interrupted"
    if status != "completed":
        session.record_now(place)
    history = session.history(place)
    result = make_run(
        run.prepared,
        history,
        engine="gram",
        threads=1,
        elapsed=elapsed,
        **ending(run.prepared, status, session.round_of(place), history["loss"]),
    )
    for key, twin in run.cases:
        yield Entry.of(key, twin.values, result)
