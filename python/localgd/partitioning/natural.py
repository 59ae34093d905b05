"""Clients that the data itself names."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ids import client_index
from .scheme import Scheme

__all__ = ["Natural"]


@dataclass(frozen=True, repr=False)
class Natural(Scheme):
    """The clients that the rows come from: hospitals, writers, devices.

    ``client of row j = ids[j]``

    As :meth:`Problem.from_arrays`, for use where a scheme is wanted. The clients of the problem
    bear these ids, in sorted order, and there are as many as distinct ids.

    Parameters
    ----------
    ids : array of shape (N,)
        Integers or strings, of any library.

    Raises
    ------
    ValueError
        For rows without an id; on dealing, if there are not as many ids as rows.
    TypeError
        For ids that are neither integers nor strings, or both.

    References
    ----------
    Caldas et al., arXiv:1812.01097 (LEAF).

    Examples
    --------
    >>> import numpy as np, localgd as lg
    >>> scheme = lg.Natural(["north", "south", "north"])
    >>> problem = lg.partition(np.eye(3), [1, -1, 1], scheme=scheme)
    >>> problem.client_ids, problem.sizes.tolist()
    (('north', 'south'), [2, 1])
    """

    ids: Any

    def __post_init__(self) -> None:
        ids = np.asarray(self.ids) if not isinstance(self.ids, list | tuple) else self.ids
        names, index = client_index(ids, len(ids))
        object.__setattr__(self, "ids", tuple(names[i] for i in index.tolist()))
        object.__setattr__(self, "_names", names)
        object.__setattr__(self, "_index", index)

    @property
    def client_ids(self) -> tuple[Hashable, ...]:
        """The distinct ids, sorted."""
        names: tuple[Hashable, ...] = self._names  # type: ignore[attr-defined]
        return names

    def assign(self, y: np.ndarray, n_clients: int, rng: np.random.Generator) -> np.ndarray:
        """The places of the ids among the distinct ones, shape (N,)."""
        if len(self.ids) != len(y):
            raise ValueError(
                f"Natural: got {len(self.ids)} ids for {len(y)} rows; want one for each"
            )
        index: np.ndarray = self._index  # type: ignore[attr-defined]
        return index

    def __repr__(self) -> str:
        return f"Natural({len(self.client_ids)} clients, {len(self.ids)} rows)"
