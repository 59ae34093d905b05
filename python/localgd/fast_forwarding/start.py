"""The exact rounds at the beginning: as many as the flow needs to be smooth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DivergedError, UnsupportedError
from ..schedules import TwoStage, rates
from .flow import Flow
from .job import Job
from .series import MOST_TERMS, Series, series_terms

__all__ = ["Settled", "exact_start"]

FIRST = 256  # exact rounds before the first look: they cost less than the integrator there
FEWEST = 64  # the same where local steps are many
MANY = 16  # local steps: exact rounds at the beginning, where they are taken one by one, are dear
CHUNK = 2**14  # rounds whose learning rates are prepared together


@dataclass(frozen=True)
class Settled:
    """What the differences at a round say of the run there.

    Attributes
    ----------
    ratio : float
        Relative change of the increments from one round to the next; of the margins if the rows
        are not separable.
    left : float
        The first term of the series that is left out, relative to the first; or what the server's
        momentum or the control variates still remember of the beginning, relative to the model.
    within : float
        Relative change of an increment if margins stood still within its round.
    smooth : bool
        Whether the series converges to the tolerance.
    fixed : bool
        Whether the model stands still.
    """

    ratio: float
    left: float = 0.0
    within: float = 0.0
    smooth: bool = False
    fixed: bool = False


def exact_start(
    job: Job,
    session: Any,
    flow: Flow,
    most: int,
    separable: bool,
    tell: Callable[[float], object],
) -> tuple[str, Settled | None]:
    """Exact rounds until the flow is smooth, or the model stands still; the status."""
    many = job.method.rule.core_steps(job.problem.n_clients).min() >= MANY
    target = min(FEWEST if many else FIRST, most)
    while True:
        status = _advance(job, session, target, tell)
        if status != "completed" or session.round >= job.rounds:
            return status, None
        if not separable:
            status, settled = _rest(job, session, tell)
            if status != "completed" or session.round >= job.rounds:
                return status, None
        else:
            with np.errstate(over="ignore", invalid="ignore"):  # of a memory far from settled
                settled = _look(flow, session.round, session.coefficients(), job.rtol / 100)
        past = not isinstance(job.lr, TwoStage) or session.round > job.lr.switch_round
        if past and (settled.fixed or settled.smooth):
            return status, settled
        if session.round >= most:
            raise UnsupportedError(_unsettled(job, session.round, settled, separable))
        target = min(2 * target, most)


def _advance(job: Job, session: Any, target: int, tell: Callable[[float], object]) -> str:
    shares = job.problem.weights[None, :]
    try:
        while True:
            until = min(target, session.round + CHUNK) if callable(job.lr) else target
            lrs = rates(job.lr, session.round, until) or [1.0]
            status = session.advance(until, lrs, shares, tell)
            if status != "completed" or session.round >= target:
                return str(status)
    except KeyboardInterrupt:
        return "interrupted"


def _look(flow: Flow, k: int, a: np.ndarray, tolerance: float) -> Settled:
    """The forward differences from round k on; the session is left as it was."""
    session = flow.session
    saved = session.round, session.participations, session.drift, session.state()
    column, every = a.ravel(order="F"), Series(float(k), tolerance, within=float(k))
    try:
        increments = flow.increments(float(k), column, MOST_TERMS + 1, every)
        memory = flow.unsettled(float(k), column, MOST_TERMS, every, saved[-1])
        within = flow.within(float(k), column, every)
    except DivergedError:  # of the memory that was looked for: the run itself is finite
        return Settled(np.inf, np.inf)
    finally:
        session.restore(*saved)
    sizes = np.abs(series_terms(increments)).max(axis=1)
    terms = sizes / max(sizes[0], np.finfo(np.float64).tiny)
    falls = bool((terms[1:4] < 0.5 * terms[:3]).all())
    left = max(float(terms[MOST_TERMS]), memory / np.abs(a).max())
    return Settled(2 * float(terms[1]), left, within, smooth=falls and left < tolerance)


def _rest(job: Job, session: Any, tell: Callable[[float], object]) -> tuple[str, Settled]:
    """One more round, and whether it moved the margins by more than rounding.

    Coefficients of rows that are not separable grow for ever while the model stands still.
    """
    before = session.state()["margins"]
    status = _advance(job, session, session.round + 1, tell)
    after = session.state()["margins"]
    moved = float(np.abs(after - before).max())
    size = float(np.abs(after).max())
    fixed = moved <= 8 * np.finfo(np.float64).eps * size
    return status, Settled(moved / max(size, np.finfo(np.float64).tiny), fixed=fixed)


def _unsettled(job: Job, k: int, settled: Settled, separable: bool) -> str:
    most = job.max_exact_rounds
    if isinstance(job.lr, TwoStage) and k <= job.lr.switch_round:
        return (
            f"rounds: after {k:,} exact rounds the learning rate has not changed yet; want "
            f"max_exact_rounds above its switch_round {job.lr.switch_round:,} (now {most:,})"
        )
    if not separable:
        return (
            f"rounds: after {k:,} exact rounds the model still moves, by {settled.ratio:.2g} "
            "relative per round, towards the minimiser of rows that are not separable; raise "
            f"max_exact_rounds (now {most:,})"
        )
    return (
        f"rounds: after {k:,} exact rounds the increments of the rounds still do not change "
        f"smoothly (relative change {settled.ratio:.2g} from one round to the next, what a series "
        f"leaves out {settled.left:.1g}): the run is unstable or slow to settle; use a smaller "
        f"lr, or raise max_exact_rounds (now {most:,})"
    )
