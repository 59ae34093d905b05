"""What every reader gives back, and how its labels and client ids are understood."""

from __future__ import annotations

import decimal
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..ids import factorize, is_missing

__all__ = [
    "MISSING",
    "Labels",
    "NotNumericError",
    "RawRows",
    "as_number",
    "client_ids",
    "is_number",
    "listed",
    "numeric_labels",
    "read_labels",
    "shown",
    "stripped",
]

Location = Callable[[int, str], str]
MISSING = ("NA", "N/A", "<NA>", "NaT", "None", "null", "NULL")  # as R, pandas and SQL write it
# What Python takes for space, without the separators of ASCII: a changed byte near a number is one.
SPACES = "".join(c for c in map(chr, range(0x3001)) if c.isspace() and not "\x1c" <= c <= "\x1f")
LONGEST = 60  # characters of a value in a message


class NotNumericError(ValueError):
    """A cell without a finite number, where features are wanted."""


class RawRows(NamedTuple):
    """Rows of a file with labels and client ids as they stand there.

    ``X`` (N, d) float64 or float32 and finite, an array or CSR, or of a table with columns of any
    kind these by name, ``labels`` (N,), ``clients`` (N,)
    or None; ``location(i, "label")`` or ``location(i, "client")`` says for messages where row i has
    it. ``guesses`` say what was taken for granted that neither the file nor an argument said.
    ``other_labels`` and ``other_clients``: what there is in other parts, too, for the same to be
    made of all.
    """

    X: Any
    labels: Sequence[Any] | np.ndarray
    clients: Sequence[Any] | np.ndarray | None
    location: Location
    guesses: tuple[str, ...] = ()
    other_labels: Sequence[Any] = ()
    other_clients: Sequence[Any] = ()

    @property
    def all_labels(self) -> Sequence[Any] | np.ndarray:
        """Of the rows, then of other parts."""
        return [*self.labels, *self.other_labels] if self.other_labels else self.labels

    def client_ids(self) -> np.ndarray | None:
        """Of each row: whole numbers if those of all parts are."""
        if self.clients is None:
            return None
        all = [*self.clients, *self.other_clients] if self.other_clients else self.clients
        return client_ids(all, self.location)[: len(self.clients)]


class Labels(NamedTuple):
    """The distinct labels in sorted order, all numbers or all texts, and which one each row has."""

    values: Sequence[Any]
    which: np.ndarray

    @property
    def are_texts(self) -> bool:
        return isinstance(self.values[0], str)

    @property
    def array(self) -> np.ndarray:
        """Shape (N,): numbers, or texts as objects."""
        values = np.array(self.values, dtype=object if self.are_texts else None)
        return values[self.which]


def read_labels(values: Any, location: Location) -> Labels:
    """Labels of any type: numbers, without rounding them, if all are numbers, else texts."""
    entries, index = _distinct(values, "label", location)
    texts = [k for k, entry in enumerate(entries) if isinstance(entry, str)]
    for k in texts:
        if entries[k] in MISSING:
            raise ValueError(
                f"{location(_first(index, k), 'label')}: no label ({entries[k]}); want one per row"
            )
    words = [k for k in texts if not is_number(entries[k])]
    if words and len(words) < len(entries):
        k = words[0]
        raise ValueError(
            f"{location(_first(index, k), 'label')}: label {shown(entries[k])} is not a number, "
            "others are; want numbers only or two distinct strings"
        )
    if not words:
        for k in texts:
            entries[k] = _number(entries[k])
        for k, entry in enumerate(entries):
            if not _is_finite(entry):
                missing = ": drop the rows without a label" if entry != entry else ""
                raise ValueError(
                    f"{location(_first(index, k), 'label')}: label {entry}; want a finite number"
                    + missing
                )
    ordered = sorted(set(entries))
    rank = {entry: k for k, entry in enumerate(ordered)}
    return Labels(ordered, np.array([rank[entry] for entry in entries])[index])


def numeric_labels(labels: Labels, task: str | None, location: Location) -> np.ndarray:
    """Labels as float64 of shape (N,), where two classes become -1 and +1.

    Under ``task="multiclass"`` labels stay what they are, texts as objects.
    """
    if labels.are_texts:
        return labels.array if task == "multiclass" else _two_texts(labels, task, location)
    values, which = labels
    whole = all(value == int(value) for value in values)
    if task in (None, "binary") and not set(values) <= {-1, 1}:
        if len(values) == 2 and (task == "binary" or whole):
            return np.where(which == 0, -1.0, 1.0)
        if task == "binary":
            raise ValueError(
                f"{location(0, 'label')}: {len(values)} distinct labels in all ({listed(values)}); "
                "want two for task='binary'"
            )
        lost = [k for k, value in enumerate(values) if whole and int(float(value)) != value]
        if lost:
            raise ValueError(
                f"{location(_first(which, lost[0]), 'label')}: label {values[lost[0]]}, which "
                "float64 cannot tell from its neighbours (beyond 2**53); want smaller numbers or "
                "texts, or task='regression'"
            )
    return np.array([float(value) for value in values])[which]


def client_ids(values: Any, location: Location) -> np.ndarray:
    """Client ids, shape (N,): integers if all are written as integers, else strings (objects)."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        return values
    found, index = _distinct(values, "client", location)
    for k, id in enumerate(found):
        if isinstance(id, bool) or not isinstance(id, (int, str)):
            raise ValueError(
                f"{location(_first(index, k), 'client')}: client id {id} of type "
                f"{type(id).__name__}; want integers or strings"
            )
    if all(isinstance(id, int) for id in found):
        large = max(found) >= 2**63
        return np.array(found, dtype=np.uint64 if large and min(found) >= 0 else np.int64)[index]
    # Ids such as 007 stay strings, and so do those that int64 cannot hold.
    if all(re.fullmatch(r"0|-?[1-9][0-9]{0,17}", str(id)) for id in found):
        return np.array([int(id) for id in found], dtype=np.int64)[index]
    # Objects: an array of strings has room for the longest in every row.
    return np.array([str(id) for id in found], dtype=object)[index]


def listed(values: Sequence[Any]) -> str:
    """The first few of some values, for a message."""
    return ", ".join(map(shown, values[:8])) + (", …" if len(values) > 8 else "")


def shown(value: Any) -> str:
    """A value for a message, cut where it is long."""
    text = repr(value[: LONGEST + 1] if isinstance(value, str) else value)
    return text if len(text) <= LONGEST + 2 else text[:LONGEST] + "…"


def stripped(text: str) -> str:
    """A cell without the spaces around it."""
    return text.strip(SPACES)


def as_number(text: str) -> float | None:
    """The number in a cell (NaN and Inf included), None if it holds none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return None if "_" in text else number  # Python reads 1_000 as 1000; in data it is no number


def is_number(text: str) -> bool:
    """Whether a cell holds a number."""
    return as_number(text) is not None


def _distinct(values: Any, role: str, location: Location) -> tuple[list[Any], np.ndarray]:
    """The distinct entries of a column (bool, int, float, str), and which one each row has."""
    what = "label" if role == "label" else "client id"
    if isinstance(values, np.ndarray):
        if values.dtype.kind not in "biufOSUT":
            raise ValueError(
                f"{location(0, role)}: {what} of type {values.dtype}; want numbers or texts"
            )
        if values.dtype.kind in "biuf":
            numbers = values.astype(np.float64) if values.dtype.kind == "f" else values
            unique, index = np.unique(numbers, return_inverse=True)
            return unique.tolist(), index
        values = values.tolist()
    try:
        found, index = factorize(values)
    except TypeError:  # lists and the like
        kind = type(values[0]).__name__
        raise ValueError(
            f"{location(0, role)}: {what} of type {kind}; want numbers or texts"
        ) from None
    entries = []
    for k, value in enumerate(found):
        try:
            entries.append(_entry(value))
        except ValueError as error:
            raise ValueError(f"{location(_first(index, k), role)}: {what} {error}") from None
        if entries[k] is None:
            raise ValueError(f"{location(_first(index, k), role)}: no {what}; want one per row")
    return entries, index


def _entry(value: Any) -> bool | int | float | str | None:
    """A label or id as a plain value, None for a missing one."""
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            raise ValueError(f"{shown(value)} is not UTF-8 text") from None
    if isinstance(value, str):
        return stripped(value) or None
    if isinstance(value, decimal.Decimal) and value.is_finite():
        return int(value) if value == int(value) else float(value)
    if isinstance(value, float) and math.isnan(value):
        return value  # its message says so
    if is_missing(value):
        return None
    if isinstance(value, (bool, int, float)):
        return value
    raise ValueError(f"{shown(value)} of type {type(value).__name__}; want numbers or texts")


def _number(text: str) -> int | float:
    """The number in a cell, exact if it is written as an integer."""
    number = float(text)
    whole = re.fullmatch(r"([+-]?[0-9]+)(\.0*)?", text)
    return int(whole[1]) if math.isfinite(number) and whole else number


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond 1e308
        return False


def _first(index: np.ndarray, k: int) -> int:
    """The first row with the k-th entry."""
    return int(np.argmax(index == k))


def _two_texts(labels: Labels, task: str | None, location: Location) -> np.ndarray:
    first = labels.values[labels.which[0]]
    if task == "regression":
        raise ValueError(
            f"{location(0, 'label')}: label {shown(first)} is not a number; want numbers for "
            "task='regression'"
        )
    if len(labels.values) != 2:
        raise ValueError(
            f"{location(0, 'label')}: {len(labels.values)} distinct labels in all "
            f"({listed(labels.values)}); want numbers or two distinct strings, or "
            "task='multiclass'"
        )
    return np.where(labels.which == 0, -1.0, 1.0)
