"""Small clients that take their steps together, in bundles, are to be on one rank."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np

from ..problem import Problem
from ..rows import stored

__all__ = ["Parcel", "cut_between_bundles", "parcels_of", "with_parcels"]

LARGEST = 32  # clients of a bundle, in any build and type; the others are powers of two, too


class Parcel(NamedTuple):
    """Clients that are handed to another rank."""

    X: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray | None
    sizes: np.ndarray
    ids: tuple[Any, ...]


def cut_between_bundles(holders: np.ndarray) -> np.ndarray | None:
    """The ranks of all clients, so that no bundle is on two; None if a rank would have none.

    A rank begins at most 16 clients earlier or later than it did.
    """
    if (np.diff(holders) < 0).any():  # ranks hold clients here and there
        return None
    cuts = np.searchsorted(holders, np.arange(1, holders[-1] + 1))
    cuts = (cuts + LARGEST // 2) // LARGEST * LARGEST
    bounds = np.concatenate([[0], cuts, [len(holders)]])
    if (np.diff(bounds) <= 0).any():
        return None
    return np.repeat(np.arange(holders[-1] + 1, dtype=holders.dtype), np.diff(bounds))


def parcels_of(problem: Problem, holders: np.ndarray, own: int, ranks: int) -> list[Parcel | None]:
    """What this rank, ``own``, hands to each of them; ``holders`` of its clients from now on."""
    handed = [np.flatnonzero(holders == rank) for rank in range(ranks)]
    return [
        _parcel(problem, clients) if rank != own and len(clients) else None
        for rank, clients in enumerate(handed)
    ]


def with_parcels(
    problem: Problem, holders: np.ndarray, own: int, got: list[Parcel | None]
) -> Problem:
    """The problem of this rank with what it got, without what it has handed away."""
    kept = np.flatnonzero(holders == own)
    mine = _parcel(problem, kept) if len(kept) else None
    parts = [mine if rank == own else parcel for rank, parcel in enumerate(got)]
    there = [part for part in parts if part is not None]
    found = copy.copy(problem)
    found.X = stored([part.X for part in there])
    found.y = np.concatenate([part.y for part in there])
    found.sizes = np.concatenate([part.sizes for part in there])
    found.offsets = np.concatenate([[0], np.cumsum(found.sizes)])
    found.row_order = np.arange(len(found.y))
    found.client_ids = tuple(id for part in there for id in part.ids)
    weights = [part.sample_weight for part in there if part.sample_weight is not None]
    found.sample_weight = np.concatenate(weights) if weights else None
    return found


def _parcel(problem: Problem, clients: np.ndarray) -> Parcel:
    """Of consecutive clients."""
    first, last = clients[0], clients[-1]
    rows = slice(problem.offsets[first], problem.offsets[last + 1])
    v = problem.sample_weight
    return Parcel(
        problem.X[rows],
        problem.y[rows],
        None if v is None else v[rows],
        problem.sizes[clients],
        problem.client_ids[first : last + 1],
    )
