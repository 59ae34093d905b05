"""The exact start, the flow in log k, and its error estimate."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import NotSeparableError, UnsupportedError
from ..progress import progress_report
from ..recording import far_rounds, log_spaced
from ..servers import Anchored
from .flow import Flow
from .integrate import trajectory
from .job import Found, Job
from .series import MOST_TERMS, Series
from .start import exact_start

__all__ = ["log_time_run"]

FINER = 0.5  # the integrator's tolerance in units of rtol: errors add up over the decades
COARSER = 30.0  # and that of the run that gives the error estimate, in units of the fine one
GROWTH = 4.0  # that is allowed to what falls like 1/k, if it falls a little more slowly
REST = 64 * float(np.finfo(np.float64).eps)  # error of a model at rest, per round that led there


def log_time_run(job: Job) -> Found:
    """Exact rounds until the differences fall smoothly, then the flow."""
    separable = _separable(job)
    if not separable and isinstance(job.method.server, Anchored):
        raise UnsupportedError(
            f"method: {job.method!r} cannot be fast-forwarded on rows that are not separable: the "
            "anchor's share of the model falls like 1/rounds, which run shows step by step"
        )
    most = int(min(job.max_exact_rounds, job.rounds))
    session, threads = job.session(np.unique(np.append(job.records[job.records <= most], 0)))
    flow = Flow(session, job.problem, job.method, job.loss, job.lr, job.rows @ job.w0)
    decades = math.log10(max(job.rounds, 10))
    with progress_report(job.progress, decades, unit="decades") as report:
        tell = _tell(job, report)
        status, settled = exact_start(job, session, flow, most, separable, tell)
        exact = session.round
        if settled is None:
            return _stopped(job, session, threads, status)
        far = job.records[job.records > exact]
        a = session.coefficients()
        if settled.fixed:
            return _standing_still(job, flow, threads, far, a)
        scale = settled.ratio * exact
        within = GROWTH * settled.within * exact * max(1.0, flow.displaced())
        series = Series(scale, FINER * job.rtol, within=max(within, scale))
        before = exact, session.participations, session.drift, session.state()
        fine, errors = _integrate(job, flow, series, exact, a, far, tell)
        if not len(fine):  # interrupted at once
            session.restore(*before)
            return _stopped(job, session, threads, "interrupted")
    count = len(session.history()["round"])
    flow.record(series, count, far[: len(fine)], fine)
    rounds = np.concatenate([job.records[job.records <= exact], far[: len(fine)]])
    history = {**session.history(), "round": rounds}
    interrupted = len(fine) < len(far)
    return Found(
        history=history,
        coefficients=fine[-1].reshape(a.shape, order="F"),
        error=np.concatenate(
            [np.zeros(count), _relative(history["weights"][count:], errors, FINER * job.rtol)]
        ),
        about={
            "exact_rounds": exact,
            "evaluations": flow.evaluations,
            "local_steps": _local_steps(series, session, far[-1]),
            "how": "log k",
        },
        threads=threads,
        status="interrupted" if interrupted else "completed",
        message=f"interrupted after round {rounds[-1]:.6g}" if interrupted else "",
    )


def _integrate(
    job: Job,
    flow: Flow,
    series: Series,
    exact: int,
    a: np.ndarray,
    far: np.ndarray,
    tell: Callable[[float], object],
) -> tuple[np.ndarray, np.ndarray]:
    """The coefficients at the far records, and an estimate of their error in w, absolute.

    It is the difference to a coarser integration, the largest within a decade of rounds: two
    solutions cross now and then.
    """
    gram = job.rows @ job.rows.T
    start = a.ravel(order="F")
    rtol = FINER * job.rtol
    between = far_rounds(log_spaced(per_decade=5), float(far[-1]))
    grid = np.union1d(far, between[between > exact])
    fine = trajectory(flow, series, exact, start, grid, rtol=rtol, gram=gram, report=tell)
    grid = grid[: len(fine)]
    chosen = np.isin(grid, far)
    if not chosen.any():
        return fine[:0], np.zeros(0)
    rough = Series(series.scale, COARSER * series.tolerance, series.within, MOST_TERMS - 1)
    coarse = trajectory(
        flow, rough, exact, start, grid, rtol=COARSER * rtol, gram=gram, report=lambda k: None
    )
    gaps = np.full(len(fine), np.nan)
    gaps[: len(coarse)] = _norms(fine[: len(coarse)] - coarse, gram, a.shape[1])
    x = np.log10(grid)
    near = np.array([gaps[np.abs(x - here) <= 1.0].max() for here in x[chosen]])
    return fine[chosen], near


def _norms(a: np.ndarray, gram: np.ndarray, classes: int) -> np.ndarray:
    """‖Aᵀa‖ of every row of coefficients, column by column."""
    blocks = a.reshape(len(a), classes, len(gram))
    squares = ((blocks @ gram) * blocks).sum(axis=(1, 2))
    norms: np.ndarray = np.sqrt(np.maximum(squares, 0.0))
    return norms


def _relative(weights: np.ndarray, errors: np.ndarray, least: float) -> np.ndarray:
    """Errors of w relative to its norm; nothing below the integrator's tolerance is claimed."""
    norms = np.linalg.norm(weights.reshape(len(weights), -1), axis=1)
    relative: np.ndarray = np.maximum(errors / norms, least)
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
    if job.problem.task == "multiclass":
        try:
            reference.max_margin(job.problem)
        except NotSeparableError:
            return False
        return True
    found = reference.separability(job.problem)
    if not found.separable and len(found.subset):
        raise UnsupportedError(
            f"problem: {len(found.subset)} of {job.problem.n_samples} rows are separable with the "
            "others on the boundary: one part of the model diverges while another stands still, "
            "which has no smooth flow here; use run, and reference.limits for both limits"
        )
    return bool(found.separable)


def _tell(job: Job, report: Callable[[Any], object] | None) -> Callable[[float], object]:
    """Report rounds to a callable of the user, decades to a bar."""
    if report is None:
        return lambda k: None
    if callable(job.progress):
        return report
    return lambda k: report(math.log10(max(k, 1)))


def _stopped(job: Job, session: Any, threads: int, status: str) -> Found:
    """A run that ended among its exact rounds."""
    if status == "diverged" and not len(session.history()["round"]):
        raise ValueError(f"init: its {job.loss} loss is not finite; start closer to 0")
    session.record_now()
    history = dict(session.history())
    kept = np.isin(history["round"], job.records) | (history["round"] == session.round)
    history = {name: column[kept] for name, column in history.items()}
    message = "" if status == "completed" else f"{status} after round {session.round:,}"
    if status == "diverged":
        message += (
            ": an iterate overflowed; use a smaller lr, or divide the rows by their largest norm"
        )
        warnings.warn(message, RuntimeWarning, stacklevel=4)
    return Found(
        history=history,
        coefficients=session.coefficients(),
        error=np.zeros(len(history["round"])),
        about={"exact_rounds": session.round, "evaluations": 0, "how": "exact rounds"},
        threads=threads,
        status=status,
        message=message,
    )


def _standing_still(job: Job, flow: Flow, threads: int, far: np.ndarray, a: np.ndarray) -> Found:
    """The model does not move any more: every later record is that of the fixed point."""
    session = flow.session
    exact = session.round
    session.record_now()
    history = dict(session.history())
    wanted = np.isin(history["round"], job.records)
    last = {name: column[-1:] for name, column in history.items()}
    history = {
        name: np.concatenate([column[wanted], np.repeat(last[name], len(far), axis=0)])
        for name, column in history.items()
    }
    history["round"] = np.concatenate([job.records[job.records <= exact], far])
    count = len(history["round"])
    return Found(
        history=history,
        coefficients=a,
        error=np.where(np.arange(count) < count - len(far), 0.0, REST * exact),
        about={"exact_rounds": exact, "evaluations": flow.evaluations, "how": "fixed point"},
        threads=threads,
    )
