"""Dealing the rows of one data set to clients.

A scheme is one class: ``assign`` names the client of every row, ``transform`` (only where a scheme
changes rows) returns the changed rows. :func:`partition` checks the input and builds the problem.
"""

from __future__ import annotations

import heapq
import numbers
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from . import _validation as check
from .problem import Problem, _check_rows, _check_task

__all__ = [
    "ByClass",
    "Dirichlet",
    "FeatureShift",
    "Iid",
    "Quantity",
    "Scheme",
    "partition",
    "random_generator",
]


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
            shares = _dirichlet(self.alpha, n_clients, rng)
            counts = _whole(shares, len(rows), rng)
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
        shares = _dirichlet(self.alpha, n_clients, rng)
        sizes = 1 + _whole(shares, len(y) - n_clients, rng)
        clients = np.empty(len(y), dtype=np.int64)
        clients[rng.permutation(len(y))] = np.repeat(np.arange(n_clients), sizes)
        return clients


@dataclass(frozen=True)
class FeatureShift(Scheme):
    """Feature skew: rows are dealt as by :class:`Iid`, then each client's rows are displaced.

    ``x_ij <- x_ij + scale · r · u_i,  r = sqrt(Σ_ij ‖x_ij‖² / N),  u_i uniform on the unit sphere``

    Labels stay as they were, so separability may be lost (``scale=0`` changes nothing). A unit
    vector v that separates the rows with margin γ still does if ``scale · r · |v·u_i| < γ`` for
    every i; ``|v·u_i|`` is about ``1/sqrt(d)``. As ``scale`` grows, a client with both labels
    admits only directions nearly orthogonal to its u_i: rows that are separable in the complement
    of all u_i (independent rows are if ``d - M >= N``) stay so, others do not.
    ``lg.reference.separability`` tells. For shifted rows that are separable by construction see
    ``lg.datasets.make_separable(heterogeneity=...)``.

    Parameters
    ----------
    scale : float >= 0
        Length of the displacement, in units of the root mean square row norm r.

    Raises
    ------
    ValueError, TypeError
        If ``scale`` is not a finite number of at least 0.

    References
    ----------
    Kairouz et al., arXiv:1912.04977 (section 3.1, "feature distribution skew").

    Examples
    --------
    >>> import numpy as np, localgd as lg
    >>> X, y = np.eye(4), [1, -1, 1, -1]
    >>> problem = lg.partition(X, y, n_clients=2, scheme=lg.FeatureShift(0.5), seed=0)
    >>> shift = problem.X - X[problem.row_order]
    >>> np.linalg.norm(shift, axis=1).round(12).tolist()
    [0.5, 0.5, 0.5, 0.5]
    """

    scale: float

    def __post_init__(self) -> None:
        check.number("scale", self.scale, minimum=0)

    def assign(self, y: np.ndarray, n_clients: int, rng: np.random.Generator) -> np.ndarray:
        """As :class:`Iid`, shape (N,)."""
        return Iid().assign(y, n_clients, rng)

    def transform(
        self, X: np.ndarray, clients: np.ndarray, n_clients: int, rng: np.random.Generator
    ) -> np.ndarray:
        """The displaced rows, shape (N, d)."""
        if self.scale == 0:
            return X
        directions = rng.standard_normal((n_clients, X.shape[1]))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        largest = np.abs(X).max()
        # Squares of rows near the ends of the floating-point range would leave it.
        rms = largest * np.linalg.norm(X / largest) / np.sqrt(len(X)) if largest > 0 else 0.0
        return X + self.scale * rms * directions[clients]


def partition(
    X: Any,
    y: Any,
    *,
    n_clients: int = 10,
    scheme: Scheme | None = None,
    seed: Any = 0,
    weights: Any = "equal",
    task: str | None = None,
) -> Problem:
    """Deal the rows of one data set to clients: every row once, at least one row per client.

    ``{1, …, N} = disjoint union of the rows of clients 0, …, M-1,  n_i >= 1``

    Parameters
    ----------
    X : array of shape (N, d)
        Rows; stored as float64.
    y : array of shape (N,)
        Labels -1 and +1, or real targets.
    n_clients : int, default 10
        M, at most N.
    scheme : Scheme, default ``Iid()``
        :class:`Iid`, :class:`Dirichlet`, :class:`ByClass`, :class:`Quantity` or
        :class:`FeatureShift`.
    seed : int, SeedSequence, Generator or None, default 0
        An int gives the same bits every time (its stream is kept apart from that of
        ``default_rng(seed)``, with which rows are often made). None draws a fresh seed.
    weights, task
        As for :class:`localgd.Problem`.

    Returns
    -------
    Problem
        Clients 0, …, M-1; ``row_order`` holds the place of each stored row in ``X``.

    Raises
    ------
    ValueError
        If there are more clients than rows, if a scheme that goes by label meets regression
        targets, if the scheme cannot give every client its rows (see there), and for what
        :class:`localgd.Problem` refuses.
    TypeError
        If ``scheme`` is not an instance of a scheme, or ``seed`` is of another kind.

    References
    ----------
    Each scheme names its own.

    Examples
    --------
    >>> import numpy as np, localgd as lg
    >>> X, y = np.eye(20), np.repeat([-1, 1], 10)
    >>> problem = lg.partition(X, y, n_clients=4, scheme=lg.Dirichlet(0.3), seed=0)
    >>> problem
    Problem(binary: 4 clients, 20 rows (1 to 12 per client), 20 features)
    >>> bool((problem.X == X[problem.row_order]).all())
    True
    """
    scheme = Iid() if scheme is None else scheme
    if not isinstance(scheme, Scheme):
        got = f"the class {scheme.__name__}" if isinstance(scheme, type) else repr(scheme)
        raise TypeError(
            f"scheme: got {got}; want an instance such as Iid(), Dirichlet(0.3), ByClass(1), "
            "Quantity(0.5) or FeatureShift(1.0)"
        )
    n_clients = check.integer("n_clients", n_clients, 1)
    rng = random_generator(seed, stream=1)
    X, y = _check_rows("X, y", X, y)
    task = _check_task(y, task)
    if n_clients > len(y):
        raise ValueError(
            f"n_clients: got {n_clients} for {len(y)} rows; want at most {len(y)}, "
            "since every client needs a row"
        )
    if scheme.needs_classes and task == "regression":
        raise ValueError(
            f"scheme: {scheme} goes by class and the task is regression; want Iid(), Quantity() "
            "or FeatureShift(), or bin the targets and use Problem.from_arrays"
        )
    clients = scheme.assign(y, n_clients, rng)
    if set(np.unique(clients).tolist()) != set(range(n_clients)):
        raise ValueError(
            f"scheme: {scheme} dealt rows to {len(np.unique(clients))} clients; want every client "
            f"from 0 to {n_clients - 1} to have one"
        )
    X = scheme.transform(X, clients, n_clients, rng)
    return Problem.from_arrays(X, y, clients, weights=weights, task=task)


def random_generator(seed: Any, stream: int | None = None) -> np.random.Generator:
    """A generator from a seed; ``default_rng(seed)``, with the kind of seed checked.

    ``rng = default_rng(SeedSequence(seed, spawn_key=(stream,)))`` if a stream is named

    Parameters
    ----------
    seed : int >= 0, SeedSequence, Generator or None
        A Generator is used as it is and advances; None draws fresh entropy.
    stream : int, optional
        Keeps the draws apart from other draws from the same int.

    Returns
    -------
    numpy.random.Generator

    Raises
    ------
    ValueError
        For a negative int.
    TypeError
        For a seed of another kind.

    Examples
    --------
    >>> from localgd.partitioning import random_generator
    >>> int(random_generator(0).integers(100))
    85
    """
    if seed is None or isinstance(seed, (np.random.SeedSequence, np.random.Generator)):
        return np.random.default_rng(seed)
    wanted = "an integer of at least 0, a SeedSequence, a Generator or None"
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral):
        raise TypeError(f"seed: got {seed!r}; want {wanted}")
    if seed < 0:
        raise ValueError(f"seed: got {seed!r}; want {wanted}")
    if stream is None:
        return np.random.default_rng(int(seed))
    return np.random.default_rng(np.random.SeedSequence(int(seed), spawn_key=(stream,)))


def _dirichlet(alpha: float, size: int, rng: np.random.Generator) -> np.ndarray:
    """One draw from the symmetric Dirichlet(alpha), finite for every alpha > 0.

    Uses G(alpha) = G(alpha + 1) U^(1/alpha) in logarithms: a direct draw underflows to 0/0 for
    small alpha.
    """
    log_gamma = np.log(np.maximum(rng.standard_gamma(alpha + 1.0, size), 1e-300))
    log_uniform = np.log1p(-rng.random(size))
    scaled = alpha * (log_gamma - log_gamma.max()) + log_uniform
    with np.errstate(over="ignore", under="ignore"):
        shares = np.exp((scaled - scaled.max()) / alpha)
    return shares / shares.sum()


def _whole(shares: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """Whole numbers that sum to ``total`` and have expectation ``shares * total``."""
    upto = np.cumsum(shares)
    upto /= upto[-1]
    cuts = np.minimum(np.floor(upto * total + rng.random()), total).astype(np.int64)
    return np.diff(cuts, prepend=0)


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
