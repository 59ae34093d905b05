"""Set right the last few active rows, where least squares runs out of digits."""

from __future__ import annotations

import numpy as np
from scipy.linalg import qr, solve_triangular

from ._equality import Polished, polish

__all__ = ["exchange", "violated"]

EPS = np.finfo(float).eps
PATIENCE = 5  # steps without a better worst row before giving up


def violated(A: np.ndarray, b: np.ndarray, w: np.ndarray, *, slips: float = 1.0) -> np.ndarray:
    """Rows with a·w < b beyond ``slips`` roundings, the worst first."""
    slack = A @ w - b
    wrong = np.flatnonzero(slack < -(1e-12 * b + slips * EPS * np.linalg.norm(w)))
    return wrong[np.argsort(slack[wrong] / b[wrong], kind="stable")]


def exchange(A: np.ndarray, b: np.ndarray, solution: Polished) -> Polished:
    """Bring in the worst row again and again while that helps; the best solution seen."""
    best, least, left = solution, _worst(A, b, solution), PATIENCE
    while left and len(wrong := violated(A, b, solution.w)):
        changed = _bring_in(A, b, solution, int(wrong[0]))
        if changed is None:
            break
        solution, left = changed, left - 1
        worst = _worst(A, b, solution)
        if worst < least:
            best, least, left = solution, worst, PATIENCE
    return best


def _worst(A: np.ndarray, b: np.ndarray, solution: Polished) -> float:
    return float(np.max(1 - (A @ solution.w) / b))


def _bring_in(A: np.ndarray, b: np.ndarray, solution: Polished, row: int) -> Polished | None:
    """One step of Lawson and Hanson: the row enters, those that block it leave."""
    rows, x = solution.rows, solution.multipliers
    if row in rows:
        return None
    Q, R = qr(A[rows].T, mode="economic", check_finite=False)
    inside = solve_triangular(R, Q.T @ A[row], check_finite=False)
    outside = A[row] - inside @ A[rows]
    entering = 0.0
    if np.linalg.norm(outside) <= 64 * EPS * (1 + np.linalg.norm(inside)):
        # The row depends on the active ones: it takes over their pull until one of them is idle.
        shrinking = inside > 0
        if not shrinking.any():
            return None
        entering = np.min(x[shrinking] / inside[shrinking])
        x = x - entering * inside
        idle = shrinking & (x <= 8 * EPS * x.max())
        rows, x = rows[~idle], x[~idle]
    return polish(A, b, np.append(rows, row), np.append(x, entering))
