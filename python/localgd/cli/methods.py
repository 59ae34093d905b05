"""The methods as the shell knows them: the word for each, a line about it, and what it takes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .. import methods
from ..methods import Method

__all__ = ["PARAMETERS", "SHELL_METHODS", "ShellMethod", "about_takers", "takers"]


@dataclass(frozen=True)
class ShellMethod:
    """A method: its title, and a line for the help."""

    kind: type[Method]
    title: str
    line: str

    @cached_property
    def takes(self) -> dict[str, dataclasses.Field[Any]]:
        """The settings that it takes, and the field of the method that each of them fills."""
        fields = {field.name: field for field in dataclasses.fields(self.kind)}
        # Where all clients do the same work, and in FedAvg, there is nothing to choose.
        if "local_steps" not in fields or self.kind is methods.FedAvg:
            del fields["fednova"]
        return fields


SHELL_METHODS = {
    "gd": ShellMethod(
        methods.GD,
        "GD on the pooled rows",
        "Gradient descent on the pooled rows: one step per round.",
    ),
    "local-gd": ShellMethod(
        methods.LocalGD, "Local-GD", "L full-batch steps on every client, then the average."
    ),
    "local-sgd": ShellMethod(
        methods.LocalSGD, "Local-SGD", "L steps on batches of a client's rows, then the average."
    ),
    "fedavg": ShellMethod(
        methods.FedAvg, "FedAvg", "Epochs of every client on its rows, then the mean by rows."
    ),
    "minibatch-sgd": ShellMethod(
        methods.MinibatchSGD,
        "Minibatch SGD",
        "One step per round, on as many rows as local-sgd takes.",
    ),
    "modified-local-gd": ShellMethod(
        methods.ModifiedLocalGD,
        "Modified Local-GD",
        "Local-GD, or exact solves, anchored at the start.",
    ),
    "local-solve": ShellMethod(
        methods.LocalSolve,
        "Exact local solves",
        "Every client fits its own rows exactly, then the average.",
    ),
    "fedprox": ShellMethod(
        methods.FedProx, "FedProx", "Local steps, pulled back to the global model by mu."
    ),
    "scaffold": ShellMethod(
        methods.Scaffold, "SCAFFOLD", "Local steps, with control variates against drift."
    ),
    "grad-align": ShellMethod(
        methods.GradAlign, "GradAlign", "One step that also lowers the variance of gradients."
    ),
    "fedga": ShellMethod(
        methods.FedGA, "FedGA", "Local steps from a start displaced as in grad-align."
    ),
}


def takers(setting: str) -> list[str]:
    """The methods that take a setting."""
    return [name for name, entry in SHELL_METHODS.items() if setting in entry.takes]


def about_takers(setting: str) -> str:
    """Which methods take a setting, or which do not, for the help."""
    of_some = takers(setting)
    others = [name for name in SHELL_METHODS if name not in of_some]
    if not of_some or not others:
        return ""
    return f" For {', '.join(of_some)}." if len(of_some) <= 5 else f" Not for {', '.join(others)}."


# Those that some method takes.
PARAMETERS = list(dict.fromkeys(name for entry in SHELL_METHODS.values() for name in entry.takes))
