"""The exact rounds at the beginning: as many as the flow needs to be smooth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DivergedError, UnsupportedError
from ..schedules import TwoStage, rates
from ..servers import Anchored
from .flow import Flow
from .job import Job
from .rest import distance_to_rest
from .series import MOST_TERMS, Series, series_terms
from .stability import first_unstable

__all__ = ["Settled", "advance", "exact_start"]

FIRST = 256  # exact rounds before the first look: they cost less than the integrator there
FEWEST = 64  # the same where local steps are many
MANY = 16  # local steps: exact rounds at the beginning, where they are taken one by one, are dear
LOOKS = 16  # rounds, within which what is stirred up by margins that are made anew has faded
REST = 64 * float(np.finfo(np.float64).eps)  # error of a model at rest, per round that led there
CHUNK = 2**14  # rounds whose learning rates are prepared together
EPS = float(np.finfo(np.float64).eps)
TINY = float(np.finfo(np.float64).tiny)


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
        momentum or the control variates still remember of the beginning, relative to the model. How
        far the model is from its limit, if the rows are not separable.
    within : float
        Relative change of an increment if margins stood still within its round.
    smooth : bool
        Whether the series converges to the tolerance, or to rounding.
    overshoots : bool
        Whether small perturbations grow from round to round: the run is unstable.
    fixed : bool
        Whether the model stands still.
    """

    ratio: float
    left: float = 0.0
    within: float = 0.0
    smooth: bool = False
    overshoots: bool = False
    fixed: bool = False


def exact_start(
    job: Job,
    session: Any,
    flow: Flow,
    most: int,
    separable: bool,
    report: Callable[[float], object],
) -> tuple[str, Settled | None]:
    """Exact rounds until the flow is smooth, or the model stands still; the status."""
    prepared = job.prepared
    many = prepared.method.rule.core_steps(prepared.problem.n_clients).min() >= MANY
    target = max(session.round, min(FEWEST if many else FIRST, most))
    while True:
        status = advance(job, session, target, report)
        if status != "completed" or session.round >= prepared.rounds:
            return status, None
        if not separable:
            status, settled = _rest(job, flow, report)
            if status != "completed" or session.round >= prepared.rounds:
                return status, None
        else:
            with np.errstate(over="ignore", invalid="ignore"):  # of a memory far from settled
                settled = _look(flow, session.round, session.coefficients(), job.rtol / 100)
        past = not isinstance(prepared.lr, TwoStage) or session.round > prepared.lr.switch_round
        if past and (settled.fixed or settled.smooth):
            return status, settled
        if session.round >= most:
            raise UnsupportedError(_unsettled(job, session.round, settled, separable))
        target = min(2 * target, most)


def advance(
    job: Job, session: Any, target: int, report: Callable[[float], object], off: float = 0.0
) -> str:
    """Exact rounds until a round, at learning rates that are off by so much; the status."""
    prepared = job.prepared
    shares = prepared.problem.weights[None, :]
    signs = np.random.default_rng(0)
    try:
        while True:
            chunks = callable(prepared.lr) or off != 0
            until = min(target, session.round + CHUNK) if chunks else target
            lrs = rates(prepared.lr, session.round, until) or [1.0]
            if off != 0:
                lrs = lrs * (1 + off * signs.choice([-1, 1], max(until - session.round, 1)))
            status = session.advance(until, lrs, shares, report)
            if status != "completed" or session.round >= target:
                return str(status)
    except KeyboardInterrupt:
        return "interrupted"


def _look(flow: Flow, k: int, a: np.ndarray, tolerance: float) -> Settled:
    """The forward differences from round k on; the session is left as it was."""
    session = flow.session
    saved = session.round, session.participations, session.drift, session.state()
    try:
        return _differences(flow, float(k), a.ravel(order="F"), tolerance, saved[-1])
    except DivergedError:  # of the memory that was looked for: the run itself is finite
        return Settled(np.inf, np.inf, overshoots=True)
    finally:
        session.restore(*saved)


def _differences(
    flow: Flow, k: float, a: np.ndarray, tolerance: float, state: Mapping[str, np.ndarray]
) -> Settled:
    every = Series(k, tolerance, within=k)
    increments = flow.increments(k, a, MOST_TERMS + 1, every)
    memory = flow.unsettled(k, a, MOST_TERMS, every, state)
    within = flow.within(k, a, every)
    sizes = np.abs(series_terms(increments)).max(axis=1)
    terms = sizes / max(sizes[0], TINY)
    road = float(np.abs(a).max()) / max(sizes[0], TINY)
    rounding = _rounding(flow, k, state["margins"], road, memory / flow.lag / max(sizes[0], TINY))
    falls = bool((terms[1:4] < np.maximum(0.5 * terms[:3], rounding[1:4])).all())
    remembered = memory / max(float(np.abs(a).max()), TINY)
    left = max(float(terms[MOST_TERMS]), remembered)
    settled = terms[MOST_TERMS] < max(tolerance, rounding[MOST_TERMS]) and remembered < tolerance
    smooth = falls and settled
    overshoots = not falls
    if smooth:
        overshoots = first_unstable(flow, every, np.array([k]), a[None]) is not None
    return Settled(2 * float(terms[1]), left, within, bool(smooth and not overshoots), overshoots)


def _rounding(flow: Flow, k: float, margins: np.ndarray, road: float, memory: float) -> np.ndarray:
    """Rounding errors in the terms of the series, relative to the first.

    ``road`` is the size of the coefficients in units of an increment, ``memory`` in the same units
    what is not known of the memory.
    """
    of_one = 4 * EPS * (1 + float(np.abs(margins).max())) + memory
    if isinstance(flow.method.server, Anchored):  # an increment is what the anchor leaves
        of_one += 4 * EPS * road / k
    terms = np.arange(MOST_TERMS + 1)
    return np.minimum(of_one, 1e-6) * 2.0**terms / (terms + 1)


def _rest(job: Job, flow: Flow, report: Callable[[float], object]) -> tuple[str, Settled]:
    """Further rounds, and whether one of them moved the margins by no more than rounding.

    Coefficients of rows that are not separable grow for ever while the model stands still, so that
    the core puts margins back to ``A w`` now and then, which stirs them up for some rounds.
    """
    prepared = job.prepared
    session = flow.session
    for _ in range(LOOKS):
        before = session.state()["margins"]
        status = advance(job, session, session.round + 1, report)
        after = session.state()["margins"]
        moved, size = float(np.abs(after - before).max()), float(np.abs(after).max())
        if moved <= 8 * EPS * size or status != "completed" or session.round >= prepared.rounds:
            break
    ratio, k = moved / max(size, TINY), session.round
    if moved > 8 * EPS * size:
        return status, Settled(ratio)
    saved = k, session.participations, session.drift, session.state()
    a, w = session.coefficients(), session.weights()
    left = distance_to_rest(flow, float(k), a.ravel(order="F"), job.rows, w)
    session.restore(*saved)
    left = max(REST * k, 0.0 if np.isnan(left) else left)
    return status, Settled(ratio, left, fixed=left <= max(job.rtol, REST * k))


def _unsettled(job: Job, k: int, settled: Settled, separable: bool) -> str:
    prepared = job.prepared
    most = job.max_exact_rounds
    if isinstance(prepared.lr, TwoStage) and k <= prepared.lr.switch_round:
        return (
            f"rounds: after {k:,} exact rounds the learning rate has not changed yet; want "
            f"max_exact_rounds above its switch_round {prepared.lr.switch_round:,} (now {most:,})"
        )
    if not separable:
        return (
            f"rounds: after {k:,} exact rounds the model still moves, by {settled.ratio:.2g} "
            f"relative per round{_distance(settled)}, towards the minimiser of rows that are not "
            f"separable; raise max_exact_rounds (now {most:,}) or lr, or see reference.minimizer"
        )
    return (
        f"rounds: after {k:,} exact rounds the increments of the rounds still do not change "
        f"smoothly (relative change {settled.ratio:.2g} from one round to the next, what a series "
        f"leaves out {settled.left:.1g}): the run is unstable or slow to settle; use a smaller "
        f"lr, or raise max_exact_rounds (now {most:,})"
    )


def _distance(settled: Settled) -> str:
    return f", with {settled.left:.2g} relative to go" if settled.left > 0 else ""
