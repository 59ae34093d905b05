"""What the reference solutions accept."""

from __future__ import annotations

import numpy as np

from ..problem import Problem

__all__ = ["checked_problem", "signed_rows"]


def checked_problem(problem: object) -> Problem:
    """The argument itself if it is a problem."""
    if not isinstance(problem, Problem):
        raise TypeError(f"problem: got {type(problem).__name__}; want a localgd.Problem")
    return problem


def signed_rows(problem: object, name: str) -> np.ndarray:
    """Z of a binary problem; ``name`` is the function that wants it."""
    problem = checked_problem(problem)
    if problem.task != "binary":
        raise ValueError(
            f"problem: {name} got the task {problem.task}; want a binary task, labels -1 and +1"
        )
    return problem.signed_rows
