"""Fast-forward beside exact rounds."""

from __future__ import annotations

import warnings

import numpy as np

from ..running import run
from .job import Forwarded, Job

__all__ = ["deviations"]


def deviations(job: Job, found: Forwarded, rounds: int) -> np.ndarray:
    """‖w - w_exact‖/‖w_exact‖ at the records up to so many rounds; NaN after them."""
    prepared = job.prepared
    shape = prepared.problem.weights_shape
    recorded = found.history["round"]
    early = recorded[recorded <= rounds]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        exact = run(
            prepared.problem,
            prepared.method,
            rounds=int(early[-1]),
            loss=prepared.loss,
            init=None if prepared.starts_at_zero else prepared.init.reshape(shape),
            engine="gram",
            threads=prepared.threads,
            record=early,
            keep_weights=True,
            every_step=True,
            memory_limit=prepared.memory_limit,
        )
    assert exact.recorded_weights is not None
    weights = found.weights(job)
    gaps = np.full(len(recorded), np.nan)
    for j, w in enumerate(exact.recorded_weights):
        norm = float(np.linalg.norm(w))
        gaps[j] = float(np.linalg.norm(weights[j] - w)) / norm if norm > 0 else 0.0
    return gaps
