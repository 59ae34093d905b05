"""Runs that are too long to be taken round by round."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arguments import DTYPES, MAX_ROUNDS
from ..engines import plans
from ..errors import UnsupportedError
from ..fast_forwarding import fast_forward
from ..fast_forwarding.refusals import check_contracting, check_smooth
from ..methods import Method
from ..problem import Problem
from ..recording import log_spaced
from ..result import Run
from ..theory import learning_rate
from . import chosen_method
from .report import round_text
from .rows import Prepared
from .screen import Screen
from .settings import Settings
from .target import Target

__all__ = ["about_forwarding", "forwarded_run", "is_forwarded"]

PATIENCE = 3600.0  # seconds that round by round may take by the engine's estimate


def is_forwarded(settings: Settings, problem: Problem, method: Method) -> bool:
    """Whether to fast-forward: round by round would take hours, and the method is smooth.

    A run of more rounds than can be counted is fast-forwarded or refused. A checkpoint, a number at
    which to stop, or an engine or dtype asked for, means that rounds are to be taken one by one.
    """
    loss = str(settings.loss)
    if settings.rounds <= MAX_ROUNDS:
        if float(settings.l2) > 0:  # which may need more rounds than fast_forward takes
            return False
        by_hand = settings.engine != "auto" or settings.dtype != "float64"
        if (
            by_hand
            or settings.checkpoint
            or settings.stop
            or _seconds(settings, problem, method) < PATIENCE
        ):
            return False
    elif settings.stop:
        raise ValueError(
            f"stop: got {settings.stop!r} with {round_text(settings.rounds)} rounds, most of which "
            f"are skipped; want at most {MAX_ROUNDS:,} rounds"
        )
    l2 = float(settings.l2)
    check = check_contracting if l2 > 0 else check_smooth
    try:
        check(problem, method, loss, learning_rate(problem, method, loss, l2))
    except UnsupportedError:
        if settings.rounds > MAX_ROUNDS:
            raise
        return False
    return True


def _seconds(settings: Settings, problem: Problem, method: Method) -> float:
    """What the rounds take, by the estimate of the best engine."""
    options = {"loss": str(settings.loss), "itemsize": DTYPES[str(settings.dtype)]}
    costs = plans(problem, method, settings.rounds, **options).values()
    return min(p.seconds(settings.rounds) for p in costs if not p.unable)


def arguments(prepared: Prepared, target: Target) -> dict[str, Any]:
    """What :func:`localgd.run` and :func:`localgd.fast_forward` are given alike."""
    settings = prepared.settings
    return {
        "rounds": settings.rounds,
        "loss": str(settings.loss),
        "l2": settings.l2,
        "threads": settings.threads,
        "seed": settings.seed,
        "record": log_spaced(per_decade=settings.records_per_decade),
        "reference": target.solution,
        "test": prepared.test,
        "measures": target.measures,
        "memory_limit": settings.memory_limit,
    }


def forwarded_run(prepared: Prepared, method: Method, target: Target, screen: Screen) -> Run:
    """The run by :func:`localgd.fast_forward`."""
    settings = prepared.settings
    decades = math.log10(max(settings.rounds, 10))
    name = chosen_method.title(settings).partition(",")[0]
    with screen.progress(name, math.ceil(decades), "decades") as update:
        return fast_forward(
            prepared.problem,
            method,
            **arguments(prepared, target),
            progress=False if update is None else lambda k: update(int(math.log10(max(k, 1)))),
        )


def about_forwarding(run: Run) -> str:
    """How it was done, in a line."""
    about = run.config["fast_forward"]
    worst = float(np.nanmax(run.history["error"]))
    return (
        f"fast-forward to round {round_text(run.round)}: {about['exact_rounds']:,} exact rounds, "
        f"then {about['how']}, {about['evaluations']:,} rounds evaluated, {run.elapsed:.1f} s; "
        f"relative error of the weights at most {worst:.0e}"
    )
