"""Clients that come and go like a Markov chain of two states.

The state of a round follows from that of the round before, but a run may be taken up at any round,
and must not begin to draw at 0 for it. So states are drawn by bisection. The law of X_k given the
states n rounds before and n rounds after it is known in closed form, and depends on nothing else:
with n the largest power of two that divides k, X_k is drawn given X_{k-n} and X_{k+n}, from one
word that is keyed by (seed, client, k). Whatever round is asked for, at most 54 others are drawn
for it; all together they are the chain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .. import _validation as check
from ..randomness import RoundStream
from .rules import Clients, Listed, Rule, Turns

__all__ = ["Markov"]

KEY = (1, 1)  # keeps these draws apart from those of samples and of batches
LAST = 2**53  # a round after all that a run can have
AT_ONCE = 2**16  # states that are drawn together
KEPT = 64  # states of all clients at single rounds, which others are drawn between


@dataclass(frozen=True)
class Markov(Rule):
    """Clients come and go, each by itself: available clients take part.

    ``P(there in round k+1 | away in k) = up,  P(away in k+1 | there in k) = down``

    In the long run, and in round 0, a client is there with probability ``π = up/(up + down)``; the
    correlation of two rounds is ``(1 - up - down)^|k-l|``: near 1 clients stay for long, 0 is a
    draw anew in each round, below 0 they alternate. The model stays in rounds in which nobody is
    there. ``shares="unbiased"`` gives each client ``p_i/π``.

    Draws are keyed by (seed, client, round): the same for any engine, number of threads, and after
    a resume at any round.

    Parameters
    ----------
    up, down : float in (0, 1]
        The probabilities to come and to go.

    Raises
    ------
    ValueError, TypeError
        For numbers outside this range.

    References
    ----------
    Rodio, Faticanti, Marfoq, Neglia, Leonardi, INFOCOM 2023, arXiv:2301.04632; Wang, Ji, NeurIPS
    2022, arXiv:2205.13648.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_separable(n_clients=4, n_samples=5, n_features=30, seed=0)
    >>> method = lg.LocalGD(10, 1.0, participation=lg.Markov(up=0.1, down=0.3))
    >>> lg.run(problem, method, rounds=10_000).config["clients_per_round"]
    1.0321
    """

    up: float
    down: float

    def __post_init__(self) -> None:
        for name in ("up", "down"):
            value = check.number(name, getattr(self, name), above=0)
            if value > 1:
                raise ValueError(f"{name}: got {value!r}; want a probability, at most 1")
            object.__setattr__(self, name, value)

    @property
    def presence(self) -> float:
        """The part of the rounds in which a client is there: ``π = up/(up + down)``."""
        return self.up / (self.up + self.down)

    def clients_per_round(self, n_clients: int) -> float:
        """``π M`` in the mean."""
        return self.presence * n_clients

    def turns(self, clients: Clients, seed: int) -> Turns:
        """The states that the seed gives."""
        return _States(Chain(self.up, self.down), len(clients), seed)


class Chain:
    """The laws of a chain over any number of rounds; states are 0, away, and 1, there."""

    def __init__(self, up: float, down: float):
        self.presence = up / (up + down)
        self._change = up + down  # 1 - the correlation of two rounds

    def to_there(self, rounds: int) -> np.ndarray:
        """P(X_{k+rounds} = 1 | X_k = 0) and for X_k = 1."""
        forgotten = self._forgotten(rounds)
        return np.array([self.presence * forgotten, 1 - (1 - self.presence) * forgotten])

    def _to_away(self, rounds: int) -> np.ndarray:
        forgotten = self._forgotten(rounds)
        return np.array([1 - self.presence * forgotten, (1 - self.presence) * forgotten])

    def _forgotten(self, rounds: int) -> float:
        """1 - (1 - up - down)^rounds of a power of two, to all digits."""
        if rounds == 1 or self._change == 1:
            return self._change
        size = math.log1p(-self._change) if self._change < 1 else math.log(self._change - 1)
        return -math.expm1(rounds * size)

    def between(self, rounds: int) -> np.ndarray:
        """P(X_k = 1 | X_{k-rounds} = a, X_{k+rounds} = b) at place 2 a + b; 0 for no such a, b."""
        there, away = self.to_there(rounds), self._to_away(rounds)
        there_first = np.outer(there, [away[1], there[1]])
        away_first = np.outer(away, [away[0], there[0]])
        both = there_first + away_first
        return (there_first / np.where(both > 0, both, 1.0)).ravel()


class _States(Turns):
    def __init__(self, chain: Chain, n_clients: int, seed: int):
        self._chain = chain
        self._stream = RoundStream(seed, KEY, n_clients)
        self._size = 2 ** max(0, int(math.log2(max(1, AT_ONCE // n_clients))))
        self._at = lru_cache(maxsize=KEPT)(self._drawn_at)
        self._block = lru_cache(maxsize=1)(self._drawn_block)
        self._between = lru_cache(maxsize=None)(chain.between)
        self.most = n_clients
        self.frequencies = np.full(n_clients, chain.presence)

    def of(self, first: int, until: int) -> Listed:
        blocks = [np.zeros((0, self.most), dtype=bool)]
        for begin in range(first - first % self._size, until, self._size):
            block = self._block(begin)
            blocks.append(block[max(first - begin, 0) : until - begin])
        rounds, clients = np.nonzero(np.concatenate(blocks))
        return Listed(clients, np.searchsorted(rounds, np.arange(until - first + 1)))

    def _drawn_block(self, begin: int) -> np.ndarray:
        """The states of so many rounds, between two that are drawn before."""
        size = self._size
        states = np.empty((size + 1, self.most), dtype=np.int8)
        states[0], states[size] = self._at(begin), self._at(begin + size)
        uniform = self._uniform(begin + 1, begin + size)
        half = size // 2
        while half:
            places = np.arange(half, size, 2 * half)
            ends = 2 * states[places - half] + states[places + half]
            states[places] = uniform[places - 1] < self._between(half)[ends]
            half //= 2
        return states[:size].astype(bool)

    def _drawn_at(self, round: int) -> np.ndarray:
        """The states of one round."""
        uniform = self._uniform(round, round + 1)[0]
        if round == 0:
            return (uniform < self._chain.presence).astype(np.int8)
        if round == LAST:
            return (uniform < self._chain.to_there(LAST)[self._at(0)]).astype(np.int8)
        half = round & -round
        ends = 2 * self._at(round - half) + self._at(round + half)
        return (uniform < self._between(half)[ends]).astype(np.int8)

    def _uniform(self, first: int, until: int) -> np.ndarray:
        words = self._stream.draw(first, until)
        return (words >> np.uint64(11)) * 2.0**-53
