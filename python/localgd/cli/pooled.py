"""Gradient descent on the pooled rows, beside a Local-GD run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..analysis import angle
from ..methods import GD, LocalGD
from ..problem import Problem
from ..result import Run
from ..schedules import Schedule
from .stages import run_in_stages

__all__ = ["DTYPE", "angles_to_pooled"]

# Half the bytes of float64, and bytes are what a step costs. On MNIST 0 against 1 the direction
# after 10^5 steps is 1.6e-5 degrees from that in float64; the table shows thousandths of a degree.
DTYPE = "float32"


def angles_to_pooled(
    problem: Problem,
    method: LocalGD,
    weights: Mapping[int, np.ndarray],
    *,
    loss: str,
    threads: int | None,
    memory_limit: int,
    progress: Callable[[int], None] | None,
) -> tuple[Run, dict[int, float]]:
    """Run GD for as many steps; the angles in radians to the given weights, by round.

    ``angle(w_k, w^GD_{kL})`` for each round k in ``weights`` that GD reached
    """
    L = method.local_steps
    gd, reached = run_in_stages(
        problem,
        GD(lr=_per_step(method.lr, L)),
        rounds=max(weights) * L,
        stops=[k * L for k in sorted(weights) if k > 0],
        loss=loss,
        record=[0],
        engine=_engine(problem, max(weights) * L, memory_limit),
        dtype=DTYPE,
        threads=threads,
        memory_limit=memory_limit,
        progress=progress,
    )
    return gd, {
        k: angle(w, reached[k * L]) for k, w in weights.items() if k * L in reached and w.any()
    }


def _per_step(lr: Schedule, local_steps: int) -> Schedule:
    """The learning rate of GD's steps: that of the round in which Local-GD takes as many."""
    return (lambda step: lr(step // local_steps)) if callable(lr) else lr


def _engine(problem: Problem, steps: int, memory_limit: int) -> str:
    """ "gram" where a long run of N x N products costs less than one of N x d products twice."""
    N, d = problem.n_samples, problem.n_features
    fits = 4 * (N**2 + int((problem.sizes**2).sum())) <= memory_limit
    return "gram" if fits and steps >= 10_000 and N <= 2 * d else "auto"
