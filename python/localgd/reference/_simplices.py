"""The shortest vector of an average of polytopes, each spanned by the rows of one client."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr, solve_triangular
from scipy.optimize import minimize

from ..norms import norm
from ..rows import Rows
from ._deadline import check_time
from ._equality import EXTENDED, both_products
from ._rows import dense, lengths

__all__ = ["Shortest", "shortest_average"]

EPS = np.finfo(float).eps
SWEEPS = 3
TEMPERATURES = (1e-1, 1e-2, 1e-3, 1e-4)  # τ of the start, beside ‖x‖²
FAINT = 1e-3  # weights that count as 0 there
PATIENCE = 3  # rounds without a shorter vector before what is left over counts as rounding


@dataclass(frozen=True)
class Shortest:
    """``x = Σ_j c_j a_j z_j`` on some rows, a > 0 and of sum 1 on each client; x in float64."""

    rows: np.ndarray
    a: np.ndarray
    x: np.ndarray


def shortest_average(Z: Rows, clients: np.ndarray, p: np.ndarray) -> Shortest:
    """``argmin ‖Σ_j c_j a_j z_j‖²  s.t.  a ≥ 0, Σ_{j of client i} a_j = 1``, ``c_j = p_i``.

    By active sets, as Lawson and Hanson solve least squares with a ≥ 0: rows enter that x leaves
    below the others of their client, the least one of each; the equations of the rows are solved;
    where that makes an a negative, the step ends and the row leaves. A set whose equations are
    solved does not come twice, as x gets shorter. It begins with what a smooth form of the problem
    says. ``clients`` are in order and count from 0; p > 0.
    """
    first = np.searchsorted(clients, np.arange(len(p)))
    c, near = p[clients], 16 * EPS * lengths(Z)
    guess = _smooth(Z, clients, first, p)
    best = _solved(Z, clients, c, np.flatnonzero(guess), guess[guess > 0])
    left = PATIENCE
    while left:
        scores, length = Z @ best.x, norm(best.x)
        level = np.bincount(clients[best.rows], best.a * scores[best.rows])
        least = _least(scores, clients, first)
        below = level - scores[least]
        entering = (below > near[least] * length) & ~np.isin(least, best.rows)
        if left < PATIENCE and entering.any():  # the one that matters most, by itself
            entering &= p * below == np.max((p * below)[entering])
        if not entering.any():
            break
        rows = np.concatenate([best.rows, least[entering]])
        found = _solved(Z, clients, c, rows, np.append(best.a, np.zeros(entering.sum())))
        shorter = norm(found.x) < length * (1 - EPS)
        left = PATIENCE if shorter else left - 1
        best = found if shorter else best
    return best


def _smooth(Z: Rows, clients: np.ndarray, first: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Rough weights: ``min ½‖x‖² + τ Σ_i p_i log Σ_j exp(-z_ij·x/τ)`` as τ becomes small."""
    c = p[clients]

    def shares(x: np.ndarray, tau: float) -> tuple[np.ndarray, np.ndarray]:
        scores = Z @ x
        least = np.minimum.reduceat(scores, first)
        parts = np.exp((least[clients] - scores) / tau)
        sums = np.add.reduceat(parts, first)
        return parts / sums[clients], tau * np.log(sums) - least

    def objective(x: np.ndarray, tau: float) -> tuple[float, np.ndarray]:
        a, soft = shares(x, tau)
        return 0.5 * float(x @ x) + float(p @ soft), x - (c * a) @ Z

    x = (c / np.bincount(clients)[clients]) @ Z
    for share in TEMPERATURES:
        tau = share * float(x @ x)
        if tau == 0:
            break
        x = minimize(objective, x, args=(tau,), jac=True, method="L-BFGS-B").x
    a = shares(x, tau)[0] if tau > 0 else np.zeros(len(c))
    a[_least(Z @ x, clients, first)] += FAINT
    return np.where(a >= FAINT, a, 0.0)


def _least(scores: np.ndarray, clients: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The row of least score of each client."""
    return np.lexsort((scores, clients))[first]


def _solved(
    Z: Rows, clients: np.ndarray, c: np.ndarray, rows: np.ndarray, a: np.ndarray
) -> Shortest:
    """The shortest vector of the rows' affine hulls, once those of a ≤ 0 have left."""
    while True:
        check_time()
        own = dense(Z[rows]) * c[rows, None]
        order = np.argsort(-a, kind="stable")
        base = order[np.unique(clients[rows[order]], return_index=True)[1]]
        others = order[~np.isin(order, base)]
        of = base[np.searchsorted(clients[rows[base]], clients[rows[others]])]
        D = own[others] - own[of]
        Q, R = qr(D.T, mode="economic", check_finite=False)
        pivots, sizes = np.zeros(len(others)), np.linalg.norm(D, axis=1)
        pivots[: len(R)] = np.abs(np.diag(R))
        dependent = pivots <= len(rows) * EPS * np.maximum(sizes, sizes.max(initial=0.0))
        if dependent.any():
            rows, a = _without(clients, rows, a, others[dependent])
            continue
        target = np.zeros(len(rows))
        target[others] = _weights(D, own[base].sum(axis=0), Q, R)
        target[base] = 1.0
        np.subtract.at(target, of, target[others])
        blocked = target <= 0
        if not blocked.any():
            x = both_products(own, np.zeros(own.shape[1]), target)[0]
            return Shortest(rows, target, x.astype(float))
        gap = a[blocked] - target[blocked]
        step = np.min(np.divide(a[blocked], gap, out=np.zeros_like(gap), where=gap > 0))
        a = a + step * (target - a)
        rows, a = _without(clients, rows, a, np.flatnonzero(blocked & (a <= 8 * EPS)))


def _without(
    clients: np.ndarray, rows: np.ndarray, a: np.ndarray, gone: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Without some rows, whose weight the others of their client take."""
    rows, a = np.delete(rows, gone), np.delete(a, gone)
    sums = np.bincount(clients[rows], a)
    return rows, a / sums[clients[rows]]


def _weights(D: np.ndarray, origin: np.ndarray, Q: np.ndarray, R: np.ndarray) -> np.ndarray:
    """``argmin ‖origin + Dᵀ t‖``, with residuals in extended precision."""
    start = solve_triangular(R, -(Q.T @ origin), check_finite=False)
    t = start.astype(EXTENDED)
    for _ in range(SWEEPS):
        x = origin + both_products(D, np.zeros(D.shape[1]), t)[0]
        t = t - solve_triangular(R, Q.T @ x.astype(float), check_finite=False)
    return np.asarray(t, dtype=np.float64)
