"""Separable or not, with a certificate either way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..blas import with_one_blas_thread
from ..norms import norm
from ..problem import Problem
from ..read_only import ReadOnlyArrays
from ..rows import Rows
from ._arguments import signed_rows
from ._facial_reduction import Faces, facial_reduction
from ._hard_margin import certify, hard_margin
from ._rows import largest, scaled
from ._scaling import common_scale, heights, row_norms, scaled_rows, splits, too_far_apart
from ._span import outside, row_space

__all__ = ["Separability", "separability"]


@dataclass(frozen=True, eq=False, repr=False)
class Separability(ReadOnlyArrays):
    """Whether some w has z_j·w > 0 on all rows, and what proves it.

    ``z_j·u > 0 for all j``  or  ``Zᵀv = 0, v ≥ 0, Σ_j v_j = 1``

    Attributes
    ----------
    separable : bool
    direction : ndarray of shape (d,), float64, read-only, or None
        If separable the unit u of largest margin, else None.
    margin : float
        min_j z_j·u if separable, else 0.
    weights : ndarray of shape (N,), float64, read-only, or None
        If not separable the convex weights v: positive on every row outside ``subset``, 0 on it.
    residual : float
        If separable the KKT residual of u (see :class:`MaxMargin`; inf where the rows are
        separable by less than 1e-12 of their norm, so that u is some separator, not the best),
        else ‖Zᵀv‖ relative to the largest row norm.
    subset : ndarray of int64, read-only
        S, ascending: the largest set of rows for which some u has z·u > 0 on S and z·u = 0 on the
        rest. All rows if separable.
    subset_direction : ndarray of shape (d,), float64, read-only, or None
        Such a unit u, of largest margin on S: the direction in which the iterates diverge.
        Equals ``direction`` if separable; None if S is empty.
    n_samples : int
        N.
    """

    separable: bool
    direction: np.ndarray | None
    margin: float
    weights: np.ndarray | None
    residual: float
    subset: np.ndarray
    subset_direction: np.ndarray | None
    n_samples: int

    def __repr__(self) -> str:
        if self.separable:
            return (
                f"Separability(separable, margin={self.margin:.9g}, residual={self.residual:.1e})"
            )
        return (
            f"Separability(not separable, subset of {len(self.subset)} of {self.n_samples} rows, "
            f"residual={self.residual:.1e})"
        )


@with_one_blas_thread
def separability(problem: Problem) -> Separability:
    """Decide whether a problem is linearly separable (without bias), with a certificate.

    ``z_j·u > 0 for all j``  or  ``Zᵀv = 0, v ≥ 0, Σ_j v_j = 1``

    If not separable, gradient descent stays bounded on the span of the rows outside ``subset`` and
    diverges along ``subset_direction`` (Ji and Telgarsky 2019). The subset is found by facial
    reduction: rows that carry weight in some v leave, the others are projected on the complement
    of their span, until those left are separable. Decisions are made at 1e-10, in
    coordinates where the rows have condition number 1.

    Parameters
    ----------
    problem : Problem
        A binary task.

    Returns
    -------
    Separability
        The answer, its certificate, and which rows are separable.

    Raises
    ------
    UnsupportedError
        If there are more than 2,000 rows of more than 5,000 features that are not separable.
    ValueError
        If the task is not binary, or rows or features differ so much in scale (1e100, say) that
        rounding hides every certificate.
    TypeError
        If ``problem`` is not a :class:`localgd.Problem`.

    References
    ----------
    Ji and Telgarsky, COLT 2019, arXiv:1803.07300.

    Examples
    --------
    Two opposite rows, and a third that only the second feature tells apart:

    >>> import localgd as lg
    >>> problem = lg.Problem([([[1.0, 0.0], [2.0, 0.0]], [1, -1]), ([[1.0, 4.0]], [1])])
    >>> found = lg.reference.separability(problem)
    >>> found.separable, found.subset, found.subset_direction, found.weights.round(12)
    (False, array([2]), array([0., 1.]), array([0.66666667, 0.33333333, 0.        ]))
    """
    Z = signed_rows(problem, "separability")
    if not too_far_apart(Z):
        near, _ = common_scale(Z)
        solution = hard_margin(near)
        if solution is not None:
            w, alpha = solution
            return _separable(Z, w / norm(w), certify(near, w, alpha).kkt_residual)
    faces = facial_reduction(Z)
    if faces.weights is None:
        return _separable(Z, faces.separator(Z), np.inf)
    if not (faces.weights[faces.rest] > 0).all():
        raise ValueError(
            "problem: the rows are not separable, but differ so much in size that their weights "
            "are no doubles; rescale the rows to similar size"
        )
    direction = _subset_direction(Z, faces)
    if direction is not None:
        direction.setflags(write=False)
    return Separability(
        separable=False,
        direction=None,
        margin=0.0,
        weights=faces.weights,
        residual=_imbalance(Z, faces.weights),
        subset=faces.subset,
        subset_direction=direction,
        n_samples=Z.shape[0],
    )


def _separable(Z: Rows, u: np.ndarray, residual: float) -> Separability:
    shares, doubt, exponents = heights(Z, u)
    if (shares - doubt).min() <= 0:
        raise ValueError(
            "problem: the rows are separable, but rounding of any direction hides it; rescale the "
            "rows and features to similar size"
        )
    subset = np.arange(Z.shape[0])
    for array in (u, subset):
        array.setflags(write=False)
    return Separability(
        separable=True,
        direction=u,
        margin=float(np.ldexp(shares, exponents).min()),
        weights=None,
        residual=residual,
        subset=subset,
        subset_direction=u,
        n_samples=Z.shape[0],
    )


def _imbalance(Z: Rows, weights: np.ndarray) -> float:
    """‖Zᵀv‖ over the largest row norm."""
    size = largest(Z).max(initial=0.0)
    Z = scaled(Z, -int(np.frexp(size)[1]))
    return float(np.linalg.norm(weights @ Z) / row_norms(Z).max()) if size > 0 else 0.0


def _subset_direction(Z: Rows, faces: Faces) -> np.ndarray | None:
    """The max-margin direction of the subset's rows projected on the complement of the rest."""
    S, rest = faces.subset, faces.rest
    if not len(S):
        return None
    if not too_far_apart(Z):
        near, _ = common_scale(Z)
        basis = row_space(scaled_rows(near[rest])[0], max(Z.shape) * np.finfo(float).eps)
        solution = hard_margin(outside(near[S], basis))
        if solution is not None:
            u: np.ndarray = solution[0] / norm(solution[0])
            if splits(Z, u, S, rest):
                return u
    # Rows or features of very different scale: any u that splits them is worth more than the best.
    u = faces.separator(Z)
    if not splits(Z, u, S, rest):
        raise ValueError(
            f"problem: {len(S)} of {Z.shape[0]} rows can be separated at no cost to the others, "
            "but rounding of any direction hides it; rescale the rows and features to similar size"
        )
    return u
