"""Rows of a client or of all, and samples of them with intervals of what is measured there."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import NamedTuple

import numpy as np

__all__ = ["ALL", "Group", "bounds", "groups_of", "samples"]

ALL = "all"
AT_ONCE = 1 << 17  # counts of rows in samples made together, which caches hold


class Group(NamedTuple):
    """Places of some rows, client by client, and how many each client has."""

    client: Hashable
    rows: np.ndarray
    sizes: np.ndarray


def groups_of(ids: tuple[Hashable, ...], index: np.ndarray) -> list[Group]:
    """All rows, and those of each client; ``index``: each row's client among the ids."""
    order, sizes = np.argsort(index, kind="stable"), np.bincount(index)
    parts = np.split(order, np.cumsum(sizes)[:-1])
    of_clients = [
        Group(client, rows, np.array([len(rows)]))
        for client, rows in zip(ids, parts, strict=False)  # no ids: all rows are one part
    ]
    return [Group(ALL, order, sizes), *of_clients]


def samples(sizes: np.ndarray, many: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """How often each row occurs in samples of as many rows of each client, some (B, n) in turn."""
    n = int(sizes.sum())
    at_once = max(1, AT_ONCE // n)
    for first in range(0, many, at_once):
        B = min(at_once, many - first)
        parts = []
        for size in sizes.tolist():
            places = rng.integers(size, size=(B, size)) + size * np.arange(B)[:, None]
            parts.append(np.bincount(places.ravel(), minlength=B * size).reshape(B, size))
        yield np.concatenate(parts, axis=1).astype(np.float64)


def bounds(values: list[np.ndarray], level: float) -> np.ndarray:
    """The interval of each column, shape (2, columns), of the samples where it is defined.

    NaN if it is in none.
    """
    tails = [(1 - level) / 2, (1 + level) / 2]
    columns = [column[~np.isnan(column)] for column in np.concatenate(values).T]
    # Without interpolation, since slopes may be infinite.
    ends = [
        np.quantile(known, tails, method="inverted_cdf") if len(known) else [np.nan, np.nan]
        for known in columns
    ]
    return np.array(ends).T
