"""The time that a reference may take, asked for between the steps of whatever computes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import NamedTuple, ParamSpec, TypeVar

import numpy as np

from .. import _validation as check
from ..errors import TimeLimitError

__all__ = ["check_time", "time_limited"]

P = ParamSpec("P")
T = TypeVar("T")


class Deadline(NamedTuple):
    """When the time of a function is over, by ``time.monotonic``."""

    name: str
    limit: float
    end: float


_DEADLINE: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def time_limited(function: Callable[P, T]) -> Callable[P, T]:
    """A function with an argument ``time_limit``, which holds for all that it calls."""

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> T:
        limit = kwargs.get("time_limit")
        if limit is None:
            return function(*args, **kwargs)
        seconds = check.number("time_limit", limit, above=0)
        end = time.monotonic() + seconds
        outer = _DEADLINE.get()
        if outer is not None and outer.end <= end:  # whose time is over first
            return function(*args, **kwargs)
        token = _DEADLINE.set(Deadline(function.__name__, seconds, end))
        try:
            return function(*args, **kwargs)
        finally:
            _DEADLINE.reset(token)

    return limited


def check_time(
    best: np.ndarray | None = None, lift: Callable[[np.ndarray], np.ndarray] | None = None
) -> None:
    """An error if the time is over; ``lift`` makes weights of the ``best`` found so far."""
    deadline = _DEADLINE.get()
    if deadline is None or time.monotonic() < deadline.end:
        return
    found = lift(best) if best is not None and lift is not None else best
    raise TimeLimitError(
        f"time_limit: {deadline.name} was not done after {deadline.limit:g} s; want more time, or "
        "fewer rows" + ("" if found is None else " (.best has the weights so far)"),
        found,
    )
