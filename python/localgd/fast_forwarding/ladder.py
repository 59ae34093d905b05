"""Many local steps from few: the local phase of a round, fast-forwarded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["NODES", "Ladder"]

Made = tuple[np.ndarray, np.ndarray, np.ndarray]  # changes, velocity, controls

NODES = (2, 3, 4, 6, 8, 12, 16, 24)  # local steps of the rounds that are extrapolated
LEAST = 2  # of them, for an error estimate


class Ladder:
    """Rounds of L local steps η from rounds of L' < L steps of ηL/L'.

    ``F(h) = F_0 + h F_1 + h² F_2 + …``, ``h = 1/L'``: the polynomial through some h, at ``1/L``

    Local steps are Euler's steps along the clients' gradient flows, so that what a round makes of
    a model is a smooth function of h. The extrapolation's error is that of the last node, on
    rounds whose margins hardly move within: nodes are added until it is below the tolerance, and
    the L steps are taken where that would be no dearer.
    """

    def __init__(
        self,
        whole: Any,
        part: Callable[[int], Any],
        local_steps: int,
        *,
        step_cost: float,
        round_cost: float,
    ):
        self._whole, self._part = whole, part
        self._parts: dict[int, Any] = {}
        self._L = local_steps
        self._step_cost, self._round_cost = step_cost, round_cost
        self._order = LEAST
        self._weights = [_lagrange(local_steps, order) for order in range(len(NODES) + 1)]
        self.extrapolated = 0  # rounds
        self.exact = 0  # rounds of L real steps
        self.most_steps = 0  # of a node

    @property
    def pays(self) -> bool:
        """Whether rounds would be cheaper by far."""
        return self._cheaper(len(NODES) // 2)

    def map(
        self,
        k: float,
        lrs: list[float],
        shares: np.ndarray,
        *state: np.ndarray,
        tolerance: float,
    ) -> Made | None:
        """As the core's map of rounds in which margins move, to a relative tolerance."""
        made: list[Made] = []
        for order in range(LEAST, len(NODES) + 1):
            if not self._cheaper(order):
                break
            while len(made) < order:
                one = self._rung(len(made), k, lrs, shares, *state)
                if one is None:  # larger steps are unstable sooner
                    return self._exact(k, lrs, shares, *state)
                made.append(one)
            if order < self._order:
                continue
            found, lower = self._at(made, order), self._at(made, order - 1)
            gap = np.abs(found[0][0] - lower[0][0]).max()
            if gap <= tolerance * np.abs(found[0][0]).max():
                self._order = max(LEAST, order - 1)
                self.extrapolated += len(lrs)
                self.most_steps = max(self.most_steps, NODES[order - 1])
                return found
        self._order = LEAST
        return self._exact(k, lrs, shares, *state)

    def drift(
        self, k: float, lrs: list[float], shares: np.ndarray, *state: np.ndarray, tolerance: float
    ) -> float | None:
        """The drift of the last of these rounds; None where the L steps are to be taken."""
        values: list[float] = []
        for order in range(1, len(NODES) + 1):
            if not self._cheaper(order) or self._rung(order - 1, k, lrs, shares, *state) is None:
                return None
            values.append(self._parts[NODES[order - 1]].drift)
            if order < LEAST:
                continue
            found, lower = (float(self._weights[p] @ values[:p]) for p in (order, order - 1))
            if abs(found - lower) <= tolerance * abs(found):
                return found
        return None

    def _exact(self, k: float, lrs: list[float], shares: np.ndarray, *state: np.ndarray) -> Any:
        self.exact += len(lrs)
        return self._whole.map(k, lrs, shares, False, *state)

    def _rung(
        self, place: int, k: float, lrs: list[float], shares: np.ndarray, *state: np.ndarray
    ) -> Any:
        steps = NODES[place]
        if steps not in self._parts:
            self._parts[steps] = self._part(steps)
        larger = [lr * self._L / steps for lr in lrs]
        return self._parts[steps].map(k, larger, shares, False, *state)

    def _cheaper(self, order: int) -> bool:
        cost = self._step_cost * sum(NODES[:order]) + self._round_cost * order
        return cost < self._step_cost * self._L + self._round_cost

    def _at(self, made: list[Made], order: int) -> Made:
        weights = self._weights[order]
        changes, velocity, controls = (
            sum(u * part for u, part in zip(weights, parts, strict=True))
            for parts in zip(*made[:order], strict=True)
        )
        return changes, velocity, controls  # type: ignore[return-value]


def _lagrange(local_steps: int, order: int) -> np.ndarray:
    """The weights of the first nodes in the polynomial through them at h = 1/L."""
    h = 1 / np.array(NODES[:order])
    others = [np.delete(h, j) for j in range(order)]
    return np.array(
        [np.prod((1 / local_steps - o) / (own - o)) for own, o in zip(h, others, strict=True)]
    )
