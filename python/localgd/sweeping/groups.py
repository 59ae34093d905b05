"""Which runs of a sweep go side by side: same rows, local steps, loss, number type."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._backend import core
from ..configuration import work_of
from ..engines import Plan, choose_side_by_side
from ..identification import identify
from ..participation import Participation
from ..preparation import Preparation, prepare
from ..schedules import sees_state
from .grid import SETTINGS, Case

__all__ = ["CheckedRun", "parts"]

STRIP = core.schema()["thresholds"]["strip_width"]  # by dtype: runs that are worked on together
WORTH = 0.75  # of a strip that has to be filled; emptier ones are slower than their runs one by one
# Arguments of run that are known here: with any other a run is taken by itself. What `test`,
# `asymptote` and `measures` ask for is measured in Python between the rounds of a single run.
KNOWN = {
    *("rounds", "loss", "init", "engine", "dtype", "threads", "seed", "record", "reference"),
    *("every_step", "memory_limit"),
}


@dataclass(frozen=True)
class CheckedRun:
    """A run that others may stand beside, for all cases that differ from it in the seed alone."""

    cases: list[tuple[str, Case]] = field(repr=False)  # by key
    prepared: Preparation
    plan: Plan

    @property
    def group(self) -> tuple[Any, ...]:
        """What runs side by side have in common."""
        prepared, problem = self.prepared, self.prepared.problem
        steps = int(prepared.method.rule.core_steps(problem.n_clients)[0])
        same = ("loss", "dtype", "every_step", "threads")
        return id(problem), steps, *(getattr(prepared, name) for name in same)

    @property
    def identity(self) -> tuple[Any, ...]:
        """What tells it from the others of its group: all but the seed, which it does not use."""
        prepared = self.prepared
        # A function or an object of the caller's is the same as itself alone, whatever it says.
        lr = identify(getattr(prepared.method, "lr", None), unknown=id)
        work = json.dumps([work_of(prepared.method, unknown=id), lr])
        arrays = (prepared.init, prepared.reference, prepared.records)
        return work, prepared.rounds, *(array.tobytes() for array in arrays)


def parts(left: Mapping[str, Case], most: int) -> list[list[CheckedRun] | tuple[str, Case]]:
    """What is run together: at most so many side by side, or one; in the order of the grid."""
    groups: dict[Any, dict[Any, CheckedRun]] = {}
    for key, case in left.items():
        run = _beside(key, case)
        if run is None:
            groups[key] = {}
            continue
        known = groups.setdefault(run.group, {}).setdefault(run.identity, run)
        if known is not run:
            known.cases.append((key, case))
    found: list[list[CheckedRun] | tuple[str, Case]] = []
    for key, group in groups.items():
        if not group:
            found.append((key, left[key]))
            continue
        runs = list(group.values())
        width = STRIP[runs[0].prepared.dtype]
        rest = len(runs) % width
        whole = len(runs) - (rest if rest < WORTH * width else 0)
        count = -(-whole // most)
        strips = -(-whole // width)
        ends = [min(i * strips // count * width, whole) for i in range(count + 1)] if count else []
        found.extend(runs[begin:end] for begin, end in itertools.pairwise(ends))
        found.extend(case for run in runs[whole:] for case in run.cases)
    return found


def _beside(key: str, case: Case) -> CheckedRun | None:
    """The case, or None if it has to run by itself, be it to say what is wrong."""
    settings = case.settings
    if case.problem.sample_weight is not None:  # of which the plans know nothing
        return None
    if any(settings[name] is not SETTINGS[name] for name in settings.keys() - KNOWN):
        return None
    try:
        return _prepared(key, case)
    except (ValueError, TypeError, MemoryError):
        return None


def _prepared(key: str, case: Case) -> CheckedRun | None:
    problem, method = case.problem, case.method
    prepared = prepare(problem, method, **case.settings)
    if not Participation(problem, method, prepared.seed).full:
        return None
    if sees_state(getattr(method, "lr", None)):  # that of one run
        return None
    if prepared.further:  # measured in Python between the rounds of a single run
        return None
    plan = choose_side_by_side(
        problem,
        method,
        prepared.rounds,
        STRIP[prepared.dtype],  # for which Gram matrices are made once, at least
        loss=prepared.loss,
        engine=prepared.engine,
        itemsize=prepared.itemsize,
        memory_limit=prepared.memory_limit,
        every_step=prepared.every_step,
    )
    if plan is None:
        return None
    _ = prepared.lr  # an error of it is that of a single run
    return CheckedRun([(key, case)], prepared, plan)
