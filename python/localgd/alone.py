"""A process that has all clients: nothing to agree on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

__all__ = ["ALONE", "Alone"]

Value = TypeVar("Value")


class Alone:
    """What a run asks of :class:`localgd.ranks.ranks.Ranks`, of one process."""

    size = 1
    leads = True
    idle = False  # without clients
    of_core: Any = None  # what the core is told
    cores: int | None = None  # that this process may use, where others use some, too

    def __enter__(self) -> Alone:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def joined(self, problem: Any) -> Any:
        """The problem of all ranks."""
        return problem

    def keep_bundles_whole(self) -> None:
        """Before steps are taken in bundles of clients."""

    def share_smoothness(self, method: Any, loss: Any, l2: Any) -> None:
        """H of the rows of all ranks, where presets ask for it."""

    def check(self, prepared: Any) -> None:
        """Whether a run can be taken over ranks, and all ask for the same one."""

    def unable(self) -> dict[str, str]:
        """Which engines cannot run over ranks, and why."""
        return {}

    def agreed(self, function: Callable[[], Value]) -> Value:
        """What a function returns; an error on one rank is one on all."""
        return function()

    def share(self, result: Value) -> Value:
        """The same, told to ranks without clients."""
        return result

    def awaited(self) -> Any:
        """What ranks without clients are told."""
        raise AssertionError("there are none")

    def first(self, function: Callable[[], Value]) -> Value:
        """What a function returns on the first rank, which alone calls it."""
        return function()

    def of_first(self, value: Value) -> Value:
        """What the first rank has."""
        return value

    def least(self, value: int) -> int:
        """The least of what the ranks have."""
        return value

    def common(self, error: BaseException) -> bool:
        """Whether all ranks have this error."""
        return True

    def gathered(self, state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The state of all ranks, on the first one."""
        return state

    def scattered(self, saved: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
        """What this rank has of it."""
        return saved

    def numbered(self, client: int) -> int:
        """The number among all of a client of this rank, or of another where it has none (-1)."""
        return client

    def advance(self, session: Any, until: int, lrs: list[float], shares: Any, report: Any) -> str:
        """Rounds of the core; how they ended."""
        return str(
            session.advance(until, lrs, shares.shares, report, shares.clients, shares.offsets)
        )


ALONE = Alone()
