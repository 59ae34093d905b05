"""What the measures accept."""

from __future__ import annotations

from typing import Any

from ..problem import Problem, check_problem

__all__ = ["binary_problem", "hard_margin", "result_of_run"]


def binary_problem(problem: object) -> Problem:
    """The argument itself if it is a problem of two labels."""
    problem = check_problem(problem, own_rows=True)
    if problem.task != "binary":
        raise ValueError(f"problem: the task is {problem.task}; want a binary task")
    return problem


def hard_margin(ref: Any) -> Any:
    """The argument itself if it looks like a result of ``reference.max_margin``."""
    if not all(hasattr(ref, name) for name in ("weights", "margin", "dual", "support")):
        raise TypeError(
            f"ref: got {type(ref).__name__}; want the result of lg.reference.max_margin(problem)"
        )
    return ref


def result_of_run(run: Any) -> Any:
    """The argument itself if it looks like a result of ``localgd.run``."""
    if not all(hasattr(run, name) for name in ("weights", "history", "config", "round")):
        raise TypeError(f"run: got {type(run).__name__}; want a result of lg.run")
    return run
