"""The losses as functions of the scores of rows, up to their second derivatives.

A score is z·w for one column of weights, the C numbers x·W for classes. Coordinates v are those of
the weights in some basis: the rows A are given in it too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations, combinations_with_replacement

import numpy as np
from scipy.linalg import null_space, solve_triangular
from scipy.special import softmax

from ..errors import UnsupportedError
from ..losses import LOSSES, BaseLoss, Softmax
from ..rows import Rows
from ._rows import gram, lengths, times

__all__ = ["Classes", "Margins"]


@dataclass(frozen=True)
class Margins:
    """``Σ_j c_j ℓ(m_j, y_j)`` of rows of one score; y = 1 where rows come with their sign."""

    c: np.ndarray
    y: np.ndarray
    loss: BaseLoss

    columns = 1

    def __post_init__(self) -> None:
        if self.loss.multiclass or not self.loss.has_curvatures:
            known = ", ".join(repr(name) for name, loss in LOSSES.items() if loss.has_curvatures)
            raise UnsupportedError(
                f"loss: got {self.loss.name!r}, whose second derivatives are not known, which the "
                f"minimiser takes; want one of {known}"
            )

    @property
    def unit(self) -> float:
        """Scores count as 0 if they are rounding of this."""
        return float(np.abs(self.y).max())

    def merged(self, first: np.ndarray, group: np.ndarray) -> Margins:
        """Of one row for each group of equal ones, ``first`` among them."""
        return replace(self, c=np.bincount(group, self.c), y=self.y[first])

    def lift(self, A: Rows, v: np.ndarray) -> np.ndarray:
        """Scores of the rows A; with a basis in place of A, the weights."""
        return A @ v

    def pull(self, A: Rows, slopes: np.ndarray) -> np.ndarray:
        """The transpose of :meth:`lift`."""
        return slopes @ A

    def value(self, m: np.ndarray) -> float:
        return float(self.c @ self.loss.values(m, self.y))

    def slopes(self, m: np.ndarray) -> np.ndarray:
        """c_j ℓ'(m_j)."""
        return self.c * self.loss.slopes(m, self.y)

    def sizes(self, m: np.ndarray) -> np.ndarray:
        """The size of a row's slope before anything cancels."""
        return self.c * self.loss.sizes(m, self.y)

    def slips(self, m: np.ndarray, doubt: np.ndarray) -> np.ndarray:
        """How far a row's slope may be off where its score is by so much."""
        if self.loss.affine:
            return self.c * doubt
        return self.sizes(m) * np.expm1(np.minimum(self._rate * doubt, 1.0))

    def curve(self, A: Rows, m: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Products of the Hessian with vectors."""
        curvatures = self.c * self.loss.curvatures(m, self.y)
        return lambda p: (curvatures * (A @ p)) @ A

    def hessian(self, A: Rows, m: np.ndarray) -> np.ndarray:
        return gram(A, self.c * self.loss.curvatures(m, self.y))

    def diagonal(self, A: Rows, m: np.ndarray) -> np.ndarray:
        """Of the Hessian."""
        squares: np.ndarray = (self.c * self.loss.curvatures(m, self.y)) @ A**2
        return squares

    def spread(self, A: Rows, step: np.ndarray) -> float:
        """β with |φ'''| ≤ β φ'' along the step, for any place: max_j |a_j·step| times that of ℓ."""
        return self._rate * float(np.abs(A @ step).max()) if self.loss.smooth else np.inf

    def reach(self, A: Rows, lower: np.ndarray) -> float:
        """The largest score of a step of length 1 in the norm of the Hessian L Lᵀ."""
        half = solve_triangular(lower, np.eye(len(lower)), lower=True, check_finite=False)
        return float(lengths(times(A, half.T)).max())

    def error(self, reach: float) -> float:
        """How far the scores may be from the minimiser's after a Newton step of this reach."""
        return _error(self._rate, reach)

    def fits_all(self, m: np.ndarray) -> bool:
        """Whether these scores prove that no minimiser exists: where ℓ falls for ever."""
        return self.loss.tail is not None and bool((m > 0).all())

    @property
    def _rate(self) -> float:
        assert self.loss.concordance is not None, "losses without one are refused before"
        return self.loss.concordance


def _error(rate: float, reach: float) -> float:
    """The distance to the minimiser where the curvature changes by a factor e^rate per score."""
    if rate == 0:
        return reach
    return float(-np.log1p(-rate * reach)) / rate if rate * reach < 1 else np.inf


@dataclass(frozen=True)
class Classes:
    """``Σ_j c_j (log Σ_c exp s_jc - s_{j y_j})`` of scores S = A V, columns of V summing to 0.

    V = (u B)ᵀ with B an orthonormal basis of the complement of (1, …, 1); v holds u row by row.
    """

    c: np.ndarray
    y: np.ndarray
    loss: Softmax
    basis: np.ndarray

    unit = 1.0

    @classmethod
    def of(cls, c: np.ndarray, y: np.ndarray, loss: Softmax, n_classes: int) -> Classes:
        return cls(c, y.astype(int), loss, null_space(np.ones((1, n_classes))).T)

    @property
    def columns(self) -> int:
        return len(self.basis)

    def merged(self, first: np.ndarray, group: np.ndarray) -> Classes:
        return replace(self, c=np.bincount(group, self.c), y=self.y[first])

    def lift(self, A: Rows, v: np.ndarray) -> np.ndarray:
        return (A @ v.reshape(self.columns, -1).T) @ self.basis

    def pull(self, A: Rows, slopes: np.ndarray) -> np.ndarray:
        return (self.basis @ (slopes.T @ A)).ravel()

    def value(self, s: np.ndarray) -> float:
        return float(self.c @ self.loss.values(s, self.y))

    def slopes(self, s: np.ndarray) -> np.ndarray:
        """c_j (softmax(s_j) - 1 at y_j), shape (N, C)."""
        return self.c[:, None] * self.loss.slopes(s, self.y)

    def sizes(self, s: np.ndarray) -> np.ndarray:
        return np.linalg.norm(self.slopes(s), axis=1)

    def slips(self, s: np.ndarray, doubt: np.ndarray) -> np.ndarray:
        return self.sizes(s) * np.expm1(np.minimum(2 * doubt, 1.0))

    def curve(self, A: Rows, s: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        P = softmax(s, axis=1)

        def product(p: np.ndarray) -> np.ndarray:
            moved = P * self.lift(A, p)
            return self.pull(A, self.c[:, None] * (moved - P * moved.sum(axis=1, keepdims=True)))

        return product

    def hessian(self, A: Rows, s: np.ndarray) -> np.ndarray:
        P = softmax(s, axis=1)
        k, r = self.columns, A.shape[1]
        H = np.empty((k, r, k, r))
        for a, b in combinations_with_replacement(range(k), 2):
            H[a, :, b, :] = gram(A, self._covariance(P, a, b))
            H[b, :, a, :] = H[a, :, b, :].T
        return H.reshape(k * r, k * r)

    def diagonal(self, A: Rows, s: np.ndarray) -> np.ndarray:
        P, squares = softmax(s, axis=1), A**2
        return np.concatenate([self._covariance(P, a, a) @ squares for a in range(self.columns)])

    def _covariance(self, P: np.ndarray, a: int, b: int) -> np.ndarray:
        """c_j cov(B_a, B_b) under the probabilities of row j."""
        # Differences from the mean first: cov = E (B_a - mean_a)(B_b - mean_b) ≥ 0 for a = b.
        mean = P @ self.basis[[a, b]].T
        left, right = self.basis[a] - mean[:, :1], self.basis[b] - mean[:, 1:]
        covariance: np.ndarray = self.c * np.einsum("jc,jc,jc->j", P, left, right)
        return covariance

    def spread(self, A: Rows, step: np.ndarray) -> float:
        """max_j of the range of the step's scores over classes: it bounds |φ'''|/φ''."""
        return float(np.ptp(self.lift(A, step), axis=1).max())

    def reach(self, A: Rows, lower: np.ndarray) -> float:
        k, r = self.columns, A.shape[1]
        half = solve_triangular(lower, np.eye(len(lower)), lower=True, check_finite=False)
        half = half.reshape(-1, k, r)
        largest = 0.0
        for c, other in combinations(range(k + 1), 2):
            pair = np.einsum("nkr,k->nr", half, self.basis[:, c] - self.basis[:, other])
            largest = max(largest, float(lengths(times(A, pair.T)).max()))
        return largest

    def error(self, reach: float) -> float:
        return _error(self.loss.concordance, reach)

    def fits_all(self, s: np.ndarray) -> bool:
        own = s[np.arange(len(s)), self.y]
        rivals = s.copy()
        rivals[np.arange(len(s)), self.y] = -np.inf
        return bool((own > rivals.max(axis=1)).all())
