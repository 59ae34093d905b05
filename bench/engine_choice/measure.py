"""CPU time of each engine on one problem, in turn."""

from __future__ import annotations

import dataclasses
import time

import localgd as lg
from localgd.engines import ENGINES

from .problems import AXES, FAMILIES, Case

__all__ = ["times"]

MOST_SECONDS = 0.2  # of the fastest engine
LEAST_SECONDS = 0.02  # of a timing: short runs are repeated
HOPELESS = 4.0  # times as slow as the fastest so far: not timed to the end


class TooSlow(Exception):
    pass


def _seconds(
    problem: lg.Problem, method: lg.Method, case: Case, engine: str, most: float, runs: int = 1
) -> float:
    """CPU seconds of a whole run on one thread, the least of some; inf beyond ``most``."""
    least = float("inf")

    def watch(_round: int) -> None:
        if time.process_time() - begin > most:
            raise TooSlow

    for _ in range(runs):
        begin = time.process_time()
        try:
            lg.run(
                problem,
                method,
                rounds=case.rounds,
                loss=FAMILIES[case.family].loss,
                dtype=case.dtype,
                engine=engine,
                every_step=case.every_step,
                threads=1,
                record=[],
                progress=watch,
            )
        except TooSlow:
            return float("inf")
        least = min(least, time.process_time() - begin)
    return least


def times(case: Case, repeats: int) -> tuple[Case, dict[str, float]]:
    """CPU seconds per round of each engine, the least of the repeats.

    The case has fewer rounds than it was given where these take the fastest engine too long.
    """
    problem, method = case.problem(), case.method()
    case = _short_enough(problem, method, case)
    found = dict.fromkeys(ENGINES, float("inf"))
    for repeat in range(repeats + 1):
        for engine in ENGINES:
            best = min(found.values())
            if repeat > 1 and found[engine] > HOPELESS * best:
                continue
            runs = max(1, int(LEAST_SECONDS / found[engine]))
            most = min(5 * MOST_SECONDS, HOPELESS * best)
            seconds = _seconds(problem, method, case, engine, most, runs)
            found[engine] = min(found[engine], seconds)
    return case, {name: seconds / case.rounds for name, seconds in found.items()}


def _short_enough(problem: lg.Problem, method: lg.Method, case: Case) -> Case:
    """The case, with so few rounds that an engine takes no longer than MOST_SECONDS."""
    few = AXES["rounds"][0]
    while case.rounds > few:
        trial = dataclasses.replace(case, rounds=max(few, case.rounds // 100))
        least = MOST_SECONDS * trial.rounds / case.rounds
        if any(_seconds(problem, method, trial, engine, least) <= least for engine in ENGINES):
            break
        case = dataclasses.replace(case, rounds=case.rounds // 10)
    return case
