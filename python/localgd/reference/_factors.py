"""Rows of any scale as a product of well-conditioned factors and powers of two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import (
    LinAlgError,
    cho_factor,
    cho_solve,
    cholesky,
    inv,
    qr,
    solve_triangular,
    svd,
)

from ..norms import norm
from ..rows import Rows
from ._rows import Product, absolute, dense, gram, has_many, lengths, scaled
from ._scaling import common_scale, equilibrated, row_norms
from ._span import outside, row_space, spectrum

__all__ = ["Factors", "factors"]

EPS = np.finfo(float).eps
# Within a level, rows of a factor differ in scale by less than this (bits), and plain QR will do.
LEVEL = 20
# Rows of a factor whose part outside the span of larger ones is below this share depend on them.
DEPENDENT = 1e-10
HIDDEN = 1e-3  # the largest relative error of weights that is let pass
NOTHING = 1e-13  # the row of U of a row that is not 0 is longer than 1/(2 √N)


@dataclass(frozen=True)
class Factors:
    """``X = 2^rows U S Vᵀ 2^columns`` of rank r, and what follows from it.

    U and V have orthonormal columns. Rank is decided where rows and columns have similar size, at
    max(N, d) ε, so that a row or a feature does not vanish beside larger ones. ``lengths`` are the
    norms of the rows of ``X 2^-columns``.

    ``scores``, (N, r), and ``back``, (d, r): ``X back = scores``, both well conditioned up to
    scales of their columns, and ``back`` in the span of the rows. ``fit``, (d, r), takes
    ``Uᵀ 2^-rows y`` to the shortest least-squares solution. ``span``, (d, r): a basis of the span
    of the rows, and ``dual`` such that ``dual spanᵀ`` is the projection on it.
    """

    U: Rows
    rows: np.ndarray
    columns: np.ndarray
    lengths: np.ndarray
    scores: Rows
    back: np.ndarray
    fit: np.ndarray
    span: np.ndarray
    dual: np.ndarray

    @property
    def rank(self) -> int:
        return self.U.shape[1]

    def check(self, X: Rows, w: np.ndarray) -> np.ndarray:
        """The weights, refused where rounding of the scores alone may change them altogether."""
        columns = w.reshape(len(w), -1)
        scores = np.ldexp(absolute(X) @ np.abs(columns), -self.rows[:, None])
        off = EPS * row_norms(self.fit)[:, None] * np.linalg.norm(scores, axis=0)
        if not np.isfinite(w).all() or not norm(off) <= HIDDEN * norm(w):
            raise ValueError(
                "problem: rounding hides the weights: features differ so much in scale that some "
                "that hardly matter would be the largest; rescale the features to similar size"
            )
        return w

    def least_squares(self, y: np.ndarray) -> np.ndarray:
        """The shortest w that fits ``2^-rows X w`` to ``2^-rows y`` best."""
        w: np.ndarray = self.fit @ (np.ldexp(y, -self.rows) @ self.U)
        return w

    def outside(self, w: np.ndarray) -> np.ndarray:
        """The part of w outside the span of the rows."""
        for _ in range(2):
            w = w - self.dual @ (self.span.T @ w)
        return w


def factors(X: Rows) -> Factors:
    """Factors of rows, none of which vanishes beside the others."""
    common_scale(X)  # refuses what is too far apart
    A, rows, columns = equilibrated(X)
    many = has_many(X) and np.ptp(rows) <= LEVEL and np.ptp(columns) <= LEVEL
    U, s, V = _singular(A, many)
    try:
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            span, dual, undo_columns = _graded(V, columns)
            fit = dual @ (undo_columns.T / s)
            scale = np.sqrt(X.shape[0])
            scores: Rows
            if many:
                back = fit @ (_undone(scaled(U, rows)) * scale)
                scores = Product.of(X, back)
            else:
                scores, _, undo_rows = _graded(U, rows)
                scores, back = scores * scale, fit @ (undo_rows * scale)
    except (LinAlgError, FloatingPointError):
        raise ValueError(
            "problem: rows and features differ so much in scale that rounding hides the span of "
            "the rows; rescale the rows and features to similar size"
        ) from None
    return Factors(U, rows, columns, np.ldexp(lengths(A), rows), scores, back, fit, span, dual)


def _singular(A: Rows, many: bool) -> tuple[Rows, np.ndarray, np.ndarray]:
    """U, S and V of ``A = U S Vᵀ``, of the rank of A."""
    cutoff = max(A.shape) * EPS
    if many:
        s, V = spectrum(A, cutoff)
        return Product.of(A, V / s), s, V
    U, s, Vt = svd(dense(A), full_matrices=False, check_finite=False)
    rank = int(np.sum(s > cutoff * s[0]))
    return U[:, :rank], s[:rank], Vt[:rank].T


def _undone(P: Product) -> np.ndarray:
    """``H⁻¹`` where ``P H⁻¹`` has orthonormal columns; the rows of P are of similar size."""
    upper = cholesky(gram(P, np.ones(P.shape[0])), check_finite=False)
    undone: np.ndarray = solve_triangular(upper, np.eye(len(upper)), check_finite=False)
    return undone


def _graded(U: np.ndarray, exponents: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``2^exponents U = G H`` with G well conditioned; G, its dual ``G (GᵀG)⁻¹``, and ``H⁻¹``.

    Rows of large exponent come first: from those of U that are independent of larger ones all
    others are combined, and a row is never combined from smaller ones, whatever rounding says.
    """
    if not U.shape[1]:
        return U, U, np.zeros((0, 0))
    if np.ptp(exponents) <= LEVEL:
        top = int(exponents.max())
        Q, R = qr(np.ldexp(U, exponents[:, None] - top), mode="economic", check_finite=False)
        return Q, Q, np.ldexp(solve_triangular(R, np.eye(len(R)), check_finite=False), -top)
    U = np.where(np.linalg.norm(U, axis=1)[:, None] > NOTHING, U, 0.0)
    levels = _levels(exponents)
    pivots = _independent(U, levels)
    if len(pivots) < U.shape[1]:
        raise LinAlgError
    undo = inv(U[pivots], check_finite=False)
    combined = U @ undo
    combined[levels[:, None] < levels[pivots]] = 0.0
    combined[pivots] = np.eye(len(pivots))
    G = np.ldexp(combined, exponents[:, None] - exponents[pivots])
    dual = cho_solve(cho_factor(G.T @ G, check_finite=False), G.T, check_finite=False).T
    return G, dual, np.ldexp(undo, -exponents[pivots])


def _levels(exponents: np.ndarray) -> np.ndarray:
    """0 for the rows within LEVEL bits of the largest, 1 for the next such group, and so on."""
    levels = np.zeros(len(exponents), dtype=int)
    top, level = exponents.max(), 0
    for i in np.argsort(-exponents, kind="stable"):
        if exponents[i] < top - LEVEL:
            top, level = exponents[i], level + 1
        levels[i] = level
    return levels


def _independent(U: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Rows of U that are a basis, of as low a level as there is."""
    lengths = np.linalg.norm(U, axis=1)[:, None]
    unit = np.divide(U, lengths, out=np.zeros_like(U), where=lengths > 0)
    basis, pivots = np.zeros((0, U.shape[1])), np.zeros(0, dtype=int)
    for level in range(levels.max() + 1):
        members = np.flatnonzero(levels == level)
        left = outside(unit[members], basis)
        R, order = qr(left.T, mode="r", pivoting=True, check_finite=False)
        found = order[: int(np.sum(np.abs(np.diag(R)) > DEPENDENT))]
        if len(found):
            pivots = np.concatenate([pivots, members[found]])
            basis = np.vstack([basis, row_space(left[found], 0.0)])
    return pivots
