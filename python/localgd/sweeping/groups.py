"""Which runs of a sweep go side by side: same rows, local steps, loss, number type."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import _validation as check
from ..arguments import check_init, check_reference
from ..configuration import work_of
from ..engines import DEFAULT_MEMORY_LIMIT, Plan, choose_side_by_side, choose_threads
from ..identification import identify
from ..losses import check_loss, default_loss
from ..participation import Participation
from ..recording import log_spaced, record_rounds
from ..rounds import learning_rate
from ..running import DTYPES, MAX_ROUNDS, check_dtype
from ..schedules import Schedule
from .grid import Case

__all__ = ["CheckedRun", "parts"]

STRIP = {"float64": 8, "float32": 16}  # runs that are worked on together
WORTH = 0.75  # of a strip that has to be filled; emptier ones are slower than their runs one by one
MEASURES = ("test", "asymptote", "measures")  # taken in Python between the rounds of a single run


@dataclass(frozen=True)
class CheckedRun:
    """A run that others may stand beside, with its settings checked."""

    cases: list[tuple[str, Case]] = field(repr=False)  # those that differ in the seed alone, by key
    rounds: int
    loss: str
    dtype: str
    steps: int
    every_step: bool
    lr: Schedule
    init: np.ndarray
    direction: np.ndarray
    schedule: np.ndarray
    threads: int | None
    plan: Plan

    @property
    def case(self) -> Case:
        """One of its cases."""
        return self.cases[0][1]

    @property
    def group(self) -> tuple[Any, ...]:
        """What runs side by side have in common."""
        steps = self.steps, self.every_step
        return id(self.case.problem), self.loss, self.dtype, *steps, self.threads

    @property
    def identity(self) -> tuple[Any, ...]:
        """What tells it from the others of its group: all but the seed, which it does not use."""
        method = self.case.method
        # A function or an object of the caller's is the same as itself alone, whatever it says.
        lr = identify(getattr(method, "lr", None), unknown=id)
        work = json.dumps([work_of(method, unknown=id), lr])
        arrays = (self.init, self.direction, self.schedule)
        return work, self.rounds, *(array.tobytes() for array in arrays)


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
        width = STRIP[runs[0].dtype]
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
    settings, rule = case.settings, case.method.rule
    if rule.stochastic or rule.solve or rule.correction != "none":
        return None
    if case.problem.task == "multiclass" or case.method.server.coordinate_wise:
        return None
    if any(settings.get(name) is not None for name in MEASURES):
        return None
    try:
        return _checked(key, case)
    except (ValueError, TypeError, MemoryError):
        return None


def _checked(key: str, case: Case) -> CheckedRun | None:
    problem, method, settings = case.problem, case.method, case.settings
    steps = np.unique(method.rule.core_steps(problem.n_clients))
    rounds = check.integer("rounds", settings["rounds"], 0)
    seed = check.integer("seed", settings.get("seed", 0), 0)
    if len(steps) > 1 or rounds > MAX_ROUNDS or not Participation(problem, method, seed).full:
        return None
    loss = settings.get("loss")
    loss = default_loss(problem.task) if loss is None else check_loss(loss, problem)
    dtype = check_dtype(settings.get("dtype", "float64"))
    record = settings.get("record")
    threads = settings.get("threads")
    plan = choose_side_by_side(
        problem,
        method,
        rounds,
        STRIP[dtype],  # for which Gram matrices are made once, at least
        loss=loss,
        engine=settings.get("engine", "auto"),
        itemsize=DTYPES[dtype],
        memory_limit=check.integer(
            "memory_limit", settings.get("memory_limit", DEFAULT_MEMORY_LIMIT), 1
        ),
        every_step=check.flag("every_step", settings.get("every_step", False)),
    )
    if plan is None:
        return None
    return CheckedRun(
        cases=[(key, case)],
        rounds=rounds,
        loss=loss,
        dtype=dtype,
        steps=int(steps[0]),
        every_step=check.flag("every_step", settings.get("every_step", False)),
        lr=learning_rate(problem, method, loss),
        init=check_init(settings.get("init"), problem),
        direction=check_reference(settings.get("reference"), problem),
        schedule=record_rounds(log_spaced() if record is None else record, rounds),
        threads=None if threads is None else choose_threads(threads, plan),
        plan=plan,
    )
