"""The columns of a table of any library, as numbers with NaN or as texts with None."""

from __future__ import annotations

import numbers
import os
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Any, cast

import numpy as np

from .. import _validation as check
from ..ids import factorize, is_missing
from ..tables import column_text, columns_of

__all__ = [
    "Columns",
    "find_column",
    "is_text",
    "missing_of",
    "read_columns",
    "table_of",
    "texts_of",
]

Name = str | int


class Columns:
    """Some columns of as many rows, by name: float64 with NaN, or objects, str with None.

    ``columns[rows]`` are some rows, as of an array.
    """

    def __init__(self, values: dict[Name, np.ndarray]):
        self.values = values

    def __len__(self) -> int:
        return len(next(iter(self.values.values()), ()))

    def __getitem__(self, rows: Any) -> Columns:
        return Columns({name: column[rows] for name, column in self.values.items()})


def table_of(name: str, frame: Any) -> dict[Name, Any]:
    """The columns of a table as they come, by name."""
    table = columns_of(frame)
    if table is None:
        file = ", such as pandas.read_csv gives" if isinstance(frame, str | os.PathLike) else ""
        raise TypeError(
            f"{name}: got {type(frame).__name__}; want a table of pandas, polars or Arrow{file}"
        )
    names, columns = table
    for label in names:
        if not isinstance(label, str | int) or isinstance(label, bool):
            raise TypeError(f"{name}: got a column named {label!r}; want texts or integers")
        if names.count(label) > 1:
            raise ValueError(f"{name}: two columns are named {label!r}; want each name once")
    return dict(zip(names, columns, strict=True))


def find_column(role: str, wanted: Any, table: Collection[Name]) -> Name:
    """A name that the table has."""
    if not isinstance(wanted, Hashable):
        raise TypeError(
            f"{role}: got {type(wanted).__name__}; want the name of a column, which "
            "frame.assign(name=values) adds"
        )
    if wanted in table:
        return cast(Name, wanted)
    raise ValueError(f"{role}: there is no column {wanted!r}; {check.suggestion(wanted, table)}")


def read_columns(
    name: str, table: dict[Name, Any], texts: Iterable[Name] = (), numeric: Iterable[Name] = ()
) -> Columns:
    """Columns as numbers or texts, by what they hold.

    ``texts``: those that are texts whatever they hold; ``numeric``: those that must be numbers.
    """
    read = {}
    for label, column in table.items():
        values = _values(f"{name}: {column_text(label)}", column)
        if label in texts:
            values = texts_of(values)
        elif label in numeric and is_text(values):
            example = next((v for v in values if v is not None), None)
            if example is not None:
                raise TypeError(
                    f"{name}: {column_text(label)} holds {example!r}; want numbers, as it held "
                    "where the model was trained"
                )
            values = np.full(len(values), np.nan)
        read[label] = values
    return Columns(read)


def is_text(values: np.ndarray) -> bool:
    """Whether a column that was read holds texts."""
    return values.dtype == object


def missing_of(values: np.ndarray) -> np.ndarray:
    """Where a column that was read has no value, bool of shape (N,)."""
    if is_text(values):
        return np.array([value is None for value in values], dtype=bool)
    return np.isnan(values)


def texts_of(values: np.ndarray) -> np.ndarray:
    """A column as texts; whole numbers as integers, which gaps beside them turn into floats."""
    if is_text(values):
        return values
    found, index = np.unique(values, return_inverse=True)
    return np.array([_text(value) for value in found.tolist()], dtype=object)[index]


def _text(value: float) -> str | None:
    if value != value:
        return None
    return str(int(value)) if value == int(value) else repr(value)


def _values(name: str, column: Any) -> np.ndarray:
    """A column as float64 or as objects."""
    array = check.array_of(name, column)
    check.dimensions(name, array, 1)
    if _is_categorical(column) and array.dtype.kind in "biuf":
        return texts_of(array) if array.dtype != bool else _booleans(array)
    if array.dtype == bool:
        return _booleans(array)
    if array.dtype.kind in "iuf":
        return _finite(name, array.astype(np.float64))
    if array.dtype.kind in "Mm":
        raise TypeError(
            f"{name} holds times ({array.dtype}); want numbers, such as days since the first, or "
            "leave it out"
        )
    if array.dtype.kind not in "OSUT":
        raise TypeError(f"{name}: got dtype {array.dtype}; want numbers, texts or booleans")
    return _of_objects(name, array.tolist())


def _is_categorical(column: Any) -> bool:
    """Whether a column says that its values are categories, be they numbers."""
    kind = getattr(column, "dtype", getattr(column, "type", None))
    return hasattr(kind, "categories") or str(kind).startswith("dictionary")


def _booleans(array: np.ndarray) -> np.ndarray:
    return np.array(["False", "True"], dtype=object)[array.astype(np.int64)]


def _finite(name: str, values: np.ndarray) -> np.ndarray:
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise ValueError(
            f"{name}: {values[infinite[0]]} at row {infinite[0]} ({len(infinite)} such entries); "
            "want finite numbers, or NaN where there is no value"
        )
    return values


def _of_objects(name: str, entries: Sequence[Any]) -> np.ndarray:
    """Texts and booleans as texts with None, numbers as float64."""
    try:
        found, index = factorize(entries)
    except TypeError as error:  # lists and the like
        raise TypeError(f"{name}: {error}; want numbers, texts or booleans") from None
    plain = [None if is_missing(value) else _plain(name, value) for value in found]
    kinds = {type(value) for value in plain} - {type(None)}
    if len(kinds) > 1:
        text = next(value for value in plain if isinstance(value, str))
        number = next(value for value in plain if isinstance(value, float))
        raise TypeError(
            f"{name} holds numbers such as {number:g} and texts such as {text!r}; want one kind: "
            "NaN in place of texts that stand for no value, or texts in place of numbers"
        )
    if kinds == {float}:
        numbers_ = np.array([np.nan if value is None else value for value in plain])
        return _finite(name, numbers_[index])
    return np.array(plain, dtype=object)[index]


def _plain(name: str, value: Any) -> str | float:
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, numbers.Number) and not isinstance(value, complex):
        return float(value)  # type: ignore[arg-type]
    raise TypeError(
        f"{name} holds {value!r} of type {type(value).__name__}; want numbers, texts or booleans: "
        "make one of these of it, or leave it out"
    )
