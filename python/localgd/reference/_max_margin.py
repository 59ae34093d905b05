"""The hard-margin direction, with its certificate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import NotSeparableError
from ..problem import Problem
from ._arguments import signed_rows
from ._facial_reduction import Faces, facial_reduction
from ._hard_margin import certify, hard_margin

__all__ = ["MaxMargin", "max_margin"]


@dataclass(frozen=True, eq=False, repr=False)
class MaxMargin:
    """The hard-margin separator of a problem's rows, without bias.

    ``ŵ = argmin ½‖w‖²  s.t.  z_j·w ≥ 1 for all rows j``,  ``ŵ = Σ_j α_j z_j``,  ``α ≥ 0``

    Attributes
    ----------
    direction : ndarray of shape (d,), float64, read-only
        ŵ/‖ŵ‖.
    weights : ndarray of shape (d,), float64, read-only
        ŵ.
    margin : float
        γ = 1/‖ŵ‖, in the units of the rows.
    dual : ndarray of shape (N,), float64, read-only
        α, in the stored order of the rows (``problem.X``). Where several α give ŵ (duplicated
        rows), one with linearly independent support rows.
    support : ndarray of int64, read-only
        Rows with α_j > 0, ascending.
    on_margin : ndarray of int64, read-only
        Rows with z_j·ŵ = 1 to ``1e-9 + 16 ε ‖z_j‖‖ŵ‖``, ascending; contains the support.
    kkt_residual : float
        The largest of ‖ŵ - Zᵀα‖/‖ŵ‖ (stationarity), max(0, 1 - z_j·ŵ) (primal), max(0, -α_j)/‖ŵ‖²
        (dual) and Σ|α_j (z_j·ŵ - 1)|/‖ŵ‖² (complementarity), evaluated on the arrays above in
        extended precision where the machine has it.
    duality_gap : float
        Relative gap of ½‖w‖² between the feasible ŵ/min z_j·ŵ and the best multiple of α. The
        largest margin is proved to lie between min z_j·ŵ/‖ŵ‖ and that divided by
        √(1 - duality_gap).
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


def max_margin(problem: Problem) -> MaxMargin:
    """The direction that gradient descent and Local-GD approach on separable rows.

    ``ŵ = argmin ½‖w‖²  s.t.  z_j·w ≥ 1 for all rows j``

    Client weights play no part: ŵ depends on the rows alone. Solved as a non-negative least-squares
    problem, then polished on the rows found with iterative refinement; ``kkt_residual`` tells how
    well that went. It is near ε times the largest row norm over the margin. Margins below 1e-12 of
    norm count as 0.

    Parameters
    ----------
    problem : Problem
        A binary task.

    Returns
    -------
    MaxMargin

    Raises
    ------
    NotSeparableError
        If no w has z_j·w > 0 for every row; its ``certificate`` holds convex weights v, shape
        (N,), with Zᵀv = 0.
    ValueError
        If the task is not binary, or the rows are separable by less than 1e-12 of their norm.
    TypeError
        If ``problem`` is not a :class:`localgd.Problem`.

    References
    ----------
    Lawson and Hanson, Solving Least Squares Problems, 1974, doi:10.1137/1.9781611971217.
    Soudry, Hoffer, Nacson, Gunasekar, Srebro, JMLR 2018, arXiv:1710.10345.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.Problem([([[2.0, 0.0], [3.0, 3.0]], [1, 1]), ([[0.0, -1.0]], [-1])])
    >>> found = lg.reference.max_margin(problem)
    >>> found.weights, found.dual, found.support
    (array([0.5, 1. ]), array([0.25, 0.  , 1.  ]), array([0, 2]))
    """
    Z = signed_rows(problem, "max_margin")
    solution = hard_margin(Z)
    if solution is None:
        raise _refusal(facial_reduction(Z))
    w, alpha = solution
    certificate = certify(Z, w, alpha)
    norm = float(np.linalg.norm(w))
    result = MaxMargin(
        direction=w / norm,
        weights=w,
        margin=1.0 / norm,
        dual=alpha,
        support=np.flatnonzero(alpha),
        on_margin=certificate.on_margin,
        kkt_residual=certificate.kkt_residual,
        duality_gap=certificate.duality_gap,
    )
    for array in (result.direction, w, alpha, result.support, result.on_margin):
        array.setflags(write=False)
    return result


def _refusal(faces: Faces) -> ValueError:
    if faces.weights is None:
        return ValueError(
            "problem: the rows are separable, but by less than 1e-12 of their norm, too little for "
            "double precision; rescale the features to similar size"
        )
    return NotSeparableError(
        f"problem: the rows are not separable: no w has z·w > 0 on all {len(faces.weights)} of "
        f"them (on {len(faces.subset)} at most, with the others at 0); want separable rows: see "
        "reference.separability, or add features",
        certificate=faces.weights,
    )
