"""The minimiser of a convex loss on the span of the rows, proved to exist and to be near."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular

from ..norms import norm
from ..rows import Rows
from ._equality import EXTENDED
from ._factors import Factors, factors
from ._losses import Classes, Margins
from ._rows import absolute, filled, lengths

__all__ = ["Minimum", "minimise", "step_share"]

STEPS = 200
SHORTEST = 2.0**-60  # of the shares that are tried where the curvature jumps
SWEEPS = 5
EPS = np.finfo(float).eps
EXTENDED_ENTRIES = 1 << 24  # of products, above which they are left to BLAS in double precision
STALE = 1e-3  # spread of the steps since the Hessian was taken, beyond which it is taken anew
NEAR = 1e-6  # a step this short in every score: what is left is its square


@dataclass(frozen=True)
class Minimum:
    """``margin_error``: no score of w differs more than this from the minimiser's; inf: unproved.

    ``relative_gradient`` is ‖∇f(w)‖ over the sum of the norms of its N terms, with features brought
    to similar size by powers of two.
    """

    w: np.ndarray
    value: float
    gradient_norm: float
    relative_gradient: float
    margin_error: float
    rank: int


def minimise(X: Rows, objective: Margins | Classes) -> Minimum | None:
    """``argmin f(w)`` over w in the span of the rows, shape (d,) or (d, C).

    By Newton's method in coordinates where the rows have condition number 1. None if the rows are
    found separable, or the Hessian becomes singular, as it does where no minimiser exists.
    """
    if not filled(X).any():
        w = objective.lift(np.zeros((X.shape[1], 1)), np.zeros(objective.columns))
        return Minimum(w, objective.value(X @ w), 0.0, 0.0, 0.0, 0)
    frame = factors(X)
    with np.errstate(all="ignore"):  # a step that rounding made wild
        v = _descend(frame.scores, objective)
        return None if v is None else _polished(X, frame, v, objective)


def _descend(A: Rows, objective: Margins | Classes) -> np.ndarray | None:
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
        v = v + step_share(A, objective, v, step, slope=float(gradient @ step)) * step
    return None


def step_share(
    A: Rows,
    objective: Margins | Classes,
    v: np.ndarray,
    step: np.ndarray,
    *,
    slope: float,
    l2: float | np.ndarray = 0.0,
) -> float:
    """The whole step where that descends enough on the objective with ``l2``, less elsewhere."""
    spread = objective.spread(A, step)
    if spread <= 0.5:
        return 1.0

    def value(at: np.ndarray) -> float:
        loss = objective.value(objective.lift(A, at))
        return loss + 0.5 * float(np.sum(l2 * at * at))

    smooth = np.isfinite(spread)
    safe = float(np.log1p(spread) / spread) if smooth else SHORTEST
    before, share = value(v), 1.0
    if not smooth:  # then a whole step may be the last one, which gains less than rounding
        before += EPS * abs(before)
    while share > safe:
        if value(v + share * step) <= before + share * slope / 4:
            break
        share = max(share / 2, safe)
    return share


def _polished(
    X: Rows, frame: Factors, v: np.ndarray, objective: Margins | Classes
) -> Minimum | None:
    """Newton corrections of the weights, from gradients of the rows as they are."""
    A, back = frame.scores, frame.back
    w = objective.lift(back, v)
    if not np.isfinite(w).all():
        return None
    if np.abs(X @ w).max() <= 64 * EPS * objective.unit:
        w = np.zeros_like(w)
    best = None
    metric, moved = _Metric.at(A, X @ w, objective), 0.0
    for _ in range(SWEEPS):
        scores, doubt = _scores(X, w)
        if moved > STALE:
            metric, moved = _Metric.at(A, scores, objective), 0.0
        if metric is None:
            break
        gradient = _gradient(X, objective.slopes(scores))
        inner = objective.pull(back, gradient)
        step = metric.solve(inner)
        sizes = objective.sizes(scores)
        relative = _relative(gradient, sizes, frame)
        if not (relative < np.inf if best is None else relative < best.relative_gradient):
            break
        decrement = float(np.sqrt(max(0.0, inner @ step)))
        decrement += float((4 * EPS * sizes + objective.slips(scores, doubt)) @ metric.noise)
        best = Minimum(
            w=w,
            value=objective.value(scores),
            gradient_norm=norm(gradient),
            relative_gradient=relative,
            # The curvature has changed by a factor e^moved at most since it was taken.
            margin_error=objective.error(metric.reach * decrement * float(np.exp(moved))),
            rank=frame.rank,
        )
        if not w.any():
            break
        w = w - objective.lift(back, step)
        moved += objective.spread(A, step)
    if best is not None and np.isfinite(best.margin_error):
        frame.check(X, best.w)
    return best


@dataclass(frozen=True)
class _Metric:
    """The Hessian L Lᵀ at some scores, and what a step of length 1 in its norm can do.

    ``reach``: the largest spread of such a step. ``noise``: the most that rounding of a row's slope
    can add to the decrement; without it, a direction that is flat to double precision would count
    as a minimum.
    """

    lower: np.ndarray
    reach: float
    noise: np.ndarray

    @classmethod
    def at(cls, A: Rows, scores: np.ndarray, objective: Margins | Classes) -> _Metric | None:
        try:
            lower = cholesky(objective.hessian(A, scores), lower=True, check_finite=False)
        except (LinAlgError, ValueError):
            return None
        inverse = solve_triangular(lower, np.eye(len(lower)), lower=True, check_finite=False)
        if not np.isfinite(inverse).all():
            return None
        noise = float(np.linalg.norm(inverse, 2)) * lengths(A)
        return cls(lower, objective.reach(A, lower), noise)

    def solve(self, gradient: np.ndarray) -> np.ndarray:
        step: np.ndarray = cho_solve((self.lower, True), gradient, check_finite=False)
        return step


def _scores(X: Rows, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``X w``, in extended precision where that is affordable, and a bound on its rounding."""
    terms = absolute(X) @ np.abs(w)
    if X.size * w[:1].size > EXTENDED_ENTRIES:
        scores, unit = X @ w, float(EPS)
    else:
        scores = (X.astype(EXTENDED) @ w.astype(EXTENDED)).astype(float)
        unit = float(np.finfo(EXTENDED).eps)
    # The rounding of the scores themselves moves a slope by no more than its last digits.
    return scores, (X.shape[1] * unit * terms).reshape(X.shape[0], -1).max(axis=1)


def _gradient(X: Rows, slopes: np.ndarray) -> np.ndarray:
    """``Xᵀ s``, likewise."""
    if X.size * slopes[:1].size > EXTENDED_ENTRIES:
        return X.T @ slopes
    gradient: np.ndarray = (X.T.astype(EXTENDED) @ slopes.astype(EXTENDED)).astype(float)
    return gradient


def _relative(gradient: np.ndarray, sizes: np.ndarray, frame: Factors) -> float:
    """‖∇f‖ over the sum of the norms of its terms, with features brought to similar size."""
    terms = sizes @ frame.lengths
    scaled = np.ldexp(gradient, -frame.columns.reshape(-1, *[1] * (gradient.ndim - 1)))
    return float(norm(scaled) / terms) if terms > 0 else 0.0
