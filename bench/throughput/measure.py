"""Timings of one case: every answer checked, then all contestants in turn."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .cases import TOLERANCE, Case
from .processes import Refused, Remote

__all__ = ["Entrant", "measure"]

LEAST_ROUNDS = 20  # so that what happens once per call weighs little
PAUSE = 0.02  # seconds between timings: spinning threads of the last one go to sleep
SLOW = 2.0  # seconds of one call beyond which one call must do


@dataclass
class Entrant:
    """One form of one contestant in one case, and what was measured.

    Attributes
    ----------
    keeps : "weights" or "gram"
        For localgd, what its engine keeps.
    deviation : float
        Of its weights from those of localgd, relative.
    rates : list of float
        Local steps per second, one for each repeat.
    share : float
        Of the local steps of a round that it takes: ``lg.run`` takes one learning rate.
    least : float
        Seconds that it wants a timing to take.
    problem : str
        Why there are no rates.
    """

    remote: Remote
    form: int
    name: str
    keeps: str
    rounds: int = 1
    deviation: float = float("nan")
    rates: list[float] = field(default_factory=list)
    share: float = 1.0
    least: float = 0.0
    note: str = ""
    problem: str = ""

    @property
    def ours(self) -> bool:
        return self.remote.name == "localgd"

    @property
    def rate(self) -> float:
        """The median, 0 if it was not timed."""
        return statistics.median(self.rates) if self.rates else 0.0

    def as_dict(self) -> dict[str, Any]:
        return {
            "contestant": self.remote.name,
            "form": self.name,
            "keeps": self.keeps,
            "steps_per_second": self.rate,
            "rates": self.rates,
            "rounds": self.rounds,
            "deviation": None if math.isnan(self.deviation) else self.deviation,
            "note": self.note,
            "problem": self.problem,
        }


def measure(
    case: Case, dtype: str, remotes: Sequence[Remote], threads: int, repeats: int, least: float
) -> list[Entrant]:
    """Time every form of every contestant that does the case.

    The first contestant is localgd, whose weights the others are checked against.
    """
    for remote in remotes:
        remote.ask("load", case, dtype, threads)
    expected = remotes[0].ask("expected", case.check_rounds)
    entrants = [Entrant(remote, *form) for remote in remotes for form in remote.ask("forms", case)]
    for entrant in entrants:
        _check(entrant, case, expected, TOLERANCE[dtype])
    running = []
    for entrant in entrants:
        if not entrant.problem and _grow(entrant, case, least):
            running.append(entrant)
    for _ in range(repeats):
        for entrant in running:
            if not entrant.problem:
                seconds = _time(entrant, entrant.rounds)
                if seconds:
                    entrant.rates.append(_steps(entrant, case) / seconds)
    for entrant in entrants:
        if entrant.ours and entrant.note:
            entrant.keeps = "weights" if entrant.note.startswith("primal") else "gram"
    for remote in remotes:
        remote.ask("release")
    return entrants


def _check(entrant: Entrant, case: Case, expected: Any, tolerance: float) -> None:
    try:
        entrant.deviation = entrant.remote.ask(
            "deviation", entrant.form, case.check_rounds, expected
        )
    except Refused as error:
        entrant.problem = str(error)
        return
    if not entrant.deviation <= tolerance:
        entrant.problem = f"wrong: weights differ by {entrant.deviation:.1e}"
        entrant.remote.ask("drop", entrant.form)


def _grow(entrant: Entrant, case: Case, least: float) -> bool:
    """Find a number of rounds that takes long enough; False if it is too slow for repeats."""
    seconds = _time(entrant, 1) and _time(entrant, 1)  # the first call may compile
    while seconds and seconds < SLOW:
        least = max(least, min(entrant.least, SLOW / 2))
        if seconds >= least and entrant.rounds >= LEAST_ROUNDS:
            return True
        wanted = max(1.2 * entrant.rounds * least / seconds, LEAST_ROUNDS)
        most = entrant.rounds * min(100.0, SLOW / seconds)
        if most < entrant.rounds + 1:
            return True
        entrant.rounds = max(entrant.rounds + 1, int(min(wanted, most)))
        seconds = _time(entrant, entrant.rounds)
    if seconds:
        entrant.rates.append(_steps(entrant, case) / seconds)
        entrant.note = ", ".join(filter(None, [entrant.note, "one repeat"]))
    return False


def _time(entrant: Entrant, rounds: int) -> float:
    """Seconds, 0 if it failed."""
    time.sleep(PAUSE)
    try:
        seconds, entrant.share, entrant.least, note = entrant.remote.ask(
            "seconds", entrant.form, rounds
        )
    except Refused as error:
        entrant.problem = str(error)
        return 0.0
    entrant.note = note or entrant.note
    return float(seconds)


def _steps(entrant: Entrant, case: Case) -> float:
    return case.steps_per_round * entrant.share * entrant.rounds
