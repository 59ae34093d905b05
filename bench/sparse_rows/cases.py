"""What is timed: sets of rows, clients and learning rates, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

__all__ = ["CASES", "SparseCase"]


@dataclass(frozen=True)
class SparseCase:
    """Rows dealt at random to M clients that take L full-batch steps of the logistic loss and λ.

    Attributes
    ----------
    entries : int
        Of a row, in the mean for rows of a set.
    ones : bool
        All values are 1.
    data : str
        Name of the set in the folder; "" for rows that are drawn.
    file : Path or None
        Where it is.
    check_rounds : int
        Rounds after which the answers are compared.
    """

    name: str
    title: str
    n_clients: int
    n_rows: int
    n_features: int
    entries: int
    ones: bool
    lr: float
    data: str = ""
    file: Path | None = None
    local_steps: int = 10
    l2: float = 1e-4
    check_rounds: int = 5
    learning_rates: ClassVar[int] = 1
    batch_size: ClassVar[None] = None

    @property
    def shape(self) -> str:
        return (
            f"M={self.n_clients} N={self.n_rows:,} d={self.n_features:,} L={self.local_steps}, "
            f"{self.entries} entries a row"
        )

    @property
    def steps_per_round(self) -> int:
        """Local steps of all clients."""
        return self.n_clients * self.local_steps

    def rates(self) -> np.ndarray:
        return np.array([self.lr])

    def small(self) -> SparseCase:
        """The same kind of case in a size for tests, its rows drawn."""
        return replace(
            self, n_clients=3, n_rows=100, n_features=70, entries=5, local_steps=4, data=""
        )


CASES = {
    case.name: case
    for case in (
        SparseCase("S1", "a9a", 10, 32_561, 123, 14, True, lr=0.5, data="a9a"),
        SparseCase("S2", "w8a", 100, 49_749, 300, 12, True, lr=0.5, data="w8a"),
        SparseCase("S3", "columns drawn by 1/rank", 20, 20_242, 47_236, 74, False, lr=2.0),
    )
}
