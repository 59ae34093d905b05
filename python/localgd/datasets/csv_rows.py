"""CSV files."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import math
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO

import numpy as np

from .. import _validation as check
from .columns import MISSING, NotNumericError, RawRows, as_number, is_number, shown, stripped
from .opening import opened
from .tables import Layout, Wanted, by_name

__all__ = ["read_csv"]

BLANKS = " \t"  # lines of nothing else are skipped
BLOCK, CELL = 2**20, 64  # bytes parsed at a time, or as many cells; longer lines pyarrow refuses
OTHERWISE = re.compile('^ *"|\ufeff')  # texts that Python reads otherwise than pyarrow
NAMELESS = re.compile(r"|Unnamed: 0(\.\d+)*")  # an index, as pandas and R write it

# A cell that holds nothing: also as R, pandas, SQL and the UCI repository write it.
NULLS = ["", "nan", "NaN", "?", *MISSING]

Cells = tuple[np.ndarray, list[str], list[str]]


def read_csv(
    path: Path,
    label: Wanted,
    client: Wanted,
    *,
    header: bool | None = None,
    delimiter: str = ",",
    decimal: str = ".",
    keep_index: bool = False,
    as_columns: bool = False,
) -> RawRows:
    """Rows of a UTF-8 CSV file: by pyarrow, or by Python where there is what pyarrow refuses.

    ``as_columns``: columns of any kind by their names, as Arrow has them, in place of an array.
    """
    _check_dialect(header, delimiter, decimal)
    check.require("pyarrow.csv", "data", "reading a .csv file")
    file = _Csv(path, delimiter, decimal)
    first = next(file.records(), Record(0, 0, []))
    if not first.cells:
        raise ValueError(f"{path.name}: no lines with text; want rows")
    has_names, guesses = _header(path, first, label, client, header)
    n = len(first.cells)
    names: list[str | int] = [stripped(c) for c in first.cells] if has_names else list(range(n))
    index = [0] if has_names and n > 1 and NAMELESS.fullmatch(str(names[0])) else []
    other = " (is the delimiter right? delimiter=';' reads another)"
    layout = Layout(path, names, label, client, index, keep_index, count_index=True, advice=other)
    skipped = first.end if has_names else 0
    X: Any
    try:
        parse = file.parse_columns if as_columns else file.parse
        X, labels, clients = parse(layout, skipped)
    except ValueError:
        if as_columns:
            file.check_lengths(first)
            raise
        hint = "" if has_names or header is False else "; if this line is a header pass header=True"
        X, labels, clients = file.parse_cells(layout, first, has_names, hint)
    if not labels:
        raise ValueError(f"{path.name}: a header and no rows; want at least one row")
    guesses += layout.guesses
    if layout.left_out:
        guesses += ("its first column, which has no name, as an index (keep_index=True: feature)",)

    def location(i: int, role: str) -> str:
        place = next(r.line for k, r in enumerate(file.records()) if k == i + has_names)
        where = f"line {place}"
        if i == 0 and header is None and not has_names:
            where += " (read as a row; header=True: as column names)"
        return layout.location(where, getattr(layout, role))

    if decimal != ".":
        labels = [file.with_point(cell) for cell in labels]
    return RawRows(X, labels, None if client is None else clients, location, guesses)


class Record(NamedTuple):
    """A line of CSV, or several if cells have ends of lines: from ``line`` to ``end``."""

    line: int
    end: int
    cells: list[str]


class _Csv:
    """A CSV file: its cells, and where in it something is."""

    def __init__(self, path: Path, delimiter: str, decimal: str):
        self.path, self.delimiter, self.decimal = path, delimiter, decimal

    def parse(self, layout: Layout, skipped: int) -> Cells:
        """Features, labels and client ids after some lines; a ValueError does not say where."""
        X, labels, clients = np.empty((0, len(layout.features))), [], []
        with opened(self.path) as stream:
            ended = _Ended(stream)
            with self._batches(ended, layout, skipped) as batches:
                for batch in batches:
                    n = len(X)
                    X.resize((n + len(batch), X.shape[1]), refcheck=False)
                    for k, i in enumerate(layout.features):
                        X[n:, k] = batch.column(i).to_numpy()
                    labels += batch.column(layout.label).to_pylist()
                    if layout.client is not None:
                        clients += batch.column(layout.client).to_pylist()
        if not ended.seen:
            raise ValueError("a quote that is not closed")
        if not np.isfinite(X).all() or any(map(OTHERWISE.search, {*labels, *clients})):
            raise ValueError("numbers that are not finite, or texts that are read otherwise")
        return X, labels, clients

    def parse_columns(
        self, layout: Layout, skipped: int
    ) -> tuple[dict[str | int, Any], list[Any], list[Any]]:
        """Features by name as numbers, texts, booleans or times; labels and client ids as texts."""
        from pyarrow import ArrowInvalid, csv, string

        names = [str(i) for i in range(len(layout.names))]
        wanted = [i for i in range(len(names)) if i not in layout.left_out]
        texts = {str(i): string() for i in (layout.label, layout.client) if i is not None}
        try:
            with opened(self.path) as stream:
                table = csv.read_csv(
                    stream,
                    csv.ReadOptions(skip_rows=skipped, column_names=names),
                    csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
                    csv.ConvertOptions(
                        column_types=texts,
                        include_columns=[names[i] for i in wanted],
                        null_values=NULLS,
                        strings_can_be_null=True,
                        decimal_point=self.decimal,
                    ),
                )
        except ArrowInvalid as error:
            raise ValueError(f"{self.path.name}: {error}") from None
        features = by_name(self.path, layout, lambda i: _trimmed(table.column(names[i])))
        clients = None if layout.client is None else table.column(names[layout.client]).to_pylist()
        return features, table.column(names[layout.label]).to_pylist(), clients or []

    def check_lengths(self, first: Record) -> None:
        """An error that names the line where the cells are not as many as in the first one."""
        for record in self.records(strict=True):
            if len(record.cells) != len(first.cells):
                raise ValueError(
                    f"{self.path.name} line {record.line}: {len(record.cells)} cells; line "
                    f"{first.line} has {len(first.cells)}"
                )

    def _batches(self, ended: _Ended, layout: Layout, skipped: int) -> Any:
        """The rows some at a time, labels and ids as texts, the rest as numbers."""
        from pyarrow import csv, float64, string

        texts = (layout.label, layout.client, *layout.left_out)
        types = {str(i): string() if i in texts else float64() for i in range(len(layout.names))}
        return csv.open_csv(
            ended,
            csv.ReadOptions(
                use_threads=False,
                block_size=max(BLOCK, CELL * len(types)),
                skip_rows=skipped,
                column_names=list(types),
            ),
            csv.ParseOptions(
                delimiter=self.delimiter,
                newlines_in_values=True,
                invalid_row_handler=ended.row_of_another_length,
            ),
            csv.ConvertOptions(column_types=types, null_values=[], decimal_point=self.decimal),
        )

    def parse_cells(self, layout: Layout, first: Record, has_names: bool, hint: str) -> Cells:
        """The same as Python reads it; a ValueError says what is wrong with which line.

        ``hint``: what to add if that is the first one.
        """
        numbers, labels, clients = array("d"), [], []
        for record in itertools.islice(self.records(strict=True), int(has_names), None):
            cells, line = record.cells, record.line
            if len(cells) != len(first.cells):
                self.check_lengths(first)
            for i in layout.features:
                number = self._number(cells[i])
                if number is None:
                    place = layout.location(f"line {line}", i)
                    what = self._wrong(cells[i]) + (hint if line == first.line else "")
                    raise NotNumericError(f"{place}: {what}")
                numbers.append(number)
            labels.append(cells[layout.label])
            clients += [] if layout.client is None else [cells[layout.client]]
        X = np.array(numbers).reshape(len(labels), len(layout.features))
        return X, labels, clients

    def records(self, *, strict: bool = False) -> Iterator[Record]:
        """Every line that is not blank."""
        with opened(self.path) as stream:
            text = io.TextIOWrapper(stream, "utf-8-sig", "surrogateescape", newline="")
            rows = csv.reader(
                self._lines(text), delimiter=self.delimiter, skipinitialspace=True, strict=strict
            )
            end = 0
            try:
                for row in rows:
                    if len(row) > 1 or (row and row[0].strip(BLANKS)):
                        yield Record(end + 1, rows.line_num, row)
                    end = rows.line_num
            except csv.Error as error:
                raise ValueError(f"{self.path.name} line {end + 1}: {error}") from None

    def _lines(self, text: TextIO) -> Iterator[str]:
        for number, line in enumerate(text, 1):
            try:
                line.encode()
            except UnicodeEncodeError as error:  # a surrogate in place of a byte
                byte = ord(line[error.start]) - 0xDC00
                raise ValueError(
                    f"{self.path.name} line {number}: not UTF-8 text (byte {byte:#x}); save it as "
                    "UTF-8"
                ) from None
            if "\0" in line:
                raise ValueError(
                    f"{self.path.name} line {number}: a NUL character; want UTF-8 text"
                )
            # A byte order mark may also stand where files were put together.
            yield line.replace("\ufeff", "")

    def with_point(self, cell: str) -> str:
        """A cell with a decimal point if it is a number."""
        swapped = self._swapped(cell)
        return swapped if is_number(swapped) else cell

    def _swapped(self, cell: str) -> str:
        return cell.translate(str.maketrans("." + self.decimal, self.decimal + "."))

    def _number(self, cell: str) -> float | None:
        """The finite number in a cell."""
        number = as_number(cell if self.decimal == "." else self._swapped(cell))
        return number if number is not None and math.isfinite(number) else None

    def _wrong(self, cell: str) -> str:
        """What is wrong with a cell that holds no finite number."""
        what = f"{shown(cell)} is not a finite number" if cell.strip() else "no value"
        if is_number(self._swapped(cell).replace(",", ".", 1)):
            what += "; if it has a decimal comma pass decimal=','"
        return what


class _Ended(io.RawIOBase):
    """UTF-8 text with one more line, which pyarrow sees as such unless a quote is open there."""

    END = "\0"

    def __init__(self, stream: BinaryIO):
        self.stream, self.written, self.seen = stream, False, False
        self.decoder = codecs.getincrementaldecoder("utf-8")()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self.stream.read(size)
        if self.END in self.decoder.decode(data, final=not data):
            raise ValueError("a NUL character")
        if data or self.written:
            return data
        self.written = True
        return f"\n{self.END}\n".encode()

    def row_of_another_length(self, row: Any) -> str:
        """What pyarrow is to do with it."""
        self.seen |= row.text == self.END
        return "skip" if row.text == self.END or not row.text.strip(BLANKS) else "error"


def _trimmed(column: Any) -> Any:
    """A column of texts without spaces around them; as numbers if all of them are."""
    import pyarrow
    from pyarrow import compute

    if not pyarrow.types.is_string(column.type):
        return column
    column = compute.utf8_trim_whitespace(column)
    nothing = compute.is_in(column, value_set=pyarrow.array(NULLS))
    column = compute.if_else(nothing, pyarrow.scalar(None, pyarrow.string()), column)
    try:
        return column.cast(pyarrow.float64())
    except pyarrow.ArrowInvalid:
        return column


def _header(
    path: Path,
    first: Record,
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
    cells = [stripped(cell) for cell in first.cells]
    if len(cells) > 1 and cells == [str(k) for k in range(len(cells))]:
        raise ValueError(
            f"{path.name} line {first.line}: {', '.join(cells[:3])}, … may be a row or the names "
            "that pandas gives to columns; pass header=True for names, header=False for a row"
        )
    # Beside names an index has none; in a row the cell would be missing.
    if not any(is_number(cell) for cell in cells) or (not cells[0] and all(cells[1:])):
        return True, (f"line {first.line} as column names (header=False: as a row)",)
    return False, (f"line {first.line} as a row (header=True: as column names)",)


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
