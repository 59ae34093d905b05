"""The active rows of a least-distance problem, with a factorisation that follows every change."""

from __future__ import annotations

import numpy as np
from scipy.linalg import qr, qr_delete, solve_triangular

from ._equality import Polished

__all__ = ["ActiveRows"]

EPS = np.finfo(float).eps


class ActiveRows:
    """``w = A_Pᵀ x`` shortest with ``A_P w = b_P``, and the QR factors of ``A_Pᵀ``.

    Rows enter by the dual step of Goldfarb and Idnani (1983): multipliers stay ≥ 0, ‖w‖ only grows,
    and where a row cannot enter, the reason is a certificate that no w has A w > 0.
    """

    def __init__(self, A: np.ndarray, b: np.ndarray, solution: Polished | None = None):
        self.A, self.b = A, b
        most = min(A.shape)
        self._Q = np.empty((A.shape[1], most), order="F")
        self._R = np.zeros((most, most), order="F")
        self.rows: list[int] = []
        self.x = np.zeros(0)
        self.w = np.zeros(A.shape[1])
        if solution is not None:
            self.rows = [int(row) for row in solution.rows]
            self.x, self.w = solution.multipliers.copy(), solution.w.copy()
            self._store(*qr(A[self.rows].T, mode="economic", check_finite=False))

    def enter(self, row: int) -> np.ndarray | None:
        """Make a violated row active; those that block it leave.

        Returns
        -------
        ndarray or None
            None if it is active now. Else weights v ≥ 0 of the active rows and, last, of this one
            for which Σ v_j a_j = 0.
        """
        a, entering = self.A[row], 0.0
        while True:
            along, inside, outside = self._split(a)
            drag = np.abs(inside).max(initial=0.0)
            room = len(self.rows) < self._Q.shape[1]
            free = room and np.linalg.norm(outside) > 64 * EPS * (1 + drag)
            shrinking = np.flatnonzero(inside > 8 * EPS * (1 + drag))
            ratios = self.x[shrinking] / inside[shrinking]
            blocked = ratios.min(initial=np.inf)
            full = (self.b[row] - a @ self.w) / (outside @ outside) if free else np.inf
            step = min(blocked, full)
            if np.isinf(step):
                return np.append(np.maximum(-inside, 0), 1.0)
            self.x = np.maximum(self.x - step * inside, 0)
            entering += step
            if free:
                self.w += step * outside
            if full <= blocked:
                self._append(row, entering, along, outside)
                return None
            self._leave(int(shrinking[np.argmin(ratios)]))

    def _split(self, a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """``a = Q·along + outside = A_Pᵀ·inside + outside``; projected twice for full precision."""
        size = len(self.rows)
        Q, R = self._Q[:, :size], self._R[:size, :size]
        along = Q.T @ a
        outside = a - Q @ along
        again = Q.T @ outside
        outside -= Q @ again
        along += again
        if not size:
            return along, along, outside
        return along, solve_triangular(R, along, check_finite=False), outside

    def _append(self, row: int, multiplier: float, along: np.ndarray, outside: np.ndarray) -> None:
        size, length = len(self.rows), np.linalg.norm(outside)
        self._Q[:, size] = outside / length
        self._R[:size, size], self._R[size, size] = along, length
        self.rows.append(row)
        self.x = np.append(self.x, multiplier)

    def _leave(self, place: int) -> None:
        size = len(self.rows)
        del self.rows[place]
        self.x = np.delete(self.x, place)
        if size > 1:
            Q, R = self._Q[:, :size], self._R[:size, :size]
            self._store(*qr_delete(Q, R, place, which="col", check_finite=False))

    def _store(self, Q: np.ndarray, R: np.ndarray) -> None:
        size = len(self.rows)
        self._Q[:, :size], self._R[:size, :size] = Q[:, :size], R[:size, :size]
