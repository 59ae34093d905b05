"""The weights p̃_i with which clients enter the average of a round."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from .._backend import core
from ..problem import Problem
from ..randomness import RoundStream
from .rules import Clients, Listed, rule_of

__all__ = ["BIASED", "Participation", "RoundShares", "is_biased"]

BIASED = (
    "participation: the weights of those who take part are divided by their sum, whose mean over "
    "the rounds is not p: the model goes to the minimum of another objective (for one client a "
    "round, that of equal weights); want shares='unbiased', sampling='weight' or weights='equal'"
)
KEY = (1, 0)  # keeps these draws apart from the batches of the clients
ROUNDING = 1e-12  # of weights


class Sampling(Protocol):
    """What is asked of a method: who takes part, and with which share."""

    @property
    def participation(self) -> Any:
        """A fraction, a count, a rule or a function."""

    @property
    def sampling(self) -> str:
        """ "uniform" or "weight"."""

    @property
    def shares(self) -> str:
        """ "renormalized" or "unbiased"."""

    def clients_per_round(self, n_clients: int) -> int:
        """How many clients take part in each round."""


class RoundShares(NamedTuple):
    """p̃_i of all clients, the same in each round; or of the clients that are listed.

    The list of a round is ``clients[offsets[k]:offsets[k + 1]]``, in ascending order; in a round
    without any the model stays.
    """

    shares: np.ndarray
    clients: np.ndarray | None = None
    offsets: np.ndarray | None = None


class Participation:
    """The weights p̃_i of every round; a client without one sits it out.

    ``p̃_i = p_i / Σ_{j ∈ S} p_j``, or ``p_i/π_i``, for clients S that are drawn uniformly without
    replacement or given by a rule; the share of the draws that fell on i where clients are drawn by
    weight with replacement. What a draw takes grows with the clients that are drawn, not with those
    that there are; that of :class:`Markov` with all, each of which has a state.
    """

    def __init__(self, problem: Problem, method: Sampling, seed: int):
        self._weights = problem.weights
        self._eligible = np.flatnonzero(problem.weights)  # others would not move the model
        self._unbiased = method.shares == "unbiased"
        rule = rule_of(method.participation)
        by_weight = method.sampling == "weight"
        most = method.clients_per_round(problem.n_clients)
        if not by_weight:
            most = min(most, len(self._eligible))
        self._turns = None
        self._ends = None  # of each client's piece of [0, 1)
        self.full = rule is None and not by_weight and most == len(self._eligible)
        if rule is not None:
            self._turns = rule.turns(Clients(problem.client_ids, problem.weights), seed)
            most = self._turns.most
        else:
            self._stream = RoundStream(seed, KEY, most)
        if by_weight:
            ends = np.cumsum(self._weights[self._eligible])
            self._ends = ends / ends[-1]
        self.most = most  # clients of a round

    def of(self, first: int, until: int) -> RoundShares:
        """p̃ of rounds first to until - 1."""
        if self.full:
            return RoundShares(self._weights)
        if self._turns is not None:
            return self._by_rule(self._turns.of(first, until))
        words = self._stream.draw(first, until)
        if self._ends is None:
            return self._drawn_uniformly(words)
        return self._drawn_by_weight(words, self._ends)

    def _drawn_uniformly(self, words: np.ndarray) -> RoundShares:
        clients = self._eligible[core.uniform_samples(words, len(self._eligible))]
        shares = self._weights[clients]
        if self._unbiased:
            shares *= len(self._eligible) / self.most
        else:
            shares /= shares.sum(axis=1, keepdims=True)
        offsets = self.most * np.arange(len(words) + 1)
        return RoundShares(shares.ravel(), clients.ravel(), offsets)

    def _drawn_by_weight(self, words: np.ndarray, ends: np.ndarray) -> RoundShares:
        uniform = (words >> np.uint64(11)) * 2.0**-53
        drawn = np.sort(self._eligible[np.searchsorted(ends, uniform, side="right")], axis=1)
        new = np.ones(drawn.shape, dtype=bool)
        new[:, 1:] = drawn[:, 1:] != drawn[:, :-1]
        times = np.diff(np.flatnonzero(new), append=drawn.size)
        offsets = np.concatenate(([0], np.cumsum(np.count_nonzero(new, axis=1))))
        return RoundShares(times / self.most, drawn[new], offsets)

    def _by_rule(self, listed: Listed) -> RoundShares:
        clients, offsets = listed
        shares = self._weights[clients]
        has_weight = shares > 0
        if not has_weight.all():
            clients, shares = clients[has_weight], shares[has_weight]
            offsets = np.concatenate(([0], np.cumsum(has_weight)))[offsets]
        if self._unbiased:
            assert self._turns is not None and self._turns.frequencies is not None
            return RoundShares(shares / self._turns.frequencies[clients], clients, offsets)
        sizes = np.diff(offsets)
        sums = np.add.reduceat(shares, offsets[:-1][sizes > 0]) if len(shares) else shares
        return RoundShares(shares / np.repeat(sums, sizes[sizes > 0]), clients, offsets)


def is_biased(problem: Problem, method: Sampling) -> bool:
    """Whether the mean of p̃_i over the rounds is known to differ from p_i.

    Of p̃_i = p_i / Σ_{j ∈ S} p_j: of one client a round, drawn uniformly, it is 1/M. A function of
    the caller's may do anything, and is not judged.
    """
    if method.sampling == "weight" or method.shares == "unbiased":
        return False
    p = problem.weights
    rule = rule_of(method.participation)
    if rule is not None:
        mean = rule.turns(Clients(problem.client_ids, p), 0).mean_shares(p)
    else:
        count = np.count_nonzero(p)
        if method.clients_per_round(problem.n_clients) >= count:  # all of them, in every round
            return False
        mean = (p > 0) / count
    return mean is not None and bool(np.abs(mean - p).max() > ROUNDING * p.max())
