"""The interpolant nearest to the start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import svd

from .. import _validation as check
from ..problem import Problem
from ..read_only import ReadOnlyArrays
from ._arguments import checked_problem

__all__ = ["MinNorm", "min_norm"]

# Relative residual above which rows count as not interpolable.
TOLERANCE = 1e-8


@dataclass(frozen=True, eq=False, repr=False)
class MinNorm(ReadOnlyArrays):
    """The interpolant of a problem's rows nearest to w_0.

    ``w = argmin ‖w - w_0‖  s.t.  X w = y``, that is ``w_0 + X⁺(y - X w_0)``

    Attributes
    ----------
    weights : ndarray of shape (d,), float64, read-only
    residual : float
        ‖X w - y‖/‖y‖ (over ‖X w_0‖ where y = 0).
    row_space_residual : float
        The part of w - w_0 outside the span of the rows, relative to ‖w - w_0‖; 0 if w = w_0.
    rank : int
        Singular values of X above max(N, d) ε times the largest.
    """

    weights: np.ndarray
    residual: float
    row_space_residual: float
    rank: int

    def __repr__(self) -> str:
        return (
            f"MinNorm(norm={np.linalg.norm(self.weights):.9g}, rank={self.rank}, "
            f"residual={self.residual:.1e})"
        )


def min_norm(problem: Problem, *, init: Any = None) -> MinNorm:
    """The point that gradient descent and Local-GD reach under the squared loss when d > N.

    ``w_0 + X⁺(y - X w_0)``

    X⁺ comes from a singular value decomposition; values below max(N, d) ε times the largest count
    as 0. Labels -1 and +1 of a binary problem serve as targets.

    Parameters
    ----------
    problem : Problem
    init : array of shape (d,), optional
        w_0; zeros if not given.

    Returns
    -------
    MinNorm

    Raises
    ------
    ValueError
        If no w interpolates the rows (relative residual above 1e-8), or ``init`` has another shape
        or entries that are not finite.
    TypeError
        If ``problem`` is not a :class:`localgd.Problem`, or ``init`` is not of real numbers.

    References
    ----------
    Gunasekar, Lee, Soudry, Srebro, ICML 2018, arXiv:1802.08246.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.Problem([([[1.0, 1.0]], [0.5])])
    >>> lg.reference.min_norm(problem, init=[1.0, 0.0]).weights.round(12)
    array([ 0.75, -0.25])
    """
    X, y = checked_problem(problem).X, problem.y
    start = np.zeros(X.shape[1]) if init is None else check.real_array("init", init, 1)
    if len(start) != X.shape[1]:
        raise ValueError(f"init: got {len(start)} numbers; want {X.shape[1]}, one per feature")
    U, s, Vt = svd(X, full_matrices=False, check_finite=False)
    rank = int(np.sum(s > max(X.shape) * np.finfo(float).eps * s[0]))
    U, s, Vt = U[:, :rank], s[:rank], Vt[:rank]
    w = start
    for _ in range(2):  # the second pass takes out the rounding of the first
        w = w + Vt.T @ ((U.T @ (y - X @ w)) / s)
    scale = np.linalg.norm(y) or np.linalg.norm(X @ start) or 1.0
    residual = float(np.linalg.norm(X @ w - y) / scale)
    if residual > TOLERANCE:
        raise ValueError(
            f"problem: no w interpolates the {len(y)} rows (rank {rank}, {X.shape[1]} features; "
            f"least relative residual {residual:.2g}); want consistent targets: more features "
            "than rows, or fewer rows"
        )
    moved = w - start
    outside = np.linalg.norm(moved - Vt.T @ (Vt @ moved))
    length = np.linalg.norm(moved)
    w.setflags(write=False)
    return MinNorm(w, residual, float(outside / length) if length > 0 else 0.0, rank)
