"""What the references ask of rows, be they a dense array or a sparse one (CSR)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from ..rows import Rows, is_sparse, scaled_rows

__all__ = [
    "absolute",
    "blocks",
    "compact",
    "dense",
    "distinct",
    "filled",
    "gram",
    "largest",
    "lengths",
    "scaled",
]

BLOCK_ENTRIES = 1 << 20  # of rows that are dense for a moment
MANY_ENTRIES = 1 << 16  # below it a dense array is as good as CSR, whatever it holds
SPARSE = 0.5  # share of entries that are not 0 up to which CSR is the faster


def dense(Z: Rows) -> np.ndarray:
    """The rows as an array."""
    return Z.toarray() if is_sparse(Z) else Z


def compact(Z: Rows) -> Rows:
    """The rows in double precision, in the storage in which their products are the fastest."""
    if is_sparse(Z) or Z.size < MANY_ENTRIES or np.count_nonzero(Z) > SPARSE * Z.size:
        return Z.astype(np.float64, copy=False)
    return csr_array(Z, dtype=np.float64)


def largest(Z: Rows) -> np.ndarray:
    """max_k |z_jk| of each row."""
    if not is_sparse(Z):
        top: np.ndarray = np.maximum(
            Z.max(axis=1, initial=0.0), -Z.min(axis=1, initial=0.0), dtype=np.float64
        )
        return top
    top = np.zeros(Z.shape[0])
    rows = np.flatnonzero(np.diff(Z.indptr))
    if len(rows):
        top[rows] = np.maximum.reduceat(np.abs(Z.data), Z.indptr[rows])
    return top


def filled(Z: Rows) -> np.ndarray:
    """Whether a row has an entry that is not 0."""
    return largest(Z) > 0


def lengths(Z: Rows) -> np.ndarray:
    """‖z_j‖ of rows whose squares are in range."""
    if not is_sparse(Z):
        return np.asarray(np.linalg.norm(Z, axis=1), dtype=np.float64)
    return np.sqrt(_like(Z, np.square(Z.data, dtype=np.float64)) @ np.ones(Z.shape[1]))


def absolute(Z: Rows) -> Rows:
    """|z_jk|."""
    return _like(Z, np.abs(Z.data)) if is_sparse(Z) else np.abs(Z)


def scaled(Z: Rows, rows: np.ndarray | int = 0, columns: np.ndarray | int = 0) -> Rows:
    """``2^rows Z 2^columns`` in double precision, without rounding."""
    if not is_sparse(Z):
        exponents = np.reshape(rows, (-1, 1)) + np.reshape(columns, (1, -1))
        return np.ldexp(Z, exponents, dtype=np.float64)
    exponents = np.broadcast_to(rows, Z.shape[:1])
    each = np.repeat(exponents, np.diff(Z.indptr))
    each = each + np.broadcast_to(columns, Z.shape[1:])[Z.indices]
    return _like(Z, np.ldexp(Z.data, each, dtype=np.float64))


def blocks(Z: Rows, *, columns: int = 0) -> Iterator[tuple[slice, Rows]]:
    """Some rows at a time, of which a dense copy of so many columns (d) takes some megabytes."""
    size = max(1, BLOCK_ENTRIES // max(1, columns or Z.shape[1]))
    for first in range(0, Z.shape[0], size):
        part = slice(first, min(first + size, Z.shape[0]))
        yield part, Z[part]


def gram(Z: Rows, factors: np.ndarray) -> np.ndarray:
    """``Σ_j f_j z_j z_jᵀ`` for f ≥ 0, shape (d, d)."""
    half = scaled_rows(Z, np.sqrt(factors))
    return np.asarray(dense(half.T @ half))


def distinct(Z: Rows, *numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first of each set of equal rows (with equal numbers beside them), and each row's set."""
    N = Z.shape[0]
    random = np.random.default_rng(0).integers(0, 1 << 64, Z.shape[1] + len(numbers), np.uint64)
    random |= np.uint64(1)
    keys = np.zeros(N, dtype=np.uint64)
    for factor, beside in zip(random[Z.shape[1] :], numbers, strict=True):
        keys += factor * _mixed(beside)
    if is_sparse(Z):
        parts = csr_array((random[Z.indices] * _mixed(Z.data), Z.indices, Z.indptr), shape=Z.shape)
        keys += parts @ np.ones(Z.shape[1], dtype=np.uint64)
    else:
        for part, some in blocks(Z):
            keys[part] += _mixed(some) @ random[: Z.shape[1]]
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    same = all((beside == beside[first][group]).all() for beside in numbers)
    if same and all(_equal(some, Z[first[group[part]]]) for part, some in blocks(Z)):
        return first, group
    return np.arange(N), np.arange(N)  # of 64 bits that agree by accident


def _mixed(values: np.ndarray) -> np.ndarray:
    """64 bits that depend on all those of a number; 0 for 0."""
    bits = (np.asarray(values, dtype=np.float64) + 0.0).view(np.uint64)
    bits = (bits ^ (bits >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    return np.asarray(bits ^ (bits >> np.uint64(29)))


def _equal(some: Rows, others: Rows) -> bool:
    if not is_sparse(some):
        return bool((some == others).all())
    return bool(
        np.array_equal(some.indptr, others.indptr)
        and np.array_equal(some.indices, others.indices)
        and np.array_equal(some.data, others.data)
    )


def _like(Z: csr_array, data: np.ndarray) -> csr_array:
    """Other numbers in the same places."""
    return csr_array((data, Z.indices, Z.indptr), shape=Z.shape)
