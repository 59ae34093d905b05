"""The methods as the shell knows them: name, a line about each, and the settings that it takes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .. import methods
from ..methods import Method
from ..schedules import Schedule
from . import words
from .report import round_text

if TYPE_CHECKING:
    from .settings import Settings

__all__ = ["DEFAULTS", "ENTRIES", "Entry", "about", "build", "settle", "takers", "title"]

# Settings of methods, by the argument that they become; those of all methods come last.
ARGUMENTS = {
    "local_steps": "local_steps",
    "lr": "lr",
    "batch_size": "batch_size",
    "replacement": "replacement",
    "mu": "mu",
    "beta": "beta",
    "fednova": "normalize",
    "server": "server",
    "participation": "participation",
    "sampling": "sampling",
}
DEFAULTS: dict[str, Any] = {
    "local_steps": 100,
    "lr": 1.0,
    "batch_size": words.FULL,
    "replacement": False,
    "mu": 0.1,
    "beta": 0.1,
    "fednova": True,
    "server": "average",
    "participation": 1.0,
    "sampling": "uniform",
}


@dataclass(frozen=True)
class Entry:
    """A method: its title, a line for the help, and where its defaults differ.

    ``pooled``: it is compared with gradient descent of as many steps.
    """

    kind: type[Method]
    title: str
    line: str
    defaults: dict[str, Any] = field(default_factory=dict)
    pooled: bool = False

    @property
    def takes(self) -> tuple[str, ...]:
        """The settings that it takes."""
        names = {f.name for f in dataclasses.fields(self.kind)}
        if "local_steps" not in names:  # then all clients do the same work
            names.discard("normalize")
        return tuple(name for name, argument in ARGUMENTS.items() if argument in names)

    def default(self, setting: str) -> Any:
        """What a setting is for this method without being given."""
        return self.defaults.get(setting, DEFAULTS[setting])


ENTRIES = {
    "gd": Entry(
        methods.GD,
        "GD on the pooled rows",
        "Gradient descent on the pooled rows: one step per round.",
    ),
    "local-gd": Entry(
        methods.LocalGD,
        "Local-GD",
        "L full-batch steps on every client, then the average.",
        pooled=True,
    ),
    "local-sgd": Entry(
        methods.LocalSGD,
        "Local-SGD",
        "L steps on batches of a client's rows, then the average.",
        {"batch_size": 8},
        pooled=True,
    ),
    "minibatch-sgd": Entry(
        methods.MinibatchSGD,
        "Minibatch SGD",
        "One step per round, on as many rows as local-sgd takes.",
        {"batch_size": 8},
    ),
    "modified-local-gd": Entry(
        methods.ModifiedLocalGD,
        "Modified Local-GD",
        "Local-GD, or exact solves, anchored at the start.",
        {"server": "anchored"},
        pooled=True,
    ),
    "local-solve": Entry(
        methods.LocalSolve,
        "Exact local solves",
        "Every client fits its own rows exactly, then the average.",
    ),
    "fedprox": Entry(
        methods.FedProx,
        "FedProx",
        "Local steps, pulled back to the global model by mu.",
        pooled=True,
    ),
    "scaffold": Entry(
        methods.Scaffold,
        "SCAFFOLD",
        "Local steps, with control variates against drift.",
        pooled=True,
    ),
    "grad-align": Entry(
        methods.GradAlign,
        "GradAlign",
        "One step that also lowers the variance of gradients.",
    ),
    "fedga": Entry(
        methods.FedGA,
        "FedGA",
        "Local steps from a start displaced as in grad-align.",
        pooled=True,
    ),
}


def takers(setting: str) -> list[str]:
    """The methods that take a setting."""
    return [name for name, entry in ENTRIES.items() if setting in entry.takes]


def settle(settings: Settings) -> Settings:
    """The settings with the method's defaults; those that it does not take are refused."""
    entry, exact = ENTRIES[settings.method], settings.local_steps == words.EXACT
    if exact and entry.kind is not methods.ModifiedLocalGD:
        raise ValueError(
            f"local_steps: got {words.EXACT!r} for {settings.method}; want a number, or method "
            "modified-local-gd or local-solve, which solve exactly"
        )
    takes = [name for name in entry.takes if not (exact and name in ("lr", "fednova"))]
    for name in ARGUMENTS:
        if getattr(settings, name) is not None and name not in takes:
            raise ValueError(_not_taken(settings, name, exact))
    if entry.kind is methods.ModifiedLocalGD and settings.server not in (None, "anchored"):
        raise ValueError(
            f"server: got {settings.server!r}; {settings.method} has the server anchored: for "
            "another one use local-gd or local-solve"
        )
    pooled = entry.pooled and not exact and not isinstance(settings.local_steps, str)
    if settings.pooled and not pooled:
        compared = _listed([name for name, other in ENTRIES.items() if other.pooled])
        raise ValueError(
            f"pooled: nothing to compare {settings.method} with; want it only for {compared}, "
            "with a learning rate and the same number of local steps on every client"
        )
    given = {name: getattr(settings, name) for name in takes}
    settled = {
        name: entry.default(name) if value is None else value for name, value in given.items()
    }
    if settled.get("replacement") and settled["batch_size"] == words.FULL:
        raise ValueError("replacement: got True for full batches; want a batch_size as well")
    compare = (settings.pooled is not False) if pooled else None
    return dataclasses.replace(settings, **settled, pooled=compare)


def _not_taken(settings: Settings, name: str, exact: bool) -> str:
    got = f"{name}: got {getattr(settings, name)!r}; "
    if exact and name in ENTRIES[settings.method].takes:
        return got + f"local_steps {words.EXACT!r} takes none: want it only with local steps"
    return got + f"{settings.method} takes none; want it only for {_listed(takers(name))}"


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def build(settings: Settings) -> Method:
    """The method of settled settings."""
    read = {
        "local_steps": words.local_steps,
        "lr": lambda value: words.learning_rate("lr", value),
        "batch_size": lambda value: None if value == words.FULL else value,
        "server": lambda value: words.server("server", value),
    }
    arguments: dict[str, Any] = {}
    for name in ENTRIES[settings.method].takes:
        value = getattr(settings, name)
        if value is not None:
            arguments[ARGUMENTS[name]] = read.get(name, lambda same: same)(value)
    return ENTRIES[settings.method].kind(**arguments)


def title(settings: Settings) -> str:
    """What the method is called in a figure."""
    steps = settings.local_steps
    if steps is None:
        return ENTRIES[settings.method].title.removesuffix(" on the pooled rows")
    return f"{ENTRIES[settings.method].title}, {_steps(steps, 'L = ')}"


def about(settings: Settings, lr: Schedule) -> str:
    """The method in words; ``lr``: its learning rate, with presets made numbers."""
    name = ENTRIES[settings.method].title
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
