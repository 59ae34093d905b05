"""References of several targets, none of which knows of the others: one after the other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import TimeLimitError

__all__ = ["columns", "of_outputs"]


def columns(numbers: np.ndarray) -> list[np.ndarray]:
    """Those of each output, of an array (n,) or (n, C)."""
    return list(numbers.reshape(len(numbers), -1).T)


def of_outputs(
    solve: Callable[[np.ndarray, np.ndarray], np.ndarray], y: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """The weights that ``solve(y, start)`` gives for each output, of the shape of the start.

    Targets of shape (N,) are one output. An error of time has the weights of all outputs: where
    none were found, the start.
    """
    if y.ndim == 1:
        return solve(y, start)
    found = start.copy()
    for k, (target, own) in enumerate(zip(columns(y), columns(start), strict=True)):
        of_output = found.reshape(len(found), -1)[:, k]
        try:
            of_output[:] = solve(target, own)
        except TimeLimitError as error:
            if error.best is not None:
                of_output[:] = error.best
                error.best = found
            raise
    return found
