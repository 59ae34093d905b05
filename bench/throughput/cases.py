"""What is timed: problem sizes, local work and columns, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["CASES", "DTYPES", "TOLERANCE", "Case", "case_names"]

DTYPES = ("float64", "float32")
TOLERANCE = {"float64": 1e-8, "float32": 1e-3}  # of the weights, relative to their norm


@dataclass(frozen=True)
class Case:
    """M clients of n rows with d features that take L local steps per round.

    Attributes
    ----------
    learning_rates : int
        B, runs side by side that differ in the learning rate; each counts its own local steps.
    batch_size : int or None
        b, rows per local step; None: all of them.
    n_classes : int
        C; 1: two classes and the exponential loss, more: MNIST and the softmax.
    check_rounds : int
        Rounds after which the answers are compared.
    """

    name: str
    title: str
    n_clients: int
    n_samples: int
    n_features: int
    local_steps: int
    learning_rates: int = 1
    batch_size: int | None = None
    n_classes: int = 1
    lr: float = 1.0
    check_rounds: int = 5

    @property
    def shape(self) -> str:
        extras = [
            f"{symbol}={value}"
            for symbol, value, usual in (
                ("B", self.learning_rates, 1),
                ("b", self.batch_size, None),
                ("C", self.n_classes, 1),
            )
            if value != usual
        ]
        sizes = f"M={self.n_clients:,} n={self.n_samples} d={self.n_features} L={self.local_steps}"
        return " ".join([sizes, *extras])

    @property
    def steps_per_round(self) -> int:
        """Local steps of all clients and learning rates."""
        return self.n_clients * self.local_steps * self.learning_rates

    @property
    def columns(self) -> int:
        """Columns of the weights: learning rates times classes."""
        return self.learning_rates * self.n_classes

    @property
    def n_rows(self) -> int:
        return self.n_clients * self.n_samples

    @property
    def gram_pays(self) -> bool:
        """A step on the Gram block, 2 n² flops, is cheaper than one in the weights, 4 n d."""
        return self.n_samples < 2 * self.n_features

    @property
    def whole_gram(self) -> bool:
        """The server's product with the whole Gram matrix, 2 N² flops, beats 4 N d."""
        return self.n_rows <= 2 * self.n_features

    def rates(self) -> np.ndarray:
        """The learning rates, shape (B,)."""
        if self.learning_rates == 1:
            return np.array([self.lr])
        return np.geomspace(self.lr / 100, self.lr, self.learning_rates)

    def small(self) -> Case:
        """The same kind of case in a size for tests."""
        return replace(
            self,
            n_clients=min(self.n_clients, 4),
            n_samples=min(self.n_samples, 12),
            n_features=self.n_features if self.n_classes > 1 else min(self.n_features, 20),
            local_steps=min(self.local_steps, 5),
            learning_rates=min(self.learning_rates, 3),
            check_rounds=3,
        )


CASES = {
    case.name: case
    for case in (
        Case("W1", "Gram block in the first-level cache", 10, 50, 600, 100),
        Case("W2", "small rows", 10, 20, 100, 100),
        Case("W3", "many features, few rows", 100, 10, 2000, 10),
        Case("W4", "many rows, read from memory", 4, 5000, 784, 10),
        Case("W5", "64 learning rates at once", 10, 50, 600, 100, learning_rates=64),
        Case("W6", "100,000 clients", 100_000, 5, 50, 10, check_rounds=2),
        Case("W7a", "Local-SGD, batches of 1", 10, 50, 600, 100, batch_size=1, lr=0.1),
        Case("W7b", "Local-SGD, batches of 8", 10, 50, 600, 100, batch_size=8, lr=0.1),
        Case("W8", "softmax on MNIST", 10, 500, 784, 10, n_classes=10),
    )
}


def case_names(wanted: list[str]) -> list[str]:
    """Names of cases; ``W7`` stands for ``W7a`` and ``W7b``."""
    names = []
    for name in wanted:
        found = [known for known in CASES if known.lower().startswith(name.lower())]
        if not found:
            raise SystemExit(f"--cases: got {name!r}; want one of {', '.join(CASES)}")
        names += found
    return list(dict.fromkeys(names))
