"""The core's simulation of what has been prepared: one run, or several side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ._backend import core
from .losses import LOSSES, LossLike
from .networks.preparing import network_options
from .own_server import Stepping
from .preparation import Preparation
from .problem import Problem
from .randomness import batch_keys
from .schedules import by_core
from .servers import CALLED

__all__ = [
    "SIDE_BY_SIDE",
    "infinite_start",
    "local_options",
    "make_simulation",
    "run_options",
    "start_is_finite",
]

SIDE_BY_SIDE = "side_by_side"


def make_simulation(runs: Sequence[Preparation], engine: str, threads: int) -> Any:
    """Of a run, or of several that share rows and local steps by the engine "side_by_side"."""
    first = runs[0]
    problem = first.problem
    if first.model is not None:
        return core.NetworkSimulation(
            core_rows(problem, in_place=True),  # it makes products of its own of them
            problem.y,
            problem.offsets,
            problem.weights,
            run_options(first),
            network=network_options(first.model, problem, first.engine, engine),
            loss=first.loss,
            single=first.dtype == "float32",
            local=local_options(first),
            threads=threads,
            row_weights=problem.relative_weights,
            free_intercept=problem.free_intercept,
        )
    held = problem.held
    return core.Simulation(
        core_rows(held, first.rows_in_place),
        held.y,
        held.offsets,
        held.weights,
        [run_options(run, ends=engine == SIDE_BY_SIDE) for run in runs],
        engine=engine,
        loss=LOSSES[first.loss].core,
        single=first.dtype == "float32",
        local=local_options(first),
        threads=threads,
        signs=LOSSES[first.loss].signed,
        row_weights=held.relative_weights,
        free_intercept=held.free_intercept,
        sharing=held.n_clients if held.shares_rows else 0,
        ranks=problem.ranks.of_core,
    )


def core_rows(problem: Problem, in_place: bool) -> Any:
    """The rows as the core takes them: an array, or the parts of a compressed one."""
    X = problem.X
    if not problem.sparse:
        return X
    return X.indptr.astype(np.int64), X.indices, X.data, X.shape[1], in_place


def local_options(prepared: Preparation) -> dict[str, Any]:
    """The local rule as the core takes it, except for what each run has of its own."""
    problem, rule = prepared.problem, prepared.method.rule
    own = problem.own_clients
    clients = np.arange(problem.n_clients)[own].tolist()
    return {
        "steps": rule.core_steps(problem.n_clients)[own],
        "batches": rule.batches(problem.sizes)[own],
        "replacement": rule.replacement,
        "keys": batch_keys(prepared.seed, clients) if rule.stochastic else [],
        "solve": rule.solve,
        "every_step": prepared.every_step,
        "normalize": prepared.method.fednova,
        "rates": by_core(prepared.lr),
        "correction": {"kind": rule.correction, **rule.parameters},
    }


def run_options(prepared: Preparation, ends: bool = False) -> dict[str, Any]:
    """What a run has of its own, as the core takes it; whether it ends by itself."""
    method = prepared.method
    return {
        "init": prepared.init,
        "server": _server_options(prepared),
        "prox": method.rule.prox,
        "l2": prepared.l2,
        "record_rounds": prepared.records,
        "reference": prepared.reference if prepared.model is None else np.zeros((0, 0)),
        "keep_weights": prepared.keep_weights,
        "rounds": prepared.rounds if ends else None,
    }


def _server_options(prepared: Preparation) -> dict[str, Any]:
    server: Any = prepared.method.server
    if server.kind == CALLED:
        shape = prepared.problem.weights_shape
        return {"kind": CALLED, "stepping": Stepping(server, shape, prepared.init)}
    return {"kind": server.kind, **dataclasses.asdict(server)}


def start_is_finite(session: Any, run: int = 0) -> bool:
    """Whether the loss at the start of a run is: where it is not, there is no record at all."""
    diverged = session.status(run) == "diverged" and session.round_of(run) == 0
    return not diverged or len(session.history(run)["round"]) > 0


def infinite_start(loss: LossLike) -> ValueError:
    """The error of a run whose start has an infinite loss."""
    if loss not in LOSSES:
        return ValueError(
            f"loss: {loss} is not finite at the start; want one that check_extension passes, or "
            "another init"
        )
    return ValueError(f"init: its {loss} loss is not finite; start closer to 0")
