"""The minimiser of a convex loss on the span of the rows, proved to exist and to be near."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular, svd

from ._losses import Classes, Margins

__all__ = ["Minimum", "minimise"]

STEPS = 200
SWEEPS = 5
EPS = np.finfo(float).eps
NEAR = 1e-6  # a step this short in every score: what is left is its square


@dataclass(frozen=True)
class Minimum:
    """``margin_error``: no score of w differs more than this from the minimiser's; inf: unproved.

    ``relative_gradient`` is ‖∇f(w)‖ over the sum of the norms of its N terms.
    """

    w: np.ndarray
    value: float
    gradient_norm: float
    relative_gradient: float
    margin_error: float
    rank: int


def minimise(X: np.ndarray, objective: Margins | Classes) -> Minimum | None:
    """``argmin f(w)`` over w in the span of the rows, shape (d,) or (d, C).

    By Newton's method in coordinates where the rows have condition number 1. None if the rows are
    found separable, or the Hessian becomes singular, as it does where no minimiser exists.
    """
    U, s, Vt = svd(X, full_matrices=False, check_finite=False)
    rank = int(np.sum(s > max(X.shape) * EPS * s[0]))
    if not rank:
        w = objective.lift(np.zeros((X.shape[1], 1)), np.zeros(objective.columns))
        return Minimum(w, objective.value(X @ w), 0.0, 0.0, 0.0, 0)
    scale = np.sqrt(len(X))
    A, back = U[:, :rank] * scale, Vt[:rank].T * (scale / s[:rank])
    with np.errstate(over="ignore", invalid="ignore"):  # a step that rounding made wild
        v = _descend(A, objective)
        return None if v is None else _polished(X, A, back, v, objective)


def _descend(A: np.ndarray, objective: Margins | Classes) -> np.ndarray | None:
    """Newton steps, shortened where the loss asks for it, until they are short in every score.

    Along a step of spread β the curvature changes by a factor e^β at most, so a share
    log(1 + β)/β of it always descends (Sun and Tran-Dinh 2019).
    """
    v = np.zeros(objective.columns * A.shape[1])
    for _ in range(STEPS):
        scores = objective.lift(A, v)
        if objective.fits_all(scores):
            return None
        gradient = objective.pull(A, objective.slopes(scores))
        try:
            lower = cholesky(objective.hessian(A, scores), lower=True, check_finite=False)
        except LinAlgError:
            return None
        step = -cho_solve((lower, True), gradient, check_finite=False)
        spread = objective.spread(A, step)
        if spread <= NEAR:
            return v + step
        v = v + _share(A, objective, v, step, slope=float(gradient @ step)) * step
    return None


def _share(
    A: np.ndarray, objective: Margins | Classes, v: np.ndarray, step: np.ndarray, *, slope: float
) -> float:
    """The whole step where that descends enough, less elsewhere."""
    spread = objective.spread(A, step)
    if spread <= 0.5:
        return 1.0
    safe = float(np.log1p(spread) / spread)
    value = objective.value(objective.lift(A, v))
    share = 1.0
    while share > safe:
        if objective.value(objective.lift(A, v + share * step)) <= value + share * slope / 4:
            break
        share = max(share / 2, safe)
    return share


def _polished(
    X: np.ndarray, A: np.ndarray, back: np.ndarray, v: np.ndarray, objective: Margins | Classes
) -> Minimum | None:
    """Newton corrections of the weights, from gradients of the rows as they are."""
    w = objective.lift(back, v)
    if np.abs(X @ w).max() <= 64 * EPS * objective.unit:
        w = np.zeros_like(w)
    try:
        lower = cholesky(objective.hessian(A, X @ w), lower=True, check_finite=False)
    except LinAlgError:
        return None
    reach = objective.reach(A, lower)
    # Rounding of the gradient, in the norm of the decrement: without it, a direction that is flat
    # to double precision would count as a minimum.
    inverse = solve_triangular(lower, np.eye(len(lower)), lower=True, check_finite=False)
    noise = 4 * EPS * float(np.linalg.norm(inverse, 2)) * np.linalg.norm(A, axis=1)
    lengths = np.linalg.norm(X, axis=1)
    best = None
    for _ in range(SWEEPS):
        scores = X @ w
        gradient = X.T @ objective.slopes(scores)
        norm = float(np.linalg.norm(gradient))
        if not (norm < np.inf if best is None else norm < best.gradient_norm):
            break
        inner = objective.pull(back, gradient)
        step = cho_solve((lower, True), inner, check_finite=False)
        sizes = objective.sizes(scores)
        terms = float(sizes @ lengths)
        decrement = float(np.sqrt(max(0.0, inner @ step))) + float(sizes @ noise)
        best = Minimum(
            w=w,
            value=objective.value(scores),
            gradient_norm=norm,
            relative_gradient=norm / terms if terms > 0 else 0.0,
            margin_error=objective.error(reach * decrement),
            rank=A.shape[1],
        )
        if not w.any():
            break
        w = w - objective.lift(back, step)
    return best
