"""The flow once margins stand still within a round: on the rows that still move the model only."""

from __future__ import annotations

import math

import numpy as np

from ..servers import Anchored
from .flow import Flow, times_rows

__all__ = ["LateFlow"]


class LateFlow:
    """``da_j/d(log k) = k s_j e_j``, ``e = -ℓ'(m)``, on rows whose e_j still counts.

    s_j is learning rate times steps over the rows of the client, times its share. The margins of
    rows off the max-margin boundary grow faster than log k, so that ever fewer rows are left. With
    the anchored server coefficients also shrink by 1/(k + 2) in round k, those of the other rows
    like ``(k_0 + 1)/(k + 1)``.

    Clients that start displaced (GradAlign, FedGA) have ``e = -ℓ'(m + S e(m))``.
    """

    def __init__(self, flow: Flow, x: float, a: np.ndarray, rows: np.ndarray):
        N, C = flow.first_margins.shape
        self.rows = rows
        self._columns = (rows[:, None] + N * np.arange(C)).ravel(order="F")
        self._flow, self._first, self._a = flow, x, a
        self._anchored = isinstance(flow.method.server, Anchored)
        self._gram = np.ascontiguousarray(flow.gram[np.ix_(rows, rows)])
        rest = a.copy()
        rest[self._columns] = 0.0
        self._start = flow.first_margins[rows]
        self._rest = (flow.gram @ rest.reshape((N, C), order="F"))[rows]
        self._shift = flow.displacements()
        if self._shift is not None:
            self._shift = np.ascontiguousarray(self._shift[np.ix_(rows, rows)])

    def start(self) -> np.ndarray:
        """The coefficients of these rows where this flow begins."""
        return self._a[self._columns]

    def whole(self, xs: np.ndarray, active: np.ndarray) -> np.ndarray:
        """All coefficients at some log k, shape (len(xs), N C), from those of these rows."""
        kept = np.array([self._kept(x) for x in xs])
        found = kept[:, None] * self._a
        found[:, self._columns] = active
        return found

    def derivative(self, x: float, a: np.ndarray) -> np.ndarray:
        """The right-hand side."""
        pace = self._paces(x, a).ravel(order="F")
        return pace - self._shrinking(x) * a if self._anchored else pace

    def pace(self, x: float, a: np.ndarray) -> np.ndarray:
        """``k s_j |e_j|`` of these rows, of the class where it is largest."""
        largest: np.ndarray = np.abs(self._paces(x, a)).max(axis=1)
        return largest

    def jacobian(self, x: float, a: np.ndarray) -> np.ndarray:
        """Its derivative in the coefficients."""
        m, n, C = self._margins(x, a), len(self.rows), self._start.shape[1]
        # de/da of each class by each class
        slopes = -times_rows(self._flow.curvatures(m, self.rows), self._gram)
        if self._shift is not None:
            moved = self._shift @ slopes
            moved[range(C), range(C)] += self._gram
            there = self._flow.curvatures(m + self._displaced(m), self.rows)
            slopes = -np.einsum("icf,feil->ceil", there, moved)
        total = math.exp(x) * self._rates(x)[:, None] * slopes
        matrix: np.ndarray = self._damped(x) * total.transpose(0, 2, 1, 3).reshape(n * C, n * C)
        if self._anchored:
            matrix[np.diag_indices(len(matrix))] -= self._shrinking(x)
        return matrix

    def _paces(self, x: float, a: np.ndarray) -> np.ndarray:
        """``k s_j e_j``, (n, C)."""
        m = self._margins(x, a)
        if self._shift is not None:
            m = m + self._displaced(m)
        rates = self._damped(x) * math.exp(x) * self._rates(x)
        paces: np.ndarray = rates[:, None] * self._flow.slopes(m, self.rows)
        return paces

    def _margins(self, x: float, a: np.ndarray) -> np.ndarray:
        active = a.reshape(self._start.shape, order="F")
        # Not by BLAS, whose threads cost more than such a product, the more so on a busy machine.
        product = np.einsum("ij,jc->ic", self._gram, active)
        m: np.ndarray = self._start + self._kept(x) * self._rest + product
        return m

    def _displaced(self, m: np.ndarray) -> np.ndarray:
        """What the displacement adds to the margins of each client's own rows."""
        assert self._shift is not None
        displaced: np.ndarray = self._shift @ self._flow.slopes(m, self.rows)
        return displaced

    def _rates(self, x: float) -> np.ndarray:
        return self._flow.row_rates(math.exp(x))[self.rows]

    def _damped(self, x: float) -> float:
        if not self._anchored:
            return 1.0
        k = math.exp(x)
        return (k + 1) / (k + 2)

    def _shrinking(self, x: float) -> float:
        k = math.exp(x)
        return k / (k + 2)

    def _kept(self, x: float) -> float:
        if not self._anchored:
            return 1.0
        return (math.exp(self._first) + 1) / (math.exp(x) + 1)
