"""The flow once margins stand still within a round: on the rows that still move the model only."""

from __future__ import annotations

import math

import numpy as np

from ..losses import SIGNED_LOSSES
from ..servers import Anchored
from .flow import Flow

__all__ = ["LateFlow", "has_late_flow"]


def has_late_flow(flow: Flow) -> bool:
    """Whether a round's increment is a multiple of -ℓ' at w_k, row by row."""
    return flow.loss in SIGNED_LOSSES


class LateFlow:
    """``da_j/d(log k) = k s_j e_j``, ``e = -ℓ'(m)``, on rows whose e_j still counts.

    s_j is learning rate times steps over the rows of the client, times its share. The margins of
    rows off the max-margin boundary grow faster than log k, so that ever fewer rows are left. With
    the anchored server coefficients also shrink by 1/(k + 2) in round k, those of the other rows
    like ``(k_0 + 1)/(k + 1)``.
    """

    def __init__(self, flow: Flow, gram: np.ndarray, x: float, a: np.ndarray, rows: np.ndarray):
        self.rows = rows
        self._flow, self._first, self._a = flow, x, a
        self._anchored = isinstance(flow.method.server, Anchored)
        self._logistic = flow.loss == "logistic"
        self._gram = np.ascontiguousarray(gram[np.ix_(rows, rows)])
        rest = a.copy()
        rest[rows] = 0.0
        self._start = flow.first_margins[rows, 0]
        self._rest = (gram @ rest)[rows]
        self._constant = None if callable(flow.lr) else flow.row_rates(1.0)[rows]

    def start(self) -> np.ndarray:
        """The coefficients of these rows where this flow begins."""
        return self._a[self.rows]

    def whole(self, xs: np.ndarray, active: np.ndarray) -> np.ndarray:
        """All coefficients at some log k, shape (len(xs), N), from those of these rows."""
        kept = np.array([self._kept(x) for x in xs])
        found = kept[:, None] * self._a
        found[:, self.rows] = active
        return found

    def derivative(self, x: float, a: np.ndarray) -> np.ndarray:
        """The right-hand side."""
        pace = self.pace(x, a)
        return pace - self._shrinking(x) * a if self._anchored else pace

    def pace(self, x: float, a: np.ndarray) -> np.ndarray:
        """``k s_j e_j`` of these rows."""
        speed, m = self._speed(x, a)
        if self._logistic:
            speed /= 1 + np.exp(-m)
        return speed

    def jacobian(self, x: float, a: np.ndarray) -> np.ndarray:
        """Its derivative in the coefficients."""
        speed, m = self._speed(x, a)
        if self._logistic:
            speed /= (1 + np.exp(-m)) ** 2
        matrix = -speed[:, None] * self._gram
        if self._anchored:
            matrix[np.diag_indices(len(matrix))] -= self._shrinking(x)
        return matrix

    def _speed(self, x: float, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``k s_j e^{-m_j}`` and the margins m_j."""
        # Not by BLAS, whose threads cost more than such a product, the more so on a busy machine.
        m = self._start + self._kept(x) * self._rest + np.einsum("ij,j->i", self._gram, a)
        # k e^{-m} stays in range where its factors might not
        speed = np.exp(x - m)
        speed *= self._constant if self._constant is not None else self._rates(x)
        if self._anchored:
            k = math.exp(x)
            speed *= (k + 1) / (k + 2)
        return speed, m

    def _rates(self, x: float) -> np.ndarray:
        return self._flow.row_rates(math.exp(x))[self.rows]

    def _shrinking(self, x: float) -> float:
        k = math.exp(x)
        return k / (k + 2)

    def _kept(self, x: float) -> float:
        if not self._anchored:
            return 1.0
        return (math.exp(self._first) + 1) / (math.exp(x) + 1)
