"""The settings of a run as plain values: for its result, its checkpoint and the core."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ._backend import core
from .identification import UnidentifiedError, identify, refuse
from .methods import Method
from .problem import Problem
from .randomness import batch_keys
from .recording import LogSpaced, log_spaced
from .schedules import Schedule

__all__ = [
    "describe",
    "identity",
    "local_options",
    "make_config",
    "run_options",
    "unidentified_lr",
    "work_of",
]


def make_config(
    problem: Problem,
    method: Method,
    rounds: float,
    loss: str,
    init: Any,
    engine: str,
    dtype: str,
    seed: int,
    record: Any,
    every_step: bool = False,
) -> dict[str, Any]:
    return {
        "method": describe(method),
        "loss": loss,
        "rounds": rounds,
        "init": "zeros" if init is None else "given",
        "clients_per_round": method.clients_per_round(problem.n_clients),
        "engine": engine,
        "dtype": dtype,
        "seed": int(seed),
        "every_step": every_step,
        "record": describe(record if isinstance(record, LogSpaced) else log_spaced())
        if record is None or isinstance(record, LogSpaced)
        else "given",
        "problem": {
            "task": problem.task,
            "n_clients": problem.n_clients,
            "n_samples": problem.n_samples,
            "n_features": problem.n_features,
        },
        "versions": {"localgd": core.build_info()["version"], "numpy": np.__version__},
    }


def identity(method: Method, config: dict[str, Any], engine: str, data: Any) -> dict[str, Any]:
    """What a run must share with a checkpoint, beside the values of a schedule that has no more."""
    kept = {key: config[key] for key in ("loss", "dtype", "seed", "every_step")}
    lr = unidentified_lr(method)
    return {
        **kept,
        "method": work_of(method),
        "lr": "callable" if lr is not None else identify(getattr(method, "lr", None)),
        "engine": engine,
        "data": data,
    }


def unidentified_lr(method: Method) -> Schedule | None:
    """The schedule of a method if it is a function or object that cannot be identified."""
    lr: Schedule | None = getattr(method, "lr", None)
    try:
        identify(lr)
    except UnidentifiedError:
        return lr
    return None


def work_of(method: Method, unknown: Callable[[Any], Any] = refuse) -> dict[str, Any]:
    """All that runs depend on of a method but its learning rate; see :func:`identify`."""
    return {
        "rule": identify(method.rule, unknown),
        "server": identify(method.server, unknown),
        "participation": method.participation,
        "sampling": method.sampling,
        "normalize": method.normalize,
    }


def describe(option: Any) -> Any:
    """An option object as plain values: dataclasses become dicts with their name."""
    if dataclasses.is_dataclass(option) and not isinstance(option, type):
        fields = {f.name: describe(getattr(option, f.name)) for f in dataclasses.fields(option)}
        return {"name": type(option).__name__, **fields}
    if callable(option):
        return getattr(option, "__qualname__", type(option).__qualname__)
    if isinstance(option, np.generic):
        return option.item()
    if isinstance(option, tuple):
        return [describe(entry) for entry in option]
    return option if isinstance(option, str | int | float | None) else repr(option)


def local_options(
    problem: Problem, method: Method, seed: int = 0, every_step: bool = False
) -> dict[str, Any]:
    """The local rule as the core takes it, but for what each run has of its own."""
    rule = method.rule
    return {
        "steps": rule.core_steps(problem.n_clients),
        "batches": rule.batches(problem.sizes),
        "replacement": rule.replacement,
        "keys": batch_keys(seed, problem.n_clients) if rule.stochastic else [],
        "solve": rule.solve,
        "every_step": every_step,
        "normalize": method.normalize,
        "correction": {"kind": rule.correction, **rule.parameters},
    }


def run_options(
    method: Method,
    init: np.ndarray,
    record_rounds: np.ndarray,
    reference: np.ndarray,
    *,
    keep_weights: bool = False,
    rounds: int | None = None,
) -> dict[str, Any]:
    """What a run has of its own, as the core takes it; it ends after ``rounds``, or never."""
    return {
        "init": init,
        "server": {"kind": method.server.kind, **dataclasses.asdict(method.server)},
        "prox": method.rule.prox,
        "record_rounds": record_rounds,
        "reference": reference,
        "keep_weights": keep_weights,
        "rounds": rounds,
    }
