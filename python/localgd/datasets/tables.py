"""Files of named columns: CSV and parquet."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import _validation as check
from .columns import RawRows, is_number, listed, shown, stripped

__all__ = ["Word", "read_csv", "read_parquet"]

BLANKS = " \t"  # lines of nothing else are skipped, as by pandas
CHUNK = 2**20  # cells that are held as text at a time
NAMELESS = re.compile(r"|Unnamed: 0(\.\d+)*")  # an index in CSV, as pandas and R write it


@dataclass(frozen=True)
class Word:
    """Digits that one typed on a shell: a column's name, or its index if none has that name."""

    text: str


Wanted = str | int | Word | None


def read_csv(
    path: Path,
    label: Wanted,
    client: Wanted,
    *,
    header: bool | None = None,
    delimiter: str = ",",
    decimal: str = ".",
    keep_index: bool = False,
) -> RawRows:
    """Rows of a UTF-8 CSV file."""
    _check_dialect(header, delimiter, decimal)
    check.require("pandas", "data", "reading a .csv file")
    text = _Text(path, delimiter, decimal)
    stream = text.stream()
    first_line, first = next(text.records(stream), (0, []))
    if not first:
        raise ValueError(f"{path.name}: no lines with text; want rows")
    has_names, guesses = _header(path, first_line, first, label, client, header)
    names: list[str | int] = [stripped(c) for c in first] if has_names else list(range(len(first)))
    index = [0] if has_names and len(names) > 1 and NAMELESS.fullmatch(str(names[0])) else []
    other = " (is the delimiter right? delimiter=';' reads another)"
    layout = _Layout(path, names, label, client, index, keep_index, count_index=True, advice=other)
    try:
        X, labels, clients = _cells(text, stream if has_names else text.stream(), layout)
    except ValueError as error:
        text.explain(layout, first_line, header=has_names, hint=header is None)
        raise ValueError(f"{path.name}: not CSV: {error}") from None
    if not labels:
        raise ValueError(f"{path.name}: a header and no rows; want at least one row")
    guesses += layout.guesses
    if layout.left_out:
        guesses += ("its first column, which has no name, as an index (keep_index=True: feature)",)

    def location(i: int, role: str) -> str:
        where = f"line {text.line(i + has_names)}"
        if i == 0 and header is None and not has_names:
            where += " (read as a row; header=True: as column names)"
        return layout.location(where, getattr(layout, role))

    labels = [text.label(cell) for cell in labels]
    return RawRows(X, labels, None if client is None else clients, location, guesses)


def _cells(
    text: _Text, stream: io.StringIO, layout: _Layout
) -> tuple[np.ndarray, list[str], list[str]]:
    """Features, labels and client ids; a ValueError need not say where."""
    import pandas

    numbers, labels, clients = [np.empty((0, len(layout.features)))], [], []
    try:
        frames = pandas.read_csv(
            stream,
            header=None,
            index_col=False,
            sep=text.delimiter,
            dtype=object,
            na_filter=False,
            skipinitialspace=True,
            chunksize=max(1, CHUNK // len(layout.names)),
        )
    except pandas.errors.EmptyDataError:
        return numbers[0], [], []
    for frame in frames:
        if frame.shape[1] != len(layout.names):
            raise ValueError(f"{frame.shape[1]} cells in a line, {len(layout.names)} in the first")
        numbers.append(text.floats(frame[layout.features].to_numpy()))
        labels += frame[layout.label].tolist()
        if layout.client is not None:
            clients += frame[layout.client].tolist()
    return np.concatenate(numbers), labels, clients


def read_parquet(path: Path, label: Wanted, client: Wanted, *, keep_index: bool = False) -> RawRows:
    """Rows of a parquet file; an index that pandas stored beside the columns is left out."""
    arrow = check.require("pyarrow", "data", "reading a .parquet file")
    parquet = check.require("pyarrow.parquet", "data", "reading a .parquet file")
    try:
        # As one file: read_table would look for columns in the names of its folders.
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
            names = [str(name) for name in table.column_names]
    except Exception as error:  # whatever the parser makes of broken bytes
        raise ValueError(f"{path.name}: not a parquet file: {error}") from None
    try:
        described = (table.schema.pandas_metadata or {}).get("index_columns", [])
        stored = [name for name in described if isinstance(name, str)]
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"{path.name}: its metadata of pandas is broken: {error}") from None
    unnamed = re.compile(r"__index_level_\d+__")
    index = [i for i, name in enumerate(names) if name in stored or unnamed.fullmatch(name)]
    layout = _Layout(path, names, label, client, index, keep_index, count_index=False)
    if table.num_rows == 0:
        raise ValueError(f"{path.name}: no rows; want at least one")
    X = np.empty((table.num_rows, len(layout.features)))
    for k, i in enumerate(layout.features):
        X[:, k] = _parquet_numbers(arrow, table.column(i), f"{path.name} column {names[i]!r}")
        bad = np.flatnonzero(~np.isfinite(X[:, k]))
        if len(bad):
            raise ValueError(
                f"{layout.location(f'row {bad[0]}', i)}: {X[bad[0], k]} or missing; want finite "
                "numbers: drop or impute those rows first"
            )

    def location(i: int, role: str) -> str:
        return layout.location(f"row {i}", getattr(layout, role))

    def column(i: int) -> list[Any]:
        try:
            values: list[Any] = table.column(i).to_pylist()
        except Exception as error:  # text that is not UTF-8, times out of range
            raise ValueError(f"{path.name} column {names[i]!r}: {error}") from None
        return values

    clients = None if layout.client is None else column(layout.client)
    return RawRows(X, column(layout.label), clients, location, layout.guesses)


def _parquet_numbers(arrow: Any, column: Any, what: str) -> np.ndarray:
    """A column of numbers or booleans as float64, NaN where there is none."""
    types, kind = arrow.types, column.type
    if types.is_dictionary(kind):  # what pandas calls categories
        kind = kind.value_type
        column = column.cast(kind)
    tests = (types.is_boolean, types.is_integer, types.is_floating, types.is_decimal)
    if not any(test(kind) for test in tests):
        raise ValueError(f"{what}: values of type {column.type}; want numbers")
    values = column.to_numpy()
    if values.dtype == object:  # decimals, or booleans with gaps
        values = np.array([math.nan if value is None else float(value) for value in values])
    return np.asarray(values, dtype=np.float64)


class _Layout:
    """Which columns of a table hold the label, the client id and the features.

    ``index``: columns that only number or name the rows; they are no features unless
    ``keep_index`` says so, and never the label by default. ``count_index``: whether a column given
    by its number is counted among all columns or among those that are no index.
    """

    def __init__(
        self,
        path: Path,
        names: Sequence[str | int],
        label: Wanted,
        client: Wanted,
        index: Sequence[int],
        keep_index: bool,
        *,
        count_index: bool,
        advice: str = "",
    ):
        self.path, self.names = path, names
        own = [i for i in range(len(names)) if i not in index]
        if not own:
            raise ValueError(f"{path.name}: no columns beside an index; want rows with labels")
        self.counted = list(range(len(names))) if count_index else own
        self.client = None if client is None else self._column("client", client)
        self.guesses: tuple[str, ...] = ()
        if label is None:
            # A file of one column keeps it as label and is refused below for want of features.
            self.label = next((i for i in reversed(own) if i != self.client), own[-1])
            self.guesses = (f"column {shown(names[self.label])} as the label (label=…: another)",)
        else:
            self.label = self._column("label", label)
        if self.label == self.client:
            raise ValueError(
                f"label, client: both are column {names[self.label]!r} of {path.name}; want two"
            )
        named = (self.label, self.client)
        self.left_out = [] if keep_index else [i for i in index if i not in named]
        self.features = [i for i in range(len(names)) if i not in (*named, *self.left_out)]
        if not self.features:
            raise ValueError(
                f"{path.name}: {len(names)} column(s) ({listed(names)}), none left for features; "
                f"want at least one{advice}"
            )

    def _column(self, role: str, wanted: str | int | Word) -> int:
        if isinstance(wanted, Word):
            wanted = wanted.text if wanted.text in self.names else int(wanted.text)
        if isinstance(wanted, str):
            found = [i for i, name in enumerate(self.names) if name == wanted]
            if len(found) != 1:
                count = f"{len(found)} columns" if found else "no column"
                raise ValueError(
                    f"{role}: {count} {wanted!r} in {self.path.name}; it has {listed(self.names)}"
                )
            return found[0]
        if not -len(self.counted) <= wanted < len(self.counted):
            raise ValueError(
                f"{role}: got column {wanted} of {self.path.name}; it has {len(self.counted)} "
                "columns, counted from 0"
            )
        return self.counted[wanted]

    def location(self, where: str, column: int) -> str:
        return f"{self.path.name} {where}, column {shown(self.names[column])}"


class _Text:
    """The text of a CSV file, and where in it something is."""

    def __init__(self, path: Path, delimiter: str, decimal: str):
        self.path, self.delimiter, self.decimal = path, delimiter, decimal
        data = path.read_bytes()
        try:
            # A byte order mark may also stand where files were put together.
            self.text = data.decode().replace("\ufeff", "")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise ValueError(
                f"{path.name} line {line}: not UTF-8 text ({error.reason}); save it as UTF-8"
            ) from None
        if "\0" in self.text:
            line = self.text.count("\n", 0, self.text.index("\0")) + 1
            raise ValueError(f"{path.name} line {line}: a NUL character; want UTF-8 text")
        if delimiter == " ":  # pandas would take a line of spaces for a row
            self.text = re.sub(r"(?<![^\r\n]) +(?![^\r\n])", "", self.text)
        self.has_underscores = "_" in self.text

    def stream(self) -> io.StringIO:
        return io.StringIO(self.text, newline="")

    def records(
        self, stream: io.StringIO | None = None, *, strict: bool = False
    ) -> Iterator[tuple[int, list[str]]]:
        """Line number and cells of every line that is not blank."""
        rows = csv.reader(
            stream or self.stream(), delimiter=self.delimiter, skipinitialspace=True, strict=strict
        )
        line = 1
        try:
            for row in rows:
                if len(row) > 1 or (row and row[0].strip(BLANKS)):
                    yield line, row
                line = rows.line_num + 1
        except csv.Error as error:
            raise ValueError(f"{self.path.name} line {line}: {error}") from None

    def line(self, i: int) -> int:
        """Where the i-th line that is not blank begins."""
        return next(line for k, (line, _) in enumerate(self.records()) if k == i)

    def floats(self, cells: np.ndarray) -> np.ndarray:
        """Cells as numbers, or a ValueError that does not say where."""
        if self.decimal != ".":
            cells = np.array([[self._swapped(cell) for cell in row] for row in cells], dtype=object)
        numbers = cells.astype(np.float64)
        if not np.isfinite(numbers).all():
            raise ValueError("numbers that are not finite")
        if self.has_underscores and any("_" in cell for cell in cells.flat):
            raise ValueError("underscores in numbers")
        return numbers

    def label(self, cell: str) -> str:
        """A label with a decimal point where it is a number."""
        if self.decimal == ".":
            return cell
        swapped = self._swapped(cell)
        return swapped if is_number(swapped) else cell

    def _swapped(self, cell: str) -> str:
        return cell.translate(str.maketrans("." + self.decimal, self.decimal + "."))

    def explain(self, layout: _Layout, first_line: int, *, header: bool, hint: bool) -> None:
        """Raise what is wrong with the first line that is not as it should be."""
        for line, row in self.records():
            if header and line == first_line:
                continue
            if len(row) != len(layout.names):
                raise ValueError(
                    f"{self.path.name} line {line}: {len(row)} cells; line {first_line} has "
                    f"{len(layout.names)}"
                )
            for i in layout.features:
                cell = self._swapped(row[i]) if self.decimal != "." else row[i]
                if is_number(cell) and math.isfinite(float(cell)):
                    continue
                what = f"{shown(row[i])} is not a finite number" if cell.strip() else "no value"
                if is_number(cell.replace(",", ".", 1)):
                    what += "; if it has a decimal comma pass decimal=','"
                if hint and line == first_line:
                    what += "; if this line is a header pass header=True"
                raise ValueError(f"{layout.location(f'line {line}', i)}: {what}")
        for _ in self.records(strict=True):  # quotes that are not closed
            pass


def _header(
    path: Path,
    line: int,
    first: Sequence[str],
    label: Wanted,
    client: Wanted,
    header: bool | None,
) -> tuple[bool, tuple[str, ...]]:
    """Whether the first line holds column names, and what to say if that was guessed."""
    named = [name for name in (label, client) if isinstance(name, str)]
    if header is False and named:
        raise ValueError(f"header: got False and a column named {named[0]!r}; want a column index")
    if header is not None or named:
        return header is not False, ()
    cells = [stripped(cell) for cell in first]
    if len(cells) > 1 and cells == [str(k) for k in range(len(cells))]:
        raise ValueError(
            f"{path.name} line {line}: {', '.join(cells[:3])}, … may be a row or the names that "
            "pandas gives to columns; pass header=True for names, header=False for a row"
        )
    # Beside names an index has none; in a row the cell would be missing.
    if not any(is_number(cell) for cell in cells) or (not cells[0] and all(cells[1:])):
        return True, (f"line {line} as column names (header=False: as a row)",)
    return False, (f"line {line} as a row (header=True: as column names)",)


def _check_dialect(header: bool | None, delimiter: str, decimal: str) -> None:
    if not isinstance(delimiter, str) or len(delimiter) != 1:
        raise ValueError(f"delimiter: got {delimiter!r}; want one character")
    if not delimiter.isascii() or delimiter.isalnum() or delimiter in '"\r\n\0':
        raise ValueError(f"delimiter: got {delimiter!r}; want a character such as , ; | or a tab")
    if decimal not in (".", ","):
        raise ValueError(f"decimal: got {decimal!r}; want '.' or ','")
    if delimiter == decimal:
        raise ValueError(f"delimiter, decimal: both are {decimal!r}; want two")
    if header is not None:
        check.flag("header", header)
