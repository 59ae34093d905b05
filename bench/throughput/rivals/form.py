"""What a contestant offers: ways to write Local-GD."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..cases import Case
from ..job import Job

__all__ = ["Form", "Rounds", "anything", "full_batch", "sampled"]


class Rounds:
    """A job made ready: what a call does, how long it took, and whether it is right.

    Parameters
    ----------
    advance : callable
        So many rounds from w_0 = 0; gives w_R, shape (d, columns).
    """

    clock: Callable[[], float] = staticmethod(time.perf_counter)
    note = ""
    steps_share = 1.0  # of the local steps of a round, if not all learning rates are run
    least = 0.0  # seconds that a timing must take at least, if the clock asks for more than usual

    def __init__(self, advance: Callable[[int], np.ndarray]):
        self.advance = advance

    def seconds(self, rounds: int) -> float:
        """Seconds of so many rounds, by the clock."""
        start = self.clock()
        self.advance(rounds)
        return self.clock() - start

    def deviation(self, rounds: int, expected: np.ndarray) -> float:
        """From the weights of localgd, relative, the worst column."""
        found = np.asarray(self.advance(rounds), np.float64).reshape(expected.shape)
        distance = np.linalg.norm(found - expected, axis=0)
        return float((distance / np.linalg.norm(expected, axis=0)).max())


def anything(case: Case) -> bool:
    return True


def full_batch(case: Case) -> bool:
    return case.batch_size is None


def sampled(case: Case) -> bool:
    return case.batch_size is not None


@dataclass(frozen=True)
class Form:
    """One way to write the rounds.

    Attributes
    ----------
    name : str
    keeps : "weights", "gram" or "localgd"
        What a local step updates: the weights of the client, or its margins through the Gram block.
    prepare : callable
        From a :class:`Job` to a function of the number of rounds, or to :class:`Rounds`. What can
        be done once (copies, Gram blocks) is done here and not timed.
    fits : callable
        Cases that it can do. Forms that keep Gram blocks are not asked where those cost more.
    """

    name: str
    keeps: str
    prepare: Callable[[Job], Callable[[int], np.ndarray] | Rounds]
    fits: Callable[[Case], bool] = anything

    def does(self, case: Case) -> bool:
        return (self.keeps != "gram" or case.gram_pays) and self.fits(case)

    def ready(self, job: Job) -> Rounds:
        prepared = self.prepare(job)
        return prepared if isinstance(prepared, Rounds) else Rounds(prepared)
