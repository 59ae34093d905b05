"""By what the runs of a sweep are told apart, and found again in a file."""

from __future__ import annotations

import hashlib
import itertools
import json
import uuid
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from ..configuration import clients_named, work_of
from ..identification import UnidentifiedError, digest, identify
from ..measuring import held_out_rows
from ..preparation import prepare
from ..problem import Problem
from .grid import SETTINGS, Case

__all__ = ["Keys"]

NO_BEARING = {"threads", "memory_limit"}  # on the result
TAKEN_IN_PYTHON = dict.fromkeys(("test", "asymptote", "measures"))  # hashed as they are given
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
        self.warned = False  # whether a warning of them was given
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
        settings = {**SETTINGS, **case.settings}
        try:
            settings = self._checked(case, settings)
        except (ValueError, TypeError):  # run will say what is wrong
            pass
        kept = {name: value for name, value in settings.items() if name not in NO_BEARING}
        return {
            "problem": case.problem.fingerprint,
            "method": work_of(case.method, unknown),
            "lr": identify(getattr(case.method, "lr", None), unknown),
            "clients": clients_named(case.problem, case.method),
            "settings": identify(kept, unknown),
        }

    def _checked(self, case: Case, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings as run takes them, so that all ways to write them are one."""
        problem = case.problem
        prepared = prepare(problem, case.method, **{**settings, **TAKEN_IN_PYTHON})
        hashes: dict[str, Callable[[], Any]] = {
            "init": lambda: digest(prepared.init),
            "reference": lambda: digest(prepared.reference),
            "test": lambda: _test(settings["test"], problem),
            "asymptote": lambda: _asymptote(settings["asymptote"]),
        }
        others = settings.keys() - hashes.keys() - {"record", "measures"}
        return {
            **{name: getattr(prepared, name) for name in others},
            **{name: self._once(name, settings[name], problem, hashes[name]) for name in hashes},
            "record": digest(prepared.records),
            "measures": settings["measures"] or None,
        }

    def _once(self, name: str, value: Any, problem: Problem, made: Callable[[], Any]) -> Any:
        """A hash of arrays, made once however many runs they take part in."""
        wanted = (name, id(value), id(problem))
        if wanted not in self._known:
            self._kept += [value, problem]
            self._known[wanted] = made()
        return self._known[wanted]


def _test(value: Any, problem: Problem) -> str | None:
    return None if value is None else digest(*held_out_rows(problem, value))


def _asymptote(value: Any) -> Any:
    try:
        return identify(value)
    except UnidentifiedError:  # of the caller's
        return value


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
