"""The span of rows, what is outside it, and the weights of rows that add up to 0 in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, eigh, qr, solve_triangular, svd

from ..errors import UnsupportedError
from ..rows import Rows, is_sparse
from ._deadline import check_time
from ._rows import Product, blocks, dense, gram, has_many, triangle

__all__ = ["Balance", "outside", "row_space", "spectrum"]

SURE = 1e-9  # eigenvalues of ZᵀZ, beside the largest, that are not rounding
SWEEPS = 3
WIDEST = 5000  # features of many rows, of which arrays of d² numbers are made


def row_space(A: Rows, cutoff: float) -> np.ndarray:
    """An orthonormal basis (rows) of the row span.

    By QR with pivoting; pivots below the cutoff times the largest are dropped. Most of the work is
    done without pivoting, which is several times faster. Of many rows: see :func:`spectrum`.
    """
    if has_many(A):
        return spectrum(A, cutoff)[1].T
    A = triangle(A) if A.shape[0] > A.shape[1] else dense(A)
    Q, R = qr(A.T, mode="economic", check_finite=False)
    P, S, _ = qr(R, pivoting=True, check_finite=False)
    pivots = np.abs(np.diag(S))
    return (Q @ P[:, pivots > cutoff * pivots[0]]).T


def spectrum(Z: Rows, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """Singular values above the cutoff times the largest, and their right singular vectors (d, r).

    From ``ZᵀZ``, in which small ones drown. So the vectors that seem to belong to them are improved
    by products with the rows themselves, which also show how large those values are at most. Where
    that is not below the cutoff, by QR of the rows.
    """
    if Z.shape[1] > WIDEST:
        raise UnsupportedError(
            f"problem: rows of {Z.shape[1]} features, whose span takes more than {WIDEST}² numbers "
            "to compute, and which are not separable or not known to be; want fewer features, or "
            "l2 > 0 where there is one"
        )
    check_time()
    squares, V = eigh(gram(Z, np.ones(Z.shape[0])), check_finite=False)
    sure = squares > SURE * squares[-1]
    K, null = V[:, sure], V[:, ~sure]
    if null.shape[1]:
        null = null - K @ ((K.T @ _image(Z, null)) / squares[sure, None])
        null = qr(null, mode="economic", check_finite=False)[0]
        largest = np.sqrt(np.linalg.norm(null.T @ _image(Z, null), 2))
        if not largest <= cutoff * np.sqrt(squares[-1]):
            _, s, Vt = svd(triangle(Z), full_matrices=False, check_finite=False)
            kept = s > cutoff * s[0]
            return s[kept], Vt[kept].T
        K = K - null @ (null.T @ K)
    return np.sqrt(squares[sure]), K


def _image(Z: Rows, V: np.ndarray) -> np.ndarray:
    """``Zᵀ(Z V)``."""
    total = np.zeros_like(V)
    for _, some in blocks(Z):
        total += some.T @ (some @ V)
    return total


def outside(C: Rows, basis: np.ndarray) -> Rows:
    """The part of rows outside the span of an orthonormal basis; twice, to the last digits."""
    if not len(basis):
        return C
    if isinstance(C, Product):
        return replace(C, matrix=outside(C.matrix, basis))
    if is_sparse(C):
        return outside(Product.of(C, np.eye(C.shape[1])), basis)
    for _ in range(2):
        C = C - (C @ basis.T) @ basis
    return C


@dataclass(frozen=True)
class Balance:
    """Weights of rows Y of full rank: ``taken(a)`` are the shortest with ``Yᵀv = a``."""

    rows: Rows
    factor: np.ndarray  # R with RᵀR = YᵀY
    Q: np.ndarray | None

    @classmethod
    def of(cls, Y: Rows) -> Balance:
        if not has_many(Y):
            Q, R = qr(dense(Y), mode="economic", check_finite=False)
            return cls(Y, R, Q)
        try:
            R = cholesky(gram(Y, np.ones(Y.shape[0])), check_finite=False)
        except LinAlgError:
            R = triangle(Y)
        return cls(Y, R, None)

    def taken(self, a: np.ndarray) -> np.ndarray:
        if self.Q is not None:
            v: np.ndarray = self.Q @ solve_triangular(self.factor, a, trans="T", check_finite=False)
            return v
        v = np.zeros(self.rows.shape[0])
        for _ in range(SWEEPS):
            v = v + self.rows @ cho_solve((self.factor, False), a - v @ self.rows)
        return v

    def balanced(self, v: np.ndarray) -> np.ndarray:
        """The weights nearest to v with ``Yᵀv = 0``."""
        if self.Q is not None:
            nearest: np.ndarray = v - self.Q @ (self.Q.T @ v)
            return nearest
        return v - self.taken(v @ self.rows)
