"""The losses, the tasks that they fit, and their curvature."""

from __future__ import annotations

from typing import Any

from . import _validation as check
from .problem import Problem

__all__ = ["CURVATURE", "LOSSES", "SIGNED_LOSSES", "check_loss", "default_loss"]

LOSSES = {
    "exponential": ("binary",),
    "logistic": ("binary",),
    "squared": ("regression", "binary"),
    "softmax": ("multiclass",),
}
SIGNED_LOSSES = ("exponential", "logistic")

# The largest second derivative in the margins: exp(-m) at m = 0, where a run begins.
CURVATURE = {"exponential": 1.0, "logistic": 0.25, "squared": 1.0, "softmax": 0.5}


def check_loss(loss: Any, problem: Problem) -> str:
    """A loss by name that fits the task."""
    check.one_of("loss", loss, LOSSES)
    if problem.task not in LOSSES[loss]:
        fitting = [name for name, tasks in LOSSES.items() if problem.task in tasks]
        raise ValueError(
            f"loss: {loss!r} does not fit a {problem.task} task; want {' or '.join(fitting)}"
        )
    return str(loss)


def default_loss(task: str) -> str:
    """The first loss that fits a task."""
    return next(name for name, tasks in LOSSES.items() if task in tasks)
