"""Waiting for other ranks without keeping them from their work where they share the cores.

MPI's own waiting keeps a core busy. Where there are more ranks than cores the one that is waited
for gets none for milliseconds, at every message.
"""

from __future__ import annotations

import time
from typing import Any

__all__ = ["gathered", "wait"]

LOOKS = 100  # before sleeping, some 50 µs
SECONDS = 5e-5


def wait(request: Any) -> None:
    """Until a request of MPI is done."""
    for _ in range(LOOKS):
        if request.Test():
            return
    while not request.Test():
        time.sleep(SECONDS)


def gathered(comm: Any) -> Any:
    """The communicator, once all of its ranks are here: what they do next takes no waiting."""
    wait(comm.Ibarrier())
    return comm
