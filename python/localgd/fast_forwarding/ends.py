"""The records of runs that end among their exact rounds, or come to rest there."""

from __future__ import annotations

from typing import Any

import numpy as np

from .job import Forwarded, Job

__all__ = ["ended", "standing_still"]


def ended(
    job: Job,
    session: Any,
    status: str,
    error: np.ndarray,
    *,
    coefficients: np.ndarray | None,
    engine: str = "gram",
) -> Forwarded:
    """A run that ended among its exact rounds, recorded there; ``error`` of each record."""
    history = dict(session.history())
    kept = np.isin(history["round"], job.prepared.records) | (history["round"] == session.round)
    message = "" if status == "completed" else f"{status} after round {session.round:,}"
    if status == "diverged":
        message += (
            ": an iterate overflowed; use a smaller lr, or divide the rows by their largest norm"
        )
    return Forwarded(
        history={name: column[kept] for name, column in history.items()},
        coefficients=coefficients,
        error=error[kept],
        about={"exact_rounds": session.round, "evaluations": 0, "how": "exact rounds"},
        status=status,
        message=message,
        engine=engine,
    )


def standing_still(
    job: Job,
    session: Any,
    error: float,
    *,
    coefficients: np.ndarray | None,
    evaluations: int = 0,
    engine: str = "gram",
) -> Forwarded:
    """The model does not move any more: every later record is that of the fixed point."""
    records, exact = job.prepared.records, session.round
    session.record_now()
    history = dict(session.history())
    wanted, late = np.isin(history["round"], records), records[records > exact]
    history = {
        name: np.concatenate([column[wanted], np.repeat(column[-1:], len(late), axis=0)])
        for name, column in history.items()
    }
    history["round"] = np.concatenate([records[records <= exact], late])
    return Forwarded(
        history=history,
        coefficients=coefficients,
        error=np.where(history["round"] > exact, error, 0.0),
        about={"exact_rounds": exact, "evaluations": evaluations, "how": "fixed point"},
        engine=engine,
    )
