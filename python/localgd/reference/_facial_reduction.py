"""Which rows can be separated strictly, with the others on the boundary."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import lstsq

from ..rows import Rows, is_sparse
from ._balance import balanced_weights
from ._deadline import check_time
from ._least_distance import Unreachable, least_distance
from ._rows import Product, dense, distinct, filled, has_many, lengths, part, times, triangle
from ._scaling import equilibrated
from ._span import Balance, outside, row_space, spectrum

__all__ = ["Faces", "facial_reduction"]

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

    def separator(self, Z: Rows) -> np.ndarray:
        """The unit u with these heights."""
        A, _, columns = equilibrated(Z)
        u = _least_squares(A, self.heights)
        u = np.ldexp(u, columns.min() - columns)
        return u / np.linalg.norm(u)


def facial_reduction(Z: Rows) -> Faces:
    """Move rows to the rest until those that remain are strictly separable.

    A row belongs to the rest iff v_j > 0 for some v ≥ 0 with Zᵀv = 0 (Stiemke's alternative). Each
    round finds such v for the remaining rows, projected on the complement of the rest's span; rows
    inside that span follow without weight, and get theirs at the end.
    """
    if has_many(Z):
        first, group = distinct(Z)
        if len(first) < len(group):
            return _repeated(facial_reduction(Z[first]), group)
    A, exponents, _ = equilibrated(Z)
    B = _coordinates(A)
    usual = lengths(B)
    remaining = np.arange(Z.shape[0])
    basis = np.zeros((0, B.shape[1]))
    v, heights = np.zeros(Z.shape[0]), np.zeros(Z.shape[0])
    while True:
        check_time()
        C = outside(part(B, remaining), basis)
        norms = lengths(C)
        free = norms > TOLERANCE * usual[remaining]
        remaining, norms = remaining[free], norms[free]
        if not len(remaining):
            break
        C = _unit(part(C, free), norms)
        answer = least_distance(C, np.ones(len(norms)), tolerance=TOLERANCE)
        if not isinstance(answer, Unreachable):
            inside = outside(answer.w.astype(float), basis)
            heights[remaining] = part(B, remaining) @ inside
            break
        # Fainter weights are rounding; a row wrongly left out here is found in the next round.
        weights = balanced_weights(C) if has_many(C) else None
        weights = answer.weights if weights is None else weights
        found = np.flatnonzero(weights > TOLERANCE * weights.max())
        _lift(v, times(B, basis.T), remaining[found], weights[found] / norms[found])
        basis = np.vstack([basis, row_space(part(C, found), TOLERANCE)])
    rest = np.setdiff1d(np.arange(Z.shape[0]), remaining)
    certificate = None
    if len(rest):
        followers = rest[v[rest] == 0]
        _lift(v, times(B, basis.T), followers, np.ones(len(followers)))
        v[rest] = _evened(v[rest], times(part(B, rest), basis.T))
        certificate = np.ldexp(v, exponents.min() - exponents)
        certificate /= certificate.sum()
        certificate.setflags(write=False)
    remaining.setflags(write=False)
    return Faces(remaining, rest, certificate, heights)


def _least_squares(A: Rows, heights: np.ndarray) -> np.ndarray:
    if not has_many(A):
        u: np.ndarray = lstsq(dense(A), heights, check_finite=False)[0]
        return u
    R = triangle(A)
    u = np.zeros(A.shape[1])
    for _ in range(2):
        half = lstsq(R.T, (heights - A @ u) @ A, check_finite=False)[0]
        u = u + lstsq(R, half, check_finite=False)[0]
    return u


def _repeated(faces: Faces, group: np.ndarray) -> Faces:
    """Of rows that are equal in groups: they share their weight."""
    weights = None
    if faces.weights is not None:
        weights = (faces.weights / np.bincount(group))[group]
        weights.setflags(write=False)
    subset = np.flatnonzero(np.isin(group, faces.subset))
    rest = np.flatnonzero(np.isin(group, faces.rest))
    subset.setflags(write=False)
    return Faces(subset, rest, weights, faces.heights[group])


def _coordinates(A: Rows) -> Rows:
    """Coordinates of the rows in which they have condition number 1: B of ``A = B S Vᵀ``."""
    cutoff = max(A.shape) * EPS
    if not has_many(A):
        across = A.T.tocsr() if is_sparse(A) else A.T
        B = row_space(across, cutoff).T
        B[~filled(A)] = 0  # to the last bit
        return B
    s, V = spectrum(A, cutoff)
    return Product.of(A, V / s)


def _unit(C: Rows, norms: np.ndarray) -> Rows:
    if isinstance(C, Product):
        return replace(C, factors=C.factors / norms)
    return C / norms[:, None]


def _lift(v: np.ndarray, Y: Rows, moved: np.ndarray, weights: np.ndarray) -> None:
    """Give the moved rows positive weights; those that have some take up what this adds to Yᵀv."""
    carriers = np.flatnonzero(v)
    share = 1.0
    if len(carriers) and len(moved):
        taken = Balance.of(part(Y, carriers)).taken(weights @ part(Y, moved))
        high = np.max(taken / v[carriers])
        if high > 0:
            share = min(1.0, 0.5 / high)
        v[carriers] -= share * taken
    v[moved] = share * weights


def _evened(v: np.ndarray, Y: Rows) -> np.ndarray:
    """Weights with rounding projected out of Yᵀv, and moved towards equal ones while positive."""
    v = v / v.sum()
    if not Y.shape[1]:
        return v
    balanced = Balance.of(Y).balanced
    exact = balanced(v)
    # A weight below the rounding of the others keeps its sign rather than its last digits.
    v = np.where(exact > 0, exact, v)
    even = balanced(np.ones(len(v))) / len(v)
    falling = even <= 0
    if not falling.any():
        return even
    return v + 0.5 * np.min(v[falling] / (v - even)[falling]) * (even - v)
