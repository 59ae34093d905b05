"""Runs side by side: one call of the core for many of them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .._backend import core
from ..configuration import local_options, run_options
from ..engines import choose_threads
from ..losses import margin_rows
from ..measuring import columns as history_columns
from ..running import ending, next_chunk
from ..schedules import rates
from .groups import STRIP, CheckedRun
from .table import Entry

__all__ = ["entries_side_by_side"]

RATES_AT_ONCE = 2**16  # of schedules


def entries_side_by_side(runs: Sequence[CheckedRun]) -> list[Entry]:
    """The entries of runs of the same group; Ctrl-C keeps what they have come to.

    A run whose start has an infinite loss has none.
    """
    session = _session(runs)
    start = time.perf_counter()
    try:
        _advance(session, runs)
    except KeyboardInterrupt:
        pass  # the statuses say so
    elapsed = (time.perf_counter() - start) / sum(len(run.cases) for run in runs)
    return [
        entry for place, run in enumerate(runs) for entry in _entries(session, place, run, elapsed)
    ]


def _session(runs: Sequence[CheckedRun]) -> Any:
    first = runs[0]
    problem, plan = first.case.problem, first.plan
    count = len(runs)
    whole = dataclasses.replace(
        plan,
        seconds_round=plan.seconds_round * count,
        parts=plan.parts * -(-count // STRIP[first.dtype]),
    )
    return core.Simulation(
        margin_rows(problem, first.loss),
        problem.y,
        problem.offsets,
        problem.weights,
        [
            run_options(run.case.method, run.init, run.schedule, run.direction, rounds=run.rounds)
            for run in runs
        ],
        engine="side_by_side",
        loss=first.loss,
        single=first.dtype == "float32",
        local=local_options(problem, first.case.method, every_step=first.every_step),
        threads=first.threads or choose_threads(None, whole),
    )


def _advance(session: Any, runs: Sequence[CheckedRun]) -> None:
    """To the end of all runs in chunks of about a second."""
    scheduled = any(callable(run.lr) for run in runs)
    most = RATES_AT_ONCE // len(runs) if scheduled else 2**50
    shares = runs[0].case.problem.weights
    chunk = 1
    while True:  # at least once: runs of 0 rounds record round 0
        first = session.round
        going = [session.status(place) == "running" for place in range(len(runs))]
        # To the next end of a run, so that no schedule is asked about rounds that are not run.
        ends = [run.rounds for run, goes in zip(runs, going, strict=True) if goes]
        until = min(first + chunk, *ends)
        begin = time.perf_counter()
        lrs = [
            rates(run.lr, first, until) if goes and until > first else [1.0]
            for run, goes in zip(runs, going, strict=True)
        ]
        session.advance(until, np.stack(np.broadcast_arrays(*lrs), axis=1), shares, None)
        if not session.running:
            return
        if until == first + chunk:
            chunk = next_chunk(chunk, time.perf_counter() - begin, most)


def _entries(session: Any, place: int, run: CheckedRun, elapsed: float) -> Iterator[Entry]:
    """Those of a run: one for each seed."""
    status, round = session.status(place), session.round_of(place)
    if status == "diverged" and round == 0 and not len(session.history(place)["round"]):
        return
    if status == "running":
        status = "interrupted"
    if status != "completed":
        session.record_now(place)
    case = run.case
    history = history_columns(
        session.history(place),
        case.problem,
        case.method,
        run.dtype,
        bool(run.direction.size),
        (),
    )
    losses = history["loss"]
    status, message = ending(status, round, run.rounds, run.loss, run.dtype, losses)
    for key, twin in run.cases:
        yield Entry(twin.values, status, message, "gram", elapsed, history, key)
