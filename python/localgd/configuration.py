"""The settings of a run as plain values: for its result and its checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ._backend import core
from .identification import PLAIN, UnidentifiedError, digest, identify, refuse
from .losses import LOSSES, BaseLoss
from .methods import Method
from .preparation import Preparation
from .problem import Problem
from .servers import Server

__all__ = [
    "clients_named",
    "describe",
    "identity",
    "make_config",
    "unidentified",
    "work_of",
]

# What a run may be continued with another of, and what its identity does not hold as it is.
MAY_CHANGE = {
    *("rounds", "records", "spacing", "stop", "callback", "threads", "memory_limit", "progress"),
}
IN_OTHER_WORDS = {
    *("problem", "method", "engine", "init", "starts_at_zero", "reference", "beside"),
    *("test", "asymptote", "measures"),
}
VERSIONS = {"localgd": core.build_info()["version"], "numpy": np.__version__}


def _has_columns(problem: Problem) -> bool:
    """Whether there is a column of the model for each of several targets."""
    return problem.task == "regression" and len(problem.weights_shape) > 1


def make_config(prepared: Preparation) -> dict[str, Any]:
    """The settings of a run for its result."""
    problem, method = prepared.problem, prepared.method
    return {
        "method": describe(method),
        "loss": LOSSES[prepared.loss].name,
        "l2": prepared.l2,
        **({} if prepared.model is None else {"model": describe(prepared.model)}),
        "lr": describe(prepared.lr),
        "rounds": prepared.rounds,
        "init": "zeros" if prepared.starts_at_zero else "given",
        "clients_per_round": method.clients_per_round(problem.n_clients),
        "engine": prepared.engine,
        "dtype": prepared.dtype,
        "seed": prepared.seed,
        "every_step": prepared.every_step,
        "record": "given" if prepared.spacing is None else describe(prepared.spacing),
        "problem": {
            "task": problem.task,
            "n_clients": problem.n_clients,
            "n_samples": problem.n_samples,
            "n_features": problem.n_features,
            "intercept": problem.intercept or "none",
            **({"n_outputs": problem.n_outputs} if _has_columns(problem) else {}),
            **({} if problem.labels is None else {"labels": list(problem.labels)}),
            **(
                {}
                if problem.feature_names is None
                else {"feature_names": list(problem.feature_names)}
            ),
            **({} if problem.encoder is None else {"encoder": problem.encoder.state()}),
        },
        "versions": dict(VERSIONS),
    }


def identity(prepared: Preparation, engine: str) -> dict[str, Any]:
    """What a run must share with a checkpoint, beside the values of a schedule that has no more."""
    method = prepared.method
    kept = {field.name for field in dataclasses.fields(prepared)} - MAY_CHANGE - IN_OTHER_WORDS
    return {
        **{name: identify(getattr(prepared, name)) for name in kept},
        "method": work_of(method, _own_server, _function),
        "lr": identify(getattr(method, "lr", None), _function),
        "clients": clients_named(prepared.problem, method),
        "engine": engine,
        "rows_in_place": prepared.rows_in_place or None,
        "data": [prepared.problem.fingerprint, digest(prepared.init, prepared.reference)],
    }


def unidentified(method: Method) -> list[str]:
    """Which parameters of a method are functions or objects that cannot be identified."""
    found = []
    for name in ("lr", "participation"):
        try:
            identify(getattr(method, name, None))
        except UnidentifiedError:
            found.append(name)
    return found


def clients_named(problem: Problem, method: Method) -> str | None:
    """A hash of the ids of the clients, where a rule or a function may name them."""
    if isinstance(method.participation, float | int):
        return None
    import hashlib  # at first use, as it takes its time

    return hashlib.sha256(repr(problem.client_ids).encode()).hexdigest()


def _own_server(server: Any) -> dict[str, Any]:
    """The class and the attributes of a server of the caller's."""
    if not isinstance(server, Server):
        return refuse(server)  # type: ignore[no-any-return]
    kind = type(server)
    return {
        "server": f"{kind.__module__}.{kind.__qualname__}",
        "attributes": identify(vars(server)),
    }


def _function(value: Any) -> str:
    return "callable"


def work_of(
    method: Method, unknown: Callable[[Any], Any], unknown_turns: Callable[[Any], Any] | None = None
) -> dict[str, Any]:
    """All that runs depend on of a method but its learning rate; see :func:`identify`.

    ``unknown_turns`` is asked in place of ``unknown`` about who takes part.
    """
    return {
        "rule": identify(method.rule, unknown),
        "server": identify(method.server, unknown),
        "participation": identify(method.participation, unknown_turns or unknown),
        "sampling": method.sampling,
        "normalize": method.fednova,
        "shares": method.shares,
    }


def describe(option: Any) -> Any:
    """An option object as plain values: dataclasses become dicts with their name."""
    if type(option) in PLAIN:
        return option
    if isinstance(option, BaseLoss):
        return option.name
    if dataclasses.is_dataclass(option) and not isinstance(option, type):
        fields = {f.name: describe(getattr(option, f.name)) for f in dataclasses.fields(option)}
        return {"name": type(option).__name__, **fields}
    if isinstance(option, Server):
        return {
            "name": type(option).__name__,
            **{name: describe(value) for name, value in vars(option).items()},
        }
    if callable(option):
        return getattr(option, "__qualname__", type(option).__qualname__)
    if isinstance(option, np.generic):
        return option.item()
    if isinstance(option, tuple):
        return [describe(entry) for entry in option]
    return option if isinstance(option, str | int | float) else repr(option)
