"""Readers of one setting each: from the text of an option or a TOML value to a checked one.

A reader takes the name, for messages, and the value. What it gives back is plain (str, int, float
or bool), so that it can be written to TOML, and is read as itself.
"""

from __future__ import annotations

import inspect
import math
import os
import re
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from .. import _validation as check
from ..methods import Method
from ..partitioning import ByClass, Dirichlet, FeatureShift, Iid, Quantity
from ..schedules import PRESETS, Polynomial, Schedule, TwoStage
from ..servers import (
    Anchored,
    Average,
    Server,
    ServerAdagrad,
    ServerAdam,
    ServerSGD,
    ServerYogi,
)

Reader = Callable[[str, Any], Any]
Kinds = Mapping[str, Callable[..., Any]]  # by their word; what comes after it are the parameters


def _heavy_ball(lr: float, momentum: float) -> ServerSGD:
    return ServerSGD(lr, momentum)


def _nesterov(lr: float, momentum: float) -> ServerSGD:
    return ServerSGD(lr, momentum, nesterov=True)


SCHEDULES: Kinds = {"two-stage": TwoStage, "polynomial": Polynomial}
SCHEMES: Kinds = {
    "iid": Iid,
    "dirichlet": Dirichlet,
    "by-class": ByClass,
    "quantity": Quantity,
    "feature-shift": FeatureShift,
}
SERVERS: Kinds = {
    "average": Average,
    "anchored": Anchored,
    "sgd": _heavy_ball,
    "nesterov": _nesterov,
    "adam": ServerAdam,
    "yogi": ServerYogi,
    "adagrad": ServerAdagrad,
}
RATES = "1/H, 1/LH"  # PRESETS as one types them
EXACT = "exact"  # --local-steps: the exact local solve
FULL = "full"  # --batch-size: all rows
BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def text(name: str, value: Any) -> str:
    """Any text that is not empty."""
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not str(value).strip():
        raise ValueError(f"{name}: got {value!r}; want a text")
    return str(value)


def path(name: str, value: Any) -> str:
    """A file or folder; ~ is the home folder, and a file: URI may hold any byte."""
    value = text(name, value)
    if value.startswith("file:"):
        value = os.fsdecode(urllib.parse.unquote_to_bytes(urllib.parse.urlsplit(value).path))
    if "\0" in value:
        raise ValueError(f"{name}: got {value!r}; want a path, which has no NUL character")
    expanded = os.path.expanduser(value)
    if expanded.startswith("~") and os.path.dirname(expanded):
        raise ValueError(f"{name}: got {value!r}; there is no such home folder")
    return expanded


def character(name: str, value: Any) -> str:
    r"""One character; a tab may be written \t or tab."""
    if value in ("\\t", "tab"):
        return "\t"
    if not isinstance(value, str) or len(value) != 1:
        raise ValueError(f"{name}: got {value!r}; want one character, or tab")
    return value


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
    """Groups of digits: "3,8", "0,1,2" or "02468,13579"; "all" for the ten digits."""
    value = str(value)
    if value != "all" and not re.fullmatch(r"[0-9]+(,[0-9]+)+", value):
        raise ValueError(
            f"{name}: got {value!r}; want two or more digits such as 3,8, or groups of digits "
            "such as 024,135, or all"
        )
    return value


def fraction(name: str, value: Any) -> float:
    """A number between 0 and 1, neither of them."""
    number = _number(value)
    if number is None or not 0 < number < 1:
        raise ValueError(f"{name}: got {value!r}; want a fraction above 0 and below 1")
    return float(number)


def steps(name: str, value: Any) -> int | str:
    """Local steps: a number, "10,20,30" with one for each client, or "exact"."""
    if value == EXACT:
        return EXACT
    numbers = [_number(part) for part in str(value).split(",")]
    if any(number is None or number != int(number) or number < 1 for number in numbers):
        raise ValueError(
            f"{name}: got {value!r}; want a whole number of at least 1, or one for each client "
            f"such as 10,20,30, or {EXACT}"
        )
    whole_numbers = [int(number) for number in numbers if number is not None]
    return whole_numbers[0] if len(whole_numbers) == 1 else ",".join(map(str, whole_numbers))


def local_steps(value: int | str) -> int | tuple[int, ...] | None:
    """What :func:`steps` checked, as a method takes it."""
    if value == EXACT:
        return None
    return value if isinstance(value, int) else tuple(map(int, value.split(",")))


def batch(name: str, value: Any) -> int | str:
    """Rows per step, or "full" for all of a client."""
    if value == FULL:
        return FULL
    number = _number(value)
    if number is None or number != int(number) or number < 1:
        raise ValueError(f"{name}: got {value!r}; want a whole number of at least 1, or {FULL}")
    return int(number)


def nonnegative(name: str, value: Any) -> float:
    """A number of at least 0."""
    number = _number(value)
    if number is None or number < 0:
        raise ValueError(f"{name}: got {value!r}; want a number of at least 0")
    return float(number)


def share(name: str, value: Any) -> int | float:
    """Clients per round: a count, or a fraction, which is written with a point."""
    number = _number(value)
    try:
        return Method(participation=value if number is None else number).participation
    except (TypeError, ValueError):
        raise ValueError(
            f"{name}: got {value!r}; want a count of clients such as 5, or a fraction such as "
            "0.1, up to 1.0"
        ) from None


def rate(name: str, value: Any) -> float | str:
    """A learning rate: a number, a preset, or the words of a schedule."""
    number = _number(value)
    if number is None:
        value = "1/(LH)" if value == "1/LH" else str(value)  # a shell wants quotes round (
        learning_rate(name, value)
        return value
    return check.number(name, float(number), above=0)


def server_words(name: str, value: Any) -> str:
    """The words of a server."""
    server(name, str(value))
    return str(value)


def dealing(name: str, value: Any) -> str:
    """The words of a partition scheme."""
    _built(name, str(value), SCHEMES, "")
    return str(value)


def learning_rate(name: str, value: Any) -> Schedule:
    """The number, preset or schedule that :func:`rate` checked."""
    if isinstance(value, float) or value in PRESETS:
        return value
    schedule: Schedule = _built(name, str(value), SCHEDULES, f"a number above 0, {RATES}, ")
    return schedule


def server(name: str, value: str) -> Server:
    """The server that :func:`server_words` checked."""
    built: Server = _built(name, value, SERVERS, "")
    return built


def partition_scheme(name: str, value: str) -> Any:
    """The scheme that :func:`dealing` checked."""
    return _built(name, value, SCHEMES, "")


def forms(kinds: Kinds) -> str:
    """What the user may write: "iid, dirichlet:ALPHA, …"."""
    return ", ".join(_form(word, kind) for word, kind in kinds.items())


def _form(word: str, kind: Callable[..., Any]) -> str:
    needed, _ = _parameters(kind)
    return word + (":" + ",".join(needed) if needed else "")


def _parameters(kind: Callable[..., Any]) -> tuple[list[str], list[str]]:
    """Names of the numbers after the word: those that it needs, and those that it may have."""
    parameters = inspect.signature(kind).parameters.values()
    names = {"switch_round": "ROUND"}
    needed = [p for p in parameters if p.default is p.empty]
    further = [p for p in parameters if p.default is not p.empty]
    shown = [[names.get(p.name, p.name.upper()) for p in some] for some in (needed, further)]
    return shown[0], shown[1]


def _built(name: str, value: str, kinds: Kinds, otherwise: str) -> Any:
    """An object from its word and its numbers, "two-stage:0.1,1,100"."""
    word, _, rest = value.strip().partition(":")
    if word not in kinds:
        raise ValueError(f"{name}: got {value!r}; want {otherwise}{forms(kinds)}")
    numbers = [_number(part) for part in rest.split(",")] if rest else []
    needed, further = _parameters(kinds[word])
    if None in numbers or not len(needed) <= len(numbers) <= len(needed) + len(further):
        more = f", or {word}:{','.join(needed + further)}" if further else ""
        raise ValueError(f"{name}: got {value!r}; want {_form(word, kinds[word])}{more}")
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
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:  # an integer beyond 1e308
        return None
