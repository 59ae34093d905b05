"""Which rows can be separated strictly, with the others on the boundary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lstsq, svd

from ._hard_margin import scaled_rows
from ._least_distance import Unreachable, least_distance

__all__ = ["Faces", "facial_reduction", "row_space"]

# In coordinates where the rows have condition number 1, what is below this share of a row's norm
# counts as 0. Noise there is near 1e-14; linear programming codes stop at 1e-7.
TOLERANCE = 1e-10
EPS = np.finfo(float).eps


@dataclass(frozen=True)
class Faces:
    """``subset``: rows with z·u > 0 for some u with z·u = 0 on the other rows, the ``rest``.

    ``weights`` v > 0 on the rest, 0 on the subset, Σ v = 1, Zᵀv = 0; None if the rest is empty.
    ``direction`` is one such u, unit, not the one of largest margin; None if the subset is empty.
    """

    subset: np.ndarray
    rest: np.ndarray
    weights: np.ndarray | None
    direction: np.ndarray | None


def facial_reduction(Z: np.ndarray) -> Faces:
    """Move rows to the rest until those that remain are strictly separable.

    A row belongs to the rest iff v_j > 0 for some v ≥ 0 with Zᵀv = 0 (Stiemke's alternative). Each
    round finds such v for the remaining rows, projected on the complement of the rest's span.
    """
    in_rest = ~Z.any(axis=1)
    A, exponents = scaled_rows(Z)
    B = _whitened(A)
    v = in_rest.astype(float)
    basis = np.zeros((0, B.shape[1]))
    direction = None
    while not in_rest.all():
        remaining = np.flatnonzero(~in_rest)
        C = B[remaining]
        C = C - (C @ basis.T) @ basis
        C = C - (C @ basis.T) @ basis
        norms = np.linalg.norm(C, axis=1)
        inside = norms <= TOLERANCE * np.linalg.norm(B[remaining], axis=1)
        if inside.any():
            moved, weights = remaining[inside], np.ones(int(inside.sum()))
        else:
            C /= norms[:, None]
            answer = least_distance(C, np.ones(len(C)), tolerance=TOLERANCE)
            if not isinstance(answer, Unreachable):
                w = answer.w - basis.T @ (basis @ answer.w)
                direction = _direction(A, np.where(in_rest, 0.0, B @ w))
                break
            # Fainter weights are rounding; a row wrongly left out here is found in the next round.
            found = np.flatnonzero(answer.weights > TOLERANCE * answer.weights.max())
            moved, weights = remaining[found], answer.weights[found] / norms[found]
            basis = np.vstack([basis, row_space(C[found], TOLERANCE)])
        _lift(v, B, in_rest, moved, weights)
        in_rest[moved] = True
    rest, subset = np.flatnonzero(in_rest), np.flatnonzero(~in_rest)
    weights = _balanced(v, A, exponents, rest) if len(rest) else None
    return Faces(subset, rest, weights, direction)


def row_space(A: np.ndarray, cutoff: float) -> np.ndarray:
    """An orthonormal basis (rows) of the row span; singular values below the cutoff are dropped."""
    _, s, Vt = svd(A, full_matrices=False, check_finite=False)
    return Vt[s > cutoff * s[0]]


def _whitened(A: np.ndarray) -> np.ndarray:
    """Rows in coordinates where the whole has condition number 1; their dependencies are the same.

    Separability does not change under an invertible map of the features, and features that
    differ in scale by 1e6 do no harm after it.
    """
    U, s, _ = svd(_scaled_columns(A)[0], full_matrices=False, check_finite=False)
    return U[:, s > max(A.shape) * EPS * s[0]]


def _scaled_columns(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    exponents = np.frexp(np.abs(A).max(axis=0))[1]
    return np.ldexp(A, -exponents), exponents


def _direction(A: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """The unit u with A u = heights."""
    scaled, exponents = _scaled_columns(A)
    u = np.ldexp(lstsq(scaled, heights, check_finite=False)[0], -exponents)
    return u / np.linalg.norm(u)


def _lift(
    v: np.ndarray, B: np.ndarray, in_rest: np.ndarray, moved: np.ndarray, weights: np.ndarray
) -> None:
    """Give the moved rows positive weights; the rest takes up what they add to Bᵀv."""
    share = 1.0
    if in_rest.any():
        taken = lstsq(B[in_rest].T, weights @ B[moved], check_finite=False)[0]
        high = np.max(taken / v[in_rest])
        if high > 0:
            share = min(1.0, 0.5 / high)
        v[in_rest] -= share * taken
    v[moved] = share * weights


def _balanced(v: np.ndarray, A: np.ndarray, exponents: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Convex weights for the rows as given, with rounding projected out."""
    x = v[rest] / v[rest].sum()
    U, s, _ = svd(_scaled_columns(A[rest])[0], full_matrices=False, check_finite=False)
    U = U[:, s > max(A.shape) * EPS * s[0]]
    refined = x - U @ (U.T @ x)
    # A weight below the rounding of the others keeps its sign rather than its last digits.
    x = np.where(refined > 0, refined, x)
    weights = np.zeros(len(v))
    weights[rest] = np.ldexp(x, exponents.min() - exponents[rest])
    return weights / weights.sum()
