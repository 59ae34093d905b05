"""The methods as the shell knows them: name, a line about each, and the settings that it takes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from .. import methods
from ..methods import Method
from . import words

__all__ = ["ARGUMENTS", "DEFAULTS", "SHELL_METHODS", "ShellMethod", "takers"]

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
class ShellMethod:
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


SHELL_METHODS = {
    "gd": ShellMethod(
        methods.GD,
        "GD on the pooled rows",
        "Gradient descent on the pooled rows: one step per round.",
    ),
    "local-gd": ShellMethod(
        methods.LocalGD,
        "Local-GD",
        "L full-batch steps on every client, then the average.",
        pooled=True,
    ),
    "local-sgd": ShellMethod(
        methods.LocalSGD,
        "Local-SGD",
        "L steps on batches of a client's rows, then the average.",
        {"batch_size": 8},
        pooled=True,
    ),
    "minibatch-sgd": ShellMethod(
        methods.MinibatchSGD,
        "Minibatch SGD",
        "One step per round, on as many rows as local-sgd takes.",
        {"batch_size": 8},
    ),
    "modified-local-gd": ShellMethod(
        methods.ModifiedLocalGD,
        "Modified Local-GD",
        "Local-GD, or exact solves, anchored at the start.",
        {"server": "anchored"},
        pooled=True,
    ),
    "local-solve": ShellMethod(
        methods.LocalSolve,
        "Exact local solves",
        "Every client fits its own rows exactly, then the average.",
    ),
    "fedprox": ShellMethod(
        methods.FedProx,
        "FedProx",
        "Local steps, pulled back to the global model by mu.",
        pooled=True,
    ),
    "scaffold": ShellMethod(
        methods.Scaffold,
        "SCAFFOLD",
        "Local steps, with control variates against drift.",
        pooled=True,
    ),
    "grad-align": ShellMethod(
        methods.GradAlign,
        "GradAlign",
        "One step that also lowers the variance of gradients.",
    ),
    "fedga": ShellMethod(
        methods.FedGA,
        "FedGA",
        "Local steps from a start displaced as in grad-align.",
        pooled=True,
    ),
}


def takers(setting: str) -> list[str]:
    """The methods that take a setting."""
    return [name for name, entry in SHELL_METHODS.items() if setting in entry.takes]
