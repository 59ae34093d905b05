"""One run over the processes of a cluster, each with the rows of its own clients."""

from __future__ import annotations

from typing import Any

from ..alone import ALONE

__all__ = ["ranks_of"]


def ranks_of(comm: Any, problem: Any) -> Any:
    """The ranks of a communicator, or this process alone if there is none."""
    if comm is None:
        return ALONE
    from .ranks import Ranks

    return Ranks(comm, problem)
