"""The ranks of a communicator of MPI, and what they do together."""

from __future__ import annotations

import os
import pickle
import sys
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from .. import _validation as check
from .._backend import core
from ..engines import usable_cores
from ..losses import default_loss
from ..smoothness import check_smoothness, clients_smoothness
from ..theory import asks_for_smoothness, note_smoothness
from .exchange import Exchange
from .interrupts import Interrupts
from .joined import JoinedProblem, part_of
from .support import check_supported, settings
from .waiting import gathered

if TYPE_CHECKING:
    from ..participation import RoundShares

__all__ = ["Ranks"]

Value = TypeVar("Value")
# What of a state is of each row, or client; the rest is the same on all ranks.
BY_ROW = ("coefficients", "velocity", "controls", "active rows")
BY_CLIENT = ("clients' rounds",)
SECONDS_BETWEEN_LOOKS = 0.01  # of ranks without clients, for the result


class OfCore(NamedTuple):
    """What the core is told."""

    exchange: Exchange
    own: int
    holders: np.ndarray
    sizes: np.ndarray


class Ranks:
    """Those of a communicator that hold clients; the others wait for the result.

    A context: an error that one rank alone has within it ends the whole job with its traceback.
    """

    def __init__(self, comm: Any, problem: Any):
        self._mpi = check.require("mpi4py.MPI", "mpi", "comm=")
        if not isinstance(comm, self._mpi.Intracomm):
            raise TypeError(f"comm: got {comm!r}; want a communicator such as MPI.COMM_WORLD")
        self._world = comm.Dup()
        self._interrupts = Interrupts()
        self._common: BaseException | None = None  # an error that all ranks have
        self._lonely: BaseException | None = None  # or this one in the middle of rounds
        self.idle = problem is None
        self._holding = [r for r, holds in enumerate(self._world.allgather(not self.idle)) if holds]
        if not self._holding:
            raise ValueError("problem: got None on every rank; want one on those that have clients")
        self._comm = self._world.Split(int(self.idle), self._world.rank)
        self.rank, self.size = self._comm.rank, self._comm.size
        self.leads = self.rank == 0 and not self.idle

    def __enter__(self) -> Ranks:
        self._interrupts.__enter__()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._interrupts.__exit__()
        vars(self).pop("problem", None)  # it knows its ranks, too, and may have rows of its own
        # Checks of what all ranks know come to the same on all of them.
        checked = isinstance(error, ValueError) and error is not self._lonely
        together = error is None or error is self._common or checked
        if not together and self._world.size > 1:
            print(f"localgd: rank {self._world.rank} failed, and ends the run:", file=sys.stderr)
            traceback.print_exception(error, file=sys.stderr)
            sys.stderr.flush()
            self._world.Abort(1)
        if error is not None and self.leads:
            self._send((False, _portable(error)))
        self._comm.Free()
        self._world.Free()

    # -- The clients -------------------------------------------------------------------------------

    def joined(self, problem: Any) -> JoinedProblem:
        """The problem of all ranks."""
        parts = self.all(self.agreed(lambda: part_of(problem)))
        self.problem = found = self.agreed(lambda: JoinedProblem(problem, parts, self))
        self.exchange = Exchange(self._comm)
        return found

    @property
    def of_core(self) -> OfCore:
        """What the core is told."""
        return OfCore(self.exchange, self.rank, self.problem.holders, self.problem.sizes)

    def keep_bundles_whole(self) -> None:
        """Before steps are taken in bundles of clients."""
        self.problem.keep_bundles_whole()

    def handed(self, parcels: list[Value]) -> list[Value]:
        """What each rank has for this one, of what they have for each."""
        return gathered(self._comm).alltoall(parcels)  # type: ignore[no-any-return]

    def share_smoothness(self, method: Any, loss: Any, l2: Any) -> None:
        """H of the rows of all ranks, where presets ask for it."""
        if not any(self.all(asks_for_smoothness(method, l2))):
            return
        held = self.problem.held
        loss = default_loss(held.task) if loss is None else loss
        own = self.agreed(lambda: clients_smoothness(held, loss))
        note_smoothness(self.problem, loss, check_smoothness(max(self.all(own))))

    @property
    def cores(self) -> int:
        """Cores for this rank, of those that it may use together with others of its machine."""
        here = self._comm.Split_type(self._mpi.COMM_TYPE_SHARED)
        own = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        sets = here.allgather(own)
        here.Free()
        shared = len({core for cores in sets for core in cores}) or usable_cores()
        return max(1, min(usable_cores(), shared // len(sets)))

    def unable(self) -> dict[str, str]:
        """Which engines cannot run over ranks, and why."""
        return {
            "gram": "ranks have the rows of their own clients, and engine 'gram' wants products "
            "of all rows; want 'hybrid' or 'primal'"
        }

    # -- What they agree on ------------------------------------------------------------------------

    def all(self, value: Any) -> list[Any]:
        """What each rank has."""
        found: list[Any] = gathered(self._comm).allgather(value)
        return found

    def of_first(self, value: Value) -> Value:
        """What the first rank has."""
        return gathered(self._comm).bcast(value)  # type: ignore[no-any-return]

    def least(self, value: int) -> int:
        """The least of what the ranks have."""
        return min(self.all(value))

    def numbered(self, client: int) -> int:
        """The number among all of a client of this rank, or of another where it has none (-1)."""
        of_all = self.problem.n_clients
        return self.least(int(self.problem.own_clients[client]) if client >= 0 else of_all)

    def agreed(self, function: Callable[[], Value]) -> Value:
        """What a function returns; an error on one rank is one on all."""
        value, error = None, None
        try:
            value = function()
        except Exception as raised:
            error = raised
        self._raise(error)
        return value  # type: ignore[return-value]

    def first(self, function: Callable[[], Value]) -> Value:
        """What a function returns on the first rank, which alone calls it."""
        told: Any = None
        if self.leads:
            try:
                told = (True, function())
            except BaseException as raised:
                told = (False, raised if self.size == 1 else _portable(raised))
        well, value = gathered(self._comm).bcast(told)
        if not well:
            self._common = value
            raise value
        return value  # type: ignore[no-any-return]

    def check(self, prepared: Any) -> None:
        """Whether a run can be taken over ranks, and all ask for the same one."""
        self.agreed(lambda: check_supported(prepared))
        self._check_same(settings(prepared))

    def _check_same(self, settings: dict[str, Any]) -> None:
        info = core.build_info()
        found = {**settings, "build": [info["version"], info["instruction_set"]]}
        parts = self.all(found)
        for rank, other in enumerate(parts):
            for name, value in parts[0].items():
                if other[name] != value:
                    raise ValueError(
                        f"{name}: rank {rank} was given another than rank 0 ({other[name]!r}, not "
                        f"{value!r}); want the same on all ranks"
                    )

    def advance(
        self, session: Any, until: int, lrs: list[float], shares: RoundShares, report: Any
    ) -> str:
        """Rounds of the core; how they ended."""
        own, present = self.problem.own_shares(shares)
        raised: list[BaseException] = []

        def look(round: int) -> None:
            try:
                if self._interrupts.seen:
                    raise KeyboardInterrupt
                if report is not None:
                    report(round)
            except BaseException as error:
                raised.append(error)
                raise

        outcome = ""
        try:
            outcome = session.advance(
                until, lrs, own.shares, look, own.clients, own.offsets, present
            )
        except BaseException as error:
            if error not in raised:
                self._lonely = error
                raise
        self._raise(raised[0] if raised else None)
        return outcome

    def _raise(self, error: BaseException | None) -> None:
        """The error, on all ranks, if one of them has one."""
        told = self.all(
            None if error is None else (isinstance(error, KeyboardInterrupt), _text(error))
        )
        failed = [(rank, found) for rank, found in enumerate(told) if found is not None]
        if not failed:
            return
        for rank, (interrupt, text) in failed:
            if not interrupt:
                own = error if not isinstance(error, KeyboardInterrupt) else None
                self._common = own or RuntimeError(f"rank {rank}: {text}")
                raise self._common
        self._common = KeyboardInterrupt()
        raise self._common

    def common(self, error: BaseException) -> bool:
        """Whether all ranks have this error."""
        return error is self._common

    # -- The state ---------------------------------------------------------------------------------

    def gathered(self, state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The state of all ranks, on the first one."""
        parts = gathered(self._comm).gather(state)
        if parts is None:
            return {}
        return {name: self._whole(name, [part[name] for part in parts]) for name in state}

    def scattered(self, saved: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
        """What this rank has of it; a KeyError if that is not there."""
        parts: Any = None
        if self.leads:
            try:
                parts = [
                    {name: self._part(name, saved[name], rank) for name in names}
                    for rank in range(self.size)
                ]
            except (KeyError, IndexError):
                parts = [None] * self.size
        found = gathered(self._comm).scatter(parts)
        if found is None:
            raise KeyError("state")
        return found  # type: ignore[no-any-return]

    def _whole(self, name: str, parts: list[np.ndarray]) -> np.ndarray:
        if name not in BY_CLIENT and name not in BY_ROW:
            return parts[0]
        whole = np.empty((sum(map(len, parts)), *parts[0].shape[1:]))
        for rank, part in enumerate(parts):
            whole[self._places(name, rank)] = part
        return whole

    def _part(self, name: str, whole: np.ndarray, rank: int) -> np.ndarray:
        if name not in BY_CLIENT and name not in BY_ROW:
            return whole
        return np.asfortranarray(whole[self._places(name, rank)])

    def _places(self, name: str, rank: int) -> np.ndarray:
        """Of a rank's clients, or rows, among all."""
        own = self.problem.holders == rank
        return np.flatnonzero(own if name in BY_CLIENT else np.repeat(own, self.problem.sizes))

    # -- The result --------------------------------------------------------------------------------

    def share(self, result: Value) -> Value:
        """The same, told to ranks without clients."""
        if self.leads:
            self._send((True, result))
        return result

    def awaited(self) -> Any:
        """What the others have come to."""
        while not self._world.iprobe(source=self._holding[0]):
            time.sleep(SECONDS_BETWEEN_LOOKS)
        well, value = self._world.recv(source=self._holding[0])
        if not well:
            self._common = value
            raise value
        return value

    def _send(self, told: tuple[bool, Any]) -> None:
        for rank in range(self._world.size):
            if rank not in self._holding:
                self._world.send(told, dest=rank)


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _portable(error: BaseException) -> BaseException:
    """An error that can be sent to others."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(_text(error))
    return error
