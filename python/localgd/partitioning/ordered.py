"""Schemes that cut rows in an order into pieces: contiguous blocks, and shards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _validation as check
from .scheme import LEFT_OUT, Scheme

__all__ = ["Contiguous", "Shards"]


@dataclass(frozen=True)
class Contiguous(Scheme):
    """Blocks of consecutive rows, in the order of the file or sorted by label.

    ``client i holds rows i n, …, (i + 1) n - 1 of the order,  n = floor(N/M)``

    The split of the convex literature. Rows that equal sizes leave over, the last ``N - M n`` of
    the order, are dropped, and a warning says how many. Nothing is drawn; inside a client rows keep
    the order in which they came.

    Parameters
    ----------
    sort : "label" or None, default None
        Sort the rows by label (or target) first; rows of the same label keep their order. None:
        the order in which they came.
    equal : bool, default True
        The same number of rows on every client. False drops none: sizes differ by one at most.

    Raises
    ------
    ValueError, TypeError
        For another ``sort``, or an ``equal`` that is no bool.

    References
    ----------
    Sadiev, Malinovsky, Gorbunov, Sokolov, Khaled, Burlachenko, Richtárik, arXiv:2206.07021
    (sorted); Safaryan, Islamov, Qian, Richtárik, ICML 2022, arXiv:2106.02969 (in file order).

    Examples
    --------
    >>> import numpy as np, localgd as lg
    >>> problem = lg.partition(
    ...     np.eye(4), [1, -1, 1, -1], n_clients=2, scheme=lg.Contiguous(sort="label"))
    >>> problem.row_order.tolist()
    [1, 3, 0, 2]
    """

    sort: str | None = None
    equal: bool = True

    def __post_init__(self) -> None:
        if self.sort is not None:
            check.one_of("sort", self.sort, ("label",))
        check.flag("equal", self.equal)

    @property
    def needs_one_target(self) -> bool:
        """To sort by it."""
        return self.sort is not None

    def assign(self, y: np.ndarray, n_clients: int, rng: np.random.Generator) -> np.ndarray:
        """Blocks of an order, shape (N,); -1 for what equal sizes leave over."""
        order = np.arange(len(y)) if self.sort is None else np.argsort(y, kind="stable")
        clients = np.full(len(y), LEFT_OUT)
        if self.equal:
            size = len(y) // n_clients
            clients[order[: size * n_clients]] = np.repeat(np.arange(n_clients), size)
        else:
            clients[order] = pieces(len(y), n_clients)
        return clients


@dataclass(frozen=True)
class Shards(Scheme):
    """Label skew: rows sorted by label are cut into k M shards, and every client gets k of them.

    ``n_i = k N/(k M)`` where k M divides N; otherwise shards differ by one row

    With as many rows of each label as a shard or more, a client holds rows of at most 2 k labels,
    most clients of k. The order inside a label, and who gets which shard, are random.

    Parameters
    ----------
    k : int >= 1
        Shards per client; 2 in the paper.

    Raises
    ------
    ValueError, TypeError
        If ``k`` is not a positive integer; on dealing, if there are fewer rows than shards.

    References
    ----------
    McMahan et al., AISTATS 2017, arXiv:1602.05629 (section 3, "pathological non-IID").

    Examples
    --------
    >>> import numpy as np, localgd as lg
    >>> y = np.repeat(np.arange(4.0), 5)
    >>> problem = lg.partition(np.eye(20), y, n_clients=2, scheme=lg.Shards(2), seed=0)
    >>> problem.sizes.tolist(), [len(np.unique(problem.y[problem.rows(i)])) for i in range(2)]
    ([10, 10], [2, 2])
    """

    k: int = 2

    def __post_init__(self) -> None:
        check.integer("k", self.k, 1)

    @property
    def needs_one_target(self) -> bool:
        """To sort by it."""
        return True

    def assign(self, y: np.ndarray, n_clients: int, rng: np.random.Generator) -> np.ndarray:
        """Clients by shards of the sorted rows, shape (N,)."""
        count = int(self.k) * n_clients
        if count > len(y):
            raise ValueError(
                f"Shards(k={self.k}): {n_clients} clients of {self.k} shards need {count} rows; "
                f"there are {len(y)}; want fewer clients or a smaller k"
            )
        order = rng.permutation(len(y))
        order = order[np.argsort(y[order], kind="stable")]
        holder = rng.permutation(np.repeat(np.arange(n_clients), int(self.k)))
        clients = np.empty(len(y), dtype=np.int64)
        clients[order] = holder[pieces(len(y), count)]
        return clients


def pieces(n: int, count: int) -> np.ndarray:
    """Which of so many pieces each of n places is in; sizes differ by one at most."""
    places: np.ndarray = np.arange(n) * count // n
    return places
