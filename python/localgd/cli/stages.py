"""One run in stages, to have the weights at some rounds on the way, with the bits of one run."""

from __future__ import annotations

import dataclasses
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..engines import choose_engine
from ..methods import Method
from ..problem import Problem
from ..recording import LogSpaced
from ..result import Run, read_npz
from ..running import DTYPES, run

__all__ = ["run_in_stages"]


def run_in_stages(
    problem: Problem,
    method: Method,
    *,
    rounds: int,
    stops: Sequence[int],
    record: LogSpaced | np.ndarray,
    engine: str,
    dtype: str,
    memory_limit: int,
    checkpoint: str | None = None,
    progress: Callable[[int], None] | None = None,
    **options: Any,
) -> tuple[Run, dict[int, np.ndarray]]:
    """The whole run, and the weights after each round in ``stops`` that was reached.

    Each stage continues from the checkpoint of the one before. ``stops`` must be recorded rounds.
    """
    options |= {"dtype": dtype, "memory_limit": memory_limit, "progress": progress or False}
    plan = choose_engine(
        problem,
        method.local_steps,
        rounds,
        engine=engine,
        itemsize=DTYPES[dtype],
        memory_limit=memory_limit,
    )
    weights = {}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the status tells of a divergence
        file = Path(checkpoint) if checkpoint else Path(folder, "state.npz")
        done = _saved_round(file)
        ends = [k for k in stops if done < k < rounds] + [rounds]
        keep = file if checkpoint or len(ends) > 1 else None
        for end in ends:
            # "auto" goes by the rounds of a stage, but keeps the engine of a checkpoint.
            chosen = engine if file.exists() else plan.engine
            part = run(
                problem,
                method,
                rounds=end,
                record=record if isinstance(record, LogSpaced) else record[record <= end],
                engine=chosen,
                checkpoint=keep,
                **options,
            )
            weights[part.round] = part.weights
            if part.status != "completed":
                break
    message = part.message.replace(f" of {end:,}", f" of {rounds:,}")
    config = {**part.config, "engine": engine, "rounds": rounds}
    return dataclasses.replace(part, config=config, message=message), weights


def _saved_round(file: Path) -> int:
    """Where an earlier session stopped; -1 without one."""
    if not file.exists():
        return -1
    return read_npz(file, "a checkpoint of localgd", "identity")[0]["round"]
