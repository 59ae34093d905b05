"""The arguments of a run with a network, and the core's simulation of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import _validation as check
from .._backend import core
from ..engines import Plan
from ..errors import UnsupportedError
from ..methods import Method
from ..own_measures import wants_clients
from ..problem import Problem
from ..randomness import random_generator
from ..rows import as_double
from ..schedules import sees_state
from ..scoring import accuracy
from ..servers import CALLED
from .two_layer import TwoLayer, layers_of, outputs_of, random_start

__all__ = [
    "check_network",
    "measures_of",
    "network_options",
    "network_start",
    "plan",
    "scores_with",
]

START = 2  # keeps the draws of random starts apart from those of batches and participation
SIZES = {"he": 1.0, "small": 0.01}
FORMS = {"auto": "auto", "hybrid": "span", "primal": "weights"}  # of local steps, by engine
FLOPS_PER_SECOND = 5e10
THRESHOLDS = core.schema()["thresholds"]
SPARSE_COST = THRESHOLDS["sparse_cost"]  # of an entry of a row, in dense ones


def check_network(
    model: Any,
    problem: Problem,
    method: Method,
    *,
    engine: Any,
    l2: Any,
    loss: Any,
    measures: Any,
    asymptote: Any,
) -> TwoLayer | None:
    """The network of a run, or None; refused with what makes no sense for one."""
    if model is None:
        return None
    if not isinstance(model, TwoLayer):
        raise TypeError(f"model: got {model!r}; want TwoLayer(hidden=…), or None for a linear one")
    if problem.kernel:
        raise UnsupportedError("model: a kernel problem has no rows for a network to see")
    if problem.shares_rows:
        raise UnsupportedError(
            "model: the clients of a network want rows of their own; want Problem.from_arrays"
        )
    _check_parts(method, loss, measures)
    if method.rule.solve:
        raise UnsupportedError(
            f"method: {method!r} solves its local problem exactly, which a network's is not; want "
            "a method with local steps"
        )
    if isinstance(getattr(method, "lr", None), str) or isinstance(l2, str):
        raise UnsupportedError(
            "lr, l2: presets are made of the smoothness of a linear model; want numbers for a "
            "network"
        )
    if asymptote is not None:
        raise UnsupportedError(
            "asymptote: it is of linear models; for a network want measures={…}, functions of its "
            "parameters"
        )
    if engine not in FORMS:
        raise UnsupportedError(
            f"engine: got {engine!r}; for a network want 'auto', 'hybrid' (local steps in the span "
            "of the rows) or 'primal' (in the weights)"
        )
    return model


def _check_parts(method: Method, loss: Any, measures: Any) -> None:
    """Parts of the caller's, and the core's rules for rates, are of linear models so far."""
    if loss is not None and not isinstance(loss, str):
        raise UnsupportedError(f"loss: got {loss!r}; a network wants one of the core by its name")
    if method.server.kind == CALLED:
        raise UnsupportedError(f"server: got {method.server!r}; a network wants one of the core")
    lr = getattr(method, "lr", None)
    if sees_state(lr) and not callable(lr):
        raise UnsupportedError(
            f"lr: got {lr!r}, whose steps are of the curvature of linear models; a network wants a "
            "function of round, loss, grad_norm and norm, such as lambda loss, norm: "
            "0.2 / (loss * norm**2)"
        )
    if isinstance(measures, Mapping) and any(map(wants_clients, measures.values())):
        raise UnsupportedError(
            "measures: models and gradients of the clients are those of linear models so far; want "
            "functions of round and weights"
        )


def network_start(model: TwoLayer, init: Any, problem: Problem, seed: int) -> np.ndarray:
    """θ_0, one column: drawn, or W and V as they are given."""
    d, C = problem.n_features, problem.n_outputs
    if isinstance(init, bool):
        raise TypeError(f"init: got {init!r}; want 'he', 'small', a seed, or arrays (W, V)")
    if init is None or isinstance(init, str | int | np.integer):
        size = SIZES[check.one_of("init", init, SIZES)] if isinstance(init, str) else 1.0
        drawn = seed if init is None or isinstance(init, str) else check.integer("init", init, 0)
        start = random_start(model, d, C, size, random_generator(drawn, START))
        return start[:, None]
    first, second = getattr(init, "first", None), getattr(init, "second", None)
    if first is None or second is None:
        try:
            first, second = init
        except (TypeError, ValueError):
            raise TypeError(
                f"init: got {type(init).__name__}; want 'he', 'small', a seed, or arrays (W, V)"
            ) from None
    W = check.real_array("init: W", first, 2, advice="")
    V = np.asarray(second)
    V = check.real_array("init: V", V[:, None] if V.ndim == 1 else V, 2, advice="")
    for name, array, shape in (("W", W, (d, model.hidden)), ("V", V, (model.hidden, C))):
        if array.shape != shape:
            raise ValueError(f"init: got {name} of shape {array.shape}; want {shape}")
    return np.concatenate([W.ravel(), V.ravel()])[:, None]


def plan(
    model: TwoLayer,
    problem: Problem,
    method: Method,
    *,
    engine: str,
    itemsize: int,
    memory_limit: int,
) -> Plan:
    """What a round takes, by its flops, and whether blocks of Gram matrices fit in memory."""
    d, h, rule = problem.n_features, model.hidden, method.rule
    n = np.asarray(problem.sizes, dtype=np.float64)
    steps, batches = rule.core_steps(problem.n_clients), np.asarray(rule.batches(problem.sizes))
    rows = np.where(batches > 0, batches, n)
    starts = problem.entries_before
    # What a row costs in a product, in dense entries.
    entries = np.full(len(n), float(d)) if starts is None else SPARSE_COST * np.diff(starts) / n
    in_span = {"auto": n <= 2 * entries, "hybrid": n > 0, "primal": n < 0}

    def grams(name: str) -> float:
        return float(itemsize * (n**2)[in_span[name] & (steps > 1)].sum())

    if engine == "auto" and grams("auto") > memory_limit:
        engine = "primal"
    if grams(engine) > memory_limit:
        raise UnsupportedError(
            f"engine: {engine!r} needs {grams(engine) / 1e9:.1f} GB of Gram matrices, the limit is "
            f"{memory_limit / 1e9:.1f} GB; want engine='auto', or a larger memory_limit"
        )
    of_step = rows * np.where(in_span[engine], 2 * n, 4 * entries)
    share = method.clients_per_round(problem.n_clients) / problem.n_clients
    seconds = share * h * float((4 * n * entries + (steps - 1) * of_step).sum()) / FLOPS_PER_SECOND
    # Threads share the rows of steps that are worth it.
    shared = of_step * h >= THRESHOLDS["shared_flops"]
    parts = np.where(shared, np.ceil(rows / THRESHOLDS["rows_of_part"]), 1).sum()
    return Plan(
        "hybrid" if in_span[engine].any() else "primal",
        "network",
        2 * d * grams(engine) / itemsize / FLOPS_PER_SECOND,
        seconds,
        seconds,
        grams(engine),
        int(parts),
    )


def network_options(model: TwoLayer, problem: Problem, engine: str, chosen: str) -> dict[str, Any]:
    """The network as the core takes it; ``chosen``: of the plan for an ``engine``."""
    return {
        "hidden": model.hidden,
        "outputs": problem.n_outputs,
        "activation": model.activation,
        "scale": float(model.scale),
        "centered": model.centered,
        "first": model.train != "second",
        "second": model.train != "first",
        # That of "auto" is each client's own, unless blocks do not fit in memory.
        "form": FORMS[chosen if chosen == "primal" else engine],
    }


Scores = Callable[[Any, np.ndarray], np.ndarray]  # of rows and parameters


def scores_with(model: TwoLayer, problem: Problem, start: np.ndarray) -> Scores:
    """The scores of rows by parameters, in a run from θ_0."""

    def scores(X: Any, theta: np.ndarray) -> np.ndarray:
        X = as_double(X)
        u = outputs_of(model, theta, X)
        if model.centered:
            u = u - outputs_of(model, start, X)
        return u if len(problem.weights_shape) > 1 else u[:, 0]

    return scores


def measures_of(
    model: TwoLayer, problem: Problem, scores: Scores
) -> dict[str, Callable[[np.ndarray, int], float]]:
    """What every run of a network records, beside what the core does."""
    found: dict[str, Callable[[np.ndarray, int], float]] = {}
    if problem.task != "regression":
        found["accuracy"] = lambda theta, _: accuracy(problem.y, scores(problem.X, theta))
    if model.degree:
        found["balancedness"] = lambda theta, _: _imbalance(model, theta, problem.n_features)
    return found


def _imbalance(model: TwoLayer, theta: np.ndarray, features: int) -> float:
    """The largest ``|‖w_k‖² - (D - 1)‖v_k‖²|`` of a hidden unit, which gradient flow keeps."""
    W, V = layers_of(model, theta, features)
    return float(np.abs((W**2).sum(axis=0) - (model.degree - 1) * (V**2).sum(axis=1)).max())
