"""λ and learning rates that follow from the smoothness constant H of a problem and a loss."""

from __future__ import annotations

import re
import weakref
from typing import Any

from . import _validation as check
from .losses import LossLike
from .methods import Method
from .problem import Problem
from .schedules import Schedule
from .smoothness import smoothness

__all__ = ["asks_for_smoothness", "check_penalty", "learning_rate", "note_smoothness", "penalty"]

PER_ROW = "H/N"
CONDITION = re.compile(r"(?:κ|kappa)\s*=\s*(\S+)")

_known: weakref.WeakKeyDictionary[Problem, dict[LossLike, float]] = weakref.WeakKeyDictionary()


def penalty(l2: Any, problem: Problem, loss: LossLike) -> float:
    """λ: the number itself, ``H/(κ - 1)`` for "κ=1e4", or H/N."""
    asked = check_penalty(l2)
    if not isinstance(asked, str):
        return asked
    H = _smoothness(problem, loss)
    return H / problem.n_samples if asked == PER_ROW else H / (_condition(asked) - 1)


def check_penalty(l2: Any) -> float | str:
    """A number of at least 0, "H/N" or "κ=…" with a number above 1, unchanged."""
    if isinstance(l2, str):
        if l2 == PER_ROW:
            return l2
        try:
            if _condition(l2) > 1:
                return l2
        except ValueError:
            pass
        raise ValueError(f"l2: got {l2!r}; want {WANTED}")
    try:
        return check.number("l2", l2, minimum=0)
    except TypeError:
        raise TypeError(f"l2: got {l2!r}; want {WANTED}") from None


WANTED = "a finite number of at least 0, 'H/N', or 'κ=1e4' (kappa=1e4) with a number above 1"


def _condition(l2: str) -> float:
    """κ; a ValueError if that is not what it says."""
    found = CONDITION.fullmatch(l2.strip())
    return check.number("κ", float(found[1] if found else ""))


def learning_rate(problem: Problem, method: Method, loss: LossLike, l2: float = 0.0) -> Schedule:
    """The schedule of a method, with presets made numbers; 1.0 for methods that take none."""
    lr = getattr(method, "lr", None)
    if lr is None:
        return 1.0
    if not isinstance(lr, str):
        return lr
    rate = 1.0 / (_smoothness(problem, loss) + l2)
    steps = method.rule.core_steps(problem.n_clients).max()
    return rate / float(steps) if lr == "1/(LH)" else rate


def asks_for_smoothness(method: Method, l2: Any) -> bool:
    """Whether the rates or λ are presets."""
    return isinstance(l2, str) or isinstance(getattr(method, "lr", None), str)


def note_smoothness(problem: Problem, loss: LossLike, H: float) -> None:
    """H of a problem whose rows are not all here."""
    _known.setdefault(problem, {})[loss] = H


def _smoothness(problem: Problem, loss: LossLike) -> float:
    """H, computed once for each problem: a sweep asks for it again and again."""
    of_losses = _known.setdefault(problem, {})
    if loss not in of_losses:
        of_losses[loss] = smoothness(problem, loss)
    return of_losses[loss]
