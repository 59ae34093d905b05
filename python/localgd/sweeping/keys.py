"""By what the runs of a sweep are told apart, and found again in a file."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import json
import uuid
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from .. import _validation as check
from ..arguments import check_init, check_reference
from ..configuration import work_of
from ..identification import UnidentifiedError, digest, identify
from ..losses import check_loss, default_loss
from ..measuring import held_out_rows
from ..problem import Problem
from ..recording import log_spaced, record_rounds
from ..running import check_dtype, run
from .grid import Case, settings_of_run

__all__ = ["Keys"]

# Arguments of run that bear on the result, with their defaults.
SETTINGS = {
    name: inspect.signature(run).parameters[name].default
    for name in settings_of_run() - {"threads", "memory_limit"}
}
PROCESS = uuid.uuid4().hex
Unknown = Callable[[Any], Any]

_numbers = itertools.count(1)
_serials: dict[int, tuple[Callable[[], Any], int]] = {}  # by id: of what it is, and its number


class Keys:
    """Keys of the runs of one sweep.

    Runs have the same key if they have the same result by what was asked for: by whatever names,
    with whatever defaults spelled out. A function or an object of the caller's is known from
    others while this process lasts, but what it does may change at any time.

    Attributes
    ----------
    unidentified : dict of str to object
        The functions and objects in a run, for the keys of runs that have any.
    """

    def __init__(self) -> None:
        self.unidentified: dict[str, Any] = {}
        self._known: dict[tuple[Any, ...], Any] = {}
        self._kept: list[Any] = []  # whose ids must not be given to others

    def of(self, case: Case) -> str:
        """A hash of all that the result depends on."""
        objects: list[Any] = []

        def unknown(value: Any) -> Any:
            objects.append(value)
            return {"object": [PROCESS, _serial(value)]}

        plain = json.dumps(self._plain(case, unknown), sort_keys=True)
        key = hashlib.sha256(plain.encode()).hexdigest()
        if objects:
            self.unidentified[key] = objects[0]
        return key

    def _plain(self, case: Case, unknown: Unknown) -> dict[str, Any]:
        problem = case.problem
        settings = {name: case.settings.get(name, given) for name, given in SETTINGS.items()}
        parts = {
            "problem": problem.fingerprint,
            "method": work_of(case.method, unknown),
            "lr": identify(getattr(case.method, "lr", None), unknown),
        }
        try:
            settings = self._checked(problem, settings)
        except (ValueError, TypeError):  # run will say what is wrong
            pass
        return {**parts, "settings": identify(settings, unknown)}

    def _checked(self, problem: Problem, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings as run takes them, so that all ways to write them are one."""
        loss, record = settings["loss"], settings["record"]
        rounds = check.integer("rounds", settings["rounds"], 0)
        schedule = record_rounds(log_spaced() if record is None else record, rounds)
        return {
            **settings,
            "rounds": rounds,
            "seed": check.integer("seed", settings["seed"], 0),
            "dtype": check_dtype(settings["dtype"]),
            "loss": default_loss(problem.task) if loss is None else check_loss(loss, problem),
            "record": digest(schedule),
            "measures": settings["measures"] or None,
            **{name: self._hash(name, settings[name], problem) for name in ARRAYS},
        }

    def _hash(self, name: str, value: Any, problem: Problem) -> Any:
        """Of arrays, made once however many runs they take part in."""
        wanted = (name, id(value), id(problem))
        if wanted not in self._known:
            self._kept += [value, problem]
            self._known[wanted] = ARRAYS[name](value, problem)
        return self._known[wanted]


def _test(value: Any, problem: Problem) -> str | None:
    return None if value is None else digest(*held_out_rows(problem, value))


def _asymptote(value: Any, problem: Problem) -> Any:
    try:
        return identify(value)
    except UnidentifiedError:  # of the caller's
        return value


ARRAYS: dict[str, Callable[[Any, Problem], Any]] = {
    "init": lambda value, problem: digest(check_init(value, problem)),
    "reference": lambda value, problem: digest(check_reference(value, problem)),
    "test": _test,
    "asymptote": _asymptote,
}


def _serial(value: Any) -> int:
    """A number that no other object of this process has."""
    same, number = _serials.get(id(value), (lambda: None, 0))
    if same() is value:
        return number
    number = next(_numbers)
    try:
        same = weakref.ref(value)
    except TypeError:  # kept for ever, so that no other can take its place

        def same() -> Any:
            return value

    _serials[id(value)] = (same, number)
    return number
