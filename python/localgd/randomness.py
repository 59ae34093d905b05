"""Random generators from explicit seeds."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["RoundStream", "batch_keys", "random_generator"]

BATCHES = 0  # with the client's number: keeps these draws apart from those of the participation


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
    >>> from localgd.randomness import random_generator
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


def stream_key(seed: int, key: tuple[int, ...]) -> np.ndarray:
    """The two words that key a Philox generator, from a seed and what it is for."""
    return np.random.SeedSequence(int(seed), spawn_key=key).generate_state(2, np.uint64)


def batch_keys(seed: int, clients: Iterable[int]) -> list[list[int]]:
    """The keys from which the core draws the batches of clients, by their numbers."""
    return [stream_key(seed, (BATCHES, i)).tolist() for i in clients]


class RoundStream:
    """Random words keyed by (seed, key, round): the same whatever rounds are asked for together.

    A Philox counter that advances by a fixed number of blocks per round, so that round k begins at
    the same place after a resume as in a run that was never stopped.
    """

    def __init__(self, seed: int, key: tuple[int, ...], words: int):
        self._key = stream_key(seed, key)
        self._blocks = -(-words // 4)  # Philox makes four words at a time
        self.words = words

    def draw(self, first: int, until: int) -> np.ndarray:
        """The words of rounds first to until - 1, shape (until - first, words), uint64."""
        philox = np.random.Philox(key=self._key, counter=first * self._blocks)
        raw = philox.random_raw((until - first) * self._blocks * 4)
        return raw.reshape(until - first, self._blocks * 4)[:, : self.words]
