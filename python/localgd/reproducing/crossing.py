"""Where the better one of two methods changes."""

from __future__ import annotations

import math

import numpy as np

from .columns import Columns
from .intervals import UNKNOWN, Estimate

__all__ = ["crossover"]

TINY = 1e-12  # of an x: as good as 0, which has no logarithm


def crossover(table: Columns, x: str) -> Estimate:
    """The x from which on a ratio lies below 1: its logarithm taken as linear in that of x.

    The interval is where the ends of the ratio cross 1. It is a bound where the ratio lies on one
    side for every x that was tried, and unknown where it crosses more than once.

    Parameters
    ----------
    table : mapping of str to array
        ``ratio``, ``low`` and ``high`` (infinite: a bound) at each x.
    x : str
        The column of x >= 0.

    Returns
    -------
    Estimate
    """
    known = np.isfinite(table["low"]) | np.isfinite(table["high"])
    table = {name: column[known] for name, column in table.items()}
    tried = table[x][table[x] > TINY]
    if not len(tried):
        return UNKNOWN
    value, low, high = (_crossing(table[x], table[name]) for name in ("ratio", "low", "high"))
    if value == -math.inf:
        bound = max(high, float(tried.min()))
        return Estimate(bound, value, bound) if bound < math.inf else UNKNOWN
    if value == math.inf:
        bound = min(low, float(tried.max()))
        return Estimate(bound, bound, value) if bound > -math.inf else UNKNOWN
    if math.isnan(value):
        return UNKNOWN
    return Estimate(value, *(value if math.isnan(end) else end for end in (low, high)))


def _crossing(x: np.ndarray, ratio: np.ndarray) -> float:
    """Where a ratio falls below 1: -inf if it always is, inf if never, NaN if more than once."""
    order = np.argsort(x)
    x, ratio = x[order], ratio[order]
    above = ratio > 1
    falls = np.flatnonzero(above[:-1] & ~above[1:])
    if (~above[:-1] & above[1:]).any():
        return math.nan
    if not len(falls):
        return math.inf if above[-1] else -math.inf
    j = int(falls[0])
    if x[j] < TINY:  # between 0 and the smallest that was tried
        return -math.inf
    if not (np.isfinite(ratio[j]) and ratio[j + 1] > 0):  # a bound on either side
        return float(x[j + 1])
    logs, y = np.log(x[j : j + 2]), np.log(ratio[j : j + 2])
    return float(np.exp(logs[0] + (logs[1] - logs[0]) * y[0] / (y[0] - y[1])))
