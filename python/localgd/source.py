"""Objects as one writes them in Python, for the line that makes a result again."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .configuration import describe
from .identification import OWN
from .recording import LogSpaced
from .schedules import PRESETS

__all__ = ["call", "source_of"]


def call(function: str, arguments: list[str], named: Mapping[str, Any]) -> str:
    """A call in Python; arguments that have no text in Python stand there by their names."""
    shown = [f"{name}={source_of(value, name)}" for name, value in named.items()]
    return f"{function}({', '.join([*arguments, *shown])})"


def source_of(value: Any, name: str) -> str:
    """A value in Python, or the name of it where it is something of the caller's."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    if value is None or isinstance(value, bool | int | float | str | range):
        return repr(value)
    if type(value) in (list, tuple):
        inner = ", ".join(source_of(entry, name) for entry in value)
        if type(value) is list:
            return f"[{inner}]"
        return f"({inner}{',' * (len(value) == 1)})"
    if isinstance(value, Mapping):
        pairs = [f"{source_of(key, name)}: {source_of(v, str(key))}" for key, v in value.items()]
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, LogSpaced):
        return f"lg.log_spaced(per_decade={value.per_decade})"
    own = type(value).__module__.partition(".")[0] == OWN
    if own and dataclasses.is_dataclass(value) and _is_public(type(value).__name__):
        return described(describe(value), name)
    return name


def described(plain: Any, name: str) -> str:
    """The same of what ``describe`` has made plain values of."""
    if isinstance(plain, Mapping) and "name" in plain:
        defaults = _defaults(plain["name"])
        fields = {
            field: value
            for field, value in plain.items()
            if field != "name" and (field not in defaults or value != defaults[field])
        }
        inner = ", ".join(f"{field}={described(value, field)}" for field, value in fields.items())
        return f"lg.{plain['name']}({inner})"
    if name in ("lr", "participation") and isinstance(plain, str) and plain not in PRESETS:
        return name  # a function of the caller's
    if isinstance(plain, list):  # of a tuple
        inner = ", ".join(described(entry, name) for entry in plain)
        return f"({inner}{',' * (len(plain) == 1)})"
    return source_of(plain, name)


def _defaults(name: str) -> dict[str, Any]:
    """The defaults of the parameters of a public class, as plain values."""
    if not _is_public(name):
        return {}
    import localgd

    parameters = inspect.signature(getattr(localgd, name)).parameters.values()
    return {p.name: describe(p.default) for p in parameters if p.default is not p.empty}


def _is_public(name: str) -> bool:
    import localgd

    return name in localgd.__all__
