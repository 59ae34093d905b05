"""The shortest w with A w ≥ b: least-distance programming on a growing set of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, qr
from scipy.optimize import nnls

from ._equality import Polished, polish
from ._exchange import exchange, violated

__all__ = ["Unreachable", "least_distance"]

FIRST_ROWS = 4000  # up to this many rows all are taken at once
EPS = np.finfo(float).eps


@dataclass(frozen=True)
class Unreachable:
    """No w has A w > 0 (to the tolerance): ``weights`` v ≥ 0, Σ v = 1 with ‖Aᵀv‖ ≈ 0."""

    weights: np.ndarray


def least_distance(A: np.ndarray, b: np.ndarray, *, tolerance: float) -> Polished | Unreachable:
    """Solve ``min ½‖w‖²  s.t.  A w ≥ b`` for rows of norm near 1 and b > 0.

    The dual is ``min ‖Aᵀv‖² + t²(1 - b·v)²,  v ≥ 0`` (Lawson and Hanson 1974, chapter 23), a
    nonnegative least-squares problem. Any t > 0 will do in exact arithmetic; near the margin
    both terms have the same size, and margins far below 1 keep their digits.

    It is solved for a few rows at a time; rows that the answer violates join until none does. The
    answer counts as unreachable if ‖Aᵀv‖ ≤ tolerance, which bounds the margin of unit rows.
    """
    if len(A) <= A.shape[1]:
        guess = _block_pivots(A, b)
        if guess is not None and not len(violated(A, b, guess.w)):
            return _without_faint(A, b, guess)
    working, balance = _first_rows(A, b), 1.0
    while True:
        v, balance = _nonnegative(A[working], b[working], balance, tolerance)
        found = np.flatnonzero(v)
        rows = working[found]
        if np.linalg.norm(v[found] @ A[rows]) <= tolerance:
            weights = np.zeros(len(A))
            weights[rows] = v[found]
            return Unreachable(weights)
        solution = polish(A, b, rows, v[found])
        wrong = violated(A, b, solution.w)
        outside = wrong[~np.isin(wrong, working)]
        if len(outside):
            working = np.sort(np.concatenate([working, outside[: max(100, 8 * len(rows))]]))
            continue
        margin = 1.0 / np.linalg.norm(solution.w)
        if not len(wrong) or balance <= 2 * margin:
            return _without_faint(A, b, exchange(A, b, solution))
        balance = margin


def _first_rows(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The rows that the mean direction separates worst."""
    if len(A) <= FIRST_ROWS:
        return np.arange(len(A))
    return np.sort(np.argsort(A @ A.mean(axis=0) / b, kind="stable")[:FIRST_ROWS])


def _without_faint(A: np.ndarray, b: np.ndarray, solution: Polished) -> Polished:
    """Leave out multipliers of rounding size where the rows stay on the margin without them."""
    strong = solution.multipliers > 64 * EPS * solution.multipliers.max()
    if strong.all():
        return solution
    trimmed = polish(A, b, solution.rows[strong], solution.multipliers[strong])
    return solution if len(violated(A, b, trimmed.w, slips=8)) else trimmed


def _nonnegative(
    A: np.ndarray, b: np.ndarray, balance: float, tolerance: float
) -> tuple[np.ndarray, float]:
    """Convex weights v on the rows with ‖Aᵀv‖/(b·v) least, and the balance t that served."""
    columns = A.T
    if A.shape[1] > len(A):
        columns = qr(A.T, mode="r", check_finite=False)[0][: len(A)]
    while True:
        E = np.vstack([columns, balance * b])
        f = np.zeros(len(E))
        f[-1] = balance
        v = nnls(E, f, maxiter=30 * len(A) + 100)[0]
        v /= v.sum()
        pull = np.linalg.norm(columns @ v)
        margin = pull / (b @ v)
        if pull <= tolerance or margin > 1e-3 * balance:
            return v, balance
        balance = margin


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
