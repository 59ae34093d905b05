"""What the core is given for each round: learning rate, shares of the clients."""

from __future__ import annotations

import math
from typing import Any

from .alone import ALONE
from .methods import Method
from .participation import Participation, RoundShares
from .problem import Problem
from .schedules import Schedule, asks_for, rate_at, rates

__all__ = ["RoundInputs", "shortened_rounds"]

CHUNK_NUMBERS = 2**22  # shares that are prepared together


class RoundInputs:
    """The inputs of any range of rounds, the same whatever range they are asked for in."""

    def __init__(self, problem: Problem, method: Method, lr: Schedule, seed: int):
        self.lr = lr
        self.overflowed = False  # whether a function of the state has given an infinite rate
        self._ranks = problem.ranks
        self._calls = callable(method.participation)
        self._participation = Participation(problem, method, seed)
        at_once = [2**50]  # rounds that may be prepared together
        self.sees_state = bool(asks_for(lr))
        if callable(lr):
            at_once.append(1 if self.sees_state else 2**16)
        if self._calls:
            at_once.append(2**16)
        if not self._participation.full:
            at_once.append(max(1, CHUNK_NUMBERS // self._participation.most))
        self.at_once = min(at_once)

    def of(self, first: int, until: int, session: Any) -> tuple[list[float], RoundShares]:
        """Learning rates and shares p̃ of rounds first to until - 1.

        Where the rates depend on the model that is one round, which begins where the session is.
        """
        ask = self._ranks.first  # functions of the caller's are asked once
        if self._calls:
            shares = ask(lambda: self._participation.of(first, until))
        else:
            shares = self._participation.of(first, until)
        lr = self.lr
        if not callable(lr):
            return rates(lr, first, until) or [1.0], shares
        if self.sees_state and until > first:
            seen = session.see(gradient="grad_norm" in asks_for(lr))
            rate = ask(lambda: rate_at(lr, first, seen))
            self.overflowed = rate == math.inf
            return [rate], shares
        return ask(lambda: rates(lr, first, until)) or [1.0], shares


def shortened_rounds(session: Any, ranks: Any = ALONE) -> int:
    """Rounds of a session all of whose local steps were extrapolated from fewer."""
    ladders = session.ladders
    return ranks.least(ladders["rounds"] if ladders else 0)  # type: ignore[no-any-return]
