"""The squared loss: any number of rounds by powers of the affine round map."""

from __future__ import annotations

import numpy as np

from ..errors import DivergedError
from .affine import AffineRounds
from .job import Forwarded, Job

__all__ = ["linear_run"]

EPS = float(np.finfo(np.float64).eps)


def linear_run(job: Job) -> Forwarded:
    """The records of a run with the squared loss."""
    prepared = job.prepared
    rows, rate = job.rows, prepared.lr
    maps = [_rounds(job, noise) for noise in (0.0, 2 * EPS)]
    weights, beside = (np.array([each.weights(k) for k in prepared.records]) for each in maps)
    finite = np.isfinite(weights).reshape(len(weights), -1).all(axis=1)
    if not finite.all():
        first = prepared.records[~finite][0]
        raise DivergedError(
            f"the rounds overflow before round {first:.3g}: the learning rate is too large; want a "
            "smaller lr (see localgd.analysis.smoothness)",
            int(min(first, 2**53)),
        )
    # The shortest coefficients that give each model.
    inverse = np.linalg.pinv(rows)
    start = prepared.init.reshape(prepared.weights_shape)
    moved = (weights - start).swapaxes(1, -1)  # one output after the other
    coefficients = (moved @ inverse).reshape(len(moved), -1)
    session = job.session(prepared.records[:1])
    session.advance(0, [1.0], prepared.problem.weights[None, :], None)
    later, none = prepared.records[1:], np.zeros((0, 0))
    finite = session.record_states(
        1,
        later,
        np.full(len(later), rate),
        prepared.problem.weights,
        np.ones(len(later), dtype=bool),  # drift is known better than from further rounds
        0.0,
        coefficients[1:],
        none,
        none,
    )
    if not finite:
        raise DivergedError("the loss of a record overflows; want a smaller lr", None)
    history = dict(session.history())
    history["round"] = prepared.records
    history["weights"] = weights.reshape(len(weights), -1)
    history["drift"] = np.array([maps[0].drift(k) for k in prepared.records])
    return Forwarded(
        history=history,
        coefficients=coefficients[-1].reshape(-1, len(rows)).T,
        error=_error(weights, beside, len(rows)),
        about={
            "exact_rounds": 0,
            "evaluations": len(prepared.records),
            "how": "powers of the round map",
        },
    )


def _rounds(job: Job, noise: float) -> AffineRounds:
    """The round map, known but for so much relative noise."""
    prepared = job.prepared
    assert isinstance(prepared.lr, float), "schedules are refused before"
    start = prepared.init.reshape(prepared.weights_shape)
    return AffineRounds(prepared.problem, prepared.method, prepared.lr, start, noise=noise)


def _error(weights: np.ndarray, beside: np.ndarray, n: int) -> np.ndarray:
    """What rounding in the map makes of w, relatively; never less than rounding in w itself."""
    norms, gaps = (
        np.linalg.norm(each.reshape(len(each), -1), axis=1) for each in (weights, weights - beside)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.where(norms > 0, gaps / norms, 0.0)
    error: np.ndarray = np.maximum(relative, 4 * EPS * np.sqrt(n))
    return error
