"""The problem of all ranks, as each of them sees it."""

from __future__ import annotations

import copy
import itertools
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..errors import UnsupportedError
from ..identification import digest
from ..participation import RoundShares
from ..problem import Problem, check_problem, check_weights
from ..rows import arrays_of
from .bundles import cut_between_bundles, parcels_of, with_parcels

__all__ = ["JoinedProblem", "Part"]

# Which the problems of all ranks have in common, and what to give where one rank cannot infer them.
COMMON = {
    "task": "give task= on every rank",
    "labels": "give labels=, all of them, on every rank",
    "n_features": "",
    "dtype": "",
    "sparse": "give dense or sparse rows on every rank",
    "intercept": "",
    "feature_names": "",
}


class Part(NamedTuple):
    """What a rank tells the others of its clients."""

    ids: tuple[Any, ...]
    sizes: np.ndarray
    amounts: np.ndarray  # V_i
    entries: np.ndarray  # of the rows of each client
    weights: Any  # as they were given: "samples", "equal" or numbers
    least_target: float
    weighted: bool
    common: dict[str, Any]


def part_of(problem: Any) -> Part:
    """What there is to tell; an error for problems that cannot be one of several."""
    check_problem(problem)
    why = None
    if problem.kernel:
        why = "one by its Gram matrix, in which the rows of all ranks would have to be"
    elif problem.encoder is not None:
        why = "the columns of a table, whose categories and means are those of this rank's rows"
    elif problem.balanced:
        why = "class_weight='balanced', by the labels of this rank; give a mapping"
    if why is not None:
        raise UnsupportedError(f"problem: got {why}; want rows of numbers, the same on every rank")
    offsets = problem.entries_before
    return Part(
        problem.client_ids,
        problem.sizes,
        problem.amounts,
        problem.sizes * problem.n_features if offsets is None else np.diff(offsets),
        problem.given_weights,
        problem.least_target,
        problem.sample_weight is not None,
        {name: getattr(problem, name) for name in COMMON},
    )


class JoinedProblem(Problem):
    """Clients, sizes and weights of all ranks, and the rows of this one in ``held``.

    Clients are numbered by sorted id. What needs the rows of all of them is refused.
    """

    def __init__(self, own: Problem, parts: list[Part], ranks: Any):
        check_problem(own, own_rows=True)
        _check_common(parts)
        ids = [id for part in parts for id in part.ids]
        of_ranks = np.repeat(np.arange(len(parts)), [len(part.ids) for part in parts])
        order = _order(ids, of_ranks)
        self.ranks = ranks
        self.shares_rows = False
        for name in ("task", "labels", "n_classes", "intercept", "feature_names", "kernel"):
            setattr(self, name, getattr(own, name))
        self.client_ids = tuple(ids[k] for k in order)
        self.sizes = np.concatenate([part.sizes for part in parts])[order]
        self.offsets = np.concatenate([[0], np.cumsum(self.sizes)])
        self._amounts_of_all = np.concatenate([part.amounts for part in parts])[order]
        self.given_weights = _joined_weights([part.weights for part in parts], order)
        self.weights = check_weights(self.given_weights, self._amounts_of_all)
        self.balanced = False
        entries = np.concatenate([part.entries for part in parts])[order]
        self._entries_before = np.concatenate([[0], np.cumsum(entries)])
        self._least_target = min(part.least_target for part in parts)
        self._hold(copy.copy(own), of_ranks[order].astype(np.int32))
        if any(part.weighted for part in parts) and own.sample_weight is None:
            raise ValueError(
                "sample_weight: some ranks have weights of rows; want them on every rank"
            )

    def _hold(self, held: Problem, holders: np.ndarray) -> None:
        self.holders = holders
        self._own_clients = np.flatnonzero(holders == self.ranks.rank)
        self._position = np.full(len(self.sizes), -1)
        self._position[self._own_clients] = np.arange(len(self._own_clients))
        self._held = held
        held.weights = self.weights[self._own_clients]

    def keep_bundles_whole(self) -> None:
        """Ranks hand each other the few clients whose bundle they would share."""
        holders = cut_between_bundles(self.holders)
        if holders is None:  # with another engine the bits would depend on who holds what
            raise UnsupportedError(
                "engine: 'hybrid' takes small clients in bundles of consecutive ids, and ranks "
                "hold other ids, or too few clients; want engine='primal', ranks that hold "
                "consecutive ids, or fewer ranks"
            )
        if (holders == self.holders).all():
            return
        own, rank = holders[self._own_clients], self.ranks.rank
        got = self.ranks.handed(parcels_of(self._held, own, rank, self.ranks.size))
        self._hold(with_parcels(self._held, own, rank, got), holders)

    @property
    def held(self) -> Problem:
        """This rank's clients, with their weights among all."""
        return self._held

    @property
    def own_clients(self) -> np.ndarray:
        """Which of the clients this rank has."""
        return self._own_clients

    @property
    def X(self) -> Any:  # type: ignore[override]
        """Nowhere."""
        raise _nowhere()

    @property
    def y(self) -> Any:  # type: ignore[override]
        """Nowhere."""
        raise _nowhere()

    @property
    def row_order(self) -> Any:  # type: ignore[override]
        """Nowhere."""
        raise _nowhere()

    @property
    def sample_weight(self) -> Any:  # type: ignore[override]
        """Nowhere."""
        raise _nowhere()

    @property
    def n_samples(self) -> int:
        return int(self.offsets[-1])

    @property
    def n_features(self) -> int:
        return self._held.n_features

    @property
    def n_outputs(self) -> int:
        return self._held.n_outputs

    @property
    def weights_shape(self) -> tuple[int, ...]:
        return self._held.weights_shape

    @property
    def sparse(self) -> bool:
        return self._held.sparse

    @property
    def dtype(self) -> np.dtype:
        return self._held.dtype

    @property
    def amounts(self) -> np.ndarray:
        return self._amounts_of_all

    @property
    def entries_before(self) -> np.ndarray | None:
        return self._entries_before if self.sparse else None

    @property
    def least_target(self) -> float:
        return self._least_target

    @cached_property
    def fingerprint(self) -> str:
        """By the digests of all clients; the ranks ask for it together."""
        held = self._held
        own = {
            int(i): digest(
                *arrays_of(held.X[held.rows(k)]), held.y[held.rows(k)], *_weights(held, k)
            )
            for k, i in enumerate(self.own_clients)
        }
        known = {i: found for part in self.ranks.all(own) for i, found in part.items()}
        text = "".join(known[i] for i in range(self.n_clients)).encode()
        all = digest(np.frombuffer(text, dtype=np.uint8), self.offsets, self.weights)
        return f"{self.task}-ranks{'-free' if self.free_intercept else ''}-{all}"

    def own_shares(self, shares: RoundShares) -> tuple[RoundShares, np.ndarray]:
        """What this rank's clients have of the shares, and how many take part in each round."""
        if shares.clients is None or shares.offsets is None:
            present = np.array([np.count_nonzero(shares.shares > 0)])
            return RoundShares(shares.shares[self.own_clients]), present
        own = self._position[shares.clients]
        here = own >= 0
        offsets = np.concatenate(([0], np.cumsum(here)))[shares.offsets]
        present = np.diff(shares.offsets) if len(shares.offsets) > 1 else np.zeros(1, np.int64)
        return RoundShares(shares.shares[here], own[here], offsets), present


def _weights(problem: Problem, client: int) -> tuple[np.ndarray, ...]:
    v = problem.sample_weight
    return () if v is None else (v[problem.rows(client)],)


def _nowhere() -> UnsupportedError:
    return UnsupportedError(
        "comm: something that was asked for needs the rows of all clients in one process, and over "
        "ranks no one has them (the asymptote, measures that see gradients); want measures of the "
        "weights"
    )


def _check_common(parts: list[Part]) -> None:
    for name, cure in COMMON.items():
        values = [part.common[name] for part in parts]
        for rank, value in enumerate(values):
            if value != values[0]:
                raise ValueError(
                    f"problem: {name} is {values[0]!r} on rank 0 and {value!r} on rank {rank}; "
                    f"want the same on all ranks{': ' + cure if cure else ''}"
                )


def _order(ids: list[Any], of_ranks: np.ndarray) -> np.ndarray:
    """The places of the clients by sorted id."""
    kinds = {type(id).__name__ for id in ids}
    if len(kinds) > 1:
        raise TypeError(
            f"problem: client ids of the types {', '.join(sorted(kinds))} on different ranks; want "
            "one kind"
        )
    order = sorted(range(len(ids)), key=ids.__getitem__)
    for before, after in itertools.pairwise(order):
        if ids[before] == ids[after]:
            ranks = sorted({int(of_ranks[before]), int(of_ranks[after])})
            raise ValueError(
                f"problem: client {ids[before]!r} is on ranks {ranks[0]} and {ranks[-1]}; want "
                "each client on one rank, with an id of its own: Problem.from_arrays(X, y, clients)"
            )
    places = np.array(order)
    for rank in range(int(of_ranks.max()) + 1):
        own = places[of_ranks[places] == rank]
        if (np.diff(own) < 0).any():
            raise ValueError(
                f"problem: the clients of rank {rank} are not in the order of their ids; want "
                "Problem.from_arrays(X, y, clients), which sorts them"
            )
    return places


def _joined_weights(given: list[Any], order: np.ndarray) -> Any:
    kinds = {weights if isinstance(weights, str) else "numbers" for weights in given}
    if len(kinds) > 1:
        raise ValueError(
            f"weights: got {' and '.join(sorted(kinds))} on different ranks; want one kind"
        )
    return given[0] if isinstance(given[0], str) else np.concatenate(given)[order]
