"""Numbers that are known to an interval: means and medians over draws, and bounds."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import bdtr, stdtrit

__all__ = ["UNKNOWN", "Estimate", "at_least", "geometric", "interval", "least", "magnitude"]
__all__ += ["median", "over_draws", "units_first", "worst"]


ROUNDING = 1e-12  # of an interval: what a mean of numbers that cancel is off 0


class Estimate(NamedTuple):
    """A number and the interval that it is in; an end may be infinite: then it is a bound.

    It is written by the format of its value: "0.41 ± 0.02", "2.1 (1.8 to 2.6)" or "at least 5".

    Examples
    --------
    >>> from localgd.reproducing.intervals import Estimate
    >>> f"{Estimate(2.0, 1.5, 2.5):.1f}, {Estimate(2.0, 1.9, 2.5):.1f}"
    '2.0 ± 0.5, 2.0 (1.9 to 2.5)'
    >>> f"{Estimate(7.0, 7.0, float('inf')):g}, {Estimate(7.0, 7.0, 7.0):g}"
    'at least 7, 7'
    >>> f"{Estimate(1.0, float('-inf'), float('inf')):g}"
    'unknown'
    """

    value: float
    low: float
    high: float

    @property
    def half(self) -> float:
        """Half of the interval."""
        return (self.high - self.low) / 2

    def map(self, function: Any) -> Estimate:
        """The same through an increasing function."""
        return Estimate(*(float(function(end)) for end in self))

    def __format__(self, spec: str) -> str:
        if self.low == -math.inf and self.high == math.inf:
            return "unknown"
        if self.low == -math.inf or self.high == math.inf:
            return f"{'at most' if self.low == -math.inf else 'at least'} {self.value:{spec}}"
        value = 0.0 if abs(self.value) < ROUNDING * (self.high - self.low) else self.value
        written = [f"{end:{spec}}" for end in (value, self.low, self.high)]
        if self.low == self.high or math.isnan(self.value):
            return written[0]
        above, below = self.high - self.value, self.value - self.low
        if math.isclose(above, below, rel_tol=1e-6):
            return f"{written[0]} ± {self.half:{spec.replace('+', '')}}"
        return f"{written[0]} ({written[1]} to {written[2]})"


INTERVAL_THEN_UNIT = re.compile(r" (\(\S+ to \S+\))( ?[°%])")


def units_first(text: str) -> str:
    """Units after the number and not after its interval: "2.1° (1.8 to 2.6)"."""
    return INTERVAL_THEN_UNIT.sub(r"\2 \1", text)


UNKNOWN = Estimate(math.nan, -math.inf, math.inf)


def at_least(value: float) -> Estimate:
    """A lower bound."""
    return Estimate(value, value, math.inf)


def interval(values: Sequence[float] | np.ndarray) -> Estimate:
    """Student's 95 % interval of a mean; one value alone is its own.

    ``mean ± t(0.975; n - 1) s/√n``

    Parameters
    ----------
    values : sequence of float
        s is their standard deviation.

    Examples
    --------
    >>> from localgd.reproducing.intervals import interval
    >>> print(f"{interval([1.0, 2.0, 3.0]):.2f}")
    2.00 ± 2.48
    """
    n, mean = len(values), float(np.mean(values))
    if n == 1:
        return Estimate(mean, mean, mean)
    half = float(stdtrit(n - 1, 0.975) * np.std(values, ddof=1) / math.sqrt(n))
    return Estimate(mean, mean - half, mean + half)


def geometric(values: Sequence[float] | np.ndarray) -> Estimate:
    """The same of a geometric mean of positive numbers: the interval of their logarithms."""
    return interval(np.log(values)).map(math.exp)


def median(values: Sequence[float] | np.ndarray) -> Estimate:
    """The median of draws and its 95 % interval, whatever their distribution.

    ``x_(j) to x_(n+1-j)`` of the sorted values, j the largest with P(Bin(n, ½) < j) ≤ 0.025

    Of fewer than six values, which are too few for that, it is their range; with a NaN it is NaN.

    Parameters
    ----------
    values : sequence of float

    Examples
    --------
    >>> from localgd.reproducing.intervals import median
    >>> print(f"{median([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 20.0, 100.0]):g}")
    5.5 (2 to 20)
    """
    ordered = np.sort(values)
    if np.isnan(ordered).any():
        return Estimate(math.nan, math.nan, math.nan)
    n = len(ordered)
    j = max((j for j in range(1, n // 2 + 1) if bdtr(j - 1, n, 0.5) <= 0.025), default=1)
    return Estimate(float(np.median(ordered)), float(ordered[j - 1]), float(ordered[n - j]))


def magnitude(estimate: Estimate) -> Estimate:
    """The size of a number that may have either sign."""
    value, low, high = estimate
    ends = sorted((abs(low), abs(high)))
    return Estimate(abs(value), 0.0 if low < 0 < high else ends[0], ends[1])


def worst(estimates: Iterable[Estimate]) -> Estimate:
    """The largest of them: each end the largest; NaN if one is."""
    return Estimate(*(float(np.max(ends)) for ends in zip(*estimates, strict=True)))


def least(estimates: Iterable[Estimate]) -> Estimate:
    """The smallest of them."""
    return Estimate(*(float(np.min(ends)) for ends in zip(*estimates, strict=True)))


def over_draws(found: Iterable[Mapping[str, Any]], start: str = "") -> dict[str, Any]:
    """Medians over draws with their intervals, of numbers that each draw has under one name.

    Parameters
    ----------
    found : iterable of mapping
        One for each draw.
    start : str
        Put before each name.
    """
    draws = list(found)
    return {start + name: median([float(draw[name]) for draw in draws]) for name in draws[0]}
