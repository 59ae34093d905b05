"""What the references ask of rows: an array, CSR, or rows times a matrix that stay factors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import qr
from scipy.sparse import csr_array

from ..rows import (
    Rows,
    as_double,
    is_sparse,
    row_norms,
    scaled_rows,
    times_powers,
    with_entries,
)

__all__ = [
    "Product",
    "absolute",
    "blocks",
    "compact",
    "dense",
    "distinct",
    "exponents_of",
    "filled",
    "gram",
    "has_many",
    "largest",
    "largest_exponents",
    "lengths",
    "part",
    "present",
    "scaled",
    "times",
    "triangle",
]

NOTHING = -(1 << 20)  # the exponent of an entry that is 0
BLOCK_ENTRIES = 1 << 20  # of rows that are copied for a moment
FEW_ENTRIES = 1 << 20  # up to which rows are worked on as an array, whatever they hold
MANY = 2000  # rows that are many
SPARSE = 0.5  # share of entries that are not 0 up to which CSR is the faster


@dataclass(frozen=True, eq=False)
class Product:
    """``diag(factors) rows matrix``, shape (N, r), of which only parts are ever made."""

    rows: Rows
    matrix: np.ndarray
    factors: np.ndarray

    __array_ufunc__ = None  # so that an array times this comes here
    dtype = np.dtype(np.float64)

    @classmethod
    def of(cls, rows: Rows, matrix: np.ndarray) -> Product:
        return cls(rows, matrix, np.ones(rows.shape[0]))

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows.shape[0], self.matrix.shape[1]

    @property
    def size(self) -> int:
        return self.shape[0] * self.shape[1]

    def part(self, chosen: Any) -> Product:
        """Of some rows."""
        return Product(self.rows[chosen], self.matrix, self.factors[chosen])

    def __getitem__(self, chosen: Any) -> np.ndarray:
        made: np.ndarray = (self.rows[chosen] @ self.matrix) * self.factors[chosen][:, None]
        return made

    def __matmul__(self, v: np.ndarray) -> np.ndarray:
        return np.asarray(((self.rows @ (self.matrix @ v)).T * self.factors).T)

    def __rmatmul__(self, s: np.ndarray) -> np.ndarray:
        return np.asarray(((s * self.factors) @ self.rows) @ self.matrix)


def has_many(Z: Rows) -> bool:
    """Whether what takes an array of N r numbers is avoided."""
    return int(Z.shape[0]) > MANY


def dense(Z: Rows) -> np.ndarray:
    """The rows as an array."""
    if isinstance(Z, Product):
        return Z[:]
    return Z.toarray() if is_sparse(Z) else Z


def compact(Z: Rows) -> Rows:
    """The rows in double precision, in the storage in which their products are the fastest."""
    size = int(np.prod(Z.shape))
    if size <= FEW_ENTRIES:
        Z = dense(Z)
    elif not is_sparse(Z) and np.count_nonzero(Z) <= SPARSE * size:
        return csr_array(Z, dtype=np.float64)
    return as_double(Z)


def part(Z: Rows, chosen: np.ndarray) -> Rows:
    """Some of the rows, in the same storage."""
    return Z.part(chosen) if isinstance(Z, Product) else Z[chosen]


def times(Z: Rows, matrix: np.ndarray) -> Rows:
    """``Z matrix``: an array only if Z is one, or there are few rows."""
    if isinstance(Z, Product):
        return replace(Z, matrix=Z.matrix @ matrix)
    if has_many(Z):
        return Product.of(Z, matrix)
    return Z @ matrix


def largest(Z: Rows) -> np.ndarray:
    """max_k |z_jk| of each row; of products the norm."""
    if isinstance(Z, Product):
        return lengths(Z)
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
    if isinstance(Z, Product):
        found = [np.linalg.norm(some, axis=1) for _, some in blocks(Z)]
        return np.concatenate([np.zeros(0), *found])
    return row_norms(Z)


def absolute(Z: Rows) -> Rows:
    """|z_jk|; of products no less."""
    if isinstance(Z, Product):
        return Product(absolute(Z.rows), np.abs(Z.matrix), np.abs(Z.factors))
    return with_entries(Z, np.abs(Z.data)) if is_sparse(Z) else np.abs(Z)


def scaled(Z: Rows, rows: np.ndarray | int = 0, columns: np.ndarray | int = 0) -> Rows:
    """``2^rows Z 2^columns`` in double precision, without rounding."""
    if isinstance(Z, Product):
        return replace(Z, factors=np.ldexp(Z.factors, rows))
    return times_powers(Z, rows, columns)


def present(Z: Rows) -> Rows:
    """1 where an entry is not 0, 0 elsewhere."""
    return with_entries(Z, np.ones(Z.nnz)) if is_sparse(Z) else (Z != 0).astype(float)


def exponents_of(Z: Rows) -> Rows:
    """Those of the entries, 0 of one that is 0."""
    if is_sparse(Z):
        return with_entries(Z, np.frexp(Z.data)[1].astype(float))
    return np.where(Z != 0, np.frexp(Z)[1], 0)


def largest_exponents(Z: Rows, columns: np.ndarray) -> np.ndarray:
    """The exponent of the largest entry of each row of ``Z 2^-columns``, 0 of a row of zeros."""
    if not is_sparse(Z):
        top = np.where(Z != 0, np.frexp(Z)[1] - columns, NOTHING).max(axis=1, initial=NOTHING)
        return np.where(filled(Z), top, 0)
    top = np.zeros(Z.shape[0], dtype=int)
    rows = np.flatnonzero(np.diff(Z.indptr))
    if len(rows):
        each = np.frexp(Z.data)[1] - columns[Z.indices]
        top[rows] = np.maximum.reduceat(each, Z.indptr[rows])
    return top


def blocks(Z: Rows) -> Iterator[tuple[slice, Rows]]:
    """Some rows at a time, of some megabytes."""
    size = max(1, BLOCK_ENTRIES // max(1, Z.size // max(1, Z.shape[0])))
    for first in range(0, Z.shape[0], size):
        part = slice(first, first + size)
        yield part, Z[part]


def gram(Z: Rows, factors: np.ndarray) -> np.ndarray:
    """``Σ_j f_j z_j z_jᵀ``, shape (d, d)."""
    if isinstance(Z, Product):
        inner: np.ndarray = Z.matrix.T @ gram(Z.rows, factors * Z.factors**2) @ Z.matrix
        return inner
    return dense(scaled_rows(Z, factors).T @ Z)


def triangle(Z: Rows) -> np.ndarray:
    """R with ``RᵀR = ZᵀZ``, shape (min(N, d), d), by QR of some rows at a time."""
    N, d = Z.shape
    size = max(8 * d, MANY) if has_many(Z) else N
    R = np.zeros((0, d))
    for first in range(0, N, size):
        some = np.vstack([R, dense(Z[first : first + size])])
        R = qr(some, mode="r", check_finite=False, overwrite_a=True)[0][:d]
    return R


def distinct(Z: Rows, *numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first of each set of equal rows (with equal numbers beside them), and each row's set."""
    N = Z.shape[0]
    random = np.random.default_rng(0).integers(0, 1 << 64, Z.shape[1] + len(numbers), np.uint64)
    random |= np.uint64(1)
    keys = np.zeros(N, dtype=np.uint64)
    for factor, beside in zip(random[Z.shape[1] :], numbers, strict=True):
        keys += factor * _mixed(beside)
    if is_sparse(Z):
        parts = with_entries(Z, random[Z.indices] * _mixed(Z.data))
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
