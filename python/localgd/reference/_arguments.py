"""What the reference solutions accept."""

from __future__ import annotations

from ..problem import check_problem
from ..rows import Rows
from ._rows import compact

__all__ = ["signed_rows"]


def signed_rows(problem: object, name: str) -> Rows:
    """Z of a binary problem; ``name`` is the function that wants it."""
    problem = check_problem(problem)
    if problem.task != "binary":
        raise ValueError(
            f"problem: {name} got the task {problem.task}; want a binary task, labels -1 and +1"
        )
    return compact(problem.signed_rows)
