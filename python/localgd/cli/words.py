"""What users write for objects: a word and its numbers, "two-stage:0.1,1,100"."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from .. import _validation as check
from ..participation import Cyclic, Markov, Periodic
from ..participation.rules import Rule
from ..partitioning import (
    ByClass,
    ByTarget,
    Contiguous,
    Dirichlet,
    FeatureShift,
    Iid,
    Quantity,
    Scheme,
    Shards,
)
from ..partitioning.even import LAWS
from ..schedules import PRESETS, Polyak, Polynomial, RiskAdapted, Schedule, TwoStage
from ..servers import (
    Anchored,
    Average,
    Server,
    ServerAdagrad,
    ServerAdam,
    ServerSGD,
    ServerYogi,
)

Makers = Mapping[str, Callable[..., Any]]  # by their word; what comes after it are the parameters


def _heavy_ball(lr: float, momentum: float) -> ServerSGD:
    return ServerSGD(lr, momentum)


def _quantity(alpha: float) -> Quantity:
    return Quantity(alpha)


def _sizes(law: str) -> Callable[[], Quantity]:
    return lambda: Quantity(law=law)


def _shards(k: int) -> Shards:
    return Shards(k)


def _nesterov(lr: float, momentum: float) -> ServerSGD:
    return ServerSGD(lr, momentum, nesterov=True)


def _risk(eta: float) -> RiskAdapted:
    return RiskAdapted(eta)


def _own_risk(eta: float) -> RiskAdapted:
    return RiskAdapted(eta, own=True)


def _cyclic(count: int = 1) -> Cyclic:
    return Cyclic(count=count)


SCHEDULES: Makers = {
    "two-stage": TwoStage,
    "polynomial": Polynomial,
    "risk": _risk,
    "own-risk": _own_risk,
    "polyak": Polyak,
}
SCHEMES: Makers = {
    "iid": Iid,
    "dirichlet": Dirichlet,
    "by-class": ByClass,
    "shards": _shards,
    "by-target": ByTarget,
    "contiguous": lambda: Contiguous(),
    "sorted": lambda: Contiguous(sort="label"),
    "quantity": _quantity,
    **{f"{law}-sizes": _sizes(law) for law in LAWS},
    "feature-shift": FeatureShift,
}
SERVERS: Makers = {
    "average": Average,
    "anchored": Anchored,
    "sgd": _heavy_ball,
    "nesterov": _nesterov,
    "adam": ServerAdam,
    "yogi": ServerYogi,
    "adagrad": ServerAdagrad,
}
TURNS: Makers = {"cyclic": _cyclic, "periodic": Periodic, "markov": Markov}
RATES = "1/H, 1/LH"  # PRESETS as one types them
EXACT = "exact"  # --local-steps: the exact local solve
FULL = "full"  # --batch-size: all rows


def number(value: Any) -> int | float:
    """A finite number, an int where it is written as one."""
    if isinstance(value, str) and "_" not in value:
        try:
            value = int(value)
        except ValueError:
            value = float(value)
    check.number("", value)
    return value


def local_steps(value: int | str) -> int | tuple[int, ...] | None:
    """Local steps as a method takes them."""
    if value == EXACT:
        return None
    return value if isinstance(value, int) else tuple(map(int, value.split(",")))


def learning_rate(value: float | str) -> Schedule:
    """The number, preset or schedule."""
    if isinstance(value, float) or value in PRESETS:
        return value
    return _built(value, SCHEDULES, f"a number above 0, {RATES}, ")


def server(value: str) -> Server:
    """The server of these words."""
    return _built(value, SERVERS)


def participation(value: int | float | str) -> int | float | Rule:
    """The share of the clients, their number, or the rule of these words."""
    return _built(value, TURNS) if isinstance(value, str) else value


def stop(value: str) -> dict[str, float]:
    """The numbers of "grad_norm=1e-9,suboptimality=1e-8" by column."""
    found = {}
    for part in value.split(","):
        column, equals, most = part.partition("=")
        if not equals or not column.strip():
            raise ValueError
        found[column.strip()] = float(number(most))
    return found


def partition_scheme(value: str) -> Scheme:
    """The scheme of these words."""
    return _built(value, SCHEMES)


def forms(makers: Makers) -> str:
    """What the user may write: "iid, dirichlet:ALPHA, …"."""
    return ", ".join(_form(word, make) for word, make in makers.items())


def _form(word: str, make: Callable[..., Any]) -> str:
    needed, _ = _parameters(make)
    return word + (":" + ",".join(needed) if needed else "")


def _parameters(make: Callable[..., Any]) -> tuple[list[str], list[str]]:
    """Names of the numbers after the word: those that it needs, and those that it may have."""
    parameters = inspect.signature(make).parameters.values()
    names = {"switch_round": "ROUND"}
    needed = [p for p in parameters if p.default is p.empty]
    further = [p for p in parameters if p.default is not p.empty]
    shown = [[names.get(p.name, p.name.upper()) for p in some] for some in (needed, further)]
    return shown[0], shown[1]


def _built(value: str, makers: Makers, otherwise: str = "") -> Any:
    """An object from its word and its numbers, "two-stage:0.1,1,100"."""
    word, _, rest = value.strip().partition(":")
    if word not in makers:
        near = check.did_you_mean(word, makers)
        raise ValueError(f"got {value!r}; want {otherwise}{forms(makers)}{near}")
    needed, further = _parameters(makers[word])
    try:
        numbers = [number(part) for part in rest.split(",")] if rest else []
        fits = len(needed) <= len(numbers) <= len(needed) + len(further)
    except (TypeError, ValueError):
        fits = False
    if not fits:
        more = f", or {word}:{','.join(needed + further)}" if further else ""
        raise ValueError(f"got {value!r}; want {_form(word, makers[word])}{more}")
    try:
        return makers[word](*numbers)
    except ValueError as error:
        raise ValueError(f"{value!r}: {error}") from None
