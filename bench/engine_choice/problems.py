"""The grid of problems: each axis with its values, and problems drawn from all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

import localgd as lg
from localgd.alone import ALONE

__all__ = ["FAMILIES", "Case", "draw"]

AXES: dict[str, tuple[Any, ...]] = {
    "clients": (1, 3, 10, 30, 100, 1_000, 10_000),
    "rows": (1, 5, 15, 50, 200, 1_000, 4_000),
    "features": (2, 10, 50, 200, 800, 4_000),
    "local_steps": (1, 3, 10, 30, 100),
    "family": (),  # of FAMILIES, below
    "dtype": ("float64", "float32"),
    "every_step": (False, True),
    "participation": (1.0, 1.0, 0.1),
    "uneven": (False, False, True),
    "rounds": (3, 30, 300, 3_000, 30_000),
}
MOST_ROWS = 12_000
MOST_NUMBERS = 3_000_000  # of all rows
CLASSES = 10


@dataclass(frozen=True)
class Case:
    """M clients of n rows with d features, their method, and for how many rounds it runs."""

    clients: int
    rows: int
    features: int
    local_steps: int
    family: str
    dtype: str
    every_step: bool
    participation: float
    uneven: bool
    rounds: int

    @property
    def title(self) -> str:
        words = [
            f"M={self.clients:,} n={self.rows:,}{'~' if self.uneven else ''} d={self.features:,}",
            f"L={self.local_steps} {self.family} {self.dtype} k={self.rounds:,}",
        ]
        words += ["every step"] * self.every_step
        words += [f"{self.participation:.0%} of clients"] * (self.participation < 1)
        return " ".join(words)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def outputs(self) -> int:
        return CLASSES if FAMILIES[self.family].task == "multiclass" else 1

    def sizes(self) -> np.ndarray:
        """Rows of each client; uneven ones differ by a factor of two, mostly."""
        sizes = np.full(self.clients, self.rows)
        if not self.uneven:
            return sizes
        spread = np.exp(0.7 * np.random.default_rng(0).standard_normal(self.clients))
        return np.maximum(1, (sizes * spread).astype(int))

    def shape(self) -> Any:
        """What the choice of an engine looks at, without the rows."""
        sizes = self.sizes()
        return SimpleNamespace(
            sizes=sizes,
            offsets=np.concatenate([[0], np.cumsum(sizes)]),
            n_clients=self.clients,
            n_samples=int(sizes.sum()),
            n_features=self.features,
            n_classes=self.outputs,
            n_outputs=self.outputs,
            sparse=False,
            free_intercept=False,
            shares_rows=False,
            ranks=ALONE,
            entries_before=None,
        )

    def problem(self) -> lg.Problem:
        """Gaussian rows of length 1 or so, from a seed of their own."""
        rng = np.random.default_rng(1)
        family, sizes = FAMILIES[self.family], self.sizes()
        N, d = int(sizes.sum()), self.features
        rows = rng.standard_normal((N, d)) / np.sqrt(d)
        y = rows @ rng.standard_normal((d, self.outputs))
        if family.noise:
            y += family.noise * rng.standard_normal(y.shape)
        labels = {
            "binary": lambda: np.where(y[:, 0] < 0, -1.0, 1.0),
            "regression": lambda: y[:, 0],
            "multiclass": lambda: np.argmax(y, axis=1),
        }[family.task]()
        if family.task == "multiclass":
            labels[:CLASSES] = np.arange(CLASSES)  # each is there
        clients = np.repeat(np.arange(self.clients), sizes)
        return lg.Problem.from_arrays(rows, labels, clients, task=family.task)

    def method(self) -> lg.Method:
        return FAMILIES[self.family].method(self.local_steps, participation=self.participation)


@dataclass(frozen=True)
class Family:
    """A method by its local steps, with the loss and the rows that it is tried on."""

    method: Callable[..., lg.Method]
    loss: str = "exponential"
    task: str = "binary"
    noise: float = 0.0  # of the labels: rows that are not separable


def _with_lr(method: type[lg.Method], lr: float = 1.0, **parameters: Any) -> Any:
    def make(local_steps: int, participation: float) -> lg.Method:
        settings = {"lr": lr, "participation": participation, **parameters}
        return method(local_steps=local_steps, **settings)

    return make


FAMILIES = {
    "LocalGD": Family(_with_lr(lg.LocalGD)),
    "LocalGD, momentum": Family(
        _with_lr(lg.LocalGD, 0.1, server=lg.ServerSGD(lr=1.0, momentum=0.5)), "logistic", noise=1.0
    ),
    "LocalGD, noisy": Family(_with_lr(lg.LocalGD), "logistic", noise=1.0),
    "LocalGD, squared": Family(_with_lr(lg.LocalGD, 0.3), "squared", "regression"),
    "LocalGD, softmax": Family(_with_lr(lg.LocalGD, 0.5), "softmax", "multiclass"),
    "FedProx": Family(_with_lr(lg.FedProx, 0.5, mu=0.1), "logistic"),
    "Scaffold": Family(_with_lr(lg.Scaffold, 0.1), "logistic"),
    "FedGA": Family(_with_lr(lg.FedGA, 0.1, beta=0.1), "logistic"),
    "LocalSGD, 1": Family(_with_lr(lg.LocalSGD, 0.1, batch_size=1), "logistic"),
    "LocalSGD, 8": Family(_with_lr(lg.LocalSGD, 0.1, batch_size=8), "logistic"),
    "LocalSGD, 8, softmax": Family(
        _with_lr(lg.LocalSGD, 0.1, batch_size=8), "softmax", "multiclass"
    ),
    "LocalSGD, 32": Family(_with_lr(lg.LocalSGD, 0.1, batch_size=32), "logistic"),
}
AXES["family"] = ("LocalGD",) * 3 + tuple(FAMILIES)


def draw(count: int, seed: int) -> Iterator[Case]:
    """Different problems of the grid, of those that are small enough to be timed."""
    rng, seen = np.random.default_rng(seed), set()
    while len(seen) < count:
        case = Case(**{name: values[rng.integers(len(values))] for name, values in AXES.items()})
        N = case.clients * case.rows
        if case in seen or N > MOST_ROWS or N * case.features > MOST_NUMBERS:
            continue
        if case.outputs > case.sizes().sum():
            continue
        seen.add(case)
        yield case
