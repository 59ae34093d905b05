"""Rows of features as problems keep them: a dense array, or CSR for those that come sparse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from . import _validation as check

__all__ = ["Rows", "arrays_of", "as_rows", "is_sparse", "joined", "scaled_rows", "with_ones"]

Rows: TypeAlias = Any  # np.ndarray or scipy.sparse.csr_array, whose types are not known to mypy
IMPUTE = ": drop or impute those rows first"


def is_sparse(X: Any) -> bool:
    """Whether rows are those of scipy.sparse, or of a library that makes them of its own."""
    return hasattr(X, "tocsr")


def as_rows(name: str, X: Any) -> Rows:
    """Finite real rows of shape (N, d): an array, or CSR in its canonical format without zeros."""
    return _csr(name, X) if is_sparse(X) else check.real_array(name, X, 2)


def arrays_of(X: Rows) -> tuple[np.ndarray, ...]:
    """The arrays that rows consist of."""
    return (X.indptr, X.indices, X.data) if is_sparse(X) else (X,)


def joined(blocks: Sequence[Rows]) -> Rows:
    """All rows of some blocks, in their order; CSR if one of them is."""
    if len(blocks) == 1:
        return blocks[0]
    if not any(map(is_sparse, blocks)):
        return np.concatenate(blocks)
    from scipy.sparse import csr_array, vstack

    return _narrow(vstack([csr_array(X) for X in blocks], format="csr"))


def with_ones(X: Rows) -> Rows:
    """Rows with a column of ones after the others."""
    ones = np.ones((X.shape[0], 1), dtype=X.dtype)
    if not is_sparse(X):
        return np.hstack([X, ones])
    from scipy.sparse import csr_array, hstack

    return _narrow(hstack([X, csr_array(ones)], format="csr"))


def scaled_rows(X: Rows, factors: np.ndarray) -> Rows:
    """Each row times its factor."""
    factors = factors.astype(X.dtype)
    if not is_sparse(X):
        return X * factors[:, None]
    from scipy.sparse import csr_array

    data = X.data * np.repeat(factors, np.diff(X.indptr))
    return csr_array((data, X.indices, X.indptr), shape=X.shape)


def _csr(name: str, X: Any) -> Rows:
    """Entries in the order of their columns, once each and none 0; what came stays as it is."""
    from scipy.sparse import csr_array

    if X.ndim != 2:
        raise ValueError(f"{name}: got an array of shape {X.shape}; want 2 dimensions")
    if X.dtype.kind not in "biuf":
        raise TypeError(f"{name}: got dtype {X.dtype}; want real numbers")
    came = X.tocsr()
    dtype = np.float32 if came.dtype == np.float32 else np.float64
    # Of an object of its own, as scipy notes there whether entries are in order.
    rows = csr_array(
        (came.data.astype(dtype, copy=False).view(), came.indices.view(), came.indptr.view()),
        shape=came.shape,
    )
    try:
        rows.check_format(full_check=True)  # the core goes to the columns that these say
    except ValueError as error:
        raise ValueError(f"{name}: broken CSR arrays: {error}") from None
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    if not rows.data.all():
        rows = rows.copy()
        rows.eliminate_zeros()
    bad = np.flatnonzero(~np.isfinite(rows.data))
    if len(bad):
        row = int(np.searchsorted(rows.indptr, bad[0], side="right")) - 1
        raise ValueError(
            f"{name}: {rows.data[bad[0]]} at row {row}, column {rows.indices[bad[0]]} ({len(bad)} "
            f"such entries); want finite numbers{IMPUTE}"
        )
    return _narrow(rows)


def _narrow(X: Rows) -> Rows:
    """Indices of 32 bits, where they fit."""
    if max(X.nnz, X.shape[1]) < 2**31:
        X.indices, X.indptr = (a.astype(np.int32, copy=False) for a in (X.indices, X.indptr))
    return X
