"""Series of an experiment: named columns of equal length, made of records and taken apart again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["Columns", "columns", "part", "records"]

Columns = Mapping[str, np.ndarray]


def columns(rows: Sequence[Mapping[str, Any]], dtype: Any = None) -> dict[str, np.ndarray]:
    """Columns of records that have the same names.

    Parameters
    ----------
    rows : sequence of mapping
        At least one.
    dtype : dtype, optional
        Of every column; of each its own by default.

    Examples
    --------
    >>> from localgd.reproducing.columns import columns, part
    >>> made = columns([{"L": 1, "angle": 3.0}, {"L": 10, "angle": 2.0}])
    >>> part(made, L=10)["angle"].tolist()
    [2.0]
    """
    return {name: np.array([row[name] for row in rows], dtype=dtype) for name in rows[0]}


def records(table: Columns) -> Iterator[dict[str, Any]]:
    """The rows of columns, one mapping each."""
    for row in zip(*table.values(), strict=True):
        yield dict(zip(table, row, strict=True))


def part(table: Columns, **wanted: Any) -> dict[str, np.ndarray]:
    """The rows in which columns have these values."""
    kept = np.ones(len(next(iter(table.values()))), dtype=bool)
    for name, value in wanted.items():
        kept &= table[name] == value
    return {name: column[kept] for name, column in table.items()}
