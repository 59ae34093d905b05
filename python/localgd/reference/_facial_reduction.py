"""Which rows can be separated strictly, with the others on the boundary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lstsq, qr, solve_triangular

from ._least_distance import Unreachable, least_distance
from ._scaling import equilibrated

__all__ = ["Faces", "facial_reduction", "outside", "row_space"]

# In coordinates where the rows have condition number 1, what is below this share of a row's norm
# counts as 0. Noise there is near 1e-14; linear programming codes stop at 1e-7.
TOLERANCE = 1e-10
EPS = np.finfo(float).eps


@dataclass(frozen=True)
class Faces:
    """``subset``: rows with z·u > 0 for some u with z·u = 0 on the other rows, the ``rest``.

    ``weights`` v > 0 on the rest, 0 on the subset, Σ v = 1, Zᵀv = 0; None if the rest is empty.
    ``heights``: z·u for one such u, each row divided by its norm (to a factor 2).
    """

    subset: np.ndarray
    rest: np.ndarray
    weights: np.ndarray | None
    heights: np.ndarray

    def separator(self, Z: np.ndarray) -> np.ndarray:
        """The unit u with these heights."""
        A, _, columns = equilibrated(Z)
        u = lstsq(A, self.heights, check_finite=False)[0]
        u = np.ldexp(u, columns.min() - columns)
        return u / np.linalg.norm(u)


def facial_reduction(Z: np.ndarray) -> Faces:
    """Move rows to the rest until those that remain are strictly separable.

    A row belongs to the rest iff v_j > 0 for some v ≥ 0 with Zᵀv = 0 (Stiemke's alternative). Each
    round finds such v for the remaining rows, projected on the complement of the rest's span; rows
    inside that span follow without weight, and get theirs at the end.
    """
    A, exponents, _ = equilibrated(Z)
    B = row_space(A.T, max(A.shape) * EPS).T
    B[~Z.any(axis=1)] = 0  # to the last bit
    lengths = np.linalg.norm(B, axis=1)
    remaining = np.arange(len(Z))
    basis = np.zeros((0, B.shape[1]))
    v, heights = np.zeros(len(Z)), np.zeros(len(Z))
    while True:
        C = outside(B[remaining], basis)
        norms = np.linalg.norm(C, axis=1)
        free = norms > TOLERANCE * lengths[remaining]
        remaining, C, norms = remaining[free], C[free], norms[free]
        if not len(remaining):
            break
        C /= norms[:, None]
        answer = least_distance(C, np.ones(len(C)), tolerance=TOLERANCE)
        if not isinstance(answer, Unreachable):
            heights[remaining] = B[remaining] @ outside(answer.w.astype(float), basis)
            break
        # Fainter weights are rounding; a row wrongly left out here is found in the next round.
        found = np.flatnonzero(answer.weights > TOLERANCE * answer.weights.max())
        _lift(v, B @ basis.T, remaining[found], answer.weights[found] / norms[found])
        basis = np.vstack([basis, row_space(C[found], TOLERANCE)])
    rest = np.setdiff1d(np.arange(len(Z)), remaining)
    weights = None
    if len(rest):
        followers = rest[v[rest] == 0]
        _lift(v, B @ basis.T, followers, np.ones(len(followers)))
        v[rest] = _evened(v[rest], B[rest] @ basis.T)
        weights = np.ldexp(v, exponents.min() - exponents)
        weights /= weights.sum()
        weights.setflags(write=False)
    remaining.setflags(write=False)
    return Faces(remaining, rest, weights, heights)


def row_space(A: np.ndarray, cutoff: float) -> np.ndarray:
    """An orthonormal basis (rows) of the row span.

    By QR with pivoting; pivots below the cutoff times the largest are dropped. Most of the work is
    done without pivoting, which is several times faster.
    """
    if len(A) > A.shape[1]:
        A = qr(A, mode="r", check_finite=False)[0][: A.shape[1]]
    Q, R = qr(A.T, mode="economic", check_finite=False)
    P, S, _ = qr(R, pivoting=True, check_finite=False)
    pivots = np.abs(np.diag(S))
    return (Q @ P[:, pivots > cutoff * pivots[0]]).T


def outside(C: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """The part of rows outside the span of an orthonormal basis; twice, to the last digits."""
    for _ in range(2):
        C = C - (C @ basis.T) @ basis
    return C


def _lift(v: np.ndarray, Y: np.ndarray, moved: np.ndarray, weights: np.ndarray) -> None:
    """Give the moved rows positive weights; those that have some take up what this adds to Yᵀv."""
    carriers = np.flatnonzero(v)
    share = 1.0
    if len(carriers) and len(moved):
        Q, R = qr(Y[carriers], mode="economic", check_finite=False)
        taken = Q @ solve_triangular(R, weights @ Y[moved], trans="T", check_finite=False)
        high = np.max(taken / v[carriers])
        if high > 0:
            share = min(1.0, 0.5 / high)
        v[carriers] -= share * taken
    v[moved] = share * weights


def _evened(v: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Weights with rounding projected out of Yᵀv, and moved towards equal ones while positive."""
    v = v / v.sum()
    if not Y.shape[1]:
        return v
    Q = qr(Y, mode="economic", check_finite=False)[0]
    exact = v - Q @ (Q.T @ v)
    # A weight below the rounding of the others keeps its sign rather than its last digits.
    v = np.where(exact > 0, exact, v)
    even = (1 - Q @ Q.sum(axis=0)) / len(v)
    falling = even <= 0
    if not falling.any():
        return even
    return v + 0.5 * np.min(v[falling] / (v - even)[falling]) * (even - v)
