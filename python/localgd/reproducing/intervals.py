"""Means over seeds, and how far they may be off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

__all__ = ["Interval", "interval"]


class Interval(NamedTuple):
    """A mean and half of its 95 % interval."""

    mean: float
    half: float

    @property
    def ends(self) -> np.ndarray:
        """Mean, lower and upper end."""
        return np.array([self.mean, self.mean - self.half, self.mean + self.half])


def interval(values: Sequence[float] | np.ndarray) -> Interval:
    """Student's 95 % interval of a mean.

    ``half = t(0.975; n - 1) s/√n``

    Parameters
    ----------
    values : sequence of float
        At least two, s their standard deviation.

    Examples
    --------
    >>> from localgd.reproducing.intervals import interval
    >>> mean, half = interval([1.0, 2.0, 3.0])
    >>> print(f"{mean:.1f} ± {half:.2f}")
    2.0 ± 2.48
    """
    half = stdtrit(len(values) - 1, 0.975) * np.std(values, ddof=1) / math.sqrt(len(values))
    return Interval(float(np.mean(values)), float(half))
