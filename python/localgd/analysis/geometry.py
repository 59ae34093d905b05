"""Angles between models and margins of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _validation as check
from ..angles import angle, scaled_model
from ..norms import norm
from ._arguments import binary_problem

if TYPE_CHECKING:
    from ..problem import Problem

__all__ = ["angle", "margins"]


def margins(problem: Problem, w: Any) -> np.ndarray:
    """The normalised margin of every row, in the order of the stored rows.

    ``m_ij = z_ij·w / ‖w‖``

    Parameters
    ----------
    problem : Problem
        A binary problem.
    w : array of shape (d,)
        A model; its length does not matter.

    Returns
    -------
    ndarray of shape (N,), float64
        Signed distances of the rows from the hyperplane w·x = 0, in the unit of the features;
        negative for a row on the wrong side. The smallest is at most γ, the hard margin.

    Raises
    ------
    ValueError
        If the task is not binary, or w has another shape, NaN or Inf entries or only zeros.
    TypeError
        If problem is not a Problem, or w does not hold real numbers.

    References
    ----------
    Zhu, Vardhan, Mazumdar, arXiv:2412.07971.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.Problem([([[2.0, 0.0], [0.0, 1.0]], [1, 1]), ([[-5.0, -5.0]], [-1])])
    >>> lg.analysis.margins(problem, [3.0, 4.0]).tolist()
    [1.2, 0.8, 7.0]
    """
    problem = binary_problem(problem)
    w = check.real_array("w", w, 1)
    if len(w) != problem.n_features:
        raise ValueError(
            f"w: got {len(w)} entries; want one for each of {problem.n_features} features"
        )
    w = scaled_model("w", w)
    return problem.y * (problem.X @ w) / norm(w)
