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
    entry, exact = SHELL_METHODS[settings.method], settings.local_steps == words.EXACT
    if exact and entry.kind is not methods.ModifiedLocalGD:
        raise ValueError(
            f"local_steps: got {words.EXACT!r} for {settings.method}; want a number, or method "
            "modified-local-gd or local-solve, which solve exactly"
        )
    takes = [name for name in entry.takes if not (exact and name in OF_STEPS)]
    for name in PARAMETERS:
        if getattr(settings, name) is not None and name not in takes:
            raise ValueError(_not_taken(settings, name))
    if entry.kind is methods.ModifiedLocalGD and settings.server not in (None, "anchored"):
        raise ValueError(
            f"server: got {settings.server!r}; {settings.method} has the server anchored: for "
            "another one use local-gd or local-solve"
        )
    left_open = [name for name in takes if getattr(settings, name) is None]
    if "local_epochs" in left_open and settings.local_steps is not None:
        left_open.remove("local_epochs")  # either of the two
    settled = settings.model_copy(update={name: default_of(entry, name) for name in left_open})
    if settled.replacement and settled.batch_size == words.FULL:
        raise ValueError("replacement: got True for full batches; want a batch_size as well")
    compared = _is_compared(settled)
    if settings.pooled and not compared:
        others = [name for name in SHELL_METHODS if settle(Settings(method=name)).pooled]
        raise ValueError(
            f"pooled: nothing to compare {settings.method} with; want it only for "
            f"{_listed(others)}, with a learning rate and the same number of local steps on every "
            "client"
        )
    pooled = settings.pooled is not False if compared else None
    return settled.model_copy(update={"pooled": pooled})


def _not_taken(settings: Settings, name: str) -> str:
    got = f"{name}: got {getattr(settings, name)!r}; "
    if name in SHELL_METHODS[settings.method].takes:
        return got + f"local_steps {words.EXACT!r} takes none: want it only with local steps"
    return got + f"{settings.method} takes none; want it only for {_listed(takers(name))}"


def _is_compared(settings: Settings) -> bool:
    """Whether there is gradient descent of as many steps."""
    if settings.local_steps is None:
        return False
    rule = build(settings).rule
    return isinstance(rule.local_steps, int) and not (rule.solve or rule.whole_round)


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def build(settings: Settings) -> Method:
    """The method of settled settings."""
    read: dict[str, Callable[[Any], Any]] = {
        "local_steps": words.local_steps,
        "lr": words.learning_rate,
        "batch_size": lambda value: None if value == words.FULL else value,
        "server": words.server,
        "participation": words.participation,
    }
    entry = SHELL_METHODS[settings.method]
    arguments = {}
    for name in entry.takes:
        value = getattr(settings, name)
        if value is not None:
            arguments[name] = read.get(name, lambda same: same)(value)
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
    steps, epochs = settings.local_steps, settings.local_epochs
    if epochs is not None:
        parts.append(f"{epochs:,} local epoch{'s' * (epochs != 1)} per round")
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
    l2 = settings.l2 if isinstance(settings.l2, str) else f"{settings.l2:g}"
    parts.append(f"{settings.loss} loss" + (f" with l2 {l2}" if settings.l2 else ""))
    parts.append(f"{round_text(settings.rounds)} rounds")
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
    unbiased = ", with unbiased shares" if settings.shares == "unbiased" else ""
    if isinstance(share, str):
        return f"clients by {share}{unbiased}"
    if isinstance(share, int):
        number = f"{share:,} client{'s' * (share > 1)}"
    else:
        number = f"{100 * float(share or 1.0):g} % of the clients"
    how = "by weight" if settings.sampling == "weight" else "uniformly"
    return f"{number} per round drawn {how}{unbiased}"
