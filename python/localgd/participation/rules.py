"""Rules by which clients take part, without chance: in turn, by groups, as a function says."""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .. import _validation as check

__all__ = [
    "Clients",
    "Cyclic",
    "Listed",
    "Periodic",
    "Rule",
    "Turns",
    "check_participation",
    "rule_of",
]

SMALLEST = np.finfo(np.float64).tiny


class Listed(NamedTuple):
    """Who takes part in some rounds: in round k ``clients[offsets[k]:offsets[k + 1]]``, ascending.

    Clients are places among those of the problem, not ids.
    """

    clients: np.ndarray
    offsets: np.ndarray


class Clients:
    """The clients of a problem as rules see them: their ids, and which of them have a weight."""

    def __init__(self, ids: Sequence[Hashable], weights: np.ndarray):
        self.ids = ids
        self.eligible = np.flatnonzero(weights)  # others would not move the model

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def _places(self) -> dict[Hashable, int]:
        return {id: place for place, id in enumerate(self.ids)}

    def places(self, name: str, ids: Iterable[Any]) -> np.ndarray:
        """The places of some ids, in their order."""
        listed = ids.tolist() if isinstance(ids, np.ndarray) else list(ids)
        try:
            return np.array([self._places[id] for id in listed], dtype=np.int64)
        except (KeyError, TypeError):
            unknown = next(id for id in listed if not _is_in(id, self._places))
            shown = ", ".join(map(repr, self.ids[:5])) + (", …" if len(self.ids) > 5 else "")
            raise ValueError(f"{name}: there is no client {unknown!r}; want {shown}") from None


class Turns(ABC):
    """A rule applied to the clients of a problem."""

    most: int  # clients of a round
    frequencies: np.ndarray | None = None  # of each client: in which part of the rounds it is

    @abstractmethod
    def of(self, first: int, until: int) -> Listed:
        """Who takes part in rounds first to until - 1, the same whatever is asked for together."""

    def mean_shares(self, p: np.ndarray) -> np.ndarray | None:
        """The mean of p_i / Σ_{j ∈ S} p_j over the rounds, if p are alike; None if not known."""
        if self.frequencies is None:
            return None
        counted = np.where(p > 0, self.frequencies, 0.0)
        return counted / max(counted.sum(), SMALLEST)


class Rule(ABC):
    """A rule that says who takes part in each round: the base of :class:`Cyclic` and others."""

    @abstractmethod
    def clients_per_round(self, n_clients: int) -> float:
        """In the mean; a ValueError if the rule does not fit so many clients."""

    @abstractmethod
    def turns(self, clients: Clients, seed: int) -> Turns:
        """The rule for these clients."""


@dataclass(frozen=True)
class Cyclic(Rule):
    """Clients take part one after the other, or so many at a time, again and again.

    ``S_k = {c_j : j = m k, …, m k + m - 1 modulo the length of the order}``

    One at a time, with local steps, is sequential gradient descent over tasks. No client is drawn
    by chance. With the p_i of those who take part divided by their sum (``shares="renormalized"``)
    every client counts the same in the long run, whatever its p_i; ``shares="unbiased"`` gives each
    p_i over the part of the rounds in which it is.

    Parameters
    ----------
    order : sequence of client ids, optional
        Whose turn it is, in this order; an id may come more than once. Default: all clients with
        p_i > 0 in the order of the problem.
    count : int >= 1, default 1
        m.

    Raises
    ------
    ValueError, TypeError
        For an empty order, a count that is no positive integer, and, in a run, for ids that the
        problem has not, more clients per round than the order has, or one twice in a round.

    References
    ----------
    Cho, Sharma, Joshi, Xu, Kale, Zhang, ICML 2023, arXiv:2302.03109.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_separable(n_clients=3, n_samples=5, n_features=20, seed=0)
    >>> method = lg.LocalGD(10, 1.0, participation=lg.Cyclic([2, 0]))
    >>> lg.run(problem, method, rounds=100).config["clients_per_round"]
    1.0
    """

    order: tuple[Hashable, ...] | None = None
    count: int = 1

    def __post_init__(self) -> None:
        if self.order is not None:
            object.__setattr__(self, "order", _ids("order", self.order))
        object.__setattr__(self, "count", check.integer("count", self.count, 1))

    def clients_per_round(self, n_clients: int) -> float:
        """The count."""
        length = n_clients if self.order is None else len(self.order)
        if self.count > length:
            raise ValueError(
                f"participation: {self!r} has {self.count} clients per round; want at most "
                f"{length}, the length of its order"
            )
        return self.count

    def turns(self, clients: Clients, seed: int) -> Turns:
        """Windows of the order."""
        if self.order is None:
            order = clients.eligible
            return _Windows(order, min(self.count, len(order)), len(clients))
        order = clients.places("participation", self.order)
        self._refuse_twice(order)
        return _Windows(order, self.count, len(clients))

    def _refuse_twice(self, order: np.ndarray) -> None:
        """A client whose next place in the order, going round, is fewer than ``count`` away."""
        assert self.order is not None
        last: dict[int, int] = {}
        for j, client in enumerate(np.tile(order, 2).tolist()):
            if j - last.get(client, -self.count) < self.count:
                raise ValueError(
                    f"participation: {self!r} has client {self.order[j % len(order)]!r} twice in a "
                    "round; want it once"
                )
            last[client] = j


@dataclass(frozen=True)
class Periodic(Rule):
    """Groups of clients take part in turn, each for a number of rounds.

    ``S_k = G_j,  j = floor(k / period) modulo the number of groups``

    As where clients of a time zone are there by day. A group may be empty: the model stays in its
    rounds. With p_i divided by their sum (``shares="renormalized"``) every group counts the same in
    the long run; ``shares="unbiased"`` gives each client p_i over the part of the groups in which
    it is.

    Parameters
    ----------
    groups : int, or sequence of sequences of client ids
        Who is in each group, or how many groups the clients are cut into, in the order of the
        problem and of sizes that differ by one at most.
    period : int >= 1, default 1
        Rounds for which a group takes part before the next one does.

    Raises
    ------
    ValueError, TypeError
        For a period that is no positive integer, groups all of which are empty or that name a
        client twice, and, in a run, for ids that the problem has not or more groups than clients.

    References
    ----------
    Eichner, Koren, McMahan, Srebro, Talwar, ICML 2019, arXiv:1904.10120 (block-cyclic data); Wang,
    Ji, NeurIPS 2022, arXiv:2205.13648.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_separable(n_clients=4, n_samples=5, n_features=30, seed=0)
    >>> method = lg.LocalGD(10, 1.0, participation=lg.Periodic([[0, 1], [2], [3]], period=24))
    >>> lg.run(problem, method, rounds=72).config["clients_per_round"]
    1.3333333333333333
    """

    groups: int | tuple[tuple[Hashable, ...], ...]
    period: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "period", check.integer("period", self.period, 1))
        if isinstance(self.groups, numbers.Integral):
            object.__setattr__(self, "groups", check.integer("groups", self.groups, 1))
            return
        wanted = "a number of groups, or sequences of client ids"
        if isinstance(self.groups, str) or not isinstance(self.groups, Iterable):
            raise TypeError(f"groups: got {self.groups!r}; want {wanted}")
        groups = tuple(_ids(f"groups[{j}]", g, empty=True) for j, g in enumerate(self.groups))
        if not any(groups):
            raise ValueError(f"groups: got {groups!r}; want a client in one of them at least")
        for j, group in enumerate(groups):
            if len(set(group)) < len(group):
                raise ValueError(f"groups[{j}]: got {group!r}; want each client once")
        object.__setattr__(self, "groups", groups)

    def clients_per_round(self, n_clients: int) -> float:
        """The mean size of the groups."""
        if isinstance(self.groups, tuple):
            return sum(map(len, self.groups)) / len(self.groups)
        if self.groups > n_clients:
            raise ValueError(
                f"participation: {self!r} has {self.groups} groups for {n_clients} clients; want "
                f"at most {n_clients}"
            )
        return n_clients / self.groups

    def turns(self, clients: Clients, seed: int) -> Turns:
        """The groups."""
        if isinstance(self.groups, tuple):
            members = [np.sort(clients.places("participation", group)) for group in self.groups]
        else:
            members = np.array_split(np.arange(len(clients)), self.groups)
        return _Groups(members, self.period, len(clients))


@dataclass(frozen=True)
class Function(Rule):
    """A function ``round -> ids`` of the caller's."""

    function: Callable[[int], Iterable[Any]]

    def clients_per_round(self, n_clients: int) -> float:
        """All of them, as nothing is known."""
        return n_clients

    def turns(self, clients: Clients, seed: int) -> Turns:
        """What the function gives, round by round."""
        return _Asked(self.function, clients)


class _Windows(Turns):
    def __init__(self, order: np.ndarray, count: int, n_clients: int):
        self._order, self.most = order, count
        self.frequencies = np.bincount(order, minlength=n_clients) * (count / len(order))

    def of(self, first: int, until: int) -> Listed:
        length = len(self._order)
        start = first * self.most % length  # of Python's integers, which do not overflow
        places = start + np.arange((until - first) * self.most)
        clients = np.sort(self._order[places % length].reshape(-1, self.most), axis=1)
        return Listed(clients.ravel(), self.most * np.arange(until - first + 1))


class _Groups(Turns):
    def __init__(self, members: Sequence[np.ndarray], period: int, n_clients: int):
        self._members, self._period = np.concatenate(members), period
        self._sizes = np.array([len(group) for group in members])
        self._starts = np.cumsum(self._sizes) - self._sizes
        self.most = int(self._sizes.max())
        self.frequencies = np.bincount(self._members, minlength=n_clients) / len(members)

    def mean_shares(self, p: np.ndarray) -> np.ndarray:
        """Each group counts the same, unless none of its clients has a weight."""
        groups = np.repeat(np.arange(len(self._sizes)), self._sizes)
        own = p[self._members]
        sums = np.bincount(groups, own, minlength=len(self._sizes))
        shares = own / np.where(sums > 0, sums, 1.0)[groups]
        return np.bincount(self._members, shares, minlength=len(p)) / max(sum(sums > 0), 1)

    def of(self, first: int, until: int) -> Listed:
        group = np.arange(first, until) // self._period % len(self._sizes)
        sizes = self._sizes[group]
        offsets = np.concatenate(([0], np.cumsum(sizes)))
        places = np.repeat(self._starts[group] - offsets[:-1], sizes) + np.arange(offsets[-1])
        return Listed(self._members[places], offsets)


class _Asked(Turns):
    def __init__(self, function: Callable[[int], Iterable[Any]], clients: Clients):
        self._function, self._clients = function, clients
        self.most = len(clients)

    def of(self, first: int, until: int) -> Listed:
        rounds = [self._places(k) for k in range(first, until)]
        offsets = np.concatenate(([0], np.cumsum([len(places) for places in rounds], dtype=int)))
        return Listed(np.concatenate([np.zeros(0, dtype=np.int64), *rounds]), offsets)

    def _places(self, round: int) -> np.ndarray:
        given = self._function(round)
        name = f"participation: round {round}"
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise TypeError(f"{name}: the function gave {given!r}; want a sequence of client ids")
        places = np.sort(self._clients.places(name, given))
        if (places[1:] == places[:-1]).any():
            raise ValueError(f"{name}: the function gave {given!r}; want each client once")
        return places


def check_participation(value: Any) -> float | int | Rule | Callable[[int], Any]:
    """A fraction, a count, a rule or a function, as methods keep it."""
    if isinstance(value, Rule):
        return value
    wanted = (
        "a fraction above 0 and up to 1.0, or a count of clients (an int), Cyclic(), Periodic(…), "
        "Markov(…), or a function round -> ids"
    )
    if callable(value) and not isinstance(value, type):
        return value
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise TypeError(f"participation: got {value!r}; want {wanted}")
    number: float | int = int(value) if isinstance(value, numbers.Integral) else float(value)
    if not (number >= 1 if isinstance(number, int) else 0 < number <= 1):
        raise ValueError(f"participation: got {value!r}; want {wanted}")
    return number


def rule_of(participation: float | int | Rule | Callable[[int], Any]) -> Rule | None:
    """The rule of a method's participation; None where clients are drawn, or all take part."""
    if isinstance(participation, Rule):
        return participation
    return Function(participation) if callable(participation) else None


def _ids(name: str, ids: Any, empty: bool = False) -> tuple[Hashable, ...]:
    if isinstance(ids, str) or not isinstance(ids, Iterable):
        raise TypeError(f"{name}: got {ids!r}; want a sequence of client ids")
    listed = tuple(ids.tolist() if isinstance(ids, np.ndarray) else ids)
    if not listed and not empty:
        raise ValueError(f"{name}: got no ids; want one at least")
    return tuple(id.item() if isinstance(id, np.generic) else id for id in listed)


def _is_in(id: Any, known: dict[Hashable, int]) -> bool:
    return isinstance(id, Hashable) and id in known
