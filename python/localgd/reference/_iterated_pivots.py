"""The shortest w with A w ≥ b for many sparse rows of more features, without a Gram matrix."""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg

from ..rows import Rows
from ._deadline import check_time
from ._equality import EXTENDED, Polished, both_products
from ._rows import lengths

__all__ = ["iterated_pivots"]

ROUNDS = 60
ACCURACY = 1e-8  # of the equations in a round, and of each refinement
SLACK = 1e-6  # share of b by which a row is short for certain
REFINEMENTS = 3
STEPS = 5000


def iterated_pivots(A: Rows, b: np.ndarray) -> Polished | None:
    """``argmin ½‖w‖²  s.t.  A w ≥ b`` if all wrong rows may be exchanged at once; None if not.

    Block pivots (Portugal, Júdice, Vicente 1994) by conjugate gradients on ``A_P A_Pᵀ x = b_P``,
    refined at the end. Rows that depend on each other keep them from converging.
    """
    active, x = np.ones(A.shape[0], dtype=bool), np.zeros(A.shape[0])
    for _ in range(ROUNDS):
        check_time()
        rows = np.flatnonzero(active)
        own = A[rows]
        found = _solved(own, b[rows], np.maximum(x[rows], 0.0))
        if found is None:
            return None
        x[:] = 0.0
        x[rows] = found
        wrong = np.where(active, x <= 0, A @ (found @ own) < (1 - SLACK) * b)
        if not wrong.any():
            return _refined(own, b[rows], rows, found)
        active ^= wrong
        if not active.any():
            return None
    return None


def _solved(own: Rows, b: np.ndarray, start: np.ndarray) -> np.ndarray | None:
    across, squares = own.T.tocsr(), lengths(own) ** 2
    shape = 2 * b.shape
    x, unfinished = cg(
        LinearOperator(shape, lambda v: own @ (across @ v.ravel())),
        b,
        x0=start,
        rtol=ACCURACY,
        maxiter=STEPS,
        callback=lambda _: check_time(),
        M=LinearOperator(shape, lambda v: v.ravel() / squares),
    )
    return None if unfinished else np.asarray(x, dtype=np.float64)


def _refined(own: Rows, b: np.ndarray, rows: np.ndarray, start: np.ndarray) -> Polished | None:
    """With residuals in extended precision; None where that shows a multiplier below 0."""
    x, nothing = start.astype(EXTENDED), np.zeros(own.shape[1])
    for _ in range(REFINEMENTS):
        w = both_products(own, nothing, x)[0]
        short = (b - both_products(own, w, np.zeros(len(b)))[1]).astype(float)
        more = _solved(own, short, np.zeros(len(b)))
        if more is None:
            return None
        x = x + more
    multipliers = x.astype(float)
    if multipliers.min() <= 0:
        return None
    return Polished(rows, multipliers, both_products(own, nothing, x)[0])
