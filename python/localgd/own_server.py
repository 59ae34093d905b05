"""A server of one's own in a run: its steps, checked, and its state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .servers import Server

__all__ = ["Stepping", "flat_state", "whole_state"]

SAVED = "None, numbers, strings, NumPy arrays, and lists, tuples and dicts of these"


class Stepping:
    """Calls ``server.step`` round by round; what the core steps by (cpp/bindings/servers.hpp).

    Attributes
    ----------
    state
        What the server's last step that counts has left, or ``start(w_0)``.
    """

    def __init__(self, server: Server, shape: tuple[int, ...], init: np.ndarray):
        self._server = server
        self._shape = shape
        self.state = server.start(np.array(init).reshape(shape))
        self._next: Any = None

    def step(self, w: np.ndarray, change: np.ndarray, round: int) -> np.ndarray:
        """The next model, (d, C), from the present one and the clients' mean change."""
        given = (w.reshape(self._shape), change.reshape(self._shape), self.state, round)
        new, self._next = checked_step(self._server, *given)
        return new.reshape(w.shape)

    def commit(self) -> None:
        """The last step counts."""
        self.state = self._next


def checked_step(
    server: Any, w: np.ndarray, change: np.ndarray, state: Any, round: int
) -> tuple[np.ndarray, Any]:
    """What a step returns, if that is a model and a state."""
    name = f"{type(server).__name__}.step"
    found = server.step(w, change, state, round)
    if not isinstance(found, tuple) or len(found) != 2:
        raise TypeError(f"{name}: it returned {type(found).__name__}; want a tuple (w, state)")
    new = np.asarray(found[0])
    if new.dtype.kind not in "fiu":
        raise TypeError(f"{name}: it returned a model of {new.dtype} numbers; want real ones")
    if new.shape != w.shape:
        raise ValueError(
            f"{name}: it returned a model of shape {new.shape}; want {w.shape}, that of w"
        )
    return new.astype(np.float64, copy=False), found[1]


def flat_state(state: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """A state as JSON can hold it, with its arrays by number."""
    arrays: dict[str, np.ndarray] = {}

    def plan(value: Any) -> Any:
        if value is None or type(value) in (bool, int, float, str):
            return {"plain": value}
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
            arrays[str(len(arrays))] = np.asarray(value)
            return {"array": len(arrays) - 1, "scalar": isinstance(value, np.generic)}
        if type(value) in (list, tuple):
            return {type(value).__name__: [plan(entry) for entry in value]}
        if type(value) is dict and all(isinstance(name, str) for name in value):
            return {"dict": {name: plan(entry) for name, entry in value.items()}}
        raise TypeError(
            f"checkpoint: the state of the server has a {type(value).__name__}, which cannot be "
            f"saved; want {SAVED}"
        )

    return plan(state), arrays


def whole_state(plan: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """The state of which :func:`flat_state` made these. A KeyError or TypeError for others."""
    if "plain" in plan:
        return plan["plain"]
    if "array" in plan:
        array = arrays[str(plan["array"])]
        return array[()] if plan["scalar"] else array
    if "dict" in plan:
        return {name: whole_state(entry, arrays) for name, entry in plan["dict"].items()}
    kind = list if "list" in plan else tuple
    return kind(whole_state(entry, arrays) for entry in plan[kind.__name__])
