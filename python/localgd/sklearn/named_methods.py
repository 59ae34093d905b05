"""Methods by their names."""

from __future__ import annotations

import dataclasses
from typing import Any

from .. import _validation as check
from ..methods import METHODS, FedAvg, Method

__all__ = ["method_of"]

LOCAL_STEPS, RATE = 10, "1/H"


def method_of(method: Any, local_steps: Any, lr: Any) -> Method:
    """A method as it is, or the one of this name with local steps and a rate."""
    given = {"local_steps": local_steps, "lr": lr}
    given = {name: value for name, value in given.items() if value is not None}
    if isinstance(method, Method):
        for name, value in given.items():
            raise ValueError(
                f"{name}: got {value!r} beside method={method!r}, which has its own; want either "
                "the name of a method, or an instance alone"
            )
        return method
    kind = _kind(method)
    takes = {field.name for field in dataclasses.fields(kind)}
    for name, value in given.items():
        if name not in takes:
            raise ValueError(f"{name}: got {value!r}; {kind.__name__} takes none")
    usual = {"local_steps": LOCAL_STEPS, "lr": RATE}
    return kind(**{**{name: value for name, value in usual.items() if name in takes}, **given})


def _kind(method: Any) -> type[Method]:
    """The class of a name, which may be written as the shell does: "local-gd"."""
    if not isinstance(method, str):
        raise TypeError(
            f"method: got {method!r}; want a method such as lg.Scaffold(10, '1/H'), or its name"
        )
    of_all = {kind.__name__.lower(): kind for kind in (*METHODS, FedAvg)}
    kinds = {name: kind for name, kind in of_all.items() if not _missing(kind)}
    name = method.lower().replace("-", "").replace("_", "")
    if name in of_all and name not in kinds:
        kind = of_all[name]
        raise ValueError(
            f"method: {kind.__name__} wants {' and '.join(_missing(kind))}, too: give an instance, "
            f"lg.{kind.__name__}(…)"
        )
    if name not in kinds:
        listed = ", ".join(repr(kind.__name__) for kind in kinds.values())
        near = check.did_you_mean(method, [kind.__name__ for kind in kinds.values()])
        raise ValueError(
            f"method: got {method!r}; want {listed}, or an instance of any method{near}"
        )
    return kinds[name]


def _missing(kind: type[Method]) -> list[str]:
    """What a method cannot do without, beside local steps and a rate."""
    return [
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.name not in ("local_steps", "lr")
    ]
