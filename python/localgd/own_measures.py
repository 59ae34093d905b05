"""Measures of one's own, which see of a record what their arguments are named after."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import _validation as check

__all__ = ["OwnMeasure", "wants_clients", "wants_models"]

SEEN = ("round", "weights", "models", "gradients")


class OwnMeasure:
    """A function of the weights, or of what its arguments name, as a measure of a record."""

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        gradients: Callable[[np.ndarray], np.ndarray],
    ):
        self._name, self._function, self._gradients = name, function, gradients
        self._named = _named(name, function)

    @property
    def wants_models(self) -> bool:
        return "models" in self._named

    @property
    def wants_clients(self) -> bool:
        return wants_clients(self._function)

    def __call__(self, w: np.ndarray, round: int, models: np.ndarray | None = None) -> float:
        if self._named:
            known: Mapping[str, Callable[[], Any]] = {
                "round": lambda: round,
                "weights": lambda: w,
                "models": lambda: models,
                "gradients": lambda: self._gradients(w),
            }
            found = self._function(**{name: known[name]() for name in self._named})
        else:
            found = self._function(w)
        try:
            return float(found)
        except TypeError:
            raise TypeError(
                f"measures: {self._name!r} returned {type(found).__name__}; want a number"
            ) from None


def wants_models(function: Callable[..., Any]) -> bool:
    """Whether a measure sees the clients' models, which a record of weights does not have."""
    return "models" in _named("", function)


def wants_clients(function: Callable[..., Any]) -> bool:
    """Whether a measure sees models or gradients of the clients."""
    return not {"models", "gradients"}.isdisjoint(_named("", function))


def _named(name: str, function: Callable[..., Any]) -> tuple[str, ...]:
    """The arguments that a function takes by name; none if it is one of the weights."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of a library's, which does not say
        return ()
    by_place = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    wanted = [p for p in parameters if p.default is p.empty and p.kind not in by_place]
    names = tuple(p.name for p in wanted)
    by_name = all(p.kind is not inspect.Parameter.POSITIONAL_ONLY for p in wanted)
    if names and by_name and set(names) <= set(SEEN):
        return names
    if len(names) > 1:
        near = [check.did_you_mean(other, SEEN) for other in names if other not in SEEN]
        raise TypeError(
            f"measures: {name!r} takes the arguments {', '.join(names)}; want the weights alone, "
            f"or some of {', '.join(SEEN)} by name{next(filter(None, near), '')}"
        )
    return ()
