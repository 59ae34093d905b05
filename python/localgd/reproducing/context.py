"""What an experiment is given: how much to do, with which seed, on whose rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

import localgd as lg

__all__ = ["Context", "OwnRows", "degrees", "weights"]

T = TypeVar("T")
FEW = 10**6  # numbers in all rows: threads wait for each other longer than such rounds take


@dataclass(frozen=True, eq=False)
class OwnRows:
    """Rows of the user, dealt to clients.

    Attributes
    ----------
    problem : Problem
    about : str
        What they are: file, labels, numbers of rows and features, scaling, clients.
    client_weighted : bool
        p_i = 1/M, by which f is not the loss of the pooled rows.
    """

    problem: lg.Problem
    about: str
    client_weighted: bool = False


def _silent(text: str) -> None:
    """Shows nothing."""


@dataclass(frozen=True, eq=False)
class Context:
    """What an experiment is given.

    Attributes
    ----------
    quick : bool
        A few seconds, or up to a minute.
    seed : int
        0 by default. Data that the specification fixes take ``its seed + context.seed``.
    own : OwnRows or None
        Of ``--data``.
    threads : int or None
        Of :func:`localgd.run`; None is one thread where the rows are few.
    status : callable str -> None
        Shows what is being done: a few words, such as "L = 100".

    Examples
    --------
    >>> from localgd.reproducing import Context
    >>> Context(quick=True).pick(10**4, 10**6)
    10000
    """

    quick: bool = False
    seed: int = 0
    own: OwnRows | None = None
    threads: int | None = None
    status: Callable[[str], None] = _silent

    def pick(self, quick: T, full: T) -> T:
        """The first in a quick report, the second in a full one."""
        return quick if self.quick else full

    def seeds(self, quick: int = 3, full: int = 10) -> range:
        """The seeds of the draws that an experiment repeats itself over."""
        return range(1 + self.seed, 1 + self.seed + self.pick(quick, full))

    def own_problem(self, *tasks: str) -> lg.Problem | None:
        """The user's rows if there are any and their task is one of these, else None."""
        if self.own is None or self.own.problem.task not in tasks:
            return None
        return self.own.problem

    def each(self, name: str, values: Iterable[T]) -> Iterator[T]:
        """The values, each shown under this name while it is worked on: "digits, L = 100"."""
        for value in values:
            self.status(f"{name}{value:,}" if isinstance(value, int) else f"{name}{value}")
            yield value

    @property
    def shares(self) -> str:
        """The p_i of the experiments' rows and of the user's, in words."""
        weighted = self.own is not None and self.own.client_weighted
        return "p_i = n_i/N" + " (your own rows: client-weighted, p_i = 1/M)" * weighted

    def run(self, problem: lg.Problem, method: Any, *, rounds: int, **options: Any) -> lg.Run:
        """:func:`localgd.run` with the threads of this report; Ctrl-C ends the experiment."""
        threads = self.threads_for(problem)
        run = lg.run(problem, method, rounds=rounds, threads=threads, **options)
        return _uninterrupted(run)

    def fast_forward(
        self, problem: lg.Problem, method: Any, *, rounds: float, **options: Any
    ) -> lg.Run:
        """:func:`localgd.fast_forward` in the same way."""
        threads = self.threads_for(problem)
        run = lg.fast_forward(problem, method, rounds=rounds, threads=threads, **options)
        return _uninterrupted(run)

    def threads_for(self, problem: lg.Problem) -> int | None:
        """One where the rows are few, unless the user asked for a number."""
        few = problem.n_samples * problem.n_features < FEW
        return 1 if self.threads is None and few else self.threads


def weights(run: lg.Run) -> np.ndarray:
    """The weights of a run of rows, which has them (one of a kernel has none)."""
    if run.weights is None:
        raise ValueError("run: has no weights; want one whose problem is not a kernel's")
    return run.weights


def degrees(run: lg.Run) -> np.ndarray:
    """The recorded angles in degrees, NaN where w_k = 0."""
    angles: np.ndarray = np.degrees(run.history["angle"])
    return angles


def _uninterrupted(run: lg.Run) -> lg.Run:
    if run.status == "interrupted":  # lg.run gives back what it has; half a run proves nothing
        raise KeyboardInterrupt
    return run
