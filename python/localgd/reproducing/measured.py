"""What an experiment measured: numbers, series, tables, and pictures of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .intervals import Estimate

__all__ = ["Measured", "Picture", "Table", "largest", "plain", "smallest"]

Number = float | int | bool | str | Estimate | None


@dataclass(frozen=True)
class Table:
    """Numbers as they are read: texts with their units in the headings."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, eq=False)
class Measured:
    """What an experiment measured. It holds no times: two runs of it are the same to the bit.

    Attributes
    ----------
    numbers : dict of str to float, int, bool, str, Estimate or None
        What the criterion compares, and other single numbers; names say the unit
        (``angle_deg``).
    series : dict of str to dict of str to array
        Named tables of columns of equal length, from which the pictures are drawn; each becomes a
        CSV file.
    tables : tuple of Table
    notes : tuple of str
        Sentences about this run.
    real : str
        What the real rows are called: "MNIST", "your own rows".
    own_rows : str
        Of the user's rows: "used: …" or "not used: …" and why; empty if there are none.
    """

    numbers: Mapping[str, Number]
    series: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    real: str = ""
    own_rows: str = ""

    @property
    def used_own_rows(self) -> bool:
        """Whether these are numbers of the user's rows."""
        return self.own_rows.startswith("used")

    def __post_init__(self) -> None:
        for name, columns in self.series.items():
            lengths = {key: len(column) for key, column in columns.items()}
            if len(set(lengths.values())) > 1:
                raise ValueError(f"series: columns of {name!r} have lengths {lengths}; want one")


@dataclass(frozen=True, eq=False)
class Picture:
    """A matplotlib Figure of one panel, about 3.5 inches wide, and what it shows."""

    name: str
    caption: str
    figure: Any


def plain(value: Any) -> Any:
    """A number as JSON can hold it; NaN and infinities as texts."""
    if isinstance(value, Estimate):
        return {name: plain(end) for name, end in value._asdict().items()}
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def largest(values: Iterable[float]) -> float:
    """The largest value, NaN if one is NaN."""
    return float(np.max(list(values)))


def smallest(values: Iterable[float]) -> float:
    """The smallest value, NaN if one is NaN."""
    return float(np.min(list(values)))
