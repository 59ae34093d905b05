"""The runs of a sweep: problems x methods x the values of a grid."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .. import _validation as check
from ..configuration import describe
from ..methods import Method, check_method
from ..problem import Problem, check_problem
from ..running import run

__all__ = ["SETTINGS", "Case", "axis_of", "cases"]

OF_SINGLE_RUNS = {
    *("progress", "callback", "checkpoint", "checkpoint_seconds", "keep_weights", "comm")
}
# The keyword arguments of run that a sweep may vary or fix, with their defaults.
SETTINGS = {
    name: parameter.default
    for name, parameter in inspect.signature(run).parameters.items()
    if name not in OF_SINGLE_RUNS | {"problem", "method"}
}


@dataclass(frozen=True)
class Case:
    """One run of a sweep.

    ``values`` are what distinguishes it from the others, as plain values; ``settings`` the keyword
    arguments of :func:`localgd.run` beside the problem and the method.
    """

    values: dict[str, Any]
    problem: Problem
    method: Method
    settings: dict[str, Any]


def cases(
    problems: Any, methods: Any, axes: Mapping[str, list[Any]], settings: Mapping[str, Any]
) -> Iterator[Case]:
    """Every combination, in the order of the arguments; the last name of the grid runs fastest."""
    named_problems = list(_named("problem", problems, check_problem))
    named_methods = list(_named("method", methods, check_method))
    names = {name: _names(axis) for name, axis in axes.items()}
    for (problem_name, problem), (method_name, method) in itertools.product(
        named_problems, named_methods
    ):
        for indices in itertools.product(*(range(len(axis)) for axis in axes.values())):
            values = {name: axes[name][i] for name, i in zip(axes, indices, strict=True)}
            made, others = _applied(method, values)
            labels = {name: names[name][i] for name, i in zip(axes, indices, strict=True)}
            if len(named_problems) > 1:
                labels = {"problem": problem_name, **labels}
            labels = {"method": method_name, **labels}
            made = made.on(problem.sizes)
            yield Case(labels, problem, made, {**settings, **others})


def _names(axis: list[Any]) -> list[Any]:
    """The values as a table shows them; functions of the same name are numbered."""
    labels = [_label(value) for value in axis]
    return [
        f"{name} {i}" if callable(axis[i]) and labels.count(name) > 1 else name
        for i, name in enumerate(labels)
    ]


def _label(value: Any) -> Any:
    """A value as a table shows it: plain, or as it is written in Python."""
    plain = describe(value)
    return plain if isinstance(plain, str | int | float | None) else repr(value)


def _named(what: str, given: Any, checked: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(given, Mapping):
        pairs = [(str(name), value) for name, value in given.items()]
    elif isinstance(given, Iterable) and not isinstance(given, Method | Problem):
        listed = list(given)
        names = [type(value).__name__ for value in listed]
        pairs = []
        for i, (name, value) in enumerate(zip(names, listed, strict=True)):
            shared = repr(value) if isinstance(value, Method) else f"{name} {i}"
            pairs.append((shared if names.count(name) > 1 else name, value))
    else:
        pairs = [(type(given).__name__, given)]
    if not pairs:
        raise ValueError(f"{what}: got none; want at least one")
    for name, value in pairs:
        yield name, checked(value)


def axis_of(name: str, values: Any) -> list[Any]:
    """The values of a name of a grid."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise TypeError(f"grid: {name!r} has {values!r}; want a list of values")
    listed = list(values)
    if not listed:
        raise ValueError(f"grid: {name!r} has no values; want at least one")
    return listed


def _applied(method: Method, values: Mapping[str, Any]) -> tuple[Method, dict[str, Any]]:
    """The method with its own parameters changed, and what is left for run."""
    fields = {field.name for field in dataclasses.fields(method)}
    known = sorted(fields | {*SETTINGS})
    for name in values:
        if name not in known:
            raise ValueError(
                f"grid: {type(method).__name__} has no parameter {name!r}, nor has run; want one "
                f"of {', '.join(known)}{check.did_you_mean(name, known)}"
            )
    changed = {name: value for name, value in values.items() if name in fields}
    return (
        dataclasses.replace(method, **changed),
        {name: value for name, value in values.items() if name not in fields},
    )
