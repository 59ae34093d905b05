"""Which clients take part in a round, and the weights p̃_i of their average."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._backend import core
from .methods import Method
from .problem import Problem
from .randomness import RoundStream

__all__ = ["Participation", "RoundShares"]

KEY = (1, 0)  # keeps these draws apart from the batches of the clients


class RoundShares(NamedTuple):
    """p̃_i of all clients, the same in each round; or of the clients that are listed.

    The list of a round is ``clients[offsets[k]:offsets[k + 1]]``, in ascending order.
    """

    shares: np.ndarray
    clients: np.ndarray | None = None
    offsets: np.ndarray | None = None


class Participation:
    """The weights p̃_i of every round; a client without one sits it out.

    ``p̃_i = p_i / Σ_{j ∈ S} p_j`` for a uniform sample S without replacement, or the share of the
    draws that fell on i where clients are drawn by weight with replacement. What a draw takes
    grows with the clients that are drawn, not with those that there are.
    """

    def __init__(self, problem: Problem, method: Method, seed: int):
        self._weights = problem.weights
        self._eligible = np.flatnonzero(problem.weights)  # others would not move the model
        by_weight = method.sampling == "weight"
        self.count = method.clients_per_round(problem.n_clients)
        if not by_weight:
            self.count = min(self.count, len(self._eligible))
        self.full = not by_weight and self.count == len(self._eligible)
        self._stream = RoundStream(seed, KEY, self.count)
        self._ends = None  # of each client's piece of [0, 1)
        if by_weight:
            ends = np.cumsum(self._weights[self._eligible])
            self._ends = ends / ends[-1]

    def of(self, first: int, until: int) -> RoundShares:
        """p̃ of rounds first to until - 1."""
        if self.full:
            return RoundShares(self._weights)
        words = self._stream.draw(first, until)
        if self._ends is None:
            return self._drawn_uniformly(words)
        return self._drawn_by_weight(words, self._ends)

    def _drawn_uniformly(self, words: np.ndarray) -> RoundShares:
        clients = self._eligible[core.uniform_samples(words, len(self._eligible))]
        shares = self._weights[clients]
        shares /= shares.sum(axis=1, keepdims=True)
        offsets = self.count * np.arange(len(words) + 1)
        return RoundShares(shares.ravel(), clients.ravel(), offsets)

    def _drawn_by_weight(self, words: np.ndarray, ends: np.ndarray) -> RoundShares:
        uniform = (words >> np.uint64(11)) * 2.0**-53
        drawn = np.sort(self._eligible[np.searchsorted(ends, uniform, side="right")], axis=1)
        new = np.ones(drawn.shape, dtype=bool)
        new[:, 1:] = drawn[:, 1:] != drawn[:, :-1]
        times = np.diff(np.flatnonzero(new), append=drawn.size)
        offsets = np.concatenate(([0], np.cumsum(np.count_nonzero(new, axis=1))))
        return RoundShares(times / self.count, drawn[new], offsets)
