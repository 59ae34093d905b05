"""Schemes that leave the labels as they are: even and uneven sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .. import _validation as check
from .scheme import Scheme
from .shares import dirichlet_shares, proportional_sizes, whole_numbers

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

    ``n_i ≈ 1 + q_i (N - M),  q ~ Dirichlet(alpha, …, alpha) in R^M``; by a law
    ``n_i ≈ N s_i / Σ_j s_j,  s_i = i,  i² or e^i for i = 1, …, M``, at least 1

    Rows are shuffled before they are dealt. With ``alpha`` the first row of each client is given
    beforehand, so none is empty and nothing is redrawn. Sizes by a law are not random.

    Parameters
    ----------
    alpha : float > 0, optional
        Concentration: small for one huge client, large for equal sizes.
    law : "linear", "square" or "exponential", optional
        Sizes that grow from client to client, in place of ``alpha``.

    Raises
    ------
    ValueError, TypeError
        If ``alpha`` is not a finite number above 0, there is no such law, or not exactly one of
        the two is given.

    References
    ----------
    Li, Diao, Chen, He, ICDE 2022, arXiv:2102.02079 ("quantity skew"). The laws: Beutel et al.,
    arXiv:2007.14390 (Flower, whose partitioners have these names).

    Examples
    --------
    >>> import numpy as np, localgd as lg
    >>> problem = lg.partition(
    ...     np.eye(100), np.ones(100), n_clients=3, scheme=lg.Quantity(1e6), seed=0)
    >>> sorted(problem.sizes.tolist())
    [33, 33, 34]
    >>> scheme = lg.Quantity(law="square")
    >>> lg.partition(np.eye(30), np.ones(30), n_clients=4, scheme=scheme).sizes.tolist()
    [1, 4, 9, 16]
    """

    alpha: float | None = None
    law: str | None = None

    def __post_init__(self) -> None:
        if (self.alpha is None) == (self.law is None):
            raise ValueError(
                f"alpha, law: got {self.alpha!r} and {self.law!r}; want one of them, such as "
                "Quantity(0.5) or Quantity(law='linear')"
            )
        if self.law is not None:
            check.one_of("law", self.law, LAWS)
        else:
            check.number("alpha", self.alpha, above=0)

    def assign(self, y: np.ndarray, n_clients: int, rng: np.random.Generator) -> np.ndarray:
        """Clients by one draw of sizes, or by their law, shape (N,)."""
        if self.law is not None:
            sizes = proportional_sizes(LAWS[self.law](n_clients), len(y))
        else:
            shares = dirichlet_shares(float(self.alpha or 0), n_clients, rng)
            sizes = 1 + whole_numbers(shares, len(y) - n_clients, rng)
        clients = np.empty(len(y), dtype=np.int64)
        clients[rng.permutation(len(y))] = np.repeat(np.arange(n_clients), sizes)
        return clients


# By the number of clients; the largest need not be in range of e^M.
LAWS: dict[str, Callable[[int], np.ndarray]] = {
    "linear": lambda n: np.arange(1.0, n + 1),
    "square": lambda n: np.arange(1.0, n + 1) ** 2,
    "exponential": lambda n: np.exp(np.arange(1.0 - n, 1)),
}
