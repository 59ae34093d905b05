"""What a partition scheme owes."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..rows import Rows

__all__ = ["LEFT_OUT", "Function", "Scheme"]

LEFT_OUT = -1  # in place of the client of a row that nobody gets


class Scheme(ABC):
    """A rule that deals N rows to M clients.

    ``assign: (y, M) -> client ids in {0, …, M-1}^N``

    Derive from it for a scheme of your own and pass an instance to :func:`localgd.partition`.

    Attributes
    ----------
    needs_classes : bool
        True if the rule groups rows by label; it is then refused for regression targets.
    client_ids : tuple or None
        Ids of the clients, sorted, where the rule knows them; None: 0, …, M-1.

    Examples
    --------
    Rows in the order in which they came, as evenly as it goes:

    >>> import numpy as np, localgd as lg
    >>> from localgd.partitioning import Scheme
    >>> class InOrder(Scheme):
    ...     def assign(self, y, n_clients, rng):
    ...         return np.arange(len(y)) * n_clients // len(y)
    >>> problem = lg.partition(np.eye(5), np.ones(5), n_clients=2, scheme=InOrder())
    >>> problem.row_order.tolist(), problem.sizes.tolist()
    ([0, 1, 2, 3, 4], [3, 2])
    """

    needs_classes: ClassVar[bool] = False

    @property
    def client_ids(self) -> tuple[Hashable, ...] | None:
        """Ids of the clients, sorted, where the rule knows them; None: 0, …, M-1."""
        return None

    @property
    def needs_one_target(self) -> bool:
        """True if the rule sorts rows by target; it is then refused for several of them a row."""
        return False

    @abstractmethod
    def assign(self, y: np.ndarray, n_clients: int, rng: np.random.Generator) -> np.ndarray:
        """The client of each row, with at least one row for each client.

        ``client of row j = ids[j]``

        Parameters
        ----------
        y : ndarray of shape (N,), or (N, C) for several targets of a row, float64
            Labels or targets.
        n_clients : int from 1 to N
            M.
        rng : numpy.random.Generator
            What everything random is drawn from.

        Returns
        -------
        ndarray of shape (N,), int64
            From 0 to M - 1, or -1 for a row that is left out, of which
            :func:`localgd.partition` warns.

        Raises
        ------
        ValueError
            If the rule cannot deal these rows to so many clients.

        Examples
        --------
        >>> import numpy as np, localgd as lg
        >>> ids = lg.Iid().assign(np.ones(5), 2, np.random.default_rng(0))
        >>> np.bincount(ids).tolist()
        [3, 2]
        """

    def transform(
        self, X: Rows, clients: np.ndarray, n_clients: int, rng: np.random.Generator
    ) -> Rows:
        """The rows as the clients see them; by default unchanged.

        ``x_ij`` after the rows were dealt

        Parameters
        ----------
        X : ndarray or csr_array of shape (N, d)
            The rows, in the order in which they came, real numbers of any type; not to be written
            to.
        clients : ndarray of shape (N,), int64
            What :meth:`assign` gave.
        n_clients : int from 1 to N
            M.
        rng : numpy.random.Generator
            What everything random is drawn from.

        Returns
        -------
        ndarray or csr_array of shape (N, d)
            The rows, in the same order.

        Raises
        ------
        ValueError
            If the rule cannot be applied to these rows.

        Examples
        --------
        >>> import numpy as np, localgd as lg
        >>> rng, X = np.random.default_rng(0), np.zeros((2, 3))
        >>> lg.FeatureShift(0.0).transform(X, np.array([0, 1]), 2, rng).tolist()
        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
        """
        return X


@dataclass(frozen=True, repr=False)
class Function(Scheme):
    """A function ``(y, n_clients, rng) -> client of each row`` as a scheme."""

    function: Callable[[np.ndarray, int, np.random.Generator], Any]

    def assign(self, y: np.ndarray, n_clients: int, rng: np.random.Generator) -> np.ndarray:
        """What the function gives, shape (N,)."""
        self._check_arguments(y, n_clients, rng)
        clients = np.asarray(self.function(y, n_clients, rng))
        if clients.shape != y.shape[:1]:
            raise ValueError(
                f"scheme: {self} gave shape {clients.shape}; want {y.shape[:1]}, a client for each "
                "row"
            )
        if clients.dtype.kind not in "iu":
            raise TypeError(
                f"scheme: {self} gave dtype {clients.dtype}; want integers from 0 to "
                f"{n_clients - 1}, or -1 for a row that nobody gets"
            )
        return clients

    def _check_arguments(self, *arguments: Any) -> None:
        try:
            signature = inspect.signature(self.function)
        except (TypeError, ValueError):  # of a library's, which does not say
            return
        try:
            signature.bind(*arguments)
        except TypeError as error:
            raise TypeError(
                f"scheme: {self}: {error}; want a function of y, n_clients and rng"
            ) from None

    def __repr__(self) -> str:
        return getattr(self.function, "__qualname__", repr(self.function))
