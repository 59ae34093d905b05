"""The minimiser of a convex loss with (λ/2)‖w‖², which is unique.

It always exists, unless λ leaves an intercept alone that could grow without end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, qr
from scipy.sparse import eye_array
from scipy.sparse.linalg import LinearOperator, cg

from ..norms import norm
from ..rows import Rows, is_sparse
from ._losses import Classes, Margins
from ._newton import step_share
from ._rows import compact, distinct, lengths

__all__ = ["RidgeMinimum", "descend", "merged", "minimise_regularised"]

STEPS = 100
LARGEST_HESSIAN = 2000  # unknowns of those that are made and factored
ROUNDING = 1e-14  # of the value at 0
STALLED = 3  # steps in a row that do not bring the gradient down
EPS = np.finfo(float).eps
ROUNDED = 0.1  # of the rounding of a term: sums of many are closer than each of them


@dataclass(frozen=True)
class RidgeMinimum:
    """``terms``: the sum of the norms that the gradient is the sum of.

    ``gap``: f(w) is this far above the least value at most. ``intercept_step``: what Newton's
    method would move the intercept by, if that is free.
    """

    w: np.ndarray
    value: float
    gradient_norm: float
    terms: float
    gap: float
    intercept_step: float = 0.0


def minimise_regularised(
    X: Rows, objective: Margins | Classes, l2: float, *, free: bool = False
) -> RidgeMinimum:
    """``argmin Σ_j c_j ℓ + (λ/2)‖w‖²``, shape (d,) or (d, C); ``free``: without the last feature.

    Newton's method until the gradient is rounding of its terms, on one row for each set of equal
    ones. The Hessian is factored where it is small, in the coordinates of the rows' span if there
    are fewer of them; elsewhere its products with vectors serve conjugate gradients.
    """
    X, objective = merged(X, objective)
    rows, back = X, None
    N, d = X.shape
    if N < d and N * objective.columns <= LARGEST_HESSIAN and not is_sparse(X):
        back = _span(X, free)
        rows = np.ascontiguousarray(X @ back)
    penalty = _Penalty(l2, free, objective.columns)
    v = descend(rows, objective, penalty)
    w = objective.lift(eye_array(d) if back is None else back, v)
    scores = X @ w
    gradient = X.T @ objective.slopes(scores) + penalty.of_weights(w)
    gap, moved = norm(gradient) ** 2 / (2 * l2), 0.0
    if free:
        gap, moved = _free_gap(rows, objective, penalty, v)
    return RidgeMinimum(
        w=w,
        value=objective.value(scores) + 0.5 * float(np.sum(w * penalty.of_weights(w))),
        gradient_norm=norm(gradient),
        terms=float(objective.sizes(scores) @ lengths(X)) + l2 * norm(w),
        gap=gap,
        intercept_step=moved,
    )


@dataclass(frozen=True)
class _Penalty:
    """``(λ/2)‖v‖²`` of coordinates of so many columns of weights, the last of each left out."""

    l2: float
    free: bool
    columns: int

    def factors(self, size: int) -> np.ndarray:
        """λ of each coordinate."""
        factors = np.full(size, self.l2)
        if self.free:
            factors[size // self.columns - 1 :: size // self.columns] = 0
        return factors

    def of_weights(self, w: np.ndarray) -> np.ndarray:
        """Its gradient, of weights of shape (d,) or (d, C)."""
        pull: np.ndarray = self.l2 * w
        if self.free:
            pull[-1] = 0
        return pull


def _span(X: np.ndarray, free: bool) -> np.ndarray:
    """Orthonormal columns that span the rows; the last is a free intercept's, which stays alone."""
    if not free:
        return qr(X.T, mode="economic", check_finite=False)[0]
    back = qr(X[:, :-1].T, mode="economic", check_finite=False)[0]
    return np.block([[back, np.zeros((len(back), 1))], [np.zeros((1, back.shape[1])), 1.0]])


def _free_gap(
    A: Rows, objective: Margins | Classes, penalty: _Penalty, v: np.ndarray
) -> tuple[float, float]:
    """The duality gap at the slopes that a Newton step of the intercept leads to, and that step.

    With ``t = H_bb⁻¹ g_b``: ``‖g_u - H_ub t‖²/(2λ) + g_b·t/2``, as f is least in b there.
    """
    scores = objective.lift(A, v)
    factors = penalty.factors(len(v))
    gradient = objective.pull(A, objective.slopes(scores)) + factors * v
    own = np.flatnonzero(factors == 0)
    curve, ways = objective.curve(A, scores), np.eye(len(v))[own]
    H = np.array([curve(way) for way in ways])
    t = np.linalg.lstsq(H[:, own], gradient[own], rcond=None)[0]
    left = np.delete(gradient - t @ H, own)
    gap = norm(left) ** 2 / (2 * penalty.l2) + 0.5 * float(gradient[own] @ t)
    return gap, norm(t)


def merged(X: Rows, objective: Margins | Classes) -> tuple[Rows, Margins | Classes]:
    """One row for each set of equal ones, with their weights added up."""
    first, group = distinct(X, objective.y)
    if len(first) < len(group):
        X, objective = X[first], objective.merged(first, group)
    return compact(X), objective


def descend(
    A: Rows,
    objective: Margins | Classes,
    penalty: float | _Penalty,
    *,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Newton steps, shortened where the objective asks for it; the point of least gradient.

    ``penalty``: λ of all coordinates, if it leaves none alone.
    """
    v = np.zeros(objective.columns * A.shape[1]) if start is None else start
    if not isinstance(penalty, _Penalty):
        penalty = _Penalty(penalty, False, objective.columns)
    l2 = penalty.factors(len(v))
    best, least, stalled = v, np.inf, 0
    first, long, highest = None, lengths(A), objective.value(objective.lift(A, v))
    for _ in range(STEPS):
        scores = objective.lift(A, v)
        gradient = objective.pull(A, objective.slopes(scores)) + l2 * v
        size = norm(gradient)
        first = first or size
        stalled = stalled + 1 if size >= least / 2 else 0
        if size < least:
            best, least = v, size
        rounding = EPS * (float(objective.sizes(scores) @ long) + penalty.l2 * norm(v))
        if size <= ROUNDED * rounding or stalled == STALLED:
            break
        step = _newton_step(A, objective, l2, scores, gradient, min(0.1, size / first))
        slope = float(gradient @ step)
        if not objective.loss.smooth and -slope > ROUNDING * highest:
            stalled = 0  # gradients fall late, once no more rows pass a place where it is not
        v = v + step_share(A, objective, v, step, slope=slope, l2=l2) * step
    return best


def _newton_step(
    A: Rows,
    objective: Margins | Classes,
    l2: np.ndarray,
    scores: np.ndarray,
    gradient: np.ndarray,
    accuracy: float,
) -> np.ndarray:
    if len(gradient) <= LARGEST_HESSIAN:
        hessian = objective.hessian(A, scores)
        diagonal = np.einsum("kk->k", hessian)
        diagonal += _where_curved(diagonal + l2, objective, l2)
        step: np.ndarray = -cho_solve((cholesky(hessian, lower=True), True), gradient)
        return step
    curve, diagonal = objective.curve(A, scores), objective.diagonal(A, scores)
    l2 = _where_curved(diagonal + l2, objective, l2)
    diagonal = diagonal + l2
    shape = 2 * gradient.shape
    found, _ = cg(
        LinearOperator(shape, lambda p: curve(p.ravel()) + l2 * p.ravel()),
        -gradient,
        rtol=max(accuracy, 1e-8),
        maxiter=1000,
        M=LinearOperator(shape, lambda p: p.ravel() / diagonal),
    )
    return np.asarray(found, dtype=np.float64)


def _where_curved(diagonal: np.ndarray, objective: Margins | Classes, l2: np.ndarray) -> np.ndarray:
    """λ, and more for an intercept without: all rows are on linear parts of the loss there."""
    return np.where(diagonal > 0, l2, objective.c.sum())
