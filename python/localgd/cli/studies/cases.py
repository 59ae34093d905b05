"""The runs of a study as those of a sweep: with their rows, references and measures."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any

from ...problem import Problem
from ...sweeping.grid import SETTINGS, Case
from ...sweeping.keys import Keys
from ...theory import penalty
from .. import chosen_method
from ..forwarding import arguments
from ..rows import Prepared, prepare
from ..run import measured_shares
from ..settings import EngineSettings, MethodSettings, OutputSettings, Settings
from ..target import MOST_NUMBERS, Target, find_target
from .definition import Study, StudyRun

__all__ = ["named_cases"]

# Settings of which rows and clients are made.
OTHERS = {*OutputSettings.model_fields, *EngineSettings.model_fields, *MethodSettings.model_fields}
OF_ROWS = [name for name in Settings.model_fields if name not in OTHERS - {"loss", "dtype"}]
SETTLED = ("data", "client", "task", "loss", "dtype")  # by the rows


def named_cases(study: Study, threads: int | None) -> Iterator[tuple[str, Case]]:
    """Every run with its key, those of the same rows one after the other.

    Rows and reference are in memory for as long as runs with them come.
    """
    by_rows: dict[str, list[StudyRun]] = {}
    for run in study.runs:
        by_rows.setdefault(repr([getattr(run.settings, name) for name in OF_ROWS]), []).append(run)
    for runs in by_rows.values():
        prepared = prepare(runs[0].settings)
        keys = Keys()
        targets: dict[Any, Target] = {}
        for run in runs:
            case = _case(run, prepared, targets, threads)
            yield _key(case, keys), case


def _case(run: StudyRun, rows: Prepared, targets: dict[Any, Target], threads: int | None) -> Case:
    problem = rows.problem
    settings = run.settings.model_copy(update={n: getattr(rows.settings, n) for n in SETTLED})
    loss = str(settings.loss)
    l2 = penalty(settings.l2, problem, loss)
    settings = settings.model_copy(update={"l2": l2, "threads": settings.threads or threads})
    target = _target(settings, rows, targets)
    options = arguments(dataclasses.replace(rows, settings=settings), target)
    options |= {"engine": settings.engine, "dtype": settings.dtype}
    method = chosen_method.build(settings).on(problem.sizes)
    return Case(run.values, problem, method, options)


def _target(settings: Settings, rows: Prepared, targets: dict[Any, Target]) -> Target:
    wanted = settings.loss, settings.l2, settings.reference
    if wanted not in targets:
        l2 = float(settings.l2)
        # Not by how long it takes, so that all machines measure the same.
        reference = (
            settings.reference if _is_large(rows.problem) else settings.reference is not False
        )
        found = find_target(rows.problem, str(settings.loss), reference, l2)
        measures = {**found.measures, **measured_shares(rows.problem, l2)}
        targets[wanted] = dataclasses.replace(found, measures=measures)
    return targets[wanted]


def _is_large(problem: Problem) -> bool:
    """Whether a reference is computed only if it was asked for."""
    constraints = problem.n_samples * (problem.n_classes - 1)
    return constraints * problem.n_features > MOST_NUMBERS


def _key(case: Case, keys: Keys) -> str:
    """The key of a run; its measures are known by their names, since all follow from the rest."""
    measures = sorted(case.settings["measures"] or {})
    plain = {**case.settings, "measures": SETTINGS["measures"]}
    key = keys.of(dataclasses.replace(case, settings=plain))
    return hashlib.sha256(f"{key} {measures}".encode()).hexdigest()
