"""How the columns of a history are drawn: their labels, units and scales."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from .. import _validation as check
from ..measuring import COLUMNS, RISING

__all__ = [
    "LINEAR",
    "MOSTLY",
    "check_column",
    "is_log",
    "label_of",
    "usual_column",
    "values_of",
]

LINEAR = RISING
MOSTLY = 0.9  # positive values, for a log axis; those at the end may be rounding
USUAL = ("suboptimality", "angle", "loss")
SYMBOLS = {"f - f*": "$f - f^*$"}


def check_column(argument: str, name: object, histories: Iterable[Mapping[str, np.ndarray]]) -> str:
    """The name of a column that some history has."""
    known = list(dict.fromkeys(column for history in histories for column in history))
    if not isinstance(name, str):
        raise TypeError(f"{argument}: got {name!r}; want the name of a column")
    if name not in known:
        listed = ", ".join(sorted(known)) or "a run with a history"
        near = check.did_you_mean(name, known)
        raise ValueError(f"{argument}: no run has the column {name!r}; want one of {listed}{near}")
    return name


def usual_column(histories: Iterable[Mapping[str, np.ndarray]]) -> str:
    """What is drawn unless it is said: how far runs are from their reference, or the loss."""
    recorded = [history for history in histories if history]
    return next((name for name in USUAL if all(name in history for history in recorded)), "loss")


def values_of(history: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """A column as it is drawn: angles in degrees."""
    values = np.asarray(history[name], dtype=np.float64)
    return np.degrees(values) if _unit(name) == "degrees" else values


def label_of(name: str) -> str:
    """The label of an axis."""
    title = COLUMNS[name].title if name in COLUMNS else name
    title = SYMBOLS.get(title) or (title[0].upper() + title[1:] if name in COLUMNS else title)
    return f"{title} ({_unit(name)})" if _unit(name) else title


def is_log(name: str, values: np.ndarray) -> bool:
    """Whether a column is drawn on a log axis."""
    known = values[np.isfinite(values)]
    return name not in LINEAR and known.size > 0 and bool(np.mean(known > 0) >= MOSTLY)


def check_scale(argument: str, scale: str) -> bool:
    """Whether a scale is logarithmic."""
    return check.one_of(argument, scale, ("log", "linear")) == "log"


def _unit(name: str) -> str:
    return COLUMNS[name].unit.replace("rad", "degrees") if name in COLUMNS else ""
