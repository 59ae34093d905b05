"""The minimiser of a convex loss with (λ/2)‖w‖², which always exists and is unique."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, qr
from scipy.sparse import eye_array
from scipy.sparse.linalg import LinearOperator, cg

from ..norms import norm
from ..rows import Rows, is_sparse
from ._deadline import check_time
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
    """``terms``: the sum of the norms that the gradient is the sum of."""

    w: np.ndarray
    value: float
    gradient_norm: float
    terms: float


def minimise_regularised(X: Rows, objective: Margins | Classes, l2: float) -> RidgeMinimum:
    """``argmin Σ_j c_j ℓ + (λ/2)‖w‖²``, shape (d,) or (d, C).

    Newton's method until the gradient is rounding of its terms, on one row for each set of equal
    ones. The Hessian is factored where it is small, in the coordinates of the rows' span if there
    are fewer of them; elsewhere its products with vectors serve conjugate gradients.
    """
    X, objective = merged(X, objective)
    rows, back = X, None
    N, d = X.shape
    if N < d and N * objective.columns <= LARGEST_HESSIAN and not is_sparse(X):
        back, triangle = qr(X.T, mode="economic", check_finite=False)
        rows = np.ascontiguousarray(triangle.T)

    def lift(v: np.ndarray) -> np.ndarray:
        return objective.lift(eye_array(d) if back is None else back, v)

    w = lift(descend(rows, objective, l2, lift=lift))
    scores = X @ w
    slopes = objective.slopes(scores)
    return RidgeMinimum(
        w=w,
        value=objective.value(scores) + 0.5 * l2 * float(np.sum(w * w)),
        gradient_norm=norm(X.T @ slopes + l2 * w),
        terms=float(objective.sizes(scores) @ lengths(X)) + l2 * norm(w),
    )


def merged(X: Rows, objective: Margins | Classes) -> tuple[Rows, Margins | Classes]:
    """One row for each set of equal ones, with their weights added up."""
    first, group = distinct(X, objective.y)
    if len(first) < len(group):
        X, objective = X[first], objective.merged(first, group)
    return compact(X), objective


def descend(
    A: Rows,
    objective: Margins | Classes,
    l2: float,
    *,
    start: np.ndarray | None = None,
    lift: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Newton steps, shortened where the objective asks for it; the point of least gradient.

    ``lift`` makes weights of the point, for the error if the time is over.
    """
    v = np.zeros(objective.columns * A.shape[1]) if start is None else start
    best, least, stalled = v, np.inf, 0
    first, long, highest = None, lengths(A), objective.value(objective.lift(A, v))

    def check() -> None:
        check_time(None if lift is None else best, lift)

    for _ in range(STEPS):
        check()
        scores = objective.lift(A, v)
        gradient = objective.pull(A, objective.slopes(scores)) + l2 * v
        size = norm(gradient)
        first = first or size
        stalled = stalled + 1 if size >= least / 2 else 0
        if size < least:
            best, least = v, size
        rounding = EPS * (float(objective.sizes(scores) @ long) + l2 * norm(v))
        if size <= ROUNDED * rounding or stalled == STALLED:
            break
        step = _newton_step(A, objective, l2, scores, gradient, min(0.1, size / first), check)
        slope = float(gradient @ step)
        if not objective.loss.smooth and -slope > ROUNDING * highest:
            stalled = 0  # gradients fall late, once no more rows pass a place where it is not
        v = v + step_share(A, objective, v, step, slope=slope, l2=l2) * step
    return best


def _newton_step(
    A: Rows,
    objective: Margins | Classes,
    l2: float,
    scores: np.ndarray,
    gradient: np.ndarray,
    accuracy: float,
    check: Callable[[], None],
) -> np.ndarray:
    if len(gradient) <= LARGEST_HESSIAN:
        hessian = objective.hessian(A, scores)
        hessian[np.diag_indices_from(hessian)] += l2
        step: np.ndarray = -cho_solve((cholesky(hessian, lower=True), True), gradient)
        return step
    curve, diagonal = objective.curve(A, scores), objective.diagonal(A, scores) + l2
    shape = 2 * gradient.shape
    found, _ = cg(
        LinearOperator(shape, lambda p: curve(p.ravel()) + l2 * p.ravel()),
        -gradient,
        rtol=max(accuracy, 1e-8),
        maxiter=1000,
        callback=lambda _: check(),
        M=LinearOperator(shape, lambda p: p.ravel() / diagonal),
    )
    return np.asarray(found, dtype=np.float64)
