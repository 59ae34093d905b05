"""Readers of one setting each: from the text of an option or a TOML value to a checked one.

A reader takes the name, for messages, and the value. What it gives back is plain (str, int, float
or bool), so that it can be written to TOML, and is read as itself.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from .. import _validation as check
from ..partitioning import ByClass, Dirichlet, FeatureShift, Iid, Quantity
from ..schedules import Polynomial, Schedule, TwoStage

Reader = Callable[[str, Any], Any]

SCHEDULES = {"two-stage": TwoStage, "polynomial": Polynomial}
SCHEMES = {
    "iid": Iid,
    "dirichlet": Dirichlet,
    "by-class": ByClass,
    "quantity": Quantity,
    "feature-shift": FeatureShift,
}
BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def text(name: str, value: Any) -> str:
    """Any text that is not empty."""
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not str(value).strip():
        raise ValueError(f"{name}: got {value!r}; want a text")
    return str(value)


def flag(name: str, value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}: got {value!r}; want true or false")
    return value


def whole(minimum: int) -> Reader:
    """A reader of whole numbers of at least ``minimum``; 1e4 is one."""

    def read(name: str, value: Any) -> int:
        number = _number(value)
        if number is None or number != int(number) or number < minimum:
            raise ValueError(f"{name}: got {value!r}; want a whole number of at least {minimum}")
        return int(number)

    return read


def choice(*words: str) -> Reader:
    """A reader of one of some words."""

    def read(name: str, value: Any) -> str:
        return check.one_of(name, str(value), words)

    return read


def memory(name: str, value: Any) -> int:
    """Bytes: a number, or one with a unit, such as 500MB or 4GiB."""
    found = re.fullmatch(r"([0-9.eE+]+) *([kmg]?i?)b?", str(value).strip(), re.IGNORECASE)
    number = _number(found[1]) if found else None
    unit = found[2].lower() if found else ""
    if number is None or unit not in BYTES or number * BYTES[unit] < 1:
        raise ValueError(f"{name}: got {value!r}; want bytes, such as 4e9, 500MB or 4GiB")
    return int(number * BYTES[unit])


def digit_classes(name: str, value: Any) -> str:
    """Two groups of digits: "3,8", or "02468,13579"."""
    if not re.fullmatch(r"[0-9]+,[0-9]+", str(value)):
        raise ValueError(
            f"{name}: got {value!r}; want two digits such as 3,8, or two groups such as 024,135"
        )
    return str(value)


def rate(name: str, value: Any) -> float | str:
    """A learning rate: a number, or the words of a schedule."""
    number = _number(value)
    if number is None:
        learning_rate(name, value)
        return str(value)
    return check.number(name, float(number), above=0)


def dealing(name: str, value: Any) -> str:
    """The words of a partition scheme."""
    _built(name, str(value), SCHEMES, "")
    return str(value)


def learning_rate(name: str, value: Any) -> Schedule:
    """The number or schedule that :func:`rate` checked."""
    if isinstance(value, float):
        return value
    return _built(name, str(value), SCHEDULES, "a number above 0, ")


def partition_scheme(name: str, value: str) -> Any:
    """The scheme that :func:`dealing` checked."""
    return _built(name, value, SCHEMES, "")


def forms(kinds: Mapping[str, type]) -> str:
    """What the user may write: "iid, dirichlet:ALPHA, …"."""
    return ", ".join(_form(word, kind) for word, kind in kinds.items())


def _form(word: str, kind: type) -> str:
    names = [field.name.upper() for field in dataclasses.fields(kind)]
    names = [{"SWITCH_ROUND": "ROUND"}.get(name, name) for name in names]
    return word + (":" + ",".join(names) if names else "")


def _built(name: str, value: str, kinds: Mapping[str, type], otherwise: str) -> Any:
    """An object from its word and the numbers of its fields, "two-stage:0.1,1,100"."""
    word, _, rest = value.strip().partition(":")
    if word not in kinds:
        raise ValueError(f"{name}: got {value!r}; want {otherwise}{forms(kinds)}")
    numbers = [_number(part) for part in rest.split(",")] if rest else []
    if None in numbers or len(numbers) != len(dataclasses.fields(kinds[word])):
        raise ValueError(f"{name}: got {value!r}; want {_form(word, kinds[word])}")
    try:
        return kinds[word](*numbers)
    except ValueError as error:
        raise ValueError(f"{name}: {value!r}: {error}") from None


def _number(value: Any) -> int | float | None:
    """A finite number, an int where it is written as one; None for anything else."""
    if isinstance(value, str):
        if "_" in value:
            return None
        for kind in (int, float):
            try:
                return _number(kind(value))
            except ValueError:
                continue
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return value
