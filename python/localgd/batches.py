"""The random numbers from which the core draws the batches of a round."""

from __future__ import annotations

import numpy as np

from .errors import UnsupportedError
from .methods import LocalRule
from .problem import Problem
from .randomness import RoundStream

__all__ = ["Batches"]

KEY = 0  # with the client's number: keeps these draws apart from those of the participation
MOST_BYTES = 2**31  # of one round
CHUNK_BYTES = 2**24  # of the rounds that are prepared together


class Batches:
    """Words for every client and round, one half word for each row that a client draws.

    With replacement the half word u gives row ⌊u n / 2^32⌋; without, the swap of Fisher and Yates
    with one of the rows not dealt yet in this epoch.
    """

    def __init__(self, problem: Problem, rule: LocalRule, seed: int, slots: int):
        rows = rule.batches(problem.sizes) * rule.core_steps(problem.n_clients)
        self._rows = rows
        self._width = -(-int(rows.max()) // 2)
        self._slots = slots
        self._bytes = 8 * self._width * slots
        if self._bytes > MOST_BYTES:
            raise UnsupportedError(
                f"batch_size: the rows drawn in one round ({int(rows.max()):,} per client) take "
                f"{self._bytes / 1e9:.1f} GB of random numbers; want fewer local steps per round"
            )
        self._streams = [
            RoundStream(seed, (KEY, i), -(-int(count) // 2)) for i, count in enumerate(rows)
        ]

    @property
    def rounds_at_once(self) -> int:
        """How many rounds to prepare together."""
        return max(1, CHUNK_BYTES // max(self._bytes, 1))

    def words(self, first: int, until: int, weights: np.ndarray) -> np.ndarray:
        """Shape (rounds, slots, words): slot s is that of the s-th client that takes part."""
        shape = until - first, self._slots, self._width
        if len(weights) == 1:
            words = np.empty(shape, dtype=np.uint64)
            for slot, i in enumerate(np.flatnonzero(weights[0])):
                drawn = self._streams[i].draw(first, until)
                words[:, slot, : drawn.shape[1]] = drawn
                words[:, slot, drawn.shape[1] :] = 0
            return words
        words = np.zeros(shape, dtype=np.uint64)
        for k in range(first, until):
            for slot, i in enumerate(np.flatnonzero(weights[k - first])):
                drawn = self._streams[i].draw(k, k + 1)[0]
                words[k - first, slot, : len(drawn)] = drawn
        return words
