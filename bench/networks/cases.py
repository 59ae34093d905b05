"""What is timed: clients, rows, hidden units and local steps, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

__all__ = ["CASES", "NetworkCase"]


@dataclass(frozen=True)
class NetworkCase:
    """M clients of n rows that take L full-batch steps of a ReLU network of h hidden units.

    Attributes
    ----------
    check_rounds : int
        Rounds after which the answers are compared.
    """

    name: str
    n_clients: int
    n_samples: int
    n_features: int
    hidden: int
    local_steps: int
    lr: float = 0.5
    check_rounds: int = 3
    learning_rates: ClassVar[int] = 1
    batch_size: ClassVar[None] = None
    gram_pays: ClassVar[bool] = True  # to write the first layer's steps in the span of the rows

    @property
    def shape(self) -> str:
        return (
            f"M={self.n_clients} n={self.n_samples} d={self.n_features} h={self.hidden} "
            f"L={self.local_steps}"
        )

    @property
    def parameters(self) -> int:
        return self.hidden * (self.n_features + 1)

    @property
    def steps_per_round(self) -> int:
        """Local steps of all clients."""
        return self.n_clients * self.local_steps

    @property
    def flops_per_round(self) -> float:
        """Of local steps in the span of the rows, the last of which moves nothing but sums."""
        M, n, d, h = self.n_clients, self.n_samples, self.n_features, self.hidden
        return float(M * n * h * (2 * n * (self.local_steps - 1) + 4 * d))

    @property
    def flops_per_step(self) -> float:
        """Of one local step of one client, with its share of the round."""
        return self.flops_per_round / self.steps_per_round

    def small(self) -> NetworkCase:
        """The same kind of case in a size for tests."""
        return replace(self, n_clients=2, n_samples=5, n_features=8, hidden=3, local_steps=4)


CASES = {
    case.name: case
    for case in (
        NetworkCase("N1", 10, 50, 784, 64, 100),
        NetworkCase("N2", 10, 100, 784, 64, 10),
        NetworkCase("N3", 10, 100, 784, 256, 10),
        NetworkCase("N4", 100, 20, 784, 32, 20),
        NetworkCase("N5", 10, 500, 784, 128, 10),
    )
}
