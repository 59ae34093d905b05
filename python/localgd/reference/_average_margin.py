"""The direction of the largest average of the clients' margins, with its certificate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..blas import with_one_blas_thread
from ..errors import NotSeparableError
from ..norms import norm
from ..problem import Problem, check_problem
from ..read_only import ReadOnlyArrays
from ..rows import Rows
from ._arguments import signed_rows
from ._deadline import time_limited
from ._equality import EXTENDED, both_products
from ._hard_margin import INEXACT, TOLERANCE
from ._rows import lengths
from ._scaling import common_scale, rescaled
from ._simplices import Shortest, shortest_average

__all__ = ["AverageMargin", "average_margin"]


@dataclass(frozen=True, eq=False, repr=False)
class AverageMargin(ReadOnlyArrays):
    """The model whose margins on the clients are the largest on average.

    ``u* = argmax_{‖u‖ ≤ 1} Σ_i p_i min_j z_ij·u``,  ``value u* = Σ_i p_i Σ_j a_ij z_ij``

    Attributes
    ----------
    direction : ndarray of shape (d,), float64, read-only
        u*, unit.
    value : float
        Σ_i p_i min_j z_ij·u*, the largest average, in the units of the rows.
    margins : ndarray of shape (M,), float64, read-only
        min_j z_ij·u* of each client; some may be negative.
    dual : ndarray of shape (N,), float64, read-only
        a ≥ 0, of sum 1 on each client, in the stored order of the rows; 0 on clients of weight 0
        and rows of weight 0.
    support : ndarray of int64, read-only
        Rows with a_j > 0, ascending.
    kkt_residual : float
        The largest of ‖value u* - Σ_i p_i Z_iᵀa_i‖/value (stationarity), ``|Σ_j a_ij - 1|`` and
        max(0, -a_ij) (feasibility), and Σ_ij p_i a_ij (z_ij·u* - margin_i)/value (complementarity),
        evaluated on the arrays above in extended precision where the machine has it.
    duality_gap : float
        The largest average is proved to lie between ``value`` and value/(1 - duality_gap), and u*
        within √(2 duality_gap) of the exact one.
    """

    direction: np.ndarray
    value: float
    margins: np.ndarray
    dual: np.ndarray
    support: np.ndarray
    kkt_residual: float
    duality_gap: float

    def __repr__(self) -> str:
        return (
            f"AverageMargin(value={self.value:.9g}, {len(self.support)} support rows of "
            f"{len(self.dual)}, kkt_residual={self.kkt_residual:.1e})"
        )


@with_one_blas_thread
@time_limited
def average_margin(problem: Problem, *, time_limit: float | None = None) -> AverageMargin:
    """The direction that Local-GD approaches if each client's rate is one over its own risk.

    ``u* = argmax_{‖u‖ ≤ 1} Σ_i p_i min_j z_ij·u``, by
    ``min ‖Σ_i p_i Z_iᵀa_i‖²  s.t.  a_ij ≥ 0, Σ_j a_ij = 1 on each client``

    Steps η/f_i(w) of client i descend on Σ_i p_i log f_i, not on f, and the direction of that is
    the point of least norm of the average Σ_i p_i conv{z_ij}. With one client it is that of
    :func:`max_margin`. Client weights count, weights of rows do not unless they are 0. A positive
    average may exist where the rows are not separable, and where some clients have margins below 0.

    Parameters
    ----------
    problem : Problem
        A binary task.
    time_limit : float > 0, optional
        Seconds after which it is given up. It is asked between the steps of the solvers, so that a
        factorisation that has begun is finished first.

    Returns
    -------
    AverageMargin
        u*, the margins of the clients, and how exact they are.

    Raises
    ------
    NotSeparableError
        If no u has a positive average: 0 is an average of points of the clients' convex hulls. Its
        ``certificate`` holds v_ij = p_i a_ij, shape (N,), with Zᵀv = 0. An average below 1e-12 of
        the norms of the rows counts as 0.
    ValueError
        If the task is not binary, rows differ too much in size, or rounding keeps ``kkt_residual``
        above 1e-6.
    TypeError
        If ``problem`` is not a :class:`localgd.Problem`.
    TimeLimitError
        If it was not done within ``time_limit``.

    References
    ----------
    Limits of gradient flows: Pazy, Journal of Functional Analysis 27, 1978,
    doi:10.1016/0022-1236(78)90030-1. Rates of one over the risk: Zhang et al., arXiv:2504.04105.
    Active sets: Lawson and Hanson, Solving Least Squares Problems, 1974,
    doi:10.1137/1.9781611971217.

    Examples
    --------
    Two clients of one row each: u* is along the mean of the rows.

    >>> import localgd as lg
    >>> problem = lg.Problem([([[6.0, 0.0]], [1]), ([[0.0, -8.0]], [-1])])
    >>> found = lg.reference.average_margin(problem)
    >>> found.direction.round(12), round(found.value, 12), found.margins.round(12)
    (array([0.6, 0.8]), 5.0, array([3.6, 6.4]))
    """
    check_problem(problem, own_rows=True)
    Z = signed_rows(problem, "average_margin")
    clients = np.repeat(np.arange(problem.n_clients), problem.sizes)
    seen = np.flatnonzero(problem.row_weights > 0)
    near, exponent = common_scale(Z if len(seen) == Z.shape[0] else Z[seen])
    ids, own = np.unique(clients[seen], return_inverse=True)
    p = problem.weights[ids]
    found = shortest_average(near, own, p)
    dual = np.zeros(Z.shape[0])
    dual[seen[found.rows]] = found.a
    scale = float(p @ np.maximum.reduceat(lengths(near), np.searchsorted(own, np.arange(len(p)))))
    if norm(found.x) <= TOLERANCE * scale:
        certificate = dual * problem.weights[clients]
        certificate.setflags(write=False)
        raise NotSeparableError(
            "problem: no model has a positive average of the clients' margins: weights of the rows "
            "that sum to p_i on each client balance them; see reference.separability, or add "
            "features",
            certificate=certificate,
        )
    direction = found.x / norm(found.x)
    value, residual, gap = _certified(near, own, p, direction, found)
    if not residual <= INEXACT:
        raise ValueError(
            "problem: rounding hides the largest average of margins: the optimality conditions "
            f"hold to {residual:.1g} only; rescale the features or rows to similar size"
        )
    result = AverageMargin(
        direction=direction,
        value=float(rescaled("the average", np.array([value]), exponent)[0]),
        margins=_margins(problem, Z, direction),
        dual=dual,
        support=np.flatnonzero(dual),
        kkt_residual=residual,
        duality_gap=gap,
    )
    for array in (result.direction, result.margins, result.dual, result.support):
        array.setflags(write=False)
    return result


def _certified(
    Z: Rows, clients: np.ndarray, p: np.ndarray, u: np.ndarray, found: Shortest
) -> tuple[float, float, float]:
    """The average of the margins, the KKT residual and the duality gap."""
    v = np.zeros(Z.shape[0])
    v[found.rows] = found.a * p[clients[found.rows]]
    pull, reach = both_products(Z, u, v)
    least = np.minimum.reduceat(reach, np.searchsorted(clients, np.arange(len(p))))
    value, bound = p.astype(EXTENDED) @ least, np.linalg.norm(pull)
    sums = np.bincount(clients[found.rows], found.a)
    residual = (
        max(
            np.linalg.norm(value * u - pull) / value,
            np.abs(sums - 1).max(),
            max(0.0, -found.a.min()),
            v @ (reach - least[clients]) / value,
        )
        if value > 0
        else np.inf
    )
    return float(value), float(residual), float(max(0, 1 - value / bound))


def _margins(problem: Problem, Z: Rows, u: np.ndarray) -> np.ndarray:
    scores = Z @ u
    if problem.sample_weight is not None:
        scores[problem.sample_weight == 0] = np.inf
    return np.minimum.reduceat(scores, problem.offsets[:-1])
