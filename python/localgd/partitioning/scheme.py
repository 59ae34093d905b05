"""What a partition scheme owes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

__all__ = ["Scheme"]


class Scheme(ABC):
    """A rule that deals N rows to M clients.

    ``assign: (y, M) -> client ids in {0, …, M-1}^N``

    Derive from it for a scheme of your own and pass an instance to :func:`partition`.

    Attributes
    ----------
    needs_classes : bool
        True if the rule groups rows by label; it is then refused for regression targets.
    """

    needs_classes: ClassVar[bool] = False

    @abstractmethod
    def assign(self, y: np.ndarray, n_clients: int, rng: np.random.Generator) -> np.ndarray:
        """The client of each row, int64 of shape (N,), with at least one row per client.

        ``y`` has shape (N,) with N >= ``n_clients``.
        """

    def transform(
        self, X: np.ndarray, clients: np.ndarray, n_clients: int, rng: np.random.Generator
    ) -> np.ndarray:
        """The rows as the clients see them, shape (N, d); by default unchanged."""
        return X
