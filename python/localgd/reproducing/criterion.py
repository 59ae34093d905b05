"""Conditions on what was measured, and the verdict that they give."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .intervals import Estimate, units_first

__all__ = ["BEFOREHAND", "CAVEAT", "FAILS", "FAILURE", "HOLDS", "INCONCLUSIVE", "MET", "NOT_MET"]
__all__ += ["PILOT", "UNDECIDED", "Condition", "Numbers", "Verdict", "judge"]

HOLDS, FAILS, CAVEAT = "holds", "does not hold", "holds with a caveat"
INCONCLUSIVE = "inconclusive"
MET, NOT_MET, UNDECIDED = "met", "not met", "undecided"
BEFOREHAND, PILOT, FAILURE = "beforehand", "after a pilot", "after a failure"
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

    Of a number with an interval both ends must meet it; if one does and the other does not, it is
    undecided.

    Attributes
    ----------
    words : str
        The condition in words, with its limit: "the angle at 10^100 rounds is below 1° for every
        L".
    number : str
        The key in :attr:`Measured.numbers`.
    comparison : "<", "<=", ">", ">=" or "=="
    limit : float
    when : "beforehand", "after a pilot" or "after a failure"
        When the limit was set.
    first : str
        After a failure what the first condition was, else empty.
    unit : str
        Written after the number: "°", "%".
    otherwise : str, optional
        If given, the claim holds with a caveat where only conditions of this kind are not met; this
        sentence says which one. Without it the claim does not hold.

    Examples
    --------
    >>> from localgd.reproducing import Condition
    >>> condition = Condition("the angle is below 1°", "angle", "<", 1.0, "beforehand", unit="°")
    >>> condition.met({"angle": 0.41}), condition.met({"angle": float("nan")})
    (True, False)
    >>> from localgd.reproducing.intervals import Estimate
    >>> condition.answer({"angle": Estimate(0.9, 0.7, 1.1)})
    'undecided'
    """

    words: str
    number: str
    comparison: str
    limit: float
    when: str
    first: str = ""
    unit: str = ""
    otherwise: str = ""

    def __post_init__(self) -> None:
        _one_of("comparison", self.comparison, COMPARISONS)
        _one_of("when", self.when, (BEFOREHAND, PILOT, FAILURE))
        if (self.when == FAILURE) != bool(self.first):
            raise ValueError(
                f"first: got {self.first!r} of a limit that was set {self.when}; want what the "
                "first condition was after a failure, and nothing else"
            )

    def answer(self, numbers: Numbers) -> str:
        """ "met", "not met", or "undecided" where the interval of the number holds the limit."""
        value = numbers[self.number]
        if value is None:
            return NOT_MET
        ends = (value.low, value.high) if isinstance(value, Estimate) else (value,)
        answers = {bool(COMPARISONS[self.comparison](end, self.limit)) for end in ends}
        return UNDECIDED if len(answers) > 1 else MET if answers == {True} else NOT_MET

    def met(self, numbers: Numbers) -> bool:
        """Whether these numbers meet it."""
        return self.answer(numbers) == MET

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
        return units_first(text + ("" if self.unit in ("", "°") else " ") + self.unit)


def _one_of(name: str, given: str, wanted: Sequence[str] | Mapping[str, Any]) -> None:
    if given not in wanted:
        raise ValueError(f"{name}: got {given!r}; want one of {', '.join(wanted)}")


@dataclass(frozen=True)
class Verdict:
    """Whether a claim holds, by its criterion.

    Attributes
    ----------
    answer : "holds", "does not hold", "holds with a caveat" or "inconclusive"
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
    answers = {condition: condition.answer(numbers) for condition in criterion}
    unmet = [condition for condition, answer in answers.items() if answer != MET]
    if not unmet:
        count = len(criterion)
        met = "The condition is met." if count == 1 else f"All {count} conditions are met."
        return Verdict(HOLDS, met)
    for wanted, verdict, start in (
        (NOT_MET, FAILS, "Not met"),
        (UNDECIDED, INCONCLUSIVE, "The interval holds both answers"),
    ):
        fatal = [c for c in unmet if not c.otherwise and answers[c] == wanted]
        if fatal:
            said = "; ".join(f"{c.words} (measured: {c.measured(numbers)})" for c in fatal)
            return Verdict(verdict, f"{start}: {said}.")
    return Verdict(
        CAVEAT, " ".join(f"{c.otherwise} (Measured: {c.measured(numbers)}.)" for c in unmet)
    )
