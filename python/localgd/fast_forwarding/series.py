"""``log(1 + Δ)``: the derivative in k from forward differences, and how many of them it takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["MOST_TERMS", "SUMS", "Series", "series_terms"]

MOST_TERMS = 7
NOISE = 1e-15  # relative, of the increments


@dataclass(frozen=True)
class Series:
    """How the forward differences fall: the p-th term is about ``scale·(p-1)!/(p k^(p-1))``-th."""

    scale: float  # k times the relative change of the increments from one round to the next
    tolerance: float  # relative, of what is left out
    within: float  # k times the relative change of an increment if margins stood still in its round
    most: int = MOST_TERMS
    lag: float = 1.0  # rounds by which increments follow the model: 1/(1 - m) with momentum m

    def terms(self, k: float, lag: float = 1.0) -> int:
        """How many differences the derivative at round k needs; or what follows by ``lag`` rounds.

        No more of them than rounding leaves right to the tolerance.
        """
        ratio, noise = self.scale * lag / k, NOISE
        for p in range(1, self.most):
            noise *= 2 * lag
            if math.factorial(p) * ratio**p < self.tolerance or noise > self.tolerance:
                return p
        return self.most

    @property
    def frozen_from(self) -> float:
        """The round from which on margins stand still within a round, to the tolerance."""
        return self.unsteady / self.tolerance

    @property
    def unsteady(self) -> float:
        """k times the relative error of an increment if margins stood still from then on."""
        return max(self.within, self.scale * self.lag)

    def frozen(self, k: float) -> bool:
        """Whether margins stand still within a round, to the tolerance."""
        return k > self.frozen_from


def series_terms(increments: np.ndarray) -> np.ndarray:
    """The terms ``Δ_1, -½ Δ_2, ⅓ Δ_3, …`` from the increments of consecutive rounds."""
    terms = np.empty_like(increments)
    differences = increments
    for j in range(len(increments)):
        terms[j] = (-1.0) ** j / (j + 1) * differences[0]
        differences = differences[1:] - differences[:-1]
    return terms


def _sums() -> list[np.ndarray]:
    """The weights of increments in ``Δ_1 - ½ Δ_2 + ⅓ Δ_3 - …``, by the number of terms."""
    rows = [np.zeros(MOST_TERMS + 2)]
    for p in range(1, MOST_TERMS + 2):
        term = np.zeros(MOST_TERMS + 2)
        term[:p] = [math.comb(p - 1, j) * (-1.0) ** j / p for j in range(p)]
        rows.append(rows[-1] + term)
    return [row[:p] for p, row in enumerate(rows)]


SUMS = _sums()
