"""What an experiment is: a claim, a criterion fixed beforehand, what was measured, a verdict."""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from .context import Context
from .sources import Source

__all__ = ["CAVEAT", "FAILS", "HOLDS", "Condition", "Experiment", "Measured", "Picture", "Table"]
__all__ += ["Verdict"]

HOLDS, FAILS, CAVEAT = "holds", "does not hold", "holds with a caveat"
COMPARISONS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
Number = float | int | bool | str | None
Numbers = Mapping[str, Any]


@dataclass(frozen=True)
class Condition:
    """One part of a criterion: a measured number compared with a limit.

    ``met  ⇔  numbers[number] comparison limit``; NaN and None meet nothing

    Attributes
    ----------
    words : str
        The condition in words, with its limit: "the angle at 10^100 rounds is below 1° for every
        L".
    number : str
        The key in :attr:`Measured.numbers`.
    comparison : "<", "<=", ">", ">=" or "=="
    limit : float
    unit : str
        Written after the number: "°", "%".
    otherwise : str, optional
        If given, the claim holds with a caveat where only conditions of this kind are not met; this
        sentence says which one. Without it the claim does not hold.

    Examples
    --------
    >>> from localgd.reproducing import Condition
    >>> condition = Condition("the angle is below 1°", "angle", "<", 1.0, unit="°")
    >>> condition.met({"angle": 0.41}), condition.met({"angle": float("nan")})
    (True, False)
    """

    words: str
    number: str
    comparison: str
    limit: float
    unit: str = ""
    otherwise: str = ""

    def __post_init__(self) -> None:
        if self.comparison not in COMPARISONS:
            raise ValueError(
                f"comparison: got {self.comparison!r}; want one of {', '.join(COMPARISONS)}"
            )

    def met(self, numbers: Numbers) -> bool:
        """Whether these numbers meet it."""
        value = numbers[self.number]
        return value is not None and bool(COMPARISONS[self.comparison](value, self.limit))

    def measured(self, numbers: Numbers) -> str:
        """The number that is compared, as it is written."""
        value = numbers[self.number]
        if value is None:
            return "not measured"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, str):
            return value
        text = f"{value:,}" if isinstance(value, int) else f"{value:.3g}"
        return text + ("" if self.unit in ("", "°") else " ") + self.unit


@dataclass(frozen=True)
class Verdict:
    """Whether the claim holds, by the criterion.

    Attributes
    ----------
    answer : "holds", "does not hold" or "holds with a caveat"
    reason : str
        One or two sentences.
    """

    answer: str
    reason: str


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
    numbers : dict of str to float, int, bool, str or None
        What the criterion compares, and other single numbers; names say the unit
        (``angle_deg``).
    series : dict of str to dict of str to array
        Named tables of columns of equal length, from which the pictures are drawn; each becomes a
        CSV file.
    tables : tuple of Table
    notes : tuple of str
        Sentences about this run: own rows that were used or not, and why.
    """

    numbers: Mapping[str, Number]
    series: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()

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


class Experiment(ABC):
    """A claim or an open question, and how it is tried.

    A subclass is a frozen dataclass; its fields, if any, are what a test may sabotage (a method,
    a server, a start), its class variables the words of the report.
    """

    id: ClassVar[str]
    title: ClassVar[str]  # a few words
    question: ClassVar[str]  # one sentence that ends in "?"
    claim: ClassVar[str]  # what the papers say, or for open questions what we predict
    open: ClassVar[bool] = False  # asked, and not answered by any paper
    sources: ClassVar[Sequence[Source]]
    criterion: ClassVar[Sequence[Condition]]
    limits: ClassVar[Sequence[str]]  # what this does not show
    code: ClassVar[str]  # Python that repeats the main number in seconds
    tasks: ClassVar[Sequence[str]] = ()  # own rows that it can use: "binary", "multiclass", …

    @abstractmethod
    def setting(self, context: Context) -> Mapping[str, str]:
        """Data, M, n, d, methods, rounds, seeds: a name and what it is."""

    @abstractmethod
    def measure(self, context: Context) -> Measured:
        """Do the work. The same context gives the same bits."""

    @abstractmethod
    def finding(self, numbers: Numbers) -> str:
        """What was found, in one short sentence with its main number, for the summary."""

    @abstractmethod
    def pictures(self, measured: Measured) -> Sequence[Picture]:
        """Drawn from the series only."""

    def unmet(self, numbers: Numbers) -> list[Condition]:
        """The conditions of the criterion that these numbers do not meet."""
        return [c for c in self.criterion if not c.met(numbers)]

    def judge(self, numbers: Numbers) -> Verdict:
        """Apply the criterion."""
        unmet = self.unmet(numbers)
        if not unmet:
            count = len(self.criterion)
            met = "The condition is met." if count == 1 else f"All {count} conditions are met."
            return Verdict(HOLDS, met)
        fatal = [c for c in unmet if not c.otherwise]
        if fatal:
            said = "; ".join(f"{c.words} (measured: {c.measured(numbers)})" for c in fatal)
            return Verdict(FAILS, f"Not met: {said}.")
        return Verdict(
            CAVEAT, " ".join(f"{c.otherwise} (Measured: {c.measured(numbers)}.)" for c in unmet)
        )


def plain(value: Any) -> Any:
    """A number as JSON can hold it; NaN and infinities as texts."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
