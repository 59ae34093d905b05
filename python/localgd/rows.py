"""Rows of features as people have them, and as problems keep them.

Rows come as an array or list, as a table with a name for each column, or sparse. Problems keep a
dense array or CSR, of float64 or float32; what comes like that is not copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from . import _validation as check
from .pieces import pieces
from .read_only import protect
from .tables import column_text, columns_of, feature_names, is_sparse_column, numbers_of_column

__all__ = [
    "Found",
    "Rows",
    "arrays_of",
    "as_double",
    "as_floats",
    "check_names",
    "dense_double",
    "empty_rows",
    "fitting_rows",
    "is_sparse",
    "read_rows",
    "row_norms",
    "scaled_rows",
    "stored",
    "times_powers",
    "with_entries",
    "with_ones",
]

Rows: TypeAlias = Any  # np.ndarray or scipy.sparse.csr_array, whose types are not known to mypy
LINE = 64  # bytes of a cache line
# Steps of the primal engine take up to a third longer where vector loads go across two lines. So
# rows of up to so many bytes are copied to the beginning of one.
MOST_ALIGNED = 2**22


class Found(NamedTuple):
    """Finite rows: an array of real numbers of any type and order, or CSR; names of the columns."""

    X: Rows
    names: tuple[str, ...] | None


def is_sparse(X: Any) -> bool:
    """Whether rows are those of scipy.sparse, or of a library that makes them of its own."""
    return hasattr(X, "tocsr")


def arrays_of(X: Rows) -> tuple[np.ndarray, ...]:
    """The arrays that rows consist of."""
    return (X.indptr, X.indices, X.data) if is_sparse(X) else (X,)


def read_rows(name: str, X: Any) -> Found:
    """Rows of shape (N, d) that may be stored, whatever they came as; nothing is copied in vain."""
    if is_sparse(X):
        return Found(_csr(name, X), None)
    table = columns_of(X)
    if table is None:
        array = check.numbers_of(name, X, 2)
        _check_precision(name, array.dtype)
        check.finite(name, array)
        return Found(array, None)
    names, columns = table
    of_columns = _sparse_columns if any(map(is_sparse_column, columns)) else _dense_columns
    return Found(of_columns(name, names, columns), feature_names(names))


def fitting_rows(name: str, found: Found, n_features: int, names: Sequence[str] | None) -> Rows:
    """Float rows for a model of so many features, which have ``names`` or none."""
    count = found.X.shape[1]
    if count != n_features:
        message = f"{name}: got rows of {count} features; want {n_features}, as the model has"
        if is_sparse(found.X) and count < n_features:  # a file has no features without an entry
            message += f" (datasets.read(…, n_features={n_features}) makes them of a file)"
        raise ValueError(message)
    check_names(name, found.names, names, "the problem")
    return as_floats(found.X)


def check_names(
    name: str, got: Sequence[str] | None, wanted: Sequence[str] | None, whose: str
) -> None:
    """Columns, if both rows have names for them, are the same in the same order."""
    if got is None or wanted is None or tuple(got) == tuple(wanted):
        return
    k = next(k for k, (one, other) in enumerate(zip(got, wanted, strict=True)) if one != other)
    raise ValueError(
        f"{name}: column {k} is {got[k]!r}; want {wanted[k]!r}: the columns of {whose}, in their "
        "order"
    )


def as_floats(X: Rows) -> Rows:
    """Rows of float64 or float32, the same ones if they are."""
    return X if is_sparse(X) else X.astype(_float_type([X.dtype]), copy=False)


def as_double(X: Rows) -> Rows:
    """Rows in float64, the same ones if they are; for what is to be exact to its rounding."""
    return X.astype(np.float64, copy=False)


def dense_double(X: Rows) -> np.ndarray:
    """Rows in float64 as an array, for factorisations."""
    return as_double(X.toarray() if is_sparse(X) else X)


def stored(blocks: Sequence[Rows], order: np.ndarray | None = None, ones: bool = False) -> Rows:
    """Read-only rows of some blocks, one after the other; CSR if one of them is.

    ``order`` sorts the rows of the only block; ``ones``: a column of ones after the others.
    """
    if any(map(is_sparse, blocks)):
        X = _joined_csr(blocks, order, ones)
    else:
        dtype = _float_type([X.dtype for X in blocks])
        kept = None if ones or order is not None else _kept(blocks, dtype)
        X = _dense(blocks, order, ones, dtype) if kept is None else kept
    protect(*arrays_of(X))
    return X


def with_ones(X: Rows) -> Rows:
    """Rows with a column of ones after the others."""
    return stored([X], ones=True)


def scaled_rows(X: Rows, factors: np.ndarray) -> Rows:
    """Each row times its factor, in the type of the rows."""
    factors = factors.astype(X.dtype)
    if not is_sparse(X):
        return np.multiply(X, factors[:, None], out=empty_rows(X.shape, X.dtype))
    return with_entries(X, X.data * np.repeat(factors, np.diff(X.indptr)))


def times_powers(X: Rows, rows: np.ndarray | int = 0, columns: np.ndarray | int = 0) -> Rows:
    """``2^rows X 2^columns`` in float64, without rounding."""
    if not is_sparse(X):
        exponents = np.reshape(rows, (-1, 1)) + np.reshape(columns, (1, -1))
        return np.ldexp(X, exponents, dtype=np.float64)
    each = np.repeat(np.broadcast_to(rows, X.shape[:1]), np.diff(X.indptr))
    each = each + np.broadcast_to(columns, X.shape[1:])[X.indices]
    return with_entries(X, np.ldexp(X.data, each, dtype=np.float64))


def with_entries(X: Rows, entries: np.ndarray) -> Rows:
    """CSR with other numbers in the same places."""
    from scipy.sparse import csr_array

    return csr_array((entries, X.indices, X.indptr), shape=X.shape)


def row_norms(X: Rows) -> np.ndarray:
    """|x_j|, float64 of shape (N,)."""
    if not is_sparse(X):
        return np.linalg.norm(as_double(X), axis=1)
    from scipy.sparse.linalg import norm

    norms: np.ndarray = norm(as_double(X), axis=1)
    return norms


def empty_rows(shape: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    """Rows that begin with a cache line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + LINE, dtype=np.uint8)
    first = -memory.ctypes.data % LINE
    return memory[first : first + size].view(dtype).reshape(shape)


# -- Dense -----------------------------------------------------------------------------------------


def _float_type(dtypes: Sequence[np.dtype]) -> np.dtype:
    """float32 if no more is needed for floats that came, else float64."""
    dtype = np.result_type(*dtypes)
    single = dtype.kind == "f" and dtype.itemsize <= 4
    return np.dtype(np.float32 if single else np.float64)


def _check_precision(name: str, dtype: np.dtype) -> None:
    if dtype.kind == "f" and dtype.itemsize > 8:
        raise TypeError(
            f"{name}: got dtype {dtype}, of which float64 would round the numbers; want "
            "X.astype(numpy.float64)"
        )


def _dense(
    blocks: Sequence[np.ndarray], order: np.ndarray | None, ones: bool, dtype: np.dtype
) -> np.ndarray:
    """A copy, for which no other is made."""
    d = blocks[0].shape[1]
    rows = empty_rows((sum(map(len, blocks)), d + ones), dtype)
    rows[:, d:] = 1
    first = 0
    for X in blocks:
        out = rows[first : first + len(X), :d]
        for some in pieces(len(X), d):
            out[some] = X[some] if order is None else X[order[some]]
        first += len(X)
    return rows


def _kept(blocks: Sequence[np.ndarray], dtype: np.dtype) -> np.ndarray | None:
    """The rows in the caller's memory, if they stand there one after the other."""
    last = None
    for X in blocks:
        if X.dtype != dtype or not X.flags.c_contiguous:
            return None
        follows = last is None or (
            X.ctypes.data == last.ctypes.data + last.nbytes and _owner(X) is _owner(last)
        )
        if not follows or not X.flags.aligned:
            return None
        last = X
    first = blocks[0]
    shape = (sum(map(len, blocks)), first.shape[1])
    if first.ctypes.data % LINE and dtype.itemsize * shape[0] * shape[1] <= MOST_ALIGNED:
        return None
    strides = (shape[1] * dtype.itemsize, dtype.itemsize)
    return np.lib.stride_tricks.as_strided(first, shape, strides, writeable=False)


def _owner(X: np.ndarray) -> Any:
    """What holds the memory of an array."""
    owner: Any = X
    while isinstance(owner, np.ndarray) and owner.base is not None:
        owner = owner.base
    return owner


def _dense_columns(name: str, names: Sequence[Any], columns: Sequence[Any]) -> np.ndarray:
    numbers = [numbers_of_column(name, *column) for column in zip(names, columns, strict=True)]
    for label, column in zip(names, numbers, strict=True):
        _check_precision(f"{name}: {column_text(label)}", column.dtype)
    if not numbers:
        return np.empty((0, 0))
    n = len(numbers[0])
    rows = empty_rows((n, len(numbers)), _float_type([column.dtype for column in numbers]))
    for some in pieces(n, len(numbers)):
        for k, column in enumerate(numbers):
            rows[some, k] = column[some]
    check.finite(name, rows, columns=names)
    return rows


# -- Sparse ----------------------------------------------------------------------------------------


def _csr(name: str, X: Any, columns: Sequence[Any] | None = None) -> Rows:
    """Entries in the order of their columns, once each and none 0; what came stays as it is."""
    from scipy.sparse import csr_array

    if X.ndim != 2:
        raise ValueError(f"{name}: got an array of shape {X.shape}; want 2 dimensions")
    if X.dtype.kind not in "biuf":
        raise TypeError(f"{name}: got dtype {X.dtype}; want real numbers")
    _check_precision(name, X.dtype)
    came = X.tocsr()
    data = came.data.astype(_float_type([came.dtype]), copy=False)
    # Of an object of its own, as scipy notes there whether entries are in order.
    rows = csr_array((data.view(), came.indices.view(), came.indptr.view()), shape=came.shape)
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
        raise check.not_finite(
            name, rows.data[bad[0]], (row, int(rows.indices[bad[0]])), len(bad), columns=columns
        )
    return _narrow(rows)


def _narrow(X: Rows) -> Rows:
    """Indices of 32 bits, where they fit."""
    if max(X.nnz, X.shape[1]) < 2**31:
        X.indices, X.indptr = (a.astype(np.int32, copy=False) for a in (X.indices, X.indptr))
    return X


def _joined_csr(blocks: Sequence[Rows], order: np.ndarray | None, ones: bool) -> Rows:
    from scipy.sparse import csr_array, hstack, vstack

    X = blocks[0]
    if len(blocks) > 1:
        X = vstack([csr_array(as_floats(block)) for block in blocks], format="csr")
    if order is not None:
        X = X[order]
    if ones:
        X = hstack([X, csr_array(np.ones((X.shape[0], 1), dtype=X.dtype))], format="csr")
    return _narrow(csr_array(X))  # older versions of scipy stack arrays to matrices


def _sparse_columns(name: str, names: Sequence[Any], columns: Sequence[Any]) -> Rows:
    from scipy.sparse import csc_array

    data, indices = [], []
    for label, column in zip(names, columns, strict=True):
        if is_sparse_column(column):
            stored = column.array
            indices.append(stored.sp_index.to_int_index().indices)
            data.append(numbers_of_column(name, label, stored.sp_values))
        else:
            values = numbers_of_column(name, label, column)
            indices.append(np.flatnonzero(values))
            data.append(values[indices[-1]])
    indptr = np.cumsum([0, *map(len, indices)])
    arrays = (np.concatenate(data), np.concatenate(indices), indptr)
    return _csr(name, csc_array(arrays, shape=(len(columns[0]), len(columns))), names)
