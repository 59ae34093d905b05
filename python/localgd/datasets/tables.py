"""Files of named columns: CSV and parquet."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from .. import _validation as check
from .columns import RawRows, is_number, listed

__all__ = ["read_csv", "read_parquet"]


def read_csv(
    path: Path,
    label: str | int | None,
    client: str | int | None,
    *,
    header: bool | None = None,
    delimiter: str = ",",
) -> RawRows:
    """Rows of a UTF-8 CSV file, parsed without pandas."""
    if not isinstance(delimiter, str) or len(delimiter) != 1:
        raise ValueError(f"delimiter: got {delimiter!r}; want one character")
    if header is not None and not isinstance(header, bool):
        raise TypeError(f"header: got {header!r}; want True, False or None")
    lines = _csv_lines(path, delimiter)
    first_line, first = next(lines, (0, []))
    if not first:
        raise ValueError(f"{path.name}: no lines with text; want rows")
    by_name = isinstance(label, str) or isinstance(client, str)
    if header is False and by_name:
        name = label if isinstance(label, str) else client
        raise ValueError(f"header: got False and a column named {name!r}; want a column index")
    is_header = header
    if is_header is None:
        is_header = by_name or not any(is_number(cell) for cell in first)
    names: list[str | int] = [c.strip() for c in first] if is_header else list(range(len(first)))
    layout = _Layout(path, names, label, client)

    numbers, labels, clients, line_numbers = [], [], [], []
    for line, row in lines if is_header else _again((first_line, first), lines):
        if len(row) != len(names):
            raise ValueError(
                f"{path.name} line {line}: {len(row)} cells; line {first_line} has {len(names)}"
            )
        numbers.append(layout.floats(row, line, hint=header is None and line == first_line))
        labels.append(row[layout.label])
        if layout.client is not None:
            clients.append(row[layout.client])
        line_numbers.append(line)
    if not numbers:
        raise ValueError(f"{path.name}: a header and no rows; want at least one row")

    def place(i: int, role: str) -> str:
        return layout.place(f"line {line_numbers[i]}", getattr(layout, role))

    return RawRows(np.array(numbers), labels, None if client is None else clients, place)


def read_parquet(path: Path, label: str | int | None, client: str | int | None) -> RawRows:
    """Rows of a parquet file; an index that pandas stored beside the columns is left out."""
    parquet = check.require("pyarrow.parquet", "data", "reading a .parquet file")
    try:
        table = parquet.read_table(path)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path.name}: not a parquet file: {error}") from None
    names = [name for name in table.column_names if not re.fullmatch(r"__index_level_\d+__", name)]
    layout = _Layout(path, names, label, client)
    if table.num_rows == 0:
        raise ValueError(f"{path.name}: no rows; want at least one")
    X = np.empty((table.num_rows, len(layout.features)))
    for k, i in enumerate(layout.features):
        column = table.column(names[i])
        values = column.to_numpy()
        if values.dtype == object:  # strings, or booleans with gaps
            values = np.array([math.nan if value is None else value for value in values])
        if values.dtype.kind not in "biuf":
            raise ValueError(
                f"{path.name} column {names[i]!r}: values of type {column.type}; want numbers"
            )
        X[:, k] = values
        bad = np.flatnonzero(~np.isfinite(X[:, k]))
        if len(bad):
            raise ValueError(
                f"{layout.place(f'row {bad[0]}', i)}: {X[bad[0], k]} or missing; want finite "
                "numbers: drop or impute those rows first"
            )

    def place(i: int, role: str) -> str:
        return layout.place(f"row {i}", getattr(layout, role))

    clients = None if layout.client is None else table.column(names[layout.client]).to_pylist()
    return RawRows(X, table.column(names[layout.label]).to_pylist(), clients, place)


class _Layout:
    """Which columns of a table hold the label, the client id and the features."""

    def __init__(
        self,
        path: Path,
        names: Sequence[str | int],
        label: str | int | None,
        client: str | int | None,
    ):
        self.path, self.names = path, names
        self.client = None if client is None else self._index("client", client)
        if label is None:
            # A file of one column keeps it as label and is refused below for want of features.
            last = len(names) - 1
            self.label = last - 1 if self.client == last and last > 0 else last
        else:
            self.label = self._index("label", label)
        if self.label == self.client:
            raise ValueError(
                f"label, client: both are column {names[self.label]!r} of {path.name}; want two"
            )
        self.features = [i for i in range(len(names)) if i not in (self.label, self.client)]
        if not self.features:
            raise ValueError(
                f"{path.name}: {len(names)} column(s) ({listed(names)}), none left for features; "
                "want at least one (is the delimiter right?)"
            )

    def _index(self, role: str, wanted: str | int) -> int:
        if isinstance(wanted, str):
            found = [i for i, name in enumerate(self.names) if name == wanted]
            if len(found) != 1:
                count = f"{len(found)} columns" if found else "no column"
                raise ValueError(
                    f"{role}: {count} {wanted!r} in {self.path.name}; it has {listed(self.names)}"
                )
            return found[0]
        if not -len(self.names) <= wanted < len(self.names):
            raise ValueError(
                f"{role}: got column {wanted} of {self.path.name}; it has {len(self.names)} "
                "columns, counted from 0"
            )
        return wanted % len(self.names)

    def place(self, where: str, column: int) -> str:
        return f"{self.path.name} {where}, column {self.names[column]!r}"

    def floats(self, row: list[str], line: int, *, hint: bool) -> np.ndarray:
        """The features of one CSV row, shape (d,)."""
        cells = [row[i] for i in self.features]
        # Whole rows first: asking cell by cell doubles the time of a large file.
        try:
            values = np.array(list(map(float, cells)))
        except ValueError:
            values = np.array([math.nan])
        if np.isfinite(values).all() and "_" not in "".join(cells):
            return values
        i, cell = next(
            (i, cell)
            for i, cell in zip(self.features, cells, strict=True)
            if not is_number(cell) or not math.isfinite(float(cell))
        )
        what = f"{cell!r} is not a finite number" if cell.strip() else "no value"
        header = "; if this line is a header pass header=True" if hint else ""
        raise ValueError(f"{self.place(f'line {line}', i)}: {what}{header}")


def _csv_lines(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every line that is not blank."""
    with path.open(newline="", encoding="utf-8-sig") as stream:
        lines = csv.reader(stream, delimiter=delimiter, skipinitialspace=True)
        try:
            for row in lines:
                if len(row) > 1 or (row and row[0].strip()):
                    yield lines.line_num, row
        except UnicodeDecodeError as error:
            raise ValueError(f"{path.name}: not UTF-8 text ({error.reason})") from None
        except csv.Error as error:
            raise ValueError(f"{path.name} line {lines.line_num}: {error}") from None


def _again(
    first: tuple[int, list[str]], rest: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from rest
