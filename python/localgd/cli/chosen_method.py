"""The method that settings ask for: made, and in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import methods
from ..methods import Method
from ..schedules import Schedule
from . import words
from .methods import PARAMETERS, SHELL_METHODS, takers
from .report import round_text
from .settings import Settings, default_of

__all__ = ["about", "build", "settle", "title"]

OF_STEPS = ("lr", "fednova")  # exact solves have no use for them


def settle(settings: Settings) -> Settings:
    """The settings with the method's defaults; those that it does not take are refused."""
    _refuse_others(settings)
    settled = _with_defaults(settings)
    if settled.replacement and settled.batch_size == words.FULL:
        raise ValueError("replacement: got True for full batches; want a batch_size as well")
    compared = _is_compared(settled)
    if settings.pooled and not compared:
        plain = [_with_defaults(Settings(method=name)) for name in SHELL_METHODS]
        raise ValueError(
            f"pooled: nothing to compare {settings.method} with; want it only for "
            f"{_listed([other.method for other in plain if _is_compared(other)])}, with a learning "
            "rate and the same number of local steps on every client"
        )
    pooled = settings.pooled is not False if compared else None
    return settled.model_copy(update={"pooled": pooled})


def _refuse_others(settings: Settings) -> None:
    """Refuse parameters of other methods."""
    entry, exact = SHELL_METHODS[settings.method], settings.local_steps == words.EXACT
    if exact and entry.kind is not methods.ModifiedLocalGD:
        raise ValueError(
            f"local_steps: got {words.EXACT!r} for {settings.method}; want a number, or method "
            "modified-local-gd or local-solve, which solve exactly"
        )
    for name in PARAMETERS:
        value = getattr(settings, name)
        if value is None:
            continue
        if name not in entry.takes:
            raise ValueError(
                f"{name}: got {value!r}; {settings.method} takes none; want it only for "
                f"{_listed(takers(name))}"
            )
        if exact and name in OF_STEPS:
            raise ValueError(
                f"{name}: got {value!r}; local_steps {words.EXACT!r} takes none: want it only with "
                "local steps"
            )
    if entry.kind is methods.ModifiedLocalGD and settings.server not in (None, "anchored"):
        raise ValueError(
            f"server: got {settings.server!r}; {settings.method} has the server anchored: for "
            "another one use local-gd or local-solve"
        )


def _with_defaults(settings: Settings) -> Settings:
    """The same with those parameters of the method that were left open."""
    entry, exact = SHELL_METHODS[settings.method], settings.local_steps == words.EXACT
    left_open = [
        name
        for name in entry.takes
        if getattr(settings, name) is None and not (exact and name in OF_STEPS)
    ]
    return settings.model_copy(update={name: default_of(entry, name) for name in left_open})


def _is_compared(settings: Settings) -> bool:
    """Whether there is gradient descent of as many steps."""
    rule = build(settings).rule
    steps = "local_steps" in SHELL_METHODS[settings.method].takes
    return steps and isinstance(rule.local_steps, int) and not (rule.solve or rule.whole_round)


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def build(settings: Settings) -> Method:
    """The method of settled settings."""
    read: dict[str, Callable[[Any], Any]] = {
        "local_steps": words.local_steps,
        "lr": words.learning_rate,
        "batch_size": lambda value: None if value == words.FULL else value,
        "server": words.server,
    }
    entry = SHELL_METHODS[settings.method]
    given = {name: getattr(settings, name) for name in entry.takes}
    arguments = {
        entry.takes[name].name: read.get(name, lambda same: same)(value)
        for name, value in given.items()
        if value is not None
    }
    return entry.kind(**arguments)


def title(settings: Settings) -> str:
    """What the method is called in a figure."""
    steps = settings.local_steps
    if steps is None:
        return SHELL_METHODS[settings.method].title.removesuffix(" on the pooled rows")
    return f"{SHELL_METHODS[settings.method].title}, {_steps(steps, 'L = ')}"


def about(settings: Settings, lr: Schedule) -> str:
    """The method in words; ``lr``: its learning rate, with presets made numbers."""
    name = SHELL_METHODS[settings.method].title
    if settings.client_weighted:
        name = name.replace("GD on the pooled rows", "Client-weighted GD")
    parts = [name]
    steps = settings.local_steps
    if steps is not None:
        plural = "s" * (steps != 1)
        parts.append(
            _steps(steps, "") + (f" local step{plural} per round" if steps != words.EXACT else "")
        )
    if settings.batch_size not in (None, words.FULL):
        drawn = "with" if settings.replacement else "without"
        parts.append(f"batches of {settings.batch_size:,} drawn {drawn} replacement")
    if settings.lr is not None:
        number = f"{lr:.6g}" if isinstance(lr, float) else ""
        given = f"{settings.lr:g}" if isinstance(settings.lr, float) else settings.lr
        parts.append(f"lr {given}" + (f" = {number}" if number and number != given else ""))
    parts += [
        f"{name} {getattr(settings, name):g}"
        for name in ("mu", "beta")
        if getattr(settings, name) is not None
    ]
    if settings.server != "average":
        parts.append(f"server {settings.server}")
    if settings.participation != 1.0 or settings.sampling != "uniform":
        parts.append(_participation(settings))
    if isinstance(settings.local_steps, str) and settings.fednova is False:
        parts.append("plain average")
    parts += [f"{settings.loss} loss", f"{round_text(settings.rounds)} rounds"]
    return ", ".join(parts)


def _steps(steps: int | str, before: str) -> str:
    if steps == words.EXACT:
        return "exact local solves"
    if isinstance(steps, int):
        return f"{before}{steps:,}"
    numbers = [int(number) for number in steps.split(",")]
    return f"{before}{min(numbers):,} to {max(numbers):,}"


def _participation(settings: Settings) -> str:
    share = settings.participation
    if isinstance(share, int):
        number = f"{share:,} client{'s' * (share > 1)}"
    else:
        number = f"{100 * float(share or 1.0):g} % of the clients"
    how = "by weight" if settings.sampling == "weight" else "uniformly"
    return f"{number} per round drawn {how}"
