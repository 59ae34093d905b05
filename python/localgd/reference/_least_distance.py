"""The shortest w with A w ≥ b."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from ._active_rows import ActiveRows
from ._equality import Polished, polish

__all__ = ["Unreachable", "least_distance"]

EPS = np.finfo(float).eps
POOL = 200  # violated rows looked at between two scans of all rows
PATIENCE = 5  # polishing rounds without a better worst row before giving up
CORRECTIONS = 20  # rows that may enter in one polishing round


@dataclass(frozen=True)
class Unreachable:
    """No w has A w > 0 (to the tolerance): ``weights`` v ≥ 0, Σ v = 1 with ‖Aᵀv‖ ≈ 0."""

    weights: np.ndarray


def least_distance(A: np.ndarray, b: np.ndarray, *, tolerance: float) -> Polished | Unreachable:
    """Solve ``min ½‖w‖²  s.t.  A w ≥ b`` for rows of norm near 1 and b > 0.

    A dual active-set method (Goldfarb and Idnani 1983) on an updated factorisation, then rounds of
    polishing: the equality system on the active rows is solved afresh with iterative refinement,
    and rows that it leaves short enter.

    Counts as unreachable if ‖Aᵀv‖ ≤ tolerance, which bounds the margin of rows of norm 1.
    """
    guess = _block_pivots(A, b) if len(A) <= A.shape[1] else None
    if guess is not None and not len(_violated(A, b, guess.w, slips=1.0)):
        return _without_faint(A, b, guess)
    active = ActiveRows(A, b, guess)
    refusal = _ascend(active, tolerance, slips=8.0, limit=50 * sum(A.shape) + 1000)
    best, least, left = None, np.inf, PATIENCE
    while refusal is None:
        solution = polish(A, b, np.array(active.rows), active.x)
        worst = float(np.max(1 - (A @ solution.w) / b))
        left -= 1
        if worst < least:
            best, least, left = solution, worst, PATIENCE
        if not left or not len(_violated(A, b, solution.w, slips=1.0)):
            return _without_faint(A, b, best)
        active = ActiveRows(A, b, solution)
        refusal = _ascend(active, tolerance, slips=1.0, limit=CORRECTIONS)
    return refusal


def _ascend(
    active: ActiveRows, tolerance: float, *, slips: float, limit: int
) -> Unreachable | None:
    """Let violated rows enter, the worst first, until there are none or the limit is reached."""
    A, b = active.A, active.b
    pool = np.zeros(0, dtype=int)
    for _ in range(limit):
        wrong = _violated(A[pool], b[pool], active.w, slips=slips)
        if not len(wrong):
            pool = _violated(A, b, active.w, slips=slips)
            pool = pool[~np.isin(pool, active.rows)][:POOL]
            if not len(pool):
                return None
            wrong = [0]
        row = int(pool[wrong[0]])
        weights = active.enter(row)
        if weights is None:
            pool = pool[pool != row]
            weights = active.x
            if np.linalg.norm(active.w) > tolerance * weights.sum():
                continue
        v = np.zeros(len(A))
        v[[*active.rows, row][: len(weights)]] = weights / weights.sum()
        return Unreachable(v)
    return None


def _violated(A: np.ndarray, b: np.ndarray, w: np.ndarray, *, slips: float) -> np.ndarray:
    """Rows with a·w < b beyond so many roundings, the worst first."""
    slack = A @ w - b
    wrong = np.flatnonzero(slack < -(1e-12 * b + slips * EPS * np.linalg.norm(w)))
    return wrong[np.argsort(slack[wrong], kind="stable")]


def _without_faint(A: np.ndarray, b: np.ndarray, solution: Polished) -> Polished:
    """Leave out multipliers of rounding size where the rows stay on the margin without them."""
    strong = solution.multipliers > 64 * EPS * solution.multipliers.max()
    if strong.all():
        return solution
    trimmed = polish(A, b, solution.rows[strong], solution.multipliers[strong])
    return solution if len(_violated(A, b, trimmed.w, slips=8.0)) else trimmed


def _block_pivots(A: np.ndarray, b: np.ndarray, *, rounds: int = 40) -> Polished | None:
    """Guess the active rows by exchanging all wrong ones at once; None if that does not settle.

    With independent rows this ends after a few factorisations of the Gram matrix, where one row
    at a time takes as many steps as there are active rows (Portugal, Júdice, Vicente 1994).
    """
    gram = A @ A.T
    active = np.ones(len(A), dtype=bool)
    for _ in range(rounds):
        rows = np.flatnonzero(active)
        try:
            factor = cho_factor(gram[np.ix_(rows, rows)], check_finite=False)
        except LinAlgError:
            return None
        x = np.zeros(len(A))
        x[rows] = cho_solve(factor, b[rows], check_finite=False)
        wrong = np.where(active, x <= 0, gram @ x < (1 - 1e-10) * b)
        if not wrong.any():
            return polish(A, b, rows, x[rows])
        active ^= wrong
        if not active.any():
            return None
    return None
