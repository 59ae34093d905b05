"""Schemes of label skew: clients hold different shares of the classes."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .. import _validation as check
from .scheme import Scheme
from .shares import dirichlet_shares, whole_numbers

__all__ = ["ByClass", "Dirichlet"]


@dataclass(frozen=True)
class Dirichlet(Scheme):
    """Label skew: the rows of each class are split in random shares over the clients.

    ``q_c ~ Dirichlet(alpha, …, alpha) in R^M;  client i gets a share q_ci of the rows of class c``

    This is the variant of Yurochkin et al. (one draw over clients for each class; sizes differ
    from client to client), not that of Hsu et al. (one draw over classes for each client, equal
    sizes). ``alpha`` -> 0 leaves each class on one client; ``alpha`` -> infinity splits every
    class evenly. Shares become whole rows by one random offset per class, so the expected number
    of rows is exactly ``q_ci n_c``. There is no redrawing: a client that is left without rows
    takes one from the client that has most.

    Parameters
    ----------
    alpha : float > 0
        Concentration. Any positive float works, however small or large.

    Raises
    ------
    ValueError, TypeError
        If ``alpha`` is not a finite number above 0.

    References
    ----------
    Yurochkin et al., ICML 2019, arXiv:1905.12022. The other variant: Hsu, Qi, Brown,
    arXiv:1909.06335.

    Examples
    --------
    >>> import numpy as np, localgd as lg
    >>> y = np.repeat([-1, 1], 50)
    >>> problem = lg.partition(np.eye(100), y, n_clients=4, scheme=lg.Dirichlet(0.3), seed=0)
    >>> int(problem.sizes.sum()), int(problem.sizes.min()) >= 1
    (100, True)
    """

    alpha: float
    needs_classes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check.number("alpha", self.alpha, above=0)

    def assign(self, y: np.ndarray, n_clients: int, rng: np.random.Generator) -> np.ndarray:
        """Clients by one Dirichlet draw per class, shape (N,)."""
        clients = np.empty(len(y), dtype=np.int64)
        for label in np.unique(y):
            rows = rng.permutation(np.flatnonzero(y == label))
            shares = dirichlet_shares(self.alpha, n_clients, rng)
            counts = whole_numbers(shares, len(rows), rng)
            clients[rows] = np.repeat(np.arange(n_clients), counts)
        return _fill_empty(clients, n_clients, rng)


@dataclass(frozen=True)
class ByClass(Scheme):
    """Label skew: every client holds rows of exactly k classes.

    ``|{y_ij : j = 1, …, n_i}| = k`` for every client i

    Class c goes to h_c clients, ``Σ_c h_c = k M``. The h_c start at 1 and grow one by one where
    there are most rows per holder, so that sizes are as even as the classes allow; which clients
    hold a class is random, and its holders share its rows evenly. With k=1 and two classes each
    client has rows of one label only.

    Parameters
    ----------
    k : int >= 1
        Classes per client.

    Raises
    ------
    ValueError, TypeError
        If ``k`` is not a positive integer; on dealing, if k exceeds the number of classes, if
        ``k M`` is less than the number of classes (rows of one would go to nobody), or if there
        are too few rows for every holder of a class to get one.

    References
    ----------
    McMahan et al., AISTATS 2017, arXiv:1602.05629 (section 3, "pathological non-IID": there
    shards of equal size, here whole classes, so that a client never holds more than k).

    Examples
    --------
    >>> import numpy as np, localgd as lg
    >>> y = np.repeat([-1, 1], 6)
    >>> problem = lg.partition(np.eye(12), y, n_clients=4, scheme=lg.ByClass(1), seed=0)
    >>> [np.unique(problem.y[problem.rows(i)]).tolist() for i in range(4)]
    [[1.0], [-1.0], [1.0], [-1.0]]
    """

    k: int
    needs_classes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check.integer("k", self.k, 1)

    def assign(self, y: np.ndarray, n_clients: int, rng: np.random.Generator) -> np.ndarray:
        """Clients by class, shape (N,)."""
        _, label, n_rows = np.unique(y, return_inverse=True, return_counts=True)
        holds = self._holders(n_rows, n_clients, rng)
        clients = np.empty(len(y), dtype=np.int64)
        for c in range(len(n_rows)):
            holders = rng.permutation(np.flatnonzero(holds[:, c]))
            rows = rng.permutation(np.flatnonzero(label == c))
            clients[rows] = holders[np.arange(len(rows)) % len(holders)]
        return clients

    def _holders(self, n_rows: np.ndarray, n_clients: int, rng: np.random.Generator) -> np.ndarray:
        """Which client holds which class: boolean (M, C), k in each row, none empty per class."""
        k, n_classes = int(self.k), len(n_rows)
        if k > n_classes:
            raise ValueError(f"ByClass(k={k}): y has {n_classes} classes; want k <= {n_classes}")
        if k * n_clients < n_classes:
            raise ValueError(
                f"ByClass(k={k}): {n_clients} clients hold {k * n_clients} of {n_classes} classes "
                f"and rows of the others would be lost; want k >= {-(-n_classes // n_clients)} "
                "or more clients"
            )
        room = np.minimum(n_rows, n_clients)
        if k * n_clients > room.sum():
            raise ValueError(
                f"ByClass(k={k}): {n_clients} clients of {k} classes need {k * n_clients} pairs "
                f"(client, class) with a row each; classes of {n_rows.tolist()} rows allow only "
                f"{room.sum()}; want fewer clients or a smaller k"
            )
        left = _holder_counts(n_rows, room, k * n_clients)
        holds = np.zeros((n_clients, n_classes), dtype=bool)
        for i in range(n_clients):
            # Random order, weighted by the places left. A class with as many places left as there
            # are clients left must be taken now; at most k are, so no client comes up short.
            key = rng.standard_exponential(n_classes) / np.maximum(left, 1e-300)
            key[left == 0] = np.inf
            key[left == n_clients - i] = -1.0
            chosen = np.argsort(key, kind="stable")[:k]
            holds[i, chosen] = True
            left[chosen] -= 1
        return holds


def _fill_empty(clients: np.ndarray, n_clients: int, rng: np.random.Generator) -> np.ndarray:
    """Give each client without rows one random row of the client that has most at that moment."""
    sizes = np.bincount(clients, minlength=n_clients)
    empty = np.flatnonzero(sizes == 0)
    if not len(empty):
        return clients
    order = rng.permutation(len(clients))
    held = np.split(order[np.argsort(clients[order], kind="stable")], np.cumsum(sizes)[:-1])
    heap = [(-int(n), i) for i, n in enumerate(sizes) if n]
    heapq.heapify(heap)
    for receiver in empty:
        negative, donor = heap[0]
        clients[held[donor][-negative - 1]] = receiver
        heapq.heapreplace(heap, (negative + 1, donor))
    return clients


def _holder_counts(n_rows: np.ndarray, room: np.ndarray, total: int) -> np.ndarray:
    """Holders per class: 1 to ``room``, ``total`` in all, added where rows per holder are most."""
    counts = np.ones(len(n_rows), dtype=np.int64)
    heap = [(-float(n), c) for c, n in enumerate(n_rows) if room[c] > 1]
    heapq.heapify(heap)
    for _ in range(total - len(n_rows)):
        _, c = heap[0]
        counts[c] += 1
        if counts[c] < room[c]:
            heapq.heapreplace(heap, (-n_rows[c] / counts[c], c))
        else:
            heapq.heappop(heap)
    return counts
