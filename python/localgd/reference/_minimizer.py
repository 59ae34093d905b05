"""The minimiser of the objective: with λ always, without where the rows are not separable."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import _validation as check
from ..blas import with_one_blas_thread
from ..errors import UnsupportedError
from ..losses import LOSSES, LossLike, Softmax, check_loss, labels_of_margins, margin_rows
from ..problem import Problem, check_problem
from ..read_only import ReadOnlyArrays
from ..rows import Rows
from ..theory import penalty
from ._deadline import time_limited
from ._facial_reduction import facial_reduction
from ._losses import Classes, Margins
from ._newton import Minimum, minimise
from ._outputs import of_outputs
from ._regularised import merged, minimise_regularised
from ._rows import lengths

__all__ = ["Minimizer", "minimizer"]


@dataclass(frozen=True, eq=False, repr=False)
class Minimizer(ReadOnlyArrays):
    """The minimiser of a problem's objective on the span of its rows.

    ``w* = argmin Σ_i p_i (1/n_i) Σ_j ℓ(z_ij·w) + (λ/2)‖w‖²``

    Attributes
    ----------
    weights : ndarray of shape (d,) or (d, C), float64, read-only
        w*; of all minimisers the shortest.
    direction : ndarray of shape (d,) or (d, C), float64, read-only, or None
        w*/‖w*‖; None if w* = 0.
    loss : str
        The name of ℓ.
    l2 : float
        λ.
    value : float
        f(w*).
    gradient_norm : float
        ‖∇f(w*)‖, the Frobenius norm of a matrix.
        With several targets f is the sum of their objectives, and ``relative_gradient`` and
        ``margin_error`` are the largest of theirs.
    relative_gradient : float
        ‖∇f(w*)‖ over the sum of the norms of its N terms, before they cancel: for a binary loss
        ``Σ_j c_j |ℓ'(z_j·w*)| ‖x_j‖``, for softmax Σ_j c_j ‖p_j - e_{y_j}‖ ‖x_j‖, for the squared
        loss ``Σ_j c_j (|x_j·w*| + |y_j|) ‖x_j‖``, and λ‖w*‖. Without λ features are brought to
        similar size by powers of two for it, so that none vanishes beside larger ones.
    gap : float
        f(w*) is this far above the least value at most: ‖∇f(w*)‖²/(2λ); inf without λ. With a free
        intercept b, which makes f no longer strongly convex, the duality gap once b has taken
        Newton's step t = g_b/H_bb: ‖g_u - H_ub t‖²/(2λ) + g_b t/2.
    intercept : float, ndarray of shape (C,) or None
        The last of ``weights``, if the problem has an intercept.
    margin_error : float
        No margin z_j·w* (x_j·w* for the squared loss, difference of two scores for softmax) is
        farther than this from that of the exact minimiser, which is thereby proved to exist. With λ
        it follows from ‖w - w*‖ ≤ ‖∇f(w)‖/λ, and for a free intercept from ‖u - u*‖ ≤ √(2 gap/λ),
        with which the best intercept moves by max_j ‖x_j‖ times as much.
    rank : int or None
        Dimension of the span of the rows: singular values above max(N, d) ε times the largest,
        once rows and features are brought to similar size by powers of two. None with λ, which does
        not need it.
    """

    weights: np.ndarray
    direction: np.ndarray | None
    loss: LossLike
    value: float
    gradient_norm: float
    relative_gradient: float
    margin_error: float
    rank: int | None
    l2: float = 0.0
    gap: float = float("inf")
    intercept: Any = None

    @property
    def grad_norm(self) -> float:
        """``‖∇f(w*)‖``, as columns of histories call it."""
        return self.gradient_norm

    def __repr__(self) -> str:
        return (
            f"Minimizer({self.loss}, value={self.value:.9g}, "
            f"norm={np.linalg.norm(self.weights):.9g}, gradient_norm={self.gradient_norm:.1e})"
        )


@with_one_blas_thread
@time_limited
def minimizer(
    problem: Problem,
    *,
    loss: LossLike = "logistic",
    l2: float | str = 0.0,
    tolerance: float = 1e-10,
    time_limit: float | None = None,
) -> Minimizer:
    """The point that gradient descent reaches: with λ, or on rows that no model separates in part.

    ``w* = argmin Σ_i p_i (1/n_i) Σ_j ℓ(z_ij·w) + (λ/2)‖w‖²``, w in the span of the rows

    With λ it exists and is unique; an intercept that is free, which λ leaves alone, wants more than
    one label. Without, for the binary losses and softmax, it exists iff no u
    has z_j·u ≥ 0 for all rows and > 0 for some: iff the ``subset`` of :func:`separability` is
    empty. For the squared loss it always does, and is the least-squares solution of least norm.
    Rows of clients of weight 0 are left out. Newton's method, then corrections by the gradient of
    the rows as they are, to rounding.

    Local-GD with L > 1 and a constant learning rate η settles O(ηL) away from it; GD, SCAFFOLD and
    Local-GD with decreasing η reach it.

    Parameters
    ----------
    problem : Problem
        The rows of the clients, and their weights.
    loss : str or Loss, default "logistic"
        As for :func:`localgd.run`; "squared_hinge" and "huber", whose second derivatives jump, want
        λ > 0. "softmax" with d·C = 1000 takes a few seconds; memory grows like (d·C)². Of a loss
        that was added it wants second derivatives (``localgd.losses``).
    l2 : float >= 0, "κ=1e4" or "H/N", default 0
        λ, as for :func:`localgd.run`.
    tolerance : float > 0, default 1e-10
        Largest ``relative_gradient`` that is accepted. What is reached is usually 1e-15; it is
        rounding of the weights that sets the limit where rows differ in norm by 1e6.
    time_limit : float > 0, optional
        Seconds after which it is given up. It is asked between the steps of the solvers, so that a
        factorisation that has begun is finished first.

    Returns
    -------
    Minimizer
        w*, f(w*), and how exact they are.

    Raises
    ------
    ValueError
        If there is no minimiser (the rows are separable at least in part: see :func:`limits` and
        :func:`max_margin`), rounding hides it or its weights or keeps the gradient above
        ``tolerance``, or the loss does not fit the task.
    TypeError
        If ``problem`` is not a :class:`localgd.Problem`, or an option is of the wrong kind.
    UnsupportedError
        For a loss whose second derivatives are not known; without λ, for one whose second
        derivatives jump, and for more than 2,000 rows of more than 5,000 features.
    TimeLimitError
        If it was not done within ``time_limit``.

    References
    ----------
    Existence: Ji and Telgarsky, COLT 2019, arXiv:1803.07300. Newton's method and its certificate:
    Sun and Tran-Dinh, Mathematical Programming 178, 2019, arXiv:1703.04599; Bach, Electronic
    Journal of Statistics 4, 2010, arXiv:0910.4627.

    Examples
    --------
    Three rows at +1 and one at -1: w* = log 3.

    >>> import localgd as lg
    >>> problem = lg.Problem([([[1.0]] * 4, [1, 1, 1, -1])])
    >>> found = lg.reference.minimizer(problem, loss="logistic")
    >>> found.weights.round(12), found.relative_gradient < 1e-15
    (array([1.09861229]), True)
    """
    problem = check_problem(problem)
    check_loss(loss, problem)
    tolerance = check.number("tolerance", tolerance, above=0)
    l2 = penalty(l2, problem, loss)
    if l2 == 0 and not LOSSES[loss].smooth:
        raise UnsupportedError(
            f"l2: got 0, with which the {loss} loss, linear or constant in parts, may have many "
            "minimisers; want l2 > 0, another loss, or a Loss() with its concordance"
        )
    active = problem.row_weights > 0
    rows = margin_rows(problem, loss)
    rows = rows if active.all() else rows[active]
    found: list[_Found] = []

    def solved(y: np.ndarray, _: np.ndarray) -> np.ndarray:
        objective = _objective(problem, active, loss, y)
        found.append(_solved(problem, rows, objective, loss, l2, tolerance))
        return found[-1].w

    w = of_outputs(
        solved, labels_of_margins(problem, loss)[active], np.zeros(problem.weights_shape)
    )
    norm = np.linalg.norm(w)
    direction = w / norm if norm > 0 else None
    for array in (w, direction):
        if array is not None:
            array.setflags(write=False)
    return Minimizer(
        weights=w,
        direction=direction,
        loss=loss,
        value=sum(each.value for each in found),
        gradient_norm=math.hypot(*(each.gradient_norm for each in found)),
        relative_gradient=max(each.relative_gradient for each in found),
        margin_error=max(each.margin_error for each in found),
        rank=found[0].rank,
        l2=l2,
        gap=sum(each.gap for each in found),
        intercept=_intercept(problem, w),
    )


class _Found(NamedTuple):
    """Of one objective, as :class:`Minimizer` has them."""

    w: np.ndarray
    value: float
    gradient_norm: float
    relative_gradient: float
    margin_error: float
    rank: int | None
    gap: float = math.inf


def _solved(
    problem: Problem,
    rows: Rows,
    objective: Margins | Classes,
    loss: LossLike,
    l2: float,
    tolerance: float,
) -> _Found:
    if l2 > 0:
        return _with_l2(problem, rows, objective, loss, l2, tolerance)
    found = minimise(*merged(rows, objective))
    if found is None or not np.isfinite(found.margin_error):
        _refuse_separable(rows, loss)
    found = accurate(found, tolerance)
    return _Found(
        found.w,
        found.value,
        found.gradient_norm,
        found.relative_gradient,
        found.margin_error,
        found.rank,
    )


def _intercept(problem: Problem, w: np.ndarray) -> Any:
    if problem.intercept is None:
        return None
    return w[-1] if w.ndim > 1 else float(w[-1])


def _with_l2(
    problem: Problem,
    rows: Rows,
    objective: Margins | Classes,
    loss: LossLike,
    l2: float,
    tolerance: float,
) -> _Found:
    if problem.free_intercept:
        _refuse_endless_intercept(objective, problem, loss)
    found = minimise_regularised(rows, objective, l2, free=problem.free_intercept)
    relative = found.gradient_norm / found.terms if found.terms > 0 else 0.0
    _check_gradient(relative, tolerance)
    longest = float(lengths(rows).max())
    of_scores = np.sqrt(2.0) if isinstance(objective, Classes) else 1.0
    error = longest * found.gradient_norm / l2
    if problem.free_intercept:
        error = 2 * longest * np.sqrt(2 * found.gap / l2) + found.intercept_step
    return _Found(
        found.w,
        found.value,
        found.gradient_norm,
        relative,
        margin_error=float(of_scores * error),
        rank=None,
        gap=found.gap,
    )


def _refuse_endless_intercept(
    objective: Margins | Classes, problem: Problem, loss: LossLike
) -> None:
    """A ValueError where a free intercept makes the loss ever smaller by itself."""
    y = np.asarray(objective.y)
    if problem.task == "regression":
        endless = loss == "poisson" and not (y > 0).any()
        why = "all targets are 0"
    else:
        seen = problem.y[problem.row_weights > 0]
        endless = len(np.unique(seen)) < max(problem.n_classes, 2)
        why = "a label has no rows"
    if endless:
        raise ValueError(
            f"problem: {why}, so that with a free intercept the {loss} loss has no minimiser: it "
            "falls for ever as the intercept grows; want intercept='column', or more rows"
        )


def accurate(found: Minimum | None, tolerance: float) -> Minimum:
    """A minimum that is proved and whose gradient is small enough."""
    if found is None or not np.isfinite(found.margin_error):
        raise ValueError(
            "problem: rounding hides the minimiser: it exists, but the loss is flat to double "
            "precision in some direction; rescale the rows and features to similar size"
        )
    _check_gradient(found.relative_gradient, tolerance)
    return found


def _check_gradient(relative: float, tolerance: float) -> None:
    if not relative <= tolerance:
        raise ValueError(
            f"tolerance: got {tolerance:g}, but rounding keeps the relative gradient at "
            f"{relative:.2g}; rescale the rows and features to similar size, or ask for less"
        )


def _objective(
    problem: Problem, active: np.ndarray, loss: LossLike, y: np.ndarray
) -> Margins | Classes:
    c, known = problem.row_weights[active], LOSSES[loss]
    if isinstance(known, Softmax):
        return Classes.of(c, y, known, problem.n_classes)
    return Margins(c, y, known)


def _refuse_separable(rows: Rows, loss: LossLike) -> None:
    known = LOSSES[loss]
    if known.affine:
        return
    if known.multiclass:
        raise ValueError(
            f"problem: the {loss} loss has no minimiser that could be found: a model fits every "
            "row, or some ever better at no cost to the others; if all classes are separable see "
            "reference.max_margin, else drop features that few rows have"
        )
    if known.tail is None:
        raise ValueError(
            f"problem: no minimiser of the {loss} loss was found; whether there is one is known of "
            "losses with an exponential tail only"
        )
    subset = facial_reduction(rows).subset
    if len(subset) == rows.shape[0]:
        raise ValueError(
            f"problem: the rows are separable, so the {loss} loss has no minimiser: the weights "
            "grow without bound; see reference.max_margin for their direction"
        )
    if len(subset):
        raise ValueError(
            f"problem: {len(subset)} of {rows.shape[0]} rows can be separated at no cost to the "
            f"others, so the {loss} loss has no minimiser; see reference.limits for what each "
            "part converges to"
        )
