"""Kinds of settings, as annotations: how the text of an option or a TOML value is read and checked.

What is read is plain (str, int, float or bool), so that it can be written to TOML, and is read as
itself. A refusal says what came and what is wanted; the name of the setting comes before it.
"""

from __future__ import annotations

import inspect
import os
import re
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Len, Lt
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
from ..methods import Method
from ..partitioning import ByClass, Dirichlet, FeatureShift, Iid, Quantity, Scheme
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
from .methods import SHELL_METHODS

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


def wanted(text: str) -> WrapValidator:
    """What the rest of an annotation refuses is answered with what came and what is wanted."""

    def validate(value: Any, rest: ValidatorFunctionWrapHandler) -> Any:
        try:
            return rest(value)
        except (TypeError, ValueError):
            raise ValueError(f"got {value!r}; want {text}") from None

    return WrapValidator(validate)


def _number(value: Any) -> int | float:
    """A finite number, an int where it is written as one."""
    if isinstance(value, str) and "_" not in value:
        try:
            value = int(value)
        except ValueError:
            value = float(value)
    check.number("", value)
    return value


def _whole(value: Any) -> int:
    """A whole number of at least 0; 1e4 is one."""
    return check.integer("", _number(value), 0)


def _positive(value: Any) -> int:
    return check.integer("", _number(value), 1)


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
    return int(_number(_number(found[1]) * BYTES[found[2].lower()]))


def _steps(value: Any) -> int | str:
    if value == EXACT:
        return EXACT
    numbers = [_positive(part) for part in str(value).split(",")]
    return numbers[0] if len(numbers) == 1 else ",".join(map(str, numbers))


def _batch(value: Any) -> int | str:
    return FULL if value == FULL else _positive(value)


def _share(value: Any) -> int | float:
    return Method(participation=_number(value)).participation


def _rate(value: Any) -> float | str:
    try:
        rate = float(_number(value))
    except (TypeError, ValueError):
        return "1/(LH)" if value == "1/LH" else str(value)  # a shell wants quotes round (
    if rate <= 0:
        raise ValueError(f"got {rate!r}; want a finite number above 0")
    return rate


def _made(make: Callable[[Any], Any]) -> AfterValidator:
    """Words of which something can be made."""

    def validate(value: Any) -> Any:
        make(value)
        return value

    return AfterValidator(validate)


def local_steps(value: int | str) -> int | tuple[int, ...] | None:
    """``Steps`` as a method takes them."""
    if value == EXACT:
        return None
    return value if isinstance(value, int) else tuple(map(int, value.split(",")))


def learning_rate(value: float | str) -> Schedule:
    """The number, preset or schedule of a ``Rate``."""
    if isinstance(value, float) or value in PRESETS:
        return value
    schedule: Schedule = _built(value, SCHEDULES, f"a number above 0, {RATES}, ")
    return schedule


def server(value: str) -> Server:
    """The server of these words."""
    built: Server = _built(value, SERVERS)
    return built


def partition_scheme(value: str) -> Scheme:
    """The scheme of these words."""
    built: Scheme = _built(value, SCHEMES)
    return built


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


def _built(value: str, kinds: Kinds, otherwise: str = "") -> Any:
    """An object from its word and its numbers, "two-stage:0.1,1,100"."""
    word, _, rest = value.strip().partition(":")
    if word not in kinds:
        raise ValueError(f"got {value!r}; want {otherwise}{forms(kinds)}")
    needed, further = _parameters(kinds[word])
    try:
        numbers = [_number(part) for part in rest.split(",")] if rest else []
        fits = len(needed) <= len(numbers) <= len(needed) + len(further)
    except (TypeError, ValueError):
        fits = False
    if not fits:
        more = f", or {word}:{','.join(needed + further)}" if further else ""
        raise ValueError(f"got {value!r}; want {_form(word, kinds[word])}{more}")
    try:
        return kinds[word](*numbers)
    except ValueError as error:
        raise ValueError(f"{value!r}: {error}") from None


Whole = Annotated[
    int,
    BeforeValidator(_whole),
    wanted("a whole number of at least 0"),
    PlainSerializer(_for_toml, when_used="json"),
]
Positive = Annotated[int, BeforeValidator(_positive), wanted("a whole number of at least 1")]
Nonnegative = Annotated[float, BeforeValidator(_number), Ge(0), wanted("a number of at least 0")]
Fraction = Annotated[
    float, BeforeValidator(_number), Gt(0), Lt(1), wanted("a fraction above 0 and below 1")
]
Memory = Annotated[
    int, BeforeValidator(_memory), Ge(1), wanted("bytes, such as 4e9, 500MB or 4GiB")
]
Flag = Annotated[bool, Strict(), wanted("true or false")]
Text = Annotated[str, BeforeValidator(_text), wanted("a text")]
FilePath = Annotated[Text, AfterValidator(_path), PlainSerializer(_uri_of_bytes, when_used="json")]
Character = Annotated[str, BeforeValidator(_character), Len(1, 1), wanted("one character, or tab")]
DigitClasses = Annotated[
    str,
    Field(pattern=r"^(all|[0-9]+(,[0-9]+)+)$"),
    wanted("two or more digits such as 3,8, or groups of digits such as 024,135, or all"),
]
Steps = Annotated[
    int | str,
    BeforeValidator(_steps),
    wanted(f"a whole number of at least 1, or one for each client such as 10,20,30, or {EXACT}"),
]
Batch = Annotated[
    int | str,
    BeforeValidator(_batch),
    wanted(f"a whole number of at least 1, or {FULL}"),
]
Share = Annotated[
    int | float,
    BeforeValidator(_share),
    wanted("a count of clients such as 5, or a fraction such as 0.1, up to 1.0"),
]
Rate = Annotated[float | str, BeforeValidator(_rate), _made(learning_rate)]
ServerWords = Annotated[str, BeforeValidator(str), _made(server)]
SchemeWords = Annotated[str, BeforeValidator(str), _made(partition_scheme)]

if TYPE_CHECKING:
    FileKind = str
    Loss = str
    MethodName = str
else:
    FileKind = Literal[tuple(READERS)]
    Loss = Literal[tuple(LOSSES)]
    MethodName = Literal[tuple(SHELL_METHODS)]
