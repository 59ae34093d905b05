"""The shortest w on a set of active rows, and its multipliers, to the last digits."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter

import numpy as np
from scipy.linalg import qr, solve_triangular

from ..rows import Rows
from ._deadline import check_time
from ._rows import blocks, dense

__all__ = ["EXTENDED", "Polished", "both_products", "polish"]

# 80-bit numbers where the machine has them, plain doubles elsewhere (Windows, Apple silicon).
EXTENDED = np.longdouble


@dataclass(frozen=True)
class Polished:
    """``w = A_Pᵀ x`` with ``A_P w = b_P`` and ``x > 0`` on the rows P; w in extended precision."""

    rows: np.ndarray
    multipliers: np.ndarray
    w: np.ndarray


def polish(A: Rows, b: np.ndarray, rows: np.ndarray, start: np.ndarray) -> Polished:
    """Solve the equality system on the rows, dropping those whose multiplier turns out ≤ 0.

    ``min ½‖w‖²  s.t.  a_j·w = b_j, j ∈ P``,  ``w = A_Pᵀ x``

    ``start`` are multipliers > 0, up to a common factor, to step back from, as in the inner loop
    of Lawson and Hanson.
    """
    x = start * (b[rows] @ start) / np.sum((start @ A[rows]) ** 2)
    while True:
        check_time()
        own = dense(A[rows])
        Q, R = qr(own.T, mode="economic", check_finite=False)
        independent = np.zeros(len(rows), dtype=bool)
        pivots = np.abs(np.diag(R))
        independent[: len(pivots)] = pivots > len(rows) * np.finfo(float).eps * pivots.max()
        if not independent.all():
            rows, x = rows[independent], x[independent]
            continue
        w, target = _refined(own, b[rows], Q, R)
        blocked = target <= 0
        if not blocked.any():
            return Polished(rows, target, w)
        gap = x[blocked] - target[blocked]
        step = np.min(np.divide(x[blocked], gap, out=np.zeros_like(gap), where=gap > 0))
        x = x + step * (target - x)
        keep = ~(blocked & (x <= 8 * np.finfo(float).eps * x.max()))
        rows, x = rows[keep], x[keep]


def _refined(
    A: np.ndarray, b: np.ndarray, Q: np.ndarray, R: np.ndarray, *, sweeps: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """Refine w and x together (Björck 1967), with residuals in extended precision.

    Both are kept in extended precision: rounding of multipliers that nearly cancel would be the
    largest of the residuals. Each is judged by what it lacks itself, for even so that rounding may
    be larger than what w still gains. Of multipliers that lack about as much, which then is that
    rounding, the later ones are taken: they may still have come nearer.
    """
    half = solve_triangular(R, b, trans="T", check_finite=False)
    w = (Q @ half).astype(EXTENDED)
    x = solve_triangular(R, half, check_finite=False).astype(EXTENDED)
    best_w, best_x = (np.inf, w), (np.inf, x)
    for _ in range(sweeps):
        pull, reach = both_products(A, w, x)
        f, g = (pull - w).astype(float), (b - reach).astype(float)
        inside = Q.T @ f
        beside = f - Q @ inside
        length = float(np.linalg.norm(w))
        lack_w = max(float(np.linalg.norm(beside)) / length, float(np.max(np.abs(g) / b)))
        lack_x = float(np.linalg.norm(f)) / length
        gains = lack_w <= 0.5 * best_w[0] or lack_x <= 0.5 * best_x[0]
        best_w = min(best_w, (lack_w, w), key=itemgetter(0))
        if lack_x <= 2 * best_x[0]:
            best_x = (min(lack_x, best_x[0]), x)
        if not gains:  # what is left is rounding of w and x
            break
        half = solve_triangular(R, g, trans="T", check_finite=False)
        w = w + (Q @ half + beside)
        x = x + solve_triangular(R, half - inside, check_finite=False)
    return best_w[1], best_x[1].astype(float)


def both_products(A: Rows, w: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``Aᵀx`` and ``A w`` in extended precision, a block of rows at a time."""
    w, x = w.astype(EXTENDED), x.astype(EXTENDED)
    pull = np.zeros(A.shape[1], dtype=EXTENDED)
    reach = np.empty(A.shape[0], dtype=EXTENDED)
    for part, some in blocks(A):
        block = some.astype(EXTENDED)
        reach[part] = block @ w
        active = np.flatnonzero(x[part])
        if len(active):
            pull += x[part][active] @ block[active]
    return pull, reach
