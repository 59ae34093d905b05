"""The hard-margin direction, with its certificate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _validation as check
from ..blas import with_one_blas_thread
from ..errors import NotSeparableError, UnsupportedError
from ..norms import norm
from ..problem import Problem, check_problem
from ..read_only import ReadOnlyArrays
from ..rows import Rows
from ._arguments import signed_rows
from ._class_margin import NoClassMargin, certify_classes, class_margin
from ._facial_reduction import Faces, facial_reduction
from ._free_margin import free_margin
from ._hard_margin import INEXACT, Certificate, certify, hard_margin
from ._rows import compact
from ._scaling import common_scale, rescaled

__all__ = ["MaxMargin", "max_margin", "refusal"]

TOO_CLOSE = (
    "problem: the rows are separable, but by less than 1e-12 of their norm, too little for "
    "double precision; rescale the features or rows to similar size"
)


@dataclass(frozen=True, eq=False, repr=False)
class MaxMargin(ReadOnlyArrays):
    """The hard-margin separator of a problem's rows, without bias.

    ``ŵ = argmin ½‖w‖²  s.t.  z_j·w ≥ 1 for all rows j``,  ``ŵ = Σ_j α_j z_j``,  ``α ≥ 0``

    For classes W is a matrix, and the constraints are (W_{y_j} - W_c)·x_j ≥ 1 for c ≠ y_j, each
    with its multiplier α_jc. In what follows z_j·w stands for their left-hand sides.

    Attributes
    ----------
    direction : ndarray of shape (d,) or (d, C), float64, read-only
        ŵ/‖ŵ‖.
    weights : ndarray of shape (d,) or (d, C), float64, read-only
        ŵ. The columns of a matrix sum to 0.
    margin : float
        γ = 1/‖ŵ‖, in the units of the rows.
    dual : ndarray of shape (N,) or (N, C), float64, read-only
        α, in the stored order of the rows (``problem.X``), 0 at a row's own class. Where several
        α give ŵ (duplicated rows), one with linearly independent support constraints.
    support : ndarray of int64, read-only
        Rows with α_j > 0 (with some α_jc > 0), ascending.
    on_margin : ndarray of int64, read-only
        Rows with z_j·ŵ = 1 (for some c) to ``1e-9 + 16 ε ‖z_j‖‖ŵ‖``, ascending; contains the
        support.
    kkt_residual : float
        The largest of ‖ŵ - Zᵀα‖/‖ŵ‖ (stationarity), max(0, 1 - z_j·ŵ) (primal), max(0, -α_j)/‖ŵ‖²
        (dual) and Σ|α_j (z_j·ŵ - 1)|/‖ŵ‖² (complementarity), evaluated on the arrays above in
        extended precision where the machine has it.
    duality_gap : float
        Relative gap of ½‖w‖² between the feasible ŵ/min z_j·ŵ and the best multiple of α. The
        largest margin is proved to lie between min z_j·ŵ/‖ŵ‖ and that divided by
        √(1 - duality_gap), and the exact solution within √duality_gap ‖ŵ‖ of the feasible ŵ (a
        square root: rows that nearly agree hide more of ŵ than of the margin). The gap itself is
        rounded, in extended precision where the machine has it.
    """

    direction: np.ndarray
    weights: np.ndarray
    margin: float
    dual: np.ndarray
    support: np.ndarray
    on_margin: np.ndarray
    kkt_residual: float
    duality_gap: float

    def __repr__(self) -> str:
        return (
            f"MaxMargin(margin={self.margin:.9g}, {len(self.support)} support rows of "
            f"{len(self.dual)}, kkt_residual={self.kkt_residual:.1e})"
        )


@with_one_blas_thread
def max_margin(problem: Problem, *, penalize_intercept: bool = True) -> MaxMargin:
    """The direction that gradient descent and Local-GD approach on separable rows.

    ``ŵ = argmin ½‖w‖²  s.t.  z_j·w ≥ 1 for all rows j``; for classes
    ``W = argmin ½‖W‖_F²  s.t.  (W_{y_j} - W_c)·x_j ≥ 1 for all rows j and classes c ≠ y_j``

    Client weights play no part: ŵ depends on the rows alone. Solved as a non-negative least-squares
    problem, then polished on the rows found with iterative refinement; ``kkt_residual`` says how
    well that went. It is near ε times the largest row norm over the margin. Margins below 1e-12 of
    norm count as 0. Of the constraints of classes only those that matter are written out: all ten
    classes of scikit-learn's digits (16,173 constraints) take about a second.

    Parameters
    ----------
    problem : Problem
        A binary or multiclass task.
    penalize_intercept : bool, default True
        An intercept, "column" or "free", counts in ‖w‖ as it does for gradient descent without λ.
        False: the support vector machine with a free bias, ``argmin ½‖u‖² s.t. z_j·u + b y_j ≥ 1``
        of a binary problem that has an intercept; the minimisers with λ of one that is free turn
        there as λ → 0. ``margin`` is 1/‖u‖, ``weights`` are u and b, and the multipliers have
        Σ_j α_j y_j = 0, too.

    Returns
    -------
    MaxMargin
        ŵ, its margin and multipliers, and how exact they are.

    Raises
    ------
    NotSeparableError
        If no w has z_j·w > 0 for every row; its ``certificate`` holds convex weights v, shape
        (N,), with Zᵀv = 0. For classes their shape is (N, C), 0 at a row's own class, with
        Σ_jc v_jc x_j (e_{y_j} - e_c)ᵀ = 0.
    ValueError
        If the task is regression, the rows are separable by less than 1e-12 of their norm, differ
        in size by more than 1e270, or are so small or large (1e±150) that α is no double, or
        rounding keeps ``kkt_residual`` above 1e-6.
    TypeError
        If ``problem`` is not a :class:`localgd.Problem`.

    References
    ----------
    Lawson and Hanson, Solving Least Squares Problems, 1974, doi:10.1137/1.9781611971217.
    Soudry, Hoffer, Nacson, Gunasekar, Srebro, JMLR 2018, arXiv:1710.10345. Classes: Crammer and
    Singer, JMLR 2, 2001; working sets: Tsochantaridis, Joachims, Hofmann, Altun, JMLR 6, 2005.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.Problem([([[2.0, 0.0], [3.0, 3.0]], [1, 1]), ([[0.0, -1.0]], [-1])])
    >>> found = lg.reference.max_margin(problem)
    >>> found.weights, found.dual, found.support
    (array([0.5, 1. ]), array([0.25, 0.  , 1.  ]), array([0, 2]))

    One row of each of three classes, along its own axis: W = I - ⅓.

    >>> classes = lg.Problem([([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]], [0, 1, 2])])
    >>> (3 * lg.reference.max_margin(classes).weights).round(12).tolist()
    [[2.0, -1.0, -1.0], [-1.0, 2.0, -1.0], [-1.0, -1.0, 2.0]]
    """
    if not check.flag("penalize_intercept", penalize_intercept):
        return _with_free_bias(problem)
    if check_problem(problem).task == "multiclass":
        return _of_classes(problem)
    Z, exponent = common_scale(signed_rows(problem, "max_margin"))
    solution = hard_margin(Z)
    if solution is None:
        raise _refused(Z)
    w, alpha = solution
    return _result(w, alpha, np.flatnonzero(alpha), certify(Z, w, alpha), exponent)


def _with_free_bias(problem: Problem) -> MaxMargin:
    Z = signed_rows(problem, "max_margin")
    if problem.intercept is None:
        raise ValueError("penalize_intercept: got False for a problem without intercept")
    near, exponent = common_scale(Z[:, :-1])
    found = free_margin(near, problem.y)
    _check_residual(found.certificate)
    u, length = rescaled("weights", found.u, -exponent), norm(found.u)
    w = np.append(u, found.intercept)
    return _protected(
        MaxMargin(
            direction=w / norm(w),
            weights=w,
            margin=float(rescaled("the margin", np.array([1.0 / length]), exponent)[0]),
            dual=rescaled("multipliers", found.alpha, -2 * exponent, every=True),
            support=np.flatnonzero(found.alpha),
            on_margin=found.certificate.on_margin,
            kkt_residual=found.certificate.kkt_residual,
            duality_gap=found.certificate.duality_gap,
        )
    )


def _of_classes(problem: Problem) -> MaxMargin:
    X, exponent = common_scale(compact(problem.X))
    y = problem.y.astype(np.int64)
    solution = class_margin(X, y, problem.n_classes)
    if isinstance(solution, NoClassMargin):
        if solution.weights is None:
            raise ValueError(TOO_CLOSE.replace("separable, but", "separable, if at all,"))
        solution.weights.setflags(write=False)
        raise NotSeparableError(
            "problem: the classes are not separable: no W puts the own score of each of the "
            f"{len(y)} rows above the {problem.n_classes - 1} others; want separable rows: add "
            "features",
            certificate=solution.weights,
        )
    support = np.flatnonzero(solution.alpha.any(axis=1))
    certificate = certify_classes(X, y, solution)
    return _result(solution.w, solution.alpha, support, certificate, exponent)


def _result(
    w: np.ndarray,
    alpha: np.ndarray,
    support: np.ndarray,
    certificate: Certificate,
    exponent: int,
) -> MaxMargin:
    """Of the rows times 2^exponent."""
    _check_residual(certificate)
    length = norm(w)
    return _protected(
        MaxMargin(
            direction=w / length,
            weights=rescaled("weights", w, -exponent),
            margin=float(rescaled("the margin", np.array([1.0 / length]), exponent)[0]),
            dual=rescaled("multipliers", alpha, -2 * exponent, every=True),
            support=support,
            on_margin=certificate.on_margin,
            kkt_residual=certificate.kkt_residual,
            duality_gap=certificate.duality_gap,
        )
    )


def _check_residual(certificate: Certificate) -> None:
    if not certificate.kkt_residual <= INEXACT:
        raise ValueError(
            "problem: rounding hides the largest margin: the optimality conditions hold to "
            f"{certificate.kkt_residual:.1g} only; rescale the features or rows to similar size"
        )


def _protected(result: MaxMargin) -> MaxMargin:
    arrays = (result.direction, result.weights, result.dual, result.support, result.on_margin)
    for array in arrays:
        array.setflags(write=False)
    return result


def _refused(Z: Rows) -> ValueError:
    try:
        return refusal(facial_reduction(Z))
    except UnsupportedError:  # too many features for more than this
        return NotSeparableError(
            f"problem: the {Z.shape[0]} rows are not separable, or by less than 1e-12 of their "
            "norm; want separable rows: add features"
        )


def refusal(faces: Faces) -> ValueError:
    """Why rows have no hard margin, once they have been split."""
    if faces.weights is None:
        return ValueError(TOO_CLOSE)
    return NotSeparableError(
        f"problem: the rows are not separable: no w has z·w > 0 on all {len(faces.weights)} of "
        f"them (on {len(faces.subset)} at most, with the others at 0); want separable rows: see "
        "reference.separability, or add features",
        certificate=faces.weights,
    )
