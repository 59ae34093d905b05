"""Which clients take part in a round, and the weights p̃_i of their average."""

from __future__ import annotations

import numpy as np

from .methods import Method
from .problem import Problem
from .randomness import RoundStream

__all__ = ["Participation"]

KEY = (1, 0)  # keeps these draws apart from the batches of the clients


class Participation:
    """The weights p̃_i of every round; 0 for a client that sits it out.

    ``p̃_i = p_i / Σ_{j ∈ S} p_j`` for a uniform sample S without replacement, or the share of the
    draws that fell on i where clients are drawn by weight with replacement.
    """

    def __init__(self, problem: Problem, method: Method, seed: int):
        self._weights = problem.weights
        self._eligible = np.flatnonzero(problem.weights)  # others would not move the model
        self._by_weight = method.sampling == "weight"
        self._count = method.clients_per_round(problem.n_clients)
        if not self._by_weight:
            self._count = min(self._count, len(self._eligible))
        self.full = not self._by_weight and self._count == len(self._eligible)
        words = self._count if self._by_weight else len(self._eligible)
        self._stream = RoundStream(seed, KEY, words)

    def weights(self, first: int, until: int) -> np.ndarray:
        """p̃ of rounds first to until - 1, one row each; one row for all when all take part."""
        if self.full:
            return self._weights[None, :]
        words = self._stream.draw(first, until)
        return self._drawn_by_weight(words) if self._by_weight else self._drawn_uniformly(words)

    def _drawn_uniformly(self, words: np.ndarray) -> np.ndarray:
        chosen = np.argsort(words, axis=1, kind="stable")[:, : self._count]
        shares = np.zeros((len(words), len(self._weights)))
        clients = self._eligible[chosen]
        np.put_along_axis(shares, clients, self._weights[clients], axis=1)
        return shares / shares.sum(axis=1, keepdims=True)

    def _drawn_by_weight(self, words: np.ndarray) -> np.ndarray:
        uniform = (words >> np.uint64(11)) * 2.0**-53
        steps = np.cumsum(self._weights[self._eligible])
        places = np.searchsorted(steps / steps[-1], uniform, side="right")
        counts = np.zeros((len(words), len(self._weights)))
        rows = np.arange(len(words))[:, None]
        np.add.at(counts, (rows, self._eligible[places]), 1.0)
        return counts / self._count
