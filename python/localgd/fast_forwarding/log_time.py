"""The exact start, the flow in log k, and its error estimate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import DivergedError, NotSeparableError, UnsupportedError
from ..losses import loss_with_tail
from ..progress import progress_report
from ..recording import log_spaced, record_rounds
from ..servers import Anchored
from ..simulation import infinite_start, start_is_finite
from .ends import ended, standing_still
from .flow import Flow
from .integrate import GROWTH, trajectory
from .job import Forwarded, Job
from .series import MOST_TERMS, Series
from .stability import doubtful, first_unstable
from .start import Settled, advance, exact_start

__all__ = ["log_time_run"]

FINER = 0.5  # the integrator's tolerance in units of rtol: errors add up over the decades
LOOSEST, FINEST = 3e-4, 1e-12  # tolerances of the integrator
COARSER = 30.0  # and that of the run that gives the error estimate, in units of the fine one
LEAST_SCALE = (
    2.0  # of the series: what changes slowly at first, as with small rates, may do so late
)
NOT_AMPLIFIED = 1e-11  # relative difference of two exact runs that is but rounding
SPREAD = 3.0  # of what such runs show, in what other rounding errors may lead to
CHANCE = 1e-3  # error by rounding, of a run that was smooth at first, that is no result
SAME = 1e12  # round, from which on the next is the same to rounding in the drift
DENSELY = 4.0  # decades in which the path is looked at most
EPS = float(np.finfo(np.float64).eps)
OFF = 32 * EPS  # by which two runs are off that tell what rounding errors lead to
TINY = float(np.finfo(np.float64).tiny)


def log_time_run(job: Job) -> Forwarded:
    """Exact rounds until the differences fall smoothly, then the flow."""
    prepared = job.prepared
    separable = _separable(job)
    if separable:
        loss_with_tail(prepared.loss, prepared.problem, "the flow on separable rows depends")
    if not separable and isinstance(prepared.method.server, Anchored):
        raise UnsupportedError(
            f"method: {prepared.method!r} cannot be fast-forwarded on rows that are not separable: "
            "the anchor's share of the model falls like 1/rounds, which run shows step by step"
        )
    most = int(min(job.max_exact_rounds, prepared.rounds))
    session = job.session(np.unique(np.append(prepared.records[prepared.records <= most], 0)))
    gram = job.rows @ job.rows.T
    flow = Flow(
        session,
        prepared.problem,
        prepared.method,
        prepared.loss,
        prepared.lr,
        job.rows @ prepared.init,
        gram,
    )
    decades = math.log10(max(prepared.rounds, 10))
    with progress_report(prepared.progress, decades, unit="decades") as show:
        report = _reporter(job, show)
        left = 0.0  # the round in which real rounds left a smooth path
        while True:
            status, settled = exact_start(job, session, flow, most, separable, report)
            exact = session.round
            if settled is None:
                return _stopped(job, session, flow, status, left)
            late = prepared.records[prepared.records > exact]
            a = session.coefficients()
            if settled.fixed:
                return standing_still(
                    job, session, settled.left, coefficients=a, evaluations=flow.evaluations
                )
            before = exact, session.participations, session.drift, session.state()
            found = _accurate(job, flow, settled, exact, a, late, report)
            session.restore(*before)
            if found.unstable is None:
                break
            # What real rounds do there, only real rounds show.
            left = found.unstable
            status = _past(job, session, found.unstable, most, report)
            if status != "completed":
                return _stopped(job, session, flow, status, left)
    fine, late = found.fine, late[: len(found.fine)]
    if not len(fine):  # interrupted at once
        return _stopped(job, session, flow, "interrupted")
    count = len(session.history()["round"])
    rounding = _of_rounding(job, session, flow)
    _check_chance(left, rounding)
    flow.record(count, late, fine)
    rounds = np.concatenate([prepared.records[prepared.records <= exact], late])
    history = {**session.history(), "round": rounds}
    _set_drift(flow, found, late, history["drift"][count:])
    interrupted = rounds[-1] < prepared.records[-1]
    errors = _relative(history["weights"][count:], found.errors, max(found.least, rounding[-1]))
    return Forwarded(
        history=history,
        coefficients=fine[-1].reshape(a.shape, order="F"),
        error=np.concatenate([rounding, errors]),
        about={
            "exact_rounds": exact,
            "evaluations": flow.evaluations,
            "local_steps": _local_steps(found.series, session, late[-1]),
            "how": "log k",
        },
        status="interrupted" if interrupted else "completed",
        message=f"interrupted after round {rounds[-1]:.6g}" if interrupted else "",
    )


def _accurate(
    job: Job,
    flow: Flow,
    settled: Settled,
    exact: int,
    a: np.ndarray,
    late: np.ndarray,
    report: Callable[[float], object],
) -> _Path:
    """The path, with a finer tolerance where a loose one loses it: margins are exponents."""
    scale = max(settled.ratio * exact, LEAST_SCALE)
    within = max(GROWTH * settled.within * exact, scale)
    rtol = min(FINER * job.rtol, LOOSEST)
    while True:
        series = Series(scale, rtol, within=within, lag=flow.lag)
        try:
            path = _integrate(job, flow, series, exact, a, late, report)
            if np.isfinite(path.errors).all():
                return path
            problem: Exception = DivergedError("the integration in log k overflows", None)
        except (DivergedError, _CoarseError) as error:
            problem = error
        rtol /= COARSER
        if rtol < FINEST:
            raise UnsupportedError(
                f"rounds: {problem}; the rounds follow no flow that can be integrated to the rtol "
                f"asked for ({job.rtol:g}); use a smaller lr, or run"
            ) from problem


def _past(
    job: Job, session: Any, unstable: float, most: int, report: Callable[[float], object]
) -> str:
    """Exact rounds to where the smooth path is unstable."""
    if unstable >= most and job.prepared.rounds > most:
        raise UnsupportedError(
            f"rounds: near round {unstable:.3g} the rounds become unstable (what one changes, the "
            "next overshoots by more), so that from there on they follow no smooth flow; want "
            f"fewer rounds, a smaller lr, or max_exact_rounds above that (now {most:,})"
        )
    return advance(job, session, min(math.ceil(unstable) + 1, most), report)


class _CoarseError(ArithmeticError):
    """The coarser integration, by which the error is estimated, fails."""


@dataclass(frozen=True)
class _Path:
    """The coefficients at the late records and a round before them, and how far to trust them.

    ``errors`` are absolute, of w; ``least`` is relative to w. ``unstable`` is the round from which
    on real rounds leave the path, if there is one.
    """

    fine: np.ndarray
    before: np.ndarray
    errors: np.ndarray
    least: float
    series: Series
    unstable: float | None = None


def _integrate(
    job: Job,
    flow: Flow,
    series: Series,
    exact: int,
    a: np.ndarray,
    late: np.ndarray,
    report: Callable[[float], object],
) -> _Path:
    """The coefficients at the late records, and an estimate of their error.

    It is the difference to a coarser integration, the largest within a decade of rounds: two
    solutions cross now and then.
    """
    start, rtol, flow.loose = a.ravel(order="F"), series.tolerance, 0.0
    grid = np.unique(np.concatenate([late, _before(late), _between(exact, float(late[-1]))]))
    way = trajectory(flow, series, exact, start, grid, rtol=rtol, report=report)
    fine, series = way.coefficients, way.series
    grid = grid[: len(fine)]
    chosen = np.isin(grid, late)
    least = max(rtol, way.unsteady, flow.loose)
    if not chosen.any():
        return _Path(fine[:0], fine[:0], np.zeros(0), least, series)
    unstable = first_unstable(flow, series, grid, fine)
    if unstable is not None:
        return _Path(fine[:0], fine[:0], np.zeros(0), least, series, unstable)
    rough = replace(series, tolerance=COARSER * series.tolerance, most=MOST_TERMS - 1)
    try:
        coarse = trajectory(
            flow, rough, exact, start, grid, rtol=COARSER * rtol, report=lambda k: None
        ).coefficients
    except UnsupportedError as error:
        raise _CoarseError(str(error)) from error
    gaps = np.full(len(fine), np.nan)
    gaps[: len(coarse)] = _norms(fine[: len(coarse)] - coarse, flow.gram, a.shape[1])
    x = np.log10(grid)
    errors = np.array([gaps[np.abs(x - here) <= 1.0].max() for here in x[chosen]])
    before = fine[np.isin(grid, _before(grid[chosen]))]
    return _Path(fine[chosen], before, errors, least, series)


def _set_drift(flow: Flow, found: _Path, rounds: np.ndarray, drift: np.ndarray) -> None:
    """Drift of the rounds that lead to some models.

    What the core has recorded is that of the rounds after them, for margins that stand still.
    """
    before = _before(rounds)
    for j, (k, a) in enumerate(zip(before, found.before, strict=True)):
        if k < rounds[j] or flow.has_memory or not found.series.frozen(k):
            drift[j] = flow.drift(k, a, found.series)


def _before(rounds: np.ndarray) -> np.ndarray:
    """The rounds that lead to some models; late ones are as good as their successors."""
    before: np.ndarray = np.where(rounds < SAME, rounds - 1, rounds)
    return before


def _of_rounding(job: Job, session: Any, flow: Flow) -> np.ndarray:
    """What rounding errors make of exact rounds, relative to w at the records of a session.

    Estimated by two runs, with learning rates and a start that are off by somewhat more than
    rounding errors, to either side: of a run that comes to jump to and fro, one of them jumps the
    other way. They continue for as long as steps may make a difference larger.
    """
    history = session.history()
    weights, rounds = history["weights"], np.asarray(history["round"])
    margins = job.rows @ weights.reshape(len(weights), *job.prepared.init.shape)
    chosen = np.flatnonzero(doubtful(flow, rounds, margins))
    error = np.zeros(len(weights))
    if not len(chosen):
        return error
    followed = rounds[: chosen[-1] + 2]
    norms = np.maximum(np.linalg.norm(weights, axis=1), TINY)
    for off in (OFF, -OFF):
        twin = job.session(followed, off * float(norms.max()))
        advance(job, twin, int(followed[-1]), lambda k: None, off=off)
        beside = twin.history()["weights"]
        gaps = np.full(len(weights), np.inf)
        gaps[: len(beside)] = np.linalg.norm(beside - weights[: len(beside)], axis=1)
        if len(beside) == len(followed):
            gaps[len(beside) :] = gaps[len(beside) - 1]
        error = np.fmax(error, gaps / norms)
    error = np.where(error < NOT_AMPLIFIED, 0.0, SPREAD * error)
    error[rounds == 0] = 0.0
    return error


def _between(exact: int, last: float) -> np.ndarray:
    """Rounds at which the path is looked at beside the records: more of them at its beginning."""
    early = np.floor(exact * 10 ** np.arange(0.05, DENSELY, 0.05))
    usual = record_rounds(log_spaced(per_decade=5), last)
    both = np.union1d(early, usual)
    return both[(both > exact) & (both < last)]


def _norms(a: np.ndarray, gram: np.ndarray, classes: int) -> np.ndarray:
    """‖Aᵀa‖ of every row of coefficients, column by column."""
    blocks = a.reshape(len(a), classes, len(gram))
    # Squares of small numbers are none.
    scales = np.maximum(np.abs(blocks).max(axis=(1, 2), keepdims=True), TINY)
    blocks = blocks / scales
    squares = ((blocks @ gram) * blocks).sum(axis=(1, 2))
    norms: np.ndarray = scales[:, 0, 0] * np.sqrt(np.maximum(squares, 0.0))
    return norms


def _relative(weights: np.ndarray, errors: np.ndarray, least: float) -> np.ndarray:
    """Errors of w relative to its norm; nothing below the integrator's tolerance is claimed."""
    flat = weights.reshape(len(weights), -1)
    scales = np.maximum(np.abs(flat).max(axis=1), TINY)
    norms = np.linalg.norm(flat / scales[:, None], axis=1)
    relative: np.ndarray = np.maximum(errors / scales / norms, least)
    return relative


def _local_steps(series: Series, session: Any, last: float) -> str:
    """Which of the rounds evaluated took their local steps one by one."""
    taken = "all of them in every round evaluated"
    ladders = session.ladders
    if ladders is not None:
        taken = (
            f"all of them in {ladders['others']:,} of the rounds evaluated, extrapolated from at "
            f"most {ladders['most_steps']} in {ladders['rounds']:,}"
        )
    first = series.frozen_from
    if last < first:
        return taken
    return f"{taken}; after round {first:.0e} margins stand still within a round"


def _separable(job: Job) -> bool:
    """Whether all rows are separable; refuses rows of which only a part is."""
    from .. import reference

    if job.separable:
        return True
    problem = job.prepared.problem
    if problem.task == "multiclass":
        try:
            reference.max_margin(problem)
        except NotSeparableError:
            return False
        return True
    found = reference.separability(problem)
    if not found.separable and len(found.subset):
        raise UnsupportedError(
            f"problem: {len(found.subset)} of {problem.n_samples} rows are separable with the "
            "others on the boundary: one part of the model diverges while another stands still, "
            "which has no smooth flow here; use run, and reference.limits for both limits"
        )
    return bool(found.separable)


def _reporter(job: Job, show: Callable[[Any], object] | None) -> Callable[[float], object]:
    """Report rounds to a callable of the user, decades to a bar."""
    if show is None:
        return lambda k: None
    if callable(job.prepared.progress):
        return show
    return lambda k: show(math.log10(max(k, 1)))


def _check_chance(left: float, rounding: np.ndarray) -> None:
    """Refuses rounds that left a smooth path for one that rounding errors choose."""
    if left > 0 and rounding[-1] > CHANCE:
        raise UnsupportedError(
            f"rounds: near round {left:.3g} the rounds become unstable, and rounding errors decide "
            f"where they go (by {rounding[-1]:.1g} of the model): no result is right to the rtol "
            "asked for; want fewer rounds or a smaller lr, or see with run where one of them goes"
        )


def _stopped(job: Job, session: Any, flow: Flow, status: str, left: float = 0.0) -> Forwarded:
    """A run that ended among its exact rounds."""
    prepared = job.prepared
    if not start_is_finite(session):
        raise infinite_start(prepared.loss)
    session.record_now()
    error = np.zeros(len(session.history()["round"]))
    if status != "diverged":
        error = _of_rounding(job, session, flow)
    if status == "completed":
        _check_chance(left, error)
    return ended(job, session, status, error, coefficients=session.coefficients())
