"""Tables of pandas, polars, Arrow and others, by what they can do, as none of them is imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _validation as check

__all__ = [
    "column_text",
    "columns_of",
    "feature_names",
    "is_sparse_column",
    "numbers_of_column",
]


def columns_of(X: Any) -> tuple[list[Any], list[Any]] | None:
    """The names of a table's columns, and the columns; None if it is no table."""
    if hasattr(X, "iloc") and hasattr(X, "columns"):  # pandas
        return list(X.columns), [X.iloc[:, k] for k in range(X.shape[1])]
    if hasattr(X, "get_columns"):  # polars
        return list(X.columns), list(X.get_columns())
    if not hasattr(X, "__array__"):
        if hasattr(X, "__arrow_c_stream__"):
            X = check.require("pyarrow", "data", f"a {type(X).__name__} as rows").table(X)
        elif hasattr(X, "__dataframe__"):
            arrow = check.require("pyarrow.interchange", "data", f"a {type(X).__name__} as rows")
            X = arrow.from_dataframe(X)
    if hasattr(X, "column_names") and hasattr(X, "column"):  # Arrow
        return list(X.column_names), [X.column(k) for k in range(X.num_columns)]
    return None


def feature_names(names: Sequence[Any]) -> tuple[str, ...] | None:
    """The names of columns, if they are texts; pandas numbers those that have none."""
    return tuple(map(str, names)) if all(isinstance(name, str) for name in names) else None


def is_sparse_column(column: Any) -> bool:
    """Whether a column of pandas keeps only what is not 0."""
    values = getattr(column, "array", None)
    return hasattr(values, "sp_index") and values.fill_value == 0  # type: ignore[union-attr]


def numbers_of_column(name: str, label: Any, column: Any) -> np.ndarray:
    """A column as numbers of any real type, NaN where there is none."""
    values = check.array_of(f"{name}: {column_text(label)}", column)
    if values.dtype == object:
        values = check.numbers_in_objects(values)
    if values.dtype.kind not in "biuf":
        kind = getattr(column, "dtype", getattr(column, "type", values.dtype))
        example = next((repr(v) for v in values.ravel() if isinstance(v, str)), None)
        what = f"holds texts such as {example}" if example else f"is of type {kind}"
        cure = "encode it (Problem.from_frame does)" if example else "make numbers of it"
        raise TypeError(
            f"{name}: {column_text(label)} {what}; want numbers: {cure}, or leave it out"
        )
    return values


def column_text(label: Any) -> str:
    """A column for a message."""
    return f"column {label!r}"
