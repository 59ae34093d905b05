"""Learning rates as functions of the round."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import _validation as check

__all__ = ["Polynomial", "Schedule", "TwoStage"]

Schedule = float | str | Callable[[int], float]
PRESETS = ("1/H", "1/(LH)")  # H is the smoothness constant of the problem and loss


@dataclass(frozen=True)
class TwoStage:
    """A small learning rate first, a large one from a given round on.

    ``η_k = lr1 if k < switch_round else lr2``

    Parameters
    ----------
    lr1, lr2 : float > 0
        The learning rates before and after.
    switch_round : int >= 0
        The first round of the second stage.

    Raises
    ------
    ValueError, TypeError
        For learning rates that are not positive numbers, or a round that is not an integer.

    References
    ----------
    Crawshaw, Woodworth, Liu, arXiv:2501.13790.

    Examples
    --------
    >>> import localgd as lg
    >>> schedule = lg.TwoStage(lr1=0.01, lr2=1.0, switch_round=100)
    >>> schedule(99), schedule(100)
    (0.01, 1.0)
    """

    lr1: float
    lr2: float
    switch_round: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr1", check.number("lr1", self.lr1, above=0))
        object.__setattr__(self, "lr2", check.number("lr2", self.lr2, above=0))
        switch_round = check.integer("switch_round", self.switch_round, 0)
        object.__setattr__(self, "switch_round", switch_round)

    def __call__(self, round: int) -> float:
        """The learning rate of that round."""
        return self.lr1 if round < self.switch_round else self.lr2


@dataclass(frozen=True)
class Polynomial:
    """A learning rate that decays like a power of the round.

    ``η_k = lr0 / (k + 1)^power``

    Parameters
    ----------
    lr0 : float > 0
        The learning rate of round 0.
    power : float >= 0
        0 for a constant rate.

    Raises
    ------
    ValueError, TypeError
        For numbers outside these ranges.

    References
    ----------
    Robbins and Monro, Ann. Math. Statist. 22 (1951), doi:10.1214/aoms/1177729586.

    Examples
    --------
    >>> import localgd as lg
    >>> schedule = lg.Polynomial(lr0=1.0, power=0.5)
    >>> schedule(0), schedule(3)
    (1.0, 0.5)
    """

    lr0: float
    power: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr0", check.number("lr0", self.lr0, above=0))
        object.__setattr__(self, "power", check.number("power", self.power, minimum=0))

    def __call__(self, round: int) -> float:
        """The learning rate of that round."""
        try:
            return self.lr0 / (round + 1) ** self.power
        except OverflowError:  # of Python's power, where that of NumPy would be infinite
            return 0.0


def check_schedule(lr: Any) -> Schedule:
    """A positive number, a preset or a callable, unchanged."""
    if isinstance(lr, str) and lr == "1/LH":  # as the shell writes it
        return "1/(LH)"
    if callable(lr) or (isinstance(lr, str) and lr in PRESETS):
        return lr
    try:
        return check.number("lr", lr, above=0)
    except TypeError:
        raise TypeError(
            f"lr: got {lr!r}; want a number above 0, '1/H', '1/(LH)', a schedule, or a callable "
            "round -> float"
        ) from None


def rates(lr: Schedule, first: int, until: int) -> list[float]:
    """The learning rates of rounds first to until - 1; one number stands for all when constant."""
    if not callable(lr):
        return [float(lr)]
    return [_rate(lr(k), k) for k in range(first, until)]


def _rate(value: Any, round: int) -> float:
    if type(value) is float and 0 < value < math.inf:  # nearly always, and 15 times as fast
        return value
    try:
        return check.number("lr", value, above=0)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"lr: the schedule gave {value!r} for round {round}; want numbers above 0"
        ) from None
