"""Results whose arrays stay as they are."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["ReadOnlyArrays", "protect"]


def protect(*values: Any) -> None:
    """Let nobody write to the arrays among some values."""
    for value in values:
        if isinstance(value, np.ndarray):
            value.setflags(write=False)


class ReadOnlyArrays:
    """A class whose arrays are read-only also in a copy and in another process."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        protect(*state.values())
