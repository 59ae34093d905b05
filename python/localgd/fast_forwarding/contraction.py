"""With λ: exact rounds until the model is at rest, where it stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import UnsupportedError
from ..progress import progress_report
from ..schedules import TwoStage
from ..simulation import infinite_start, make_simulation, start_is_finite
from .ends import ended, standing_still
from .job import Forwarded, Job
from .start import advance

__all__ = ["contraction_run"]

FIRST = 64  # rounds before the first look; each look is twice as late
BLOCK = 16  # rounds between two models that are compared
EPS = float(np.finfo(np.float64).eps)


def contraction_run(job: Job) -> Forwarded:
    """The records of a run with λ, which goes to its fixed point like ``ρ^k``.

    Three models tell how far it is: where the last step of some rounds is q times the one before
    it, ``‖w_k - w_∞‖ ≤ q/(1 - q)`` times that step. It is at rest where that is ``rtol`` or
    rounding.
    """
    prepared = job.prepared
    most = int(min(job.max_exact_rounds, prepared.rounds))
    records = prepared.records[prepared.records <= most]
    early = replace(prepared, keep_weights=True, records=np.union1d(records, [0]).astype(np.int64))
    engine = prepared.plan("auto").engine
    session = make_simulation([early], engine, job.threads)
    first = prepared.lr.switch_round if isinstance(prepared.lr, TwoStage) else 0
    left, status = float("inf"), "completed"
    with progress_report(prepared.progress, most) as show:
        report: Callable[[float], object] = show or (lambda k: None)
        target = min(max(FIRST, first + FIRST), most)
        while True:
            left, status = _distance(job, session, target, report)
            if status != "completed" or left <= job.rtol or session.round >= prepared.rounds:
                break
            if session.round >= most:
                raise UnsupportedError(
                    f"rounds: after {session.round:,} exact rounds the model is still "
                    f"{left:.1g} of its norm away from its fixed point; want max_exact_rounds "
                    f"above that, a larger lr or l2, or rounds up to {session.round:,}"
                )
            target = min(2 * target, most)
    if not start_is_finite(session):
        raise infinite_start(prepared.loss)
    if status == "completed" and session.round < prepared.rounds:
        return standing_still(job, session, left, coefficients=None, engine=engine)
    session.record_now()
    error = np.zeros(len(session.history()["round"]))
    return ended(job, session, status, error, coefficients=None, engine=engine)


def _distance(
    job: Job, session: Any, target: int, report: Callable[[float], object]
) -> tuple[float, str]:
    """How far the model is from rest at a round, relative to its norm; the status."""
    models = []
    for rounds in (target - 2 * BLOCK, target - BLOCK, target):
        status = advance(job, session, max(rounds, session.round), report)
        if status != "completed":
            return float("inf"), status
        models.append(session.weights())
    steps = np.linalg.norm(np.diff(models, axis=0).reshape(2, -1), axis=1)
    norm = float(np.linalg.norm(models[-1]))
    rounding = 64 * EPS * norm
    if steps[1] <= rounding:
        return EPS, status
    if not steps[1] < steps[0]:
        return float("inf"), status
    q = steps[1] / steps[0]
    return float(max(steps[1] * q / (1 - q), rounding)) / norm, status
