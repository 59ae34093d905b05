"""Parts of a sweep, carried out here or by the workers of an executor, each by one process."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .courier import Absent, Courier, courier_to
from .entry import Entry
from .store import Claim, Store

__all__ = ["Found", "Part", "Taken", "carried_out"]

ATTEMPTS = 3  # for a part whose worker is lost
POLL = 0.2  # seconds between two looks at what other processes are at


class Part(NamedTuple):
    """Runs that are taken together: their keys, and what a worker is given."""

    keys: tuple[str, ...]
    work: Any


class Taken(NamedTuple):
    """The entries of a part, and what kept its runs from going side by side."""

    entries: list[Entry]
    trouble: str = ""


class Found(NamedTuple):
    """Entries that need not be run."""

    entries: list[Entry]


@dataclass
class Turns:
    """Parts in their order, those that other processes have later, in case they are lost there."""

    work: Iterator[Part | Found]
    store: Store | None
    _later: deque[Part] = field(default_factory=deque)
    _looked: float = 0.0

    def next(self) -> Part | Found | None:
        """What is to be done, or found; None where all that is left is with others."""
        for item in self.work:
            if isinstance(item, Found):
                return item
            answer = self._asked(item)
            if answer is not None:
                return answer
        if not self._later or time.monotonic() < self._looked + POLL:
            return None
        for _ in range(len(self._later)):
            answer = self._asked(self._later.popleft())
            if answer is not None:
                return answer
        self._looked = time.monotonic()
        return None

    def _asked(self, part: Part) -> Part | Found | None:
        if self.store is None:
            return part
        claim = self.store.claim(part.keys)
        if claim is Claim.DONE:
            return Found(list(self.store.found(part.keys).values()))
        if claim is Claim.THEIRS:
            self._later.append(part)
            return None
        return part

    @property
    def waiting(self) -> bool:
        """Whether parts are with others."""
        return bool(self._later)


def carried_out(
    work: Iterable[Part | Found],
    take: Callable[[Any], Taken],
    failed: Callable[[Any, Exception], list[Entry]],
    executor: Executor | None,
    store: Store | None,
) -> Iterator[Found | Taken]:
    """What becomes of parts, as they finish; Ctrl-C ends them.

    ``take`` does the work of a part; ``failed`` makes entries of one whose worker was lost.
    """
    turns = Turns(iter(work), store)
    try:
        if executor is None:
            yield from _here(turns, take)
        else:
            yield from _Elsewhere(turns, take, failed, courier_to(executor)).run()
    except KeyboardInterrupt:
        return


def _here(turns: Turns, take: Callable[[Any], Taken]) -> Iterator[Found | Taken]:
    while True:
        turn = turns.next()
        if turn is None:
            if not turns.waiting:
                return
            time.sleep(POLL)
        elif isinstance(turn, Found):
            yield turn
        else:
            taken = take(turn.work)
            yield taken
            if any(entry.status == "interrupted" for entry in taken.entries):
                return


@dataclass
class _Elsewhere:
    """Parts on their way through an executor: as many as keep its workers busy."""

    turns: Turns
    take: Callable[[Any], Taken]
    failed: Callable[[Any, Exception], list[Entry]]
    courier: Courier
    running: dict[Future[Any], tuple[Part, int]] = field(default_factory=dict)
    began: bool = False  # whether the executor has taken anything

    def run(self) -> Iterator[Found | Taken]:
        try:
            while True:
                yield from self._fill()
                if self.running:
                    # With others at work, look now and then whether theirs are finished.
                    patience = POLL if self.turns.waiting else None
                    done, _ = wait(self.running, patience, FIRST_COMPLETED)
                    for future in done:
                        yield from self._ended(future)
                elif self.turns.waiting:
                    time.sleep(POLL)
                else:
                    return
        finally:
            for future in self.running:
                future.cancel()
            self.courier.close()

    def _fill(self) -> Iterator[Found | Taken]:
        while len(self.running) < self.courier.ahead():
            turn = self.turns.next()
            if turn is None:
                return
            if isinstance(turn, Found):
                yield turn
            else:
                yield from self._submitted(turn, 0)

    def _submitted(self, part: Part, attempt: int, absent: Absent | None = None) -> Iterator[Taken]:
        """Give the executor a part; its entries where that fails."""
        try:
            if absent is None:
                future = self.courier.submit(self.take, part.work, attempt)
            else:
                future = self.courier.resubmit(self.take, part.work, attempt, absent)
        except BrokenExecutor as error:
            if not self.began:
                raise
            yield Taken(self.failed(part.work, error))
        except Exception as error:  # of pickling it may be any
            yield Taken(self.failed(part.work, error))
        else:
            self.began = True
            self.running[future] = part, attempt

    def _ended(self, future: Future[Any]) -> Iterator[Taken]:
        """What a worker has come to, be it that it is gone."""
        part, attempt = self.running.pop(future)
        try:
            result = future.result()
        except Exception as error:
            lasting = self.courier.outlives_workers or not isinstance(error, BrokenExecutor)
            if attempt + 1 < ATTEMPTS and lasting:
                yield from self._submitted(part, attempt + 1)
            else:
                yield Taken(self.failed(part.work, error))
            return
        if isinstance(result, Absent):
            yield from self._submitted(part, attempt, result)
        else:
            yield result
