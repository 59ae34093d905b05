"""The shortest w with A w ≥ b."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, cholesky, qr
from scipy.optimize import nnls

from ..rows import Rows, is_sparse
from ._deadline import check_time
from ._equality import EXTENDED, Polished, both_products, polish
from ._iterated_pivots import iterated_pivots
from ._rows import Product, dense, distinct, has_many
from ._span import spectrum

__all__ = ["Unreachable", "least_distance"]

EPS = np.finfo(float).eps
PATIENCE = 20  # polishing rounds without a better worst row before giving up
ENTERING = 200  # rows that enter a working set in a round, or as many as it has
DEPENDENT = 1e-3  # part of a row of norm near 1 outside the span of those before
REFINEMENTS = 2
LARGE = 500  # rows of a working set, beyond which all rows are tried at once
GROWING = 3  # rounds without a longer w before what is left over counts as rounding
SHORT = 1e-6  # share of b that a row lacks for certain


@dataclass(frozen=True)
class Unreachable:
    """No w has A w > 0 (to the tolerance): ``weights`` v ≥ 0, Σ v = 1 with ‖Aᵀv‖ ≈ 0."""

    weights: np.ndarray


def least_distance(A: Rows, b: np.ndarray, *, tolerance: float) -> Polished | Unreachable:
    """Solve ``min ½‖w‖²  s.t.  A w ≥ b`` for rows of norm near 1 and b > 0.

    ``v = argmin ‖Aᵀv‖² + (b·v - 1)²  s.t.  v ≥ 0``,  ``w ∝ Aᵀv``

    Least-distance programming by non-negative least squares (Lawson and Hanson 1974, chapter 23),
    then rounds of polishing: the equality system on the active rows is solved with iterative
    refinement, and a row that it leaves short enters.

    Counts as unreachable if ‖Aᵀv‖ ≤ tolerance · Σ v, which bounds the margin of rows of norm 1.
    """
    return (_by_working_sets if has_many(A) else _at_once)(A, b, tolerance)


def _at_once(A: Rows, b: np.ndarray, tolerance: float) -> Polished | Unreachable:
    if is_sparse(A) and A.shape[0] < A.shape[1]:
        return _in_span(A, b, tolerance)
    A = dense(A)
    guess = _block_pivots(A, b) if len(A) <= A.shape[1] else None
    if guess is not None and not len(_violated(A, b, guess.w, slips=1.0)):
        return _without_faint(A, b, guess)
    v = _nonnegative(A, b)
    if np.linalg.norm(v @ A) <= tolerance * v.sum():
        return Unreachable(v / v.sum())
    rows = np.flatnonzero(v)
    solution = best = polish(A, b, rows, v[rows])
    least, left = np.inf, PATIENCE
    while left and len(wrong := _violated(A, b, solution.w, slips=1.0)):
        check_time()
        rows = np.append(solution.rows, wrong[0])
        start = np.append(solution.multipliers, EPS * solution.multipliers.max())
        solution = polish(A, b, rows, start)
        worst = float(np.max(1 - _reach(A, solution.w) / b))
        left -= 1
        if worst < least:
            best, least, left = solution, worst, PATIENCE
    return _without_faint(A, b, best)


def _by_working_sets(A: Rows, b: np.ndarray, tolerance: float) -> Polished | Unreachable:
    """The same of many rows, from those of the last solution and those that it leaves short.

    ‖w‖ grows in each round, so no working set comes twice.
    """
    N = A.shape[0]
    first = np.arange(N)
    if not isinstance(A, Product):
        first, _ = distinct(A, b)
        A, b = A[first], b[first]
    start = np.ones(len(b)) @ A
    work = np.argsort((A @ start) / b, kind="stable")[:ENTERING]
    longest, left = 0.0, GROWING
    whole = is_sparse(A) and A.shape[0] < A.shape[1]
    while True:
        check_time()
        if whole and len(work) > LARGE:
            whole, guess = False, iterated_pivots(A, b)
            if guess is not None and not len(_violated(A, b, guess.w, slips=8.0)):
                return Polished(first[guess.rows], guess.multipliers, guess.w)
        answer = _at_once(A[work], b[work], tolerance)
        if isinstance(answer, Unreachable):
            weights = np.zeros(N)
            weights[first[work]] = answer.weights
            return Unreachable(weights)
        length = float(np.linalg.norm(answer.w))
        left = left - 1 if length <= longest * (1 + 4 * EPS) else GROWING
        longest = max(longest, length)
        wrong = _short(A, b, answer.w)
        work = work[answer.rows]
        if not len(wrong) or not left:
            return Polished(first[work], answer.multipliers, answer.w)
        work = np.union1d(work, wrong[: max(ENTERING, len(work))])


def _in_span(A: Rows, b: np.ndarray, tolerance: float) -> Polished | Unreachable:
    """The same by rows with the same inner products, as many coordinates as there are rows."""
    products = dense(A @ A.T)
    try:
        L = cholesky(products, lower=True, check_finite=False)
    except LinAlgError:
        L = np.zeros((1, 1))
    if np.diag(L).min() < DEPENDENT:
        s, U = spectrum(A.T.tocsr(), max(A.shape) * EPS)
        L = U * s
    answer = _at_once(L, b, tolerance)
    if isinstance(answer, Unreachable):
        return answer
    rows, x = answer.rows, answer.multipliers.astype(EXTENDED)
    own, factor = A[rows], cho_factor(products[np.ix_(rows, rows)], check_finite=False)
    for _ in range(REFINEMENTS):
        w = both_products(own, np.zeros(A.shape[1]), x)[0]
        x = x + cho_solve(factor, (b[rows] - _reach(own, w)).astype(float), check_finite=False)
    return Polished(rows, x.astype(float), both_products(own, np.zeros(A.shape[1]), x)[0])


def _short(A: Rows, b: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Rows that w leaves short, the worst first; in extended precision if none is by much."""
    slack = (A @ w.astype(float)) / b - 1
    wrong = np.flatnonzero(slack < -SHORT)
    if len(wrong):
        return wrong[np.argsort(slack[wrong], kind="stable")]
    return _violated(A, b, w, slips=1.0)


def _nonnegative(A: Rows, b: np.ndarray) -> np.ndarray:
    """The v of :func:`least_distance`, in coordinates of the row span where that is smaller."""
    columns = A.T if A.shape[1] <= len(A) else qr(A.T, mode="r", check_finite=False)[0][: len(A)]
    E = np.vstack([columns, b])
    f = np.zeros(len(E))
    f[-1] = 1.0
    return nnls(E, f, maxiter=50 * len(A) + 1000)[0]


def _violated(A: Rows, b: np.ndarray, w: np.ndarray, *, slips: float) -> np.ndarray:
    """Rows with a·w < b beyond so many roundings of extended precision, the worst first."""
    rounded = w.astype(float)
    length = np.linalg.norm(rounded)
    near = np.flatnonzero(A @ rounded - b < len(w) * EPS * length)
    slack = _reach(A[near], w) - b[near]
    wrong = slack < -(1e-12 * b[near] + slips * float(np.finfo(EXTENDED).eps) * length)
    return near[wrong][np.argsort(slack[wrong], kind="stable")]


def _reach(A: Rows, w: np.ndarray) -> np.ndarray:
    """``A w`` in extended precision."""
    return both_products(A, w, np.zeros(A.shape[0]))[1]


def _without_faint(A: Rows, b: np.ndarray, solution: Polished) -> Polished:
    """Leave out multipliers of rounding size where the rows stay on the margin without them."""
    strong = solution.multipliers > 64 * EPS * solution.multipliers.max()
    if strong.all():
        return solution
    trimmed = polish(A, b, solution.rows[strong], solution.multipliers[strong])
    return solution if len(_violated(A, b, trimmed.w, slips=8.0)) else trimmed


def _block_pivots(A: Rows, b: np.ndarray, *, rounds: int = 40) -> Polished | None:
    """Guess the active rows by exchanging all wrong ones at once; None if that does not settle.

    With independent rows this ends after a few factorisations of the Gram matrix, where one row
    at a time takes as many steps as there are active rows (Portugal, Júdice, Vicente 1994).
    """
    gram = A @ A.T
    active = np.ones(len(A), dtype=bool)
    for _ in range(rounds):
        check_time()
        rows = np.flatnonzero(active)
        try:
            factor = cho_factor(gram[np.ix_(rows, rows)], check_finite=False)
        except LinAlgError:
            return None
        pivots = np.diag(factor[0])
        if pivots.min() < 1e-6 * pivots.max():  # dependent, as far as the Gram matrix can tell
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
