"""Rows brought to a common scale before they are dealt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _validation as check
from ..rows import Rows, as_floats, is_sparse, scaled_rows, with_entries

__all__ = ["SCALES", "rows_to_scale"]

SMALL = 500  # side of a Gram matrix whose eigenvalues are had at once


def rows_to_scale(X: Rows, scale: Any) -> Rows:
    """Float rows (N, d) as ``scale`` of :func:`localgd.partition` says; the same ones if None."""
    if scale is None:
        return X
    return SCALES[check.one_of("scale", scale, SCALES)](as_floats(X))


def _by_largest_norm(X: Rows) -> Rows:
    largest, rows = _bounded(X)
    norm = largest * np.sqrt(_squares(rows).max())
    return X if norm == 0 else _divided(X, norm)


def _of_unit_norm(X: Rows) -> Rows:
    # In two steps, as squares of entries near the ends of the floating-point range would leave it.
    rows = scaled_rows(X, _inverse(_columns(abs(X).max(axis=1))))
    return scaled_rows(rows, _inverse(np.sqrt(_squares(rows))))


def _of_unit_curvature(X: Rows) -> Rows:
    largest, rows = _bounded(X)
    norm = largest * _spectral_norm(rows) / np.sqrt(X.shape[0])
    return X if norm == 0 else _divided(X, norm)


def _standard(X: Rows) -> Rows:
    constant = _columns(X.max(axis=0)) == _columns(X.min(axis=0))
    if not is_sparse(X):
        centred = np.where(constant, 0.0, X - X.mean(axis=0))
        return (centred * _inverse(centred.std(axis=0))).astype(X.dtype)
    n, d = X.shape
    mean = np.bincount(X.indices, X.data, minlength=d) / n
    squares = np.bincount(X.indices, (X.data - mean[X.indices]) ** 2, minlength=d)
    zeros = n - np.bincount(X.indices, minlength=d)
    spread = np.sqrt((squares + zeros * mean**2) / n)
    entries = X.data * _inverse(np.where(constant, 1.0, spread))[X.indices]
    return with_entries(X, entries.astype(X.dtype))


SCALES: dict[str, Callable[[Rows], Rows]] = {
    "max_norm": _by_largest_norm,
    "rows": _of_unit_norm,
    "spectral": _of_unit_curvature,
    "standard": _standard,
}


def _spectral_norm(X: Rows) -> float:
    """‖X‖₂, the largest singular value."""
    if min(X.shape) <= SMALL:
        gram = X @ X.T if X.shape[0] <= X.shape[1] else X.T @ X
        gram = gram.toarray() if is_sparse(gram) else gram
        return float(np.sqrt(max(np.linalg.eigvalsh(gram)[-1], 0.0)))
    from scipy.sparse.linalg import svds

    start = np.random.default_rng(0).standard_normal(min(X.shape))
    return float(svds(X, k=1, v0=start, return_singular_vectors=False)[0])


def _bounded(X: Rows) -> tuple[float, Rows]:
    """The largest entry, and the rows divided by it; 1 if all are 0."""
    largest = float(abs(X).max()) or 1.0
    return largest, _divided(X, largest)


def _squares(X: Rows) -> np.ndarray:
    """‖x_j‖² of all rows, shape (N,)."""
    sums: np.ndarray = np.asarray((X * X).sum(axis=1), dtype=np.float64)
    return sums


def _columns(extremes: Any) -> np.ndarray:
    """What ``max`` and ``min`` along an axis give, as an array of one dimension."""
    dense: np.ndarray = extremes.toarray() if is_sparse(extremes) else extremes
    return dense.ravel()


def _divided(X: Rows, number: float) -> Rows:
    if is_sparse(X):
        return with_entries(X, (X.data / number).astype(X.dtype))
    return (X / number).astype(X.dtype, copy=False)


def _inverse(numbers: np.ndarray) -> np.ndarray:
    """1/x, and 1 for 0: what is 0 stays so."""
    factors: np.ndarray = 1.0 / np.where(numbers > 0, numbers, 1.0)
    return factors
