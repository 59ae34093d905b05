"""Ids and labels as their distinct values and which of them each row has."""

from __future__ import annotations

import decimal
import numbers
from collections.abc import Hashable, Iterable
from typing import Any, NoReturn

import numpy as np

__all__ = ["client_index", "factorize", "is_missing"]


def factorize(values: Iterable[Any]) -> tuple[list[Any], np.ndarray]:
    """The distinct values in the order of their first rows, and the index of each row among them.

    Values stay what they are: an array of texts has room for the longest in every row, and one of
    integers and gaps rounds the integers to float64.
    """
    numbers: dict[Any, int] = {}
    index = np.fromiter((numbers.setdefault(v, len(numbers)) for v in values), dtype=np.int64)
    return list(numbers), index


def is_missing(value: Any) -> bool:
    """None, NaN, NaT or pandas.NA."""
    if isinstance(value, decimal.Decimal):
        return value.is_nan()
    try:
        return value is None or bool(value != value)
    except (TypeError, ValueError):  # pandas.NA is neither equal to itself nor unequal
        return True


def client_index(clients: Any, n_rows: int) -> tuple[tuple[Hashable, ...], np.ndarray]:
    """The ids of the clients in sorted order, and the index of each row's among them.

    Ids are integers, booleans or texts, in a list or an array of any library.
    """
    # Of a list of texts and numbers NumPy would make texts.
    ids = np.array(clients, dtype=object) if isinstance(clients, list | tuple) else clients
    ids = np.asarray(ids)
    if ids.shape != (n_rows,):
        raise ValueError(
            f"clients: got shape {ids.shape}; want one id for each of the {n_rows} rows"
        )
    if ids.dtype.kind in "biu":
        unique, index = np.unique(ids, return_inverse=True)
        return tuple(unique.tolist()), index
    if ids.dtype.kind not in "OSUT":
        raise TypeError(f"clients: got ids of dtype {ids.dtype}; want integers or strings")
    found, index = factorize(ids.tolist())

    def row(k: int) -> str:
        return f"row {int(np.argmax(index == k))}"

    plain = [_plain(id) for id in found]
    for k, id in enumerate(plain):
        if id is None or type(id) is not type(plain[0]):
            _refuse(found[k], row(k), found[0], row(0))
    order = sorted(range(len(plain)), key=plain.__getitem__)
    rank = np.empty(len(plain), dtype=np.int64)
    rank[order] = np.arange(len(plain))
    return tuple(plain[k] for k in order), rank[index]


def _plain(id: Any) -> Any:
    """An id as an object of Python; None if it is neither an integer nor a text."""
    if isinstance(id, np.generic):
        id = id.item()
    if isinstance(id, str):
        return str(id)
    if isinstance(id, bool | bytes):
        return id
    return int(id) if isinstance(id, numbers.Integral) else None


def _refuse(id: Any, row: str, first: Any, first_row: str) -> NoReturn:
    if is_missing(id):
        raise ValueError(f"clients: no id at {row} ({id!r}); want one for each row")
    if _plain(id) is None:
        kind = type(id).__name__
        raise TypeError(f"clients: got {id!r} of type {kind} at {row}; want integers or strings")
    raise TypeError(
        f"clients: got {first!r} at {first_row} and {id!r} at {row}; want integers or strings, "
        "one kind for all rows"
    )
