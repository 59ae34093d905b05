"""Runs side by side: one call of the core for many columns."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any

from .._backend import core
from ..configuration import server_options
from ..engines import choose_threads
from ..losses import margin_rows
from ..measuring import columns as history_columns
from ..running import ending, next_chunk
from ..schedules import rates
from .groups import Column
from .table import Entry

__all__ = ["batch_entries"]

RATES_AT_ONCE = 2**16  # of schedules
LANES = 8  # columns that a thread takes at once, at least


def batch_entries(columns: Sequence[Column]) -> list[Entry]:
    """The entries of columns of the same group; Ctrl-C keeps what they have come to.

    A run whose start has an infinite loss has none.
    """
    session = _session(columns)
    start = time.perf_counter()
    try:
        _advance(session, columns)
    except KeyboardInterrupt:
        pass  # the statuses say so
    runs = sum(len(column.cases) for column in columns)
    elapsed = (time.perf_counter() - start) / runs
    return [
        entry
        for number, column in enumerate(columns)
        for entry in _entries(session, number, column, elapsed)
    ]


def _session(columns: Sequence[Column]) -> Any:
    first = columns[0]
    problem, plan = first.case.problem, first.plan
    count = len(columns)
    whole = dataclasses.replace(
        plan, seconds_round=plan.seconds_round * count, parts=plan.parts * -(-count // LANES)
    )
    return core.Batch(
        margin_rows(problem, first.loss),
        problem.y,
        problem.offsets,
        problem.weights,
        [
            {
                "init": column.init,
                "server": server_options(column.case.method),
                "prox": column.case.method.rule.prox,
                "rounds": column.rounds,
                "record_rounds": column.schedule,
                "reference": column.direction,
            }
            for column in columns
        ],
        loss=first.loss,
        single=first.dtype == "float32",
        steps=first.steps,
        every_step=first.every_step,
        threads=first.threads or choose_threads(None, whole),
    )


def _advance(session: Any, columns: Sequence[Column]) -> None:
    """To the end of all runs in chunks of about a second."""
    scheduled = any(callable(column.lr) for column in columns)
    most = RATES_AT_ONCE // len(columns) if scheduled else 2**50
    chunk = 1
    while True:  # at least once: runs of 0 rounds record round 0
        first = session.round
        going = [session.status(number) == "running" for number in range(len(columns))]
        # To the next end of a run, so that no schedule is asked about rounds that are not run.
        ends = [column.rounds for column, goes in zip(columns, going, strict=True) if goes]
        until = min(first + chunk, *ends)
        begin = time.perf_counter()
        lrs = [
            rates(column.lr, first, until) if goes and until > first else [1.0]
            for column, goes in zip(columns, going, strict=True)
        ]
        session.advance(until, lrs, None)
        if not session.running:
            return
        if until == first + chunk:
            chunk = next_chunk(chunk, time.perf_counter() - begin, most)


def _entries(session: Any, number: int, column: Column, elapsed: float) -> Iterator[Entry]:
    """Those of a column: one for each seed."""
    status, round = session.status(number), session.round_of(number)
    if status == "diverged" and round == 0 and not len(session.history(number)["round"]):
        return
    if status == "running":
        status = "interrupted"
    if status != "completed":
        session.record_now(number)
    case = column.case
    history = history_columns(
        session.history(number),
        case.problem,
        case.method,
        column.dtype,
        bool(column.direction.size),
        (),
    )
    losses = history["loss"]
    status, message = ending(status, round, column.rounds, column.loss, column.dtype, losses)
    for key, twin in column.cases:
        yield Entry(twin.values, status, message, "gram", elapsed, history, key)
