"""What the iterates converge to on any rows: a point in some directions, a ray in the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _validation as check
from ..angles import angle
from ..blas import with_one_blas_thread
from ..losses import LossLike, loss_with_tail
from ..norms import norm
from ..problem import Problem
from ..read_only import ReadOnlyArrays
from ..rows import Rows
from ._arguments import signed_rows
from ._facial_reduction import facial_reduction
from ._hard_margin import INEXACT, certify, hard_margin
from ._losses import Margins
from ._max_margin import refusal
from ._minimizer import accurate
from ._newton import Minimum, minimise
from ._regularised import merged
from ._rows import filled, has_many
from ._scaling import common_scale, rescaled, scaled_rows, splits
from ._span import outside, row_space

__all__ = ["Limits", "limits"]

EPS = np.finfo(float).eps
HIDDEN = (
    "problem: rounding hides the span of the rows that are not separable; rescale the rows and "
    "features to similar size"
)


@dataclass(frozen=True, eq=False, repr=False)
class Limits(ReadOnlyArrays):
    """The split of a problem's rows, and the limit of the iterates on either side.

    ``P w_k → v̄``,  ``(w_k - P w_k)/‖w_k - P w_k‖ → ū``,  P the projection on span(rest)

    Attributes
    ----------
    subset : ndarray of int64, read-only
        S, ascending: the rows that some u separates (z·u > 0) with z·u = 0 on the rest.
    rest : ndarray of int64, read-only
        The other rows, less those of clients of weight 0.
    basis : ndarray of shape (r, d), float64, read-only
        Orthonormal basis of span(rest): ``P = basisᵀ basis``.
    finite_part : ndarray of shape (d,), float64, read-only
        v̄, the minimiser of Σ_{j in rest} c_j ℓ(z_j·v) on span(rest); zeros if the rest is empty.
    direction : ndarray of shape (d,), float64, read-only, or None
        ū, unit: the max-margin direction of S projected on the complement of span(rest); None if S
        is empty.
    margin : float
        min over S of z_j·ū; 0 if S is empty.
    loss : str
    gradient_norm, relative_gradient, margin_error : float
        Certificate of v̄, as in :class:`Minimizer`.
    kkt_residual : float
        Certificate of ū, as in :class:`MaxMargin`, on the projected rows; 0 if S is empty.
    """

    subset: np.ndarray
    rest: np.ndarray
    basis: np.ndarray
    finite_part: np.ndarray
    direction: np.ndarray | None
    margin: float
    loss: LossLike
    gradient_norm: float
    relative_gradient: float
    margin_error: float
    kkt_residual: float

    def __repr__(self) -> str:
        return (
            f"Limits({self.loss}, subset of {len(self.subset)} rows, margin={self.margin:.9g}, "
            f"rest of {len(self.rest)} rows and rank {len(self.basis)}, "
            f"norm={np.linalg.norm(self.finite_part):.9g})"
        )

    def split(self, w: Any) -> tuple[np.ndarray, np.ndarray]:
        """The parts of a model inside and outside span(rest).

        ``P w``, ``w - P w``

        Parameters
        ----------
        w : array of shape (d,)
            A model.

        Returns
        -------
        inside : ndarray of shape (d,), float64
            P w.
        outside : ndarray of shape (d,), float64
            What is left of w, w - P w.

        Raises
        ------
        ValueError, TypeError
            If w is not d finite numbers.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.Problem([([[1.0, 0.0]] * 4, [1, 1, 1, -1]), ([[5.0, 2.0]], [1])])
        >>> inside, outside = lg.reference.limits(problem).split([1.0, 7.0])
        >>> inside.tolist(), outside.tolist()
        ([1.0, 0.0], [0.0, 7.0])
        """
        w = check.real_array("w", w, 1, advice="")
        if len(w) != len(self.finite_part):
            raise ValueError(
                f"w: got {len(w)} numbers; want {len(self.finite_part)}, one per feature"
            )
        beyond = outside(w, self.basis)
        return w - beyond, beyond

    def finite_error(self, w: Any) -> float:
        """How far a model is from the finite limit, relatively.

        ``‖P w - v̄‖/‖v̄‖``; ``‖P w‖`` if v̄ = 0

        Parameters
        ----------
        w : array of shape (d,)
            A model.

        Returns
        -------
        float
            At least 0.

        Raises
        ------
        ValueError, TypeError
            If w is not d finite numbers.

        Examples
        --------
        Half of v̄ = (log 3, 0), whatever the part that diverges.

        >>> import localgd as lg, math
        >>> problem = lg.Problem([([[1.0, 0.0]] * 4, [1, 1, 1, -1]), ([[5.0, 2.0]], [1])])
        >>> round(lg.reference.limits(problem).finite_error([math.log(3) / 2, 7.0]), 12)
        0.5
        """
        inside, _ = self.split(w)
        return norm(inside - self.finite_part) / (norm(self.finite_part) or 1.0)

    def angle(self, w: Any) -> float:
        """The angle of a model's diverging part to its limit, in radians.

        ``angle(w - P w, ū)``

        Parameters
        ----------
        w : array of shape (d,)
            A model.

        Returns
        -------
        float
            Radians, from 0 to π.

        Raises
        ------
        ValueError
            If S is empty (nothing diverges), w lies in span(rest), or w is not d finite numbers.
        TypeError
            If w is not of real numbers.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.Problem([([[1.0, 0.0]] * 4, [1, 1, 1, -1]), ([[5.0, 2.0]], [1])])
        >>> round(lg.reference.limits(problem).angle([1.0, 7.0]), 12)
        0.0
        """
        if self.direction is None:
            raise ValueError(
                "angle: no rows are separable, so nothing diverges and there is no direction; "
                "see finite_error"
            )
        return angle(self.split(w)[1], self.direction)


@with_one_blas_thread
def limits(problem: Problem, *, loss: LossLike = "logistic", tolerance: float = 1e-10) -> Limits:
    """What gradient descent approaches on rows that are separable, not separable, or in between.

    ``v̄ = argmin_{v ∈ span(rest)} Σ_{j ∈ rest} c_j ℓ(z_j·v)``,
    ``ū ∝ argmin ½‖u‖²  s.t.  z_j·u ≥ 1 for j ∈ S, u ⟂ span(rest)``

    The rows are split as by :func:`separability`. The iterates approach v̄ on span(rest), and
    diverge along ū on its complement, at the rate log k. With S empty v̄ is the
    :func:`minimizer`; with all rows in S, v̄ = 0 and ū is the direction of :func:`max_margin`.
    Rows of clients of weight 0 are left out.

    Parameters
    ----------
    problem : Problem
        A binary task.
    loss : "exponential", "logistic" or Loss, default "logistic"
        ℓ of the finite part; ū is the same for both.
    tolerance : float > 0, default 1e-10
        Largest ``relative_gradient`` that is accepted. What is reached is usually 1e-15; it is
        rounding of the weights that sets the limit where rows differ in norm by 1e6.

    Returns
    -------
    Limits
        The two sets of rows, both limits and their certificates.

    Raises
    ------
    UnsupportedError
        For a loss without an exponential tail, or whose second derivatives are not known, or more
        than 2,000 rows of more than 5,000 features that are not separable.
    ValueError
        If the task is not binary, rows are separable by less than 1e-12 of their norm, rounding
        keeps the gradient above ``tolerance``, or rows or features differ too much in scale.
    TypeError
        If ``problem`` is not a :class:`localgd.Problem`, or an option is of the wrong kind.

    References
    ----------
    Ji and Telgarsky, COLT 2019, arXiv:1803.07300.

    Examples
    --------
    The first feature is contested, 3 rows to 1; the second separates the last row.

    >>> import localgd as lg
    >>> problem = lg.Problem([([[1.0, 0.0]] * 4, [1, 1, 1, -1]), ([[5.0, 2.0]], [1])])
    >>> found = lg.reference.limits(problem)
    >>> found.subset, found.finite_part.round(12), found.direction
    (array([4]), array([1.09861229, 0.        ]), array([0., 1.]))
    >>> round(found.finite_error([1.0, 7.0]), 6), round(found.angle([1.0, 7.0]), 6)
    (0.089761, 0.0)
    """
    Z = signed_rows(problem, "limits")
    known = loss_with_tail(loss, problem, "both limits depend")
    tolerance = check.number("tolerance", tolerance, above=0)
    kept = np.flatnonzero(problem.row_weights > 0)
    Z, exponent = common_scale(Z if len(kept) == Z.shape[0] else Z[kept])
    c = problem.row_weights[kept]
    ones = np.ones(len(kept))
    subset, rest, low = _split(Z, Margins(c, ones, known))
    d = Z.shape[1]
    basis = np.zeros((0, d))
    if filled(Z[rest]).any():
        basis = row_space(scaled_rows(Z[rest])[0], max(Z.shape) * EPS)
    if not len(rest):
        low = Minimum(np.zeros(d), 0.0, 0.0, 0.0, 0.0, 0)
    elif low is None:
        low = minimise(*merged(Z[rest], Margins(c[rest], ones[rest], known)))
    low = accurate(low, tolerance)
    direction, margin, residual = _ray(Z, subset, rest, basis)
    if low.rank != len(basis):
        raise ValueError(HIDDEN)
    finite_part = rescaled("weights", low.w, -exponent)
    subset, rest = kept[subset], kept[rest]
    for array in (subset, rest, basis, finite_part, direction):
        if array is not None:
            array.setflags(write=False)
    return Limits(
        subset=subset,
        rest=rest,
        basis=basis,
        finite_part=finite_part,
        direction=direction,
        margin=float(np.ldexp(margin, exponent)),
        loss=loss,
        gradient_norm=float(np.ldexp(low.gradient_norm, exponent)),
        relative_gradient=low.relative_gradient,
        margin_error=low.margin_error,
        kkt_residual=residual,
    )


def _split(Z: Rows, objective: Margins) -> tuple[np.ndarray, np.ndarray, Minimum | None]:
    """S and the rest, and the minimum where it was found on the way."""
    everything, nothing = np.arange(Z.shape[0]), np.arange(0)
    if hard_margin(Z) is not None:
        return everything, nothing, None
    if not has_many(Z):  # of more the other certificate is found sooner
        low = minimise(Z, objective)
        if low is not None and np.isfinite(low.margin_error):
            return nothing, everything, low
    faces = facial_reduction(Z)
    if faces.weights is None:
        raise refusal(faces)
    return faces.subset, faces.rest, None


def _ray(
    Z: Rows, subset: np.ndarray, rest: np.ndarray, basis: np.ndarray
) -> tuple[np.ndarray | None, float, float]:
    """Max-margin direction, margin and KKT residual of S beside the span of the rest."""
    if not len(subset):
        return None, 0.0, 0.0
    beside = outside(Z[subset], basis)
    solution = hard_margin(beside)
    if solution is None:
        raise ValueError(
            f"problem: {len(subset)} rows are separable outside the span of the others, but by "
            "less than 1e-12 of their norm, too little for double precision; rescale the features "
            "to similar size"
        )
    w, alpha = solution
    length, residual = norm(w), certify(beside, w, alpha).kkt_residual
    if not residual <= INEXACT or not splits(Z, w / length, subset, rest):
        raise ValueError(HIDDEN)
    return w / length, 1.0 / length, residual
