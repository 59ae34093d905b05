"""Conditions on what was measured, and the verdict that they give."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["CAVEAT", "FAILS", "HOLDS", "Condition", "Numbers", "Verdict", "judge"]

HOLDS, FAILS, CAVEAT = "holds", "does not hold", "holds with a caveat"
COMPARISONS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
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
    """Whether a claim holds, by its criterion.

    Attributes
    ----------
    answer : "holds", "does not hold" or "holds with a caveat"
    reason : str
        One or two sentences.
    """

    answer: str
    reason: str


def judge(criterion: Sequence[Condition], numbers: Numbers) -> Verdict:
    """The verdict of a criterion on what was measured.

    Parameters
    ----------
    criterion : sequence of Condition
    numbers : mapping
        As :attr:`Measured.numbers`.

    Returns
    -------
    Verdict
    """
    unmet = [condition for condition in criterion if not condition.met(numbers)]
    if not unmet:
        count = len(criterion)
        met = "The condition is met." if count == 1 else f"All {count} conditions are met."
        return Verdict(HOLDS, met)
    fatal = [c for c in unmet if not c.otherwise]
    if fatal:
        said = "; ".join(f"{c.words} (measured: {c.measured(numbers)})" for c in fatal)
        return Verdict(FAILS, f"Not met: {said}.")
    return Verdict(
        CAVEAT, " ".join(f"{c.otherwise} (Measured: {c.measured(numbers)}.)" for c in unmet)
    )
