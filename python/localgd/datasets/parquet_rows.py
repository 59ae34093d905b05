"""Parquet files."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from .. import _validation as check
from .columns import NotNumericError, RawRows
from .parquet_parts import ClientsOfPart, Part
from .tables import Layout, Wanted, by_name

__all__ = ["read_parquet"]


def read_parquet(
    path: Path,
    label: Wanted,
    client: Wanted,
    *,
    keep_index: bool = False,
    as_columns: bool = False,
    part: Part | None = None,
) -> RawRows:
    """Rows of a parquet file; an index that pandas stored beside the columns is left out.

    ``as_columns``: columns of any kind by their names, as Arrow has them, in place of an array.
    ``part``: the rows of some clients.
    """
    arrow = check.require("pyarrow", "data", "reading a .parquet file")
    parquet = check.require("pyarrow.parquet", "data", "reading a .parquet file")
    try:
        if part is not None:
            table = ClientsOfPart(path, part)
        else:
            # As one file: read_table would look for columns in the names of its folders.
            with parquet.ParquetFile(path, page_checksum_verification=True) as file:
                table = file.read()
        names = [str(name) for name in table.schema.names]
    except Exception as error:  # whatever the parser makes of broken bytes
        raise ValueError(f"{path.name}: not a parquet file: {error}") from None
    try:
        described = (table.schema.pandas_metadata or {}).get("index_columns", [])
        stored = [name for name in described if isinstance(name, str)]
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"{path.name}: its metadata of pandas is broken: {error}") from None
    unnamed = re.compile(r"__index_level_\d+__")
    index = [i for i, name in enumerate(names) if name in stored or unnamed.fullmatch(name)]
    layout = Layout(path, names, label, client, index, keep_index, count_index=False)
    others: list[list[Any]] = []
    if isinstance(table, ClientsOfPart):
        assert layout.client is not None, "parts are of clients"
        table, *others = table.read(names[layout.client], names[layout.label])
    if table.num_rows == 0 and part is None:
        raise ValueError(f"{path.name}: no rows; want at least one")
    X = by_name(path, layout, table.column) if as_columns else _array(arrow, table, layout)

    def location(i: int, role: str) -> str:
        of_part = "" if part is None else f" of part {part[0]} of {part[1]}"
        return layout.location(f"row {i}{of_part}", getattr(layout, role))

    def column(i: int) -> list[Any]:
        try:
            values: list[Any] = table.column(i).to_pylist()
        except Exception as error:  # text that is not UTF-8, times out of range
            raise ValueError(f"{path.name} column {names[i]!r}: {error}") from None
        return values

    clients = None if layout.client is None else column(layout.client)
    return RawRows(X, column(layout.label), clients, location, layout.guesses, *others)


def _array(arrow: Any, table: Any, layout: Layout) -> np.ndarray:
    """The features as finite numbers."""
    types = [table.column(i).type for i in layout.features]
    single = all(arrow.types.is_float32(kind) for kind in types)
    X = np.empty((table.num_rows, len(types)), dtype=np.float32 if single else np.float64)
    for k, i in enumerate(layout.features):
        what = f"{layout.path.name} column {layout.names[i]!r}"
        X[:, k] = _parquet_numbers(arrow, table.column(i), what)
        bad = np.flatnonzero(~np.isfinite(X[:, k]))
        if len(bad):
            raise NotNumericError(
                f"{layout.location(f'row {bad[0]}', i)}: {X[bad[0], k]} or missing; want finite "
                "numbers: drop or impute those rows first"
            )
    return X


def _parquet_numbers(arrow: Any, column: Any, what: str) -> np.ndarray:
    """A column of numbers or booleans as float64, NaN where there is none."""
    types, kind = arrow.types, column.type
    if types.is_dictionary(kind):  # what pandas calls categories
        kind = kind.value_type
        column = column.cast(kind)
    tests = (types.is_boolean, types.is_integer, types.is_floating, types.is_decimal)
    if not any(test(kind) for test in tests):
        raise NotNumericError(f"{what}: values of type {column.type}; want numbers")
    values = column.to_numpy()
    if values.dtype == object:  # decimals, or booleans with gaps
        values = np.array([math.nan if value is None else float(value) for value in values])
    return np.asarray(values, dtype=np.float64)
