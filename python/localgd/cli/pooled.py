"""Gradient descent on the pooled rows, beside a Local-GD run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..analysis import angle
from ..methods import GD, LocalGD
from ..problem import Problem
from ..result import Run
from ..schedules import Schedule
from .stages import run_in_stages

__all__ = ["angles_to_pooled"]


def angles_to_pooled(
    problem: Problem,
    method: LocalGD,
    run: Run,
    weights: Mapping[int, np.ndarray],
    *,
    reference: Any,
    threads: int | None,
    memory_limit: int,
    progress: Callable[[int], None] | None,
) -> tuple[Run, dict[int, float]]:
    """Run GD for as many steps; the angles in radians to the given weights of the run, by round.

    ``angle(w_k, w^GD_{kL})`` for each round k in ``weights`` that GD reached

    The GD run counts steps in rounds of L, as the Local-GD run does.
    """
    L = method.local_steps
    gd, reached = run_in_stages(
        problem,
        GD(lr=_per_step(method.lr, L)),
        rounds=run.round * L,
        stops=[k * L for k in sorted(weights) if k > 0],
        record=run.history["round"] * L,
        loss=run.config["loss"],
        reference=reference,
        engine=_engine(problem, run.round * L, memory_limit),
        dtype=_dtype(run.config["loss"]),
        threads=threads,
        memory_limit=memory_limit,
        progress=progress,
    )
    angles = {
        k: angle(w, reached[k * L]) for k, w in weights.items() if k * L in reached and w.any()
    }
    return _in_rounds(gd, method.local_steps, run.config["method"]), angles


def _in_rounds(gd: Run, local_steps: int, method: dict[str, Any]) -> Run:
    """The same run told in rounds of L steps; a record between two rounds is left out."""
    whole = gd.history["round"] % local_steps == 0
    history = {name: column[whole] for name, column in gd.history.items()}
    history["round"] = history["round"] // local_steps
    # Of the method, plots take the learning rate and the steps per round.
    return dataclasses.replace(gd, history=history, config={**gd.config, "method": method})


def _dtype(loss: str) -> str:
    """float32 where its error is far below the distance to the limit.

    It has half the bytes of float64, and bytes are what a step costs. On MNIST 0 against 1 the
    direction after 10^5 steps is 1.6e-5 degrees from that in float64; the table shows thousandths
    of a degree. With the squared loss GD gets within float32's rounding of its limit.
    """
    return "float64" if loss == "squared" else "float32"


def _per_step(lr: Schedule, local_steps: int) -> Schedule:
    """The learning rate of GD's steps: that of the round in which Local-GD takes as many."""
    return (lambda step: lr(step // local_steps)) if callable(lr) else lr


def _engine(problem: Problem, steps: int, memory_limit: int) -> str:
    """ "gram" where a long run of N x N products costs less than one of N x d products twice."""
    N, d = problem.n_samples, problem.n_features
    fits = 4 * (N**2 + int((problem.sizes**2).sum())) <= memory_limit
    return "gram" if fits and steps >= 10_000 and N <= 2 * d else "auto"
