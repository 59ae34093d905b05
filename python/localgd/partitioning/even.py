"""Schemes that leave the labels as they are: even and uneven sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _validation as check
from .scheme import Scheme
from .shares import dirichlet_shares, whole_numbers

__all__ = ["Iid", "Quantity"]


@dataclass(frozen=True)
class Iid(Scheme):
    """Rows are shuffled and dealt evenly, whatever their labels.

    ``n_i = floor(N/M)`` or ``ceil(N/M)``

    References
    ----------
    McMahan et al., AISTATS 2017, arXiv:1602.05629 (section 3, "IID").

    Examples
    --------
    >>> import numpy as np, localgd as lg
    >>> lg.partition(np.eye(7), np.ones(7), n_clients=3, scheme=lg.Iid()).sizes.tolist()
    [3, 2, 2]
    """

    def assign(self, y: np.ndarray, n_clients: int, rng: np.random.Generator) -> np.ndarray:
        """Client ``j mod M`` for the j-th row of a random order, shape (N,)."""
        clients = np.empty(len(y), dtype=np.int64)
        clients[rng.permutation(len(y))] = np.arange(len(y)) % n_clients
        return clients


@dataclass(frozen=True)
class Quantity(Scheme):
    """Quantity skew: client sizes differ, labels do not.

    ``n_i ≈ 1 + q_i (N - M),  q ~ Dirichlet(alpha, …, alpha) in R^M``

    Rows are shuffled before they are dealt. The first row of each client is given beforehand, so
    none is empty and nothing is redrawn.

    Parameters
    ----------
    alpha : float > 0
        Concentration: small for one huge client, large for equal sizes.

    Raises
    ------
    ValueError, TypeError
        If ``alpha`` is not a finite number above 0.

    References
    ----------
    Li, Diao, Chen, He, ICDE 2022, arXiv:2102.02079 ("quantity skew").

    Examples
    --------
    >>> import numpy as np, localgd as lg
    >>> problem = lg.partition(
    ...     np.eye(100), np.ones(100), n_clients=3, scheme=lg.Quantity(1e6), seed=0)
    >>> sorted(problem.sizes.tolist())
    [33, 33, 34]
    """

    alpha: float

    def __post_init__(self) -> None:
        check.number("alpha", self.alpha, above=0)

    def assign(self, y: np.ndarray, n_clients: int, rng: np.random.Generator) -> np.ndarray:
        """Clients by one Dirichlet draw of sizes, shape (N,)."""
        shares = dirichlet_shares(self.alpha, n_clients, rng)
        sizes = 1 + whole_numbers(shares, len(y) - n_clients, rng)
        clients = np.empty(len(y), dtype=np.int64)
        clients[rng.permutation(len(y))] = np.repeat(np.arange(n_clients), sizes)
        return clients
