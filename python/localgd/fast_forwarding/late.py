"""The flow once margins stand still within a round: on the rows that still move the model only."""

from __future__ import annotations

import math

import numpy as np

from ..losses import LOSSES
from ..servers import Anchored
from .flow import Flow

__all__ = ["LateFlow", "Slopes"]


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
        self._loss = Slopes(flow, rows)
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
        # d(k e)/da of each class by each class
        slopes = -_times_rows(self._loss.curvatures(x, m), self._gram)
        if self._shift is not None:
            moved = self._shift @ (slopes * math.exp(-x))
            moved[range(C), range(C)] += self._gram
            there = self._loss.curvatures(x, m + self._displaced(x, m))
            slopes = -np.einsum("icf,feil->ceil", there, moved)
        total = self._rates(x)[:, None] * slopes
        matrix: np.ndarray = self._damped(x) * total.transpose(0, 2, 1, 3).reshape(n * C, n * C)
        if self._anchored:
            matrix[np.diag_indices(len(matrix))] -= self._shrinking(x)
        return matrix

    def _paces(self, x: float, a: np.ndarray) -> np.ndarray:
        """``k s_j e_j``, (n, C)."""
        m = self._margins(x, a)
        if self._shift is not None:
            m = m + self._displaced(x, m)
        paces: np.ndarray = self._damped(x) * self._rates(x)[:, None] * self._loss.slopes(x, m)
        return paces

    def _margins(self, x: float, a: np.ndarray) -> np.ndarray:
        active = a.reshape(self._start.shape, order="F")
        # Not by BLAS, whose threads cost more than such a product, the more so on a busy machine.
        product = np.einsum("ij,jc->ic", self._gram, active)
        m: np.ndarray = self._start + self._kept(x) * self._rest + product
        return m

    def _displaced(self, x: float, m: np.ndarray) -> np.ndarray:
        """What the displacement adds to the margins of each client's own rows."""
        assert self._shift is not None
        displaced: np.ndarray = self._shift @ (self._loss.slopes(x, m) * math.exp(-x))
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


class Slopes:
    """``k e`` and ``k ℓ''`` from log k and the margins: the products stay in range where their
    factors might not."""

    def __init__(self, flow: Flow, rows: np.ndarray):
        self._logistic = flow.loss == "logistic"
        self._signed = LOSSES[flow.loss].signed
        if not self._signed:
            self._own = (np.arange(len(rows)), flow.problem.y[rows].astype(int))  # its class

    def slopes(self, x: float, m: np.ndarray) -> np.ndarray:
        """``k e``, (n, C)."""
        if self._signed:
            slopes: np.ndarray = np.exp(x - m)
            return slopes / (1 + np.exp(-m)) if self._logistic else slopes
        slopes = -np.exp(x + self._log_chances(m))
        slopes[self._own] = 0.0
        slopes[self._own] = -slopes.sum(axis=1)
        return slopes

    def curvatures(self, x: float, m: np.ndarray) -> np.ndarray:
        """``k ℓ''`` between the classes, (n, C, C)."""
        if self._signed:
            slopes = np.exp(x - m)
            return (slopes / (1 + np.exp(-m)) ** 2 if self._logistic else slopes)[:, :, None]
        logs = self._log_chances(m)
        curvatures: np.ndarray = -np.exp(x + logs[:, :, None] + logs[:, None, :])
        every = range(m.shape[1])
        curvatures[:, every, every] = 0.0
        curvatures[:, every, every] = -curvatures.sum(axis=2)
        return curvatures

    def _log_chances(self, m: np.ndarray) -> np.ndarray:
        ahead = m - m.max(axis=1, keepdims=True)
        logs: np.ndarray = ahead - np.log(np.exp(ahead).sum(axis=1, keepdims=True))
        return logs


def _times_rows(curvatures: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """``W_jce K_jl`` in blocks of classes, (C, C, n, n)."""
    blocks: np.ndarray = curvatures.transpose(1, 2, 0)[:, :, :, None] * gram
    return blocks
