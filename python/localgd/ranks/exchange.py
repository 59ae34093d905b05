"""What the core asks of MPI: numbers of all ranks, and from one to another."""

from __future__ import annotations

from typing import Any

import numpy as np

from .waiting import wait

__all__ = ["Exchange"]


class Exchange:
    """The core's ``Exchange`` (cpp/core/ranks/exchange.hpp) by a communicator of mpi4py.

    The arrays are the core's own memory. ``calls`` and ``bytes`` count what this rank has sent.
    """

    def __init__(self, comm: Any):
        self._comm = comm
        self.calls = 0
        self.bytes = 0

    def gather(self, own: np.ndarray, counts: list[int], all: np.ndarray) -> None:
        """``all``: the numbers of all ranks, ``counts`` of each, one after the other."""
        self._count(own)
        wait(self._comm.Iallgatherv(own, (all, counts)))

    def send(self, rank: int, numbers: np.ndarray) -> None:
        """To one other rank."""
        self._count(numbers)
        wait(self._comm.Isend(numbers, dest=rank))

    def receive(self, rank: int, numbers: np.ndarray) -> None:
        """As many as that rank sends."""
        wait(self._comm.Irecv(numbers, source=rank))

    def _count(self, sent: np.ndarray) -> None:
        self.calls += 1
        self.bytes += sent.nbytes
