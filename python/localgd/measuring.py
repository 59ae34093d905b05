"""What is measured of a run beside what the core measures, and the columns of its history."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._backend import core
from .errors import UnsupportedError
from .identification import UnidentifiedError, digest, identify
from .losses import LOSSES
from .methods import Method
from .norms import norm
from .problem import Problem
from .schedules import Schedule
from .servers import Average

__all__ = [
    "COLUMNS",
    "Measure",
    "Recording",
    "columns",
    "further_measures",
    "held_out_rows",
    "identified",
]

Measure = Callable[[np.ndarray], float]
Timed = Callable[[np.ndarray, int], float]  # of the weights and the round


@dataclass(frozen=True)
class Column:
    """A column of a history: what it holds, and which runs have it."""

    title: str
    unit: str = ""
    wants_reference: bool = False
    wants_labels: bool = False  # a classification task


# What the core records, in the order of the history, and what is made or measured here.
OF_CORE = {name: Column(**facts) for name, facts in core.schema()["measures"].items()}
MADE = {
    "local_steps": Column("local steps"),
    "bytes": Column("communication", "bytes"),
}
RESIDUALS = {
    "residual": Column("norm of the residual"),
    "residual_distance": Column("relative distance to the limit"),
}
TESTS = {
    "test_accuracy": Column("accuracy on held-out rows", wants_labels=True),
    "test_loss": Column("loss on held-out rows"),
}
COLUMNS = {**OF_CORE, **MADE, **RESIDUALS, **TESTS}
RESERVED = (*OF_CORE, *MADE, "weights")


class Recording:
    """The records of a run: those of the core, with further measures taken at the same rounds."""

    def __init__(
        self,
        session: Any,
        problem: Problem,
        schedule: np.ndarray,
        measures: Mapping[str, Timed],
        unknown: Collection[str] = (),
    ):
        self._unknown = unknown  # measures that cannot be distinguished from others of their name
        self._session = session
        self._shape = problem.weights_shape
        self._width = int(np.prod(self._shape))
        self._schedule = schedule
        self._measures = measures
        self._values: dict[str, dict[int, float]] = {name: {} for name in measures}

    def stop_before(self, until: int) -> int:
        """The round up to which the core may run: to the next record if more is to be measured."""
        if not self._measures:
            return until
        round = self._session.round
        if round not in next(iter(self._values.values())) and round in self._schedule:
            return int(round)  # the start has not been measured yet
        due = np.searchsorted(self._schedule, round, side="right")
        return min(until, int(self._schedule[due])) if due < len(self._schedule) else until

    def measure(self) -> None:
        """Measure the present model if the core has just recorded it."""
        round = self._session.round
        if not self._measures or round not in self._schedule:
            return
        self._measure(round)

    def _measure(self, round: int) -> None:
        w = self._session.weights().reshape(self._shape)
        for name, function in self._measures.items():
            self._values[name][round] = float(function(w, round))

    def record_now(self) -> None:
        """Record the last whole round of a run that was stopped."""
        self._session.record_now()
        if self._measures:
            self._measure(self._session.round)

    def recorded(self, saved: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The columns that an earlier session has left, without those of unknown measures.

        A KeyError or TypeError if they are not such columns.
        """
        columns = {}
        for name, empty in self.history().items():
            if name in self._unknown:
                continue
            width = (self._width,) if name == "weights" else ()
            columns[name] = saved[name]
            if saved[name].shape != (len(saved["round"]), *width):
                raise TypeError(name)
            if saved[name].dtype != empty.dtype:
                raise TypeError(name)
        return columns

    def completed(self, recorded: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """With the unknown measures, taken again of the models that were recorded."""
        for name in self._unknown:
            models = zip(recorded["round"].tolist(), recorded["weights"], strict=True)
            values = [float(self._measures[name](w.reshape(self._shape), k)) for k, w in models]
            recorded[name] = np.array(values, dtype=np.float64)
        return recorded

    def history(self) -> dict[str, np.ndarray]:
        """All columns; NaN where a run was stopped before a measure was taken."""
        history = dict(self._session.history())
        rounds = history["round"].tolist()
        if "weights" in history:  # whose width the core does not know before the first record
            history["weights"] = history["weights"].reshape(len(rounds), self._width)
        for name, values in self._values.items():
            history[name] = np.array([values.get(k, np.nan) for k in rounds], dtype=np.float64)
        return history


def further_measures(
    problem: Problem,
    method: Method,
    loss: str,
    lr: Schedule,
    test: Any,
    asymptote: Any,
    measures: Mapping[str, Measure] | None,
) -> dict[str, Timed]:
    """The measures that a run was asked for, by column."""
    chosen: dict[str, Timed] = {}
    if test is not None:
        chosen.update(_test_measure(problem, test))
    if asymptote is not None:
        chosen.update(_residual_measures(problem, method, loss, lr, asymptote))
    if measures is None:
        return chosen
    if not isinstance(measures, Mapping):
        raise TypeError(f"measures: got {measures!r}; want a mapping of names to functions")
    for name, function in measures.items():
        if not isinstance(name, str) or not callable(function):
            raise TypeError(f"measures: got {name!r}: {function!r}; want a name and a function")
        if name in RESERVED or name in chosen:
            raise ValueError(f"measures: {name!r} is a column already; want another name")
        chosen[name] = lambda w, _, function=function: function(w)  # type: ignore[misc]
    return chosen


def identified(
    problem: Problem, test: Any, asymptote: Any, measures: Mapping[str, Measure] | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What identifies measures beside their names, and the columns of those that nothing does.

    The arguments are those that :func:`further_measures` has checked.
    """
    unknown = tuple(measures or ())
    inputs: dict[str, Any] = {"measures": sorted(unknown), "test": None, "asymptote": None}
    if test is not None:
        inputs["test"] = digest(*held_out_rows(problem, test))
    if asymptote is not None:
        try:
            inputs["asymptote"] = identify(asymptote)
        except UnidentifiedError:
            inputs["asymptote"] = "unknown"
            unknown += tuple(RESIDUALS)
    return inputs, unknown


def held_out_rows(problem: Problem, test: Any) -> tuple[np.ndarray, np.ndarray]:
    """Held-out rows that fit the problem."""
    if problem.kernel:
        raise UnsupportedError("test: a kernel problem has no weights to apply to other rows")
    from .problem import check_rows, check_task

    try:
        X, y = test
    except (TypeError, ValueError):
        raise TypeError(f"test: got {type(test).__name__}; want a pair (X, y)") from None
    X, y = check_rows("test", X, y)
    if X.shape[1] != problem.n_features:
        raise ValueError(
            f"test: rows of {X.shape[1]} features; want {problem.n_features}, as the problem has"
        )
    check_task(y, problem.task)
    if problem.task == "multiclass" and y.max() >= problem.n_classes:
        raise ValueError(f"test: class {y.max():g}; the problem has 0 to {problem.n_classes - 1}")
    return X, y


def _test_measure(problem: Problem, test: Any) -> dict[str, Timed]:
    X, y = held_out_rows(problem, test)
    if problem.task == "regression":
        return {"test_loss": lambda w, _: 0.5 * float(np.mean((X @ w - y) ** 2))}
    if problem.task == "multiclass":
        return {"test_accuracy": lambda w, _: float(np.mean(np.argmax(X @ w, axis=1) == y))}
    return {"test_accuracy": lambda w, _: float(np.mean(y * (X @ w) > 0))}


def _residual_measures(
    problem: Problem, method: Method, loss: str, lr: Schedule, asymptote: Any
) -> dict[str, Timed]:
    from .reference import Asymptote

    if not isinstance(asymptote, Asymptote):
        raise TypeError(
            f"asymptote: got {type(asymptote).__name__}; want the result of reference.asymptote"
        )
    tau = _local_time_per_round(problem, method, loss, lr)
    if not asymptote.fits(problem):
        raise ValueError(
            f"asymptote: got {asymptote!r}, which is of other rows or client weights than "
            f"{problem!r}; want reference.asymptote(problem)"
        )
    w_hat = asymptote.weights

    def rho(w: np.ndarray, round: int) -> np.ndarray | None:
        return w - w_hat * np.log(tau * round) if tau * round > 1 else None

    def residual(w: np.ndarray, round: int) -> float:
        left = rho(w, round)
        return float("nan") if left is None else norm(left)

    def distance(w: np.ndarray, round: int) -> float:
        left = rho(w, round)
        return float("nan") if left is None else float(asymptote.distance(left))

    return dict(zip(RESIDUALS, (residual, distance), strict=True))


def _local_time_per_round(problem: Problem, method: Method, loss: str, lr: Schedule) -> float:
    """η L, where w_k = ŵ log(η L k) + ρ_k holds."""
    steps = method.rule.core_steps(problem.n_clients)
    why = None
    if not LOSSES[loss].unit_tail:
        why = f"the {loss} loss"
    elif not isinstance(lr, float):
        why = "a learning rate that is not constant"
    elif method.rule.solve or method.rule.prox > 0 or not isinstance(method.server, Average):
        why = repr(method)
    elif (steps != steps[0]).any():
        why = "different numbers of local steps"
    elif _shares_are_biased(problem, method):
        why = "clients of different weights that are drawn uniformly, whose mean shares are not p"
    if why is not None:
        raise UnsupportedError(
            f"asymptote: w_k = ŵ log(η L k) + ρ_k is not known for {why}; want the "
            f"{' or '.join(name for name, known in LOSSES.items() if known.unit_tail)} loss, a "
            "constant lr, plain local steps, the server Average() and, if only some clients take "
            "part, equal weights or sampling='weight'"
        )
    return float(lr) * float(steps[0])  # type: ignore[arg-type]


def _shares_are_biased(problem: Problem, method: Method) -> bool:
    """Whether the mean over the rounds of p̃_i = p_i / Σ_{j drawn} p_j differs from p_i."""
    p = problem.weights[problem.weights > 0]
    if method.sampling == "weight" or method.clients_per_round(problem.n_clients) >= len(p):
        return False
    return bool(np.ptp(p) > 1e-12 * p.max())


def columns(
    history: dict[str, np.ndarray],
    problem: Problem,
    method: Method,
    dtype: str,
    has_angle: bool,
    further: Iterable[str],
) -> dict[str, np.ndarray]:
    """The columns of ``Run.history`` from those of the core and the further measures."""
    steps = _local_steps(history["round"], problem, method)
    chosen = {"round": history["round"], "local_steps": steps}
    for name, column in OF_CORE.items():
        there = has_angle or not column.wants_reference
        if there and (problem.task != "regression" or not column.wants_labels):
            chosen[name] = history[name]
    taking_part = chosen.pop("participations")
    if not problem.kernel:
        chosen["bytes"] = taking_part * bytes_per_client(problem, method, dtype)
    return {**chosen, **{name: history[name] for name in further}}


def _local_steps(rounds: np.ndarray, problem: Problem, method: Method) -> np.ndarray:
    """Local steps since the start; the weighted mean of the clients where they differ."""
    steps = method.rule.steps(problem.n_clients)
    if (steps == steps[0]).all():
        return rounds * steps[0]
    return rounds * float(problem.weights @ steps)


def bytes_per_client(problem: Problem, method: Method, dtype: str) -> int:
    """Bytes that a client and the server exchange in a round: a model each way, twice that many
    vectors where control variates or gradients go with it."""
    vectors = 2 if method.rule.correction == "none" else 4
    return vectors * problem.n_features * problem.n_classes * np.dtype(dtype).itemsize
