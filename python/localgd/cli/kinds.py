"""Kinds of settings, as annotations: how the text of an option or a TOML value is read and checked.

What is read is plain (str, int, float or bool), so that it can be written to TOML, and is read as
itself. A refusal says what came and what is wanted; the name of the setting comes before it.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Len, Lt
from cyclopts import Parameter
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    Strict,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from .. import _validation as check
from ..datasets.files import READERS
from ..losses import LOSSES
from ..participation.rules import check_participation
from ..theory import check_penalty
from . import words
from .methods import SHELL_METHODS
from .words import EXACT, FULL, number

ANY_TEXT = Parameter(allow_leading_hyphen=True)  # a delimiter, the name of a column or a file
BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def _wanted(text: str) -> WrapValidator:
    """What the rest of an annotation refuses is answered with what came and what is wanted."""

    def validate(value: Any, rest: ValidatorFunctionWrapHandler) -> Any:
        try:
            return rest(value)
        except (TypeError, ValueError):
            raise ValueError(f"got {value!r}; want {text}") from None

    return WrapValidator(validate)


def _whole(value: Any) -> int:
    """A whole number of at least 0; 1e4 is one."""
    return check.integer("", number(value), 0)


def _positive(value: Any) -> int:
    return check.integer("", number(value), 1)


def _for_toml(value: int) -> int | float:
    return value if value < 2**63 else float(value)  # TOML's integers end there


def _text(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise ValueError
    return str(value) if type(value) is int else value


def _path(value: str) -> str:
    """~ is the home folder, and a file: URI may hold any byte."""
    if value.startswith("file:"):
        value = os.fsdecode(urllib.parse.unquote_to_bytes(urllib.parse.urlsplit(value).path))
    if "\0" in value:
        raise ValueError(f"got {value!r}; want a path, which has no NUL character")
    expanded = os.path.expanduser(value)
    if expanded.startswith("~") and os.path.dirname(expanded):
        raise ValueError(f"got {value!r}; there is no such home folder")
    return expanded


def _uri_of_bytes(value: str) -> str:
    """A path that is no Unicode text as a URI."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return Path(value).absolute().as_uri()
    return value


def _character(value: Any) -> Any:
    return "\t" if value in ("\\t", "tab") else value


def _memory(value: Any) -> int:
    found = re.fullmatch(r"([0-9.eE+]+) *([kmg]?i?)b?", str(value).strip(), re.IGNORECASE)
    if not found or found[2].lower() not in BYTES:
        raise ValueError
    return int(number(number(found[1]) * BYTES[found[2].lower()]))


def _steps(value: Any) -> int | str:
    if value == EXACT:
        return EXACT
    numbers = [_positive(part) for part in str(value).split(",")]
    return numbers[0] if len(numbers) == 1 else ",".join(map(str, numbers))


def _batch(value: Any) -> int | str:
    return FULL if value == FULL else _positive(value)


def _share(value: Any) -> int | float | str:
    try:
        share = number(value)
    except (TypeError, ValueError):
        return str(value)
    check_participation(share)
    return share


def _rate(value: Any) -> float | str:
    try:
        rate = float(number(value))
    except (TypeError, ValueError):
        return "1/(LH)" if value == "1/LH" else str(value)  # a shell wants quotes round (
    if rate <= 0:
        raise ValueError(f"got {rate!r}; want a finite number above 0")
    return rate


def _penalty(value: Any) -> float | str:
    try:
        return check_penalty(float(number(value)))
    except (TypeError, ValueError):
        return check_penalty(str(value))


def _made(make: Callable[[Any], Any]) -> AfterValidator:
    """Words of which something can be made."""

    def validate(value: Any) -> Any:
        make(value)
        return value

    return AfterValidator(validate)


Whole = Annotated[
    int,
    BeforeValidator(_whole),
    _wanted("a whole number of at least 0"),
    PlainSerializer(_for_toml, when_used="json"),
]
Positive = Annotated[int, BeforeValidator(_positive), _wanted("a whole number of at least 1")]
Nonnegative = Annotated[float, BeforeValidator(number), Ge(0), _wanted("a number of at least 0")]
Fraction = Annotated[
    float, BeforeValidator(number), Gt(0), Lt(1), _wanted("a fraction above 0 and below 1")
]
Memory = Annotated[
    int, BeforeValidator(_memory), Ge(1), _wanted("bytes, such as 4e9, 500MB or 4GiB")
]
Flag = Annotated[bool, Strict(), _wanted("true or false")]
Text = Annotated[str, ANY_TEXT, BeforeValidator(_text), _wanted("a text")]
FilePath = Annotated[Text, AfterValidator(_path), PlainSerializer(_uri_of_bytes, when_used="json")]
Character = Annotated[
    str, ANY_TEXT, BeforeValidator(_character), Len(1, 1), _wanted("one character, or tab")
]
DigitClasses = Annotated[
    str,
    Field(pattern=r"^(all|[0-9]+(,[0-9]+)+)$"),
    _wanted("two or more digits such as 3,8, or groups of digits such as 024,135, or all"),
]
Steps = Annotated[
    int | str,
    BeforeValidator(_steps),
    _wanted(f"a whole number of at least 1, or one for each client such as 10,20,30, or {EXACT}"),
]
Batch = Annotated[
    int | str,
    BeforeValidator(_batch),
    _wanted(f"a whole number of at least 1, or {FULL}"),
]
Share = Annotated[
    int | float | str,
    BeforeValidator(_share),
    _made(words.participation),
    _wanted(
        "a count of clients such as 5, a fraction such as 0.1, up to 1.0, or "
        + words.forms(words.TURNS)
    ),
]
Penalty = Annotated[
    float | str,
    BeforeValidator(_penalty),
    _wanted("a number of at least 0, H/N, or kappa=1e4 with a number above 1"),
]
Stop = Annotated[
    str,
    _made(words.stop),
    _wanted("columns of history.csv with numbers, such as grad_norm=1e-9"),
]
Rate = Annotated[float | str, BeforeValidator(_rate), _made(words.learning_rate)]
ServerWords = Annotated[str, BeforeValidator(str), _made(words.server)]
SchemeWords = Annotated[str, BeforeValidator(str), _made(words.partition_scheme)]

if TYPE_CHECKING:
    FileKind = str
    Loss = str
    MethodName = str
else:
    FileKind = Literal[tuple(READERS)]
    Loss = Literal[tuple(LOSSES)]
    MethodName = Literal[tuple(SHELL_METHODS)]
