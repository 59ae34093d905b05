"""The processes of mpiexec that a command runs in: an error of one of them ends it for all."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from .. import _validation as check
from ..errors import MissingExtraError
from .errors import USER_ERRORS, text_of

__all__ = ["Job", "JobError", "report"]

Value = TypeVar("Value")
# Where mpiexec of MPICH and of Open MPI, and Slurm, say how many processes they have started.
COUNTS = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")


class JobError(Exception):
    """All ranks end, since some have an error. ``said``: what it is, on the first rank."""

    def __init__(self, said: str | None):
        super().__init__(said)
        self.said = said


class Job:
    """The ranks of MPI.COMM_WORLD."""

    def __init__(self) -> None:
        try:
            mpi = check.require("mpi4py.MPI", "mpi", "--mpi")
        except RuntimeError as error:  # mpi4py is there, the library of MPI is not
            raise MissingExtraError(f"--mpi needs a library of MPI: {error}") from error
        self.comm: Any = mpi.COMM_WORLD
        self.rank, self.size = self.comm.rank, self.comm.size
        self.leads = self.rank == 0
        started = max(int(os.environ.get(name, "1")) for name in COUNTS)
        if self.size == 1 < started:
            library = mpi.Get_library_version().partition("\n")[0].strip("\0")
            raise ValueError(
                f"mpi: {started} processes were started, and each is alone, since mpi4py uses "
                f"{library}; want the mpiexec of the same MPI"
            )

    def agreed(self, work: Callable[[], Value]) -> Value:
        """What it returns; if it is an error on one rank, a JobError on all."""
        value, said = None, None
        try:
            value = work()
        except USER_ERRORS as error:
            said = text_of(error)
        self.tell(said)
        return value  # type: ignore[return-value]

    def tell(self, said: str | None) -> None:
        """What is wrong on this rank, if anything; a JobError if it is on any."""
        told = enumerate(self.comm.allgather(said))
        for rank, text in told:
            if text is not None:
                text = f"rank {rank}: {text}" if rank else text
                raise JobError(text if self.leads else None)

    @contextmanager
    def ended_together(self) -> Iterator[None]:
        """Errors that nobody foresaw, and Ctrl-C, end all ranks at once."""
        try:
            yield
        except JobError:
            raise
        except BaseException as error:
            if self.size == 1:
                raise
            interrupted = isinstance(error, KeyboardInterrupt)
            if not interrupted:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            self.comm.Abort(code := 130 if interrupted else 1)
            os._exit(code)  # where Abort comes back


def report(said: str) -> str | None:
    """An error from before there was a Job, told to its ranks; what this one is to say of it."""
    try:
        Job().tell(said)
    except JobError as error:
        return error.said
    except (MissingExtraError, ValueError):  # there are no other ranks
        pass
    return said
