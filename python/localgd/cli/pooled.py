"""Gradient descent on the pooled rows, beside a run of a method with local steps.

Pooled means that every row counts the same: with other client weights the objective is not that of
the pooled rows, and the comparison is called client-weighted.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..analysis import angle
from ..arguments import DTYPES
from ..engines import choose_engine
from ..losses import LOSSES
from ..measuring import Measure
from ..methods import GD, Method
from ..problem import Problem
from ..result import Run
from ..running import run
from ..schedules import RiskAdapted, Schedule
from ..theory import learning_rate
from .settings import Settings
from .target import MOST_SECONDS, Target

__all__ = ["angles_to_pooled", "dtype_of_gd", "names_of_gd", "takes_too_long"]


@dataclass(frozen=True)
class Names:
    """What the comparison is called: in the table and messages, as a line, in the figure."""

    column: str = "pooled GD"
    line: str = "Pooled GD"
    legend: str = "GD on pooled rows"


def names_of_gd(settings: Settings) -> Names:
    """What gradient descent on the objective of these settings is."""
    if settings.client_weighted:
        return Names("client-weighted GD", "Client-weighted GD", "Client-weighted GD")
    return Names()


def dtype_of_gd(loss: str, target: Target) -> str:
    """float32 where its error is far below the distance to the limit.

    It has half the bytes of float64, and bytes are what a step costs. On MNIST 0 against 1 the
    direction after 10^5 steps is 1.6e-5 degrees from that in float64; the table shows thousandths
    of a degree. Where there is a minimiser GD gets within float32's rounding of it.
    """
    reached = LOSSES[loss].affine or target.kind in ("minimiser", "limits")
    return "float64" if reached else "float32"


def takes_too_long(settings: Settings, problem: Problem, method: Method) -> str:
    """Why GD of as many steps is left out unless it is asked for, or "" where it is quick.

    By what is foreseen of the problem and the options alone: the same on every machine.
    """
    L = int(method.rule.steps(problem.n_clients)[0])
    steps = settings.rounds * L
    seconds = choose_engine(
        problem,
        GD(lr=1.0),  # whatever the rate is, steps take as long
        steps,
        loss=str(settings.loss),
        engine="auto",
        itemsize=DTYPES[str(settings.dtype)],
        memory_limit=settings.memory_limit,
        l2=float(settings.l2),
    ).seconds(steps)
    if seconds <= MOST_SECONDS:
        return ""
    minutes = max(round(seconds / 60), 1)
    about = f"{minutes:,} minute{'s' if minutes > 1 else ''}" if minutes < 120 else "hours"
    return f"left out: {steps:,} steps would take about {about} of a core; --pooled takes them"


def angles_to_pooled(
    problem: Problem,
    method: Method,
    result: Run,
    *,
    reference: Any,
    measures: Mapping[str, Measure] | None = None,
    dtype: str = "float64",
    threads: int | None,
    memory_limit: int,
    progress: Callable[[int], None] | None,
) -> tuple[Run, dict[int, float]]:
    """Run GD for as many steps; the angles in radians to the recorded weights, by round.

    ``angle(w_k, w^GD_{kL})`` for each recorded round k that GD reached, w_k ≠ 0

    The GD run counts steps in rounds of L, as ``result`` does, which has kept its weights. All
    clients take the same number of steps.
    """
    loss, l2 = result.config["loss"], result.config["l2"]
    L = int(method.rule.steps(problem.n_clients)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the status says that it diverged
        gd = run(
            problem,
            GD(lr=_per_step(learning_rate(problem, method, loss, l2), L)),
            rounds=result.round * L,
            record=result.history["round"] * L,
            loss=loss,
            l2=l2,
            reference=reference,
            measures=measures,
            dtype=dtype,
            threads=threads,
            memory_limit=memory_limit,
            keep_weights=True,
            progress=progress or False,
        )
    pooled = dict(zip(gd.history["round"].tolist(), _recorded(gd), strict=True))
    angles = {
        k: angle(w, pooled[k * L])
        for k, w in zip(result.history["round"].tolist(), _recorded(result), strict=True)
        if w.any() and k * L in pooled
    }
    return _in_rounds(gd, L, result.config["method"]), angles


def _recorded(result: Run) -> np.ndarray:
    assert result.recorded_weights is not None, "runs to compare keep their weights"
    return result.recorded_weights


def _in_rounds(gd: Run, local_steps: int, method: dict[str, Any]) -> Run:
    """The same run in rounds of L steps; a record between two rounds is left out."""
    whole = gd.history["round"] % local_steps == 0
    history = {name: column[whole] for name, column in gd.history.items()}
    history["round"] = history["round"] // local_steps
    # Of the method, plots take the learning rate and the steps per round.
    return dataclasses.replace(gd, history=history, config={**gd.config, "method": method})


def _per_step(lr: Schedule, local_steps: int) -> Schedule:
    """The learning rate of GD's steps: that of the round in which the clients take as many.

    A rule that sees the state is that of GD's own, on all rows.
    """
    if isinstance(lr, RiskAdapted):
        return dataclasses.replace(lr, own=False)
    return (lambda step: lr(step // local_steps)) if callable(lr) else lr
