"""What is measured of a run in Python, beside what the core measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from ._backend import core
from .errors import UnsupportedError
from .held_out import HeldOut, Scores
from .identification import UnidentifiedError, digest, identify
from .labels import numbers_of_labels
from .losses import LOSSES, LossLike, client_gradients
from .methods import Method
from .norms import norm
from .own_measures import OwnMeasure, wants_models
from .participation import is_biased
from .problem import Problem, check_rows
from .rows import Rows, arrays_of, fitting_rows, with_ones
from .schedules import Schedule
from .servers import Average

__all__ = [
    "COLUMNS",
    "OF_CORE",
    "RISING",
    "Measure",
    "Minimum",
    "Timed",
    "further_measures",
    "held_out_rows",
    "identified",
]

Measure = Callable[..., float]  # of the weights, or of what own_measures.py names
Timed = Callable[[np.ndarray, int], float]  # of the weights and the round


class Minimum(Protocol):
    """A minimiser as ``reference.minimizer`` gives it."""

    weights: np.ndarray
    value: float
    loss: LossLike
    l2: float


@dataclass(frozen=True)
class Column:
    """A column of a history: what it holds, and which runs have it."""

    title: str
    unit: str = ""
    wants_reference: bool = False
    wants_labels: bool = False  # a classification task
    share: bool = False  # a number from 0 to 1
    of_networks: bool = False


# What the core records, in the order of the history, and what is made or measured here.
OF_CORE = {name: Column(**facts) for name, facts in core.schema()["measures"].items()}
MADE = {
    "local_steps": Column("local steps"),
    "passes": Column("passes over the rows"),
    "bytes": Column("communication", "bytes"),
    "bits": Column("communication", "bits"),
    "bits_up": Column("communication from the clients", "bits"),
    "bits_down": Column("communication to the clients", "bits"),
    "alignment_angle": Column("angle between the parameters and -∇f", "rad", of_networks=True),
    "accuracy": Column("accuracy on the rows", wants_labels=True, share=True, of_networks=True),
    "balancedness": Column("imbalance of the layers", of_networks=True),
}
OF_MINIMIZER = {
    "suboptimality": Column("f - f*"),
    "distance": Column("distance to the minimiser"),
}
RESIDUALS = {
    "residual": Column("norm of the residual"),
    "residual_distance": Column("relative distance to the limit"),
}
TESTS = {
    "test_loss": Column("loss on held-out rows"),
    "test_accuracy": Column("accuracy on held-out rows", wants_labels=True, share=True),
    "test_balanced_accuracy": Column(
        "mean accuracy of the classes on held-out rows", wants_labels=True, share=True
    ),
    "test_f1": Column("F1 on held-out rows", wants_labels=True, share=True),
    "test_auc": Column("AUC on held-out rows", wants_labels=True, share=True),
}
BESIDE = {  # of a network and the one of its reference
    name: Column(title, wants_labels=share, share=share, of_networks=True)
    for name, title, share in (
        ("output_distance", "relative distance of the outputs to the reference's", False),
        ("agreement", "share of rows with the reference's prediction", True),
        ("test_agreement", "share of held-out rows with the reference's prediction", True),
    )
}
COLUMNS = {**OF_CORE, **MADE, **OF_MINIMIZER, **RESIDUALS, **TESTS, **BESIDE}
# Columns whose larger values are the better ones.
RISING = {"margin", "grad_alignment", *(name for name, c in COLUMNS.items() if c.share)}


def reserved(network: bool) -> set[str]:
    """Columns that a run has of its own accord."""
    own = {name for name, column in MADE.items() if network or not column.of_networks}
    return {*OF_CORE, *own, *(BESIDE if network else ()), "weights"}


def further_measures(
    problem: Problem,
    method: Method,
    loss: LossLike,
    lr: Schedule,
    test: Any,
    asymptote: Any,
    measures: Mapping[str, Measure] | None,
    minimum: Minimum | None = None,
    l2: float = 0.0,
    scores: Scores | None = None,
) -> dict[str, Timed]:
    """The measures that a run was asked for, by column; ``minimum``: of the same objective.

    ``scores(X, w)``: those of a model that is not linear.
    """
    chosen: dict[str, Timed] = {}
    if minimum is not None:
        chosen["distance"] = lambda w, _: float(np.linalg.norm(w - minimum.weights))
    if test is not None:
        chosen.update(HeldOut(*held_out_rows(problem, test), problem.task, loss, scores).measures)
    if asymptote is not None:
        chosen.update(_residual_measures(problem, method, loss, lr, asymptote))
    if measures is None:
        return chosen
    if not isinstance(measures, Mapping):
        raise TypeError(f"measures: got {measures!r}; want a mapping of names to functions")
    for name, function in measures.items():
        if not isinstance(name, str) or not callable(function):
            raise TypeError(f"measures: got {name!r}: {function!r}; want a name and a function")
        if (
            name in reserved(scores is not None)
            or name in chosen
            or (minimum is not None and name in OF_MINIMIZER)
        ):
            raise ValueError(f"measures: {name!r} is a column already; want another name")
        chosen[name] = OwnMeasure(name, function, partial(client_gradients, problem, loss, l2))
    return chosen


def identified(
    problem: Problem, test: Any, asymptote: Any, measures: Mapping[str, Measure] | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What identifies measures beside their names, and the columns of those that nothing does.

    Those of the clients' models are taken for what they were: they could not be taken again.

    The arguments are those that :func:`further_measures` has checked.
    """
    measures = measures or {}
    unknown = tuple(name for name, function in measures.items() if not wants_models(function))
    inputs: dict[str, Any] = {"measures": sorted(measures), "test": None, "asymptote": None}
    if test is not None:
        X, y = held_out_rows(problem, test)
        inputs["test"] = digest(*arrays_of(X), y)
    if asymptote is not None:
        try:
            inputs["asymptote"] = identify(asymptote)
        except UnidentifiedError:
            inputs["asymptote"] = "unknown"
            unknown += tuple(RESIDUALS)
    return inputs, unknown


def held_out_rows(problem: Problem, test: Any) -> tuple[Rows, np.ndarray]:
    """Held-out rows that fit the problem."""
    if problem.kernel:
        raise UnsupportedError("test: a kernel problem has no weights to apply to other rows")
    pair = test
    if problem.encoder is not None:
        from .frames import labelled  # at first use, as many runs are of no table

        pair = labelled("test", problem.encoder, test) or test
    try:
        X, y = pair
    except (TypeError, ValueError):
        raise TypeError(f"test: got {type(test).__name__}; want a pair (X, y)") from None
    if problem.encoder is not None:
        X = problem.encoder.encoded("test: X", X)
    found, y = check_rows("test", X, y)
    ones = problem.intercept is not None
    X = fitting_rows("test: X", found, problem.n_features - ones, problem.feature_names)
    y = numbers_of_labels("test: y", y, problem.task, problem.labels, problem.y.shape[1:])
    return with_ones(X) if ones else X, y


def _residual_measures(
    problem: Problem, method: Method, loss: LossLike, lr: Schedule, asymptote: Any
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


def _local_time_per_round(problem: Problem, method: Method, loss: LossLike, lr: Schedule) -> float:
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
    elif not isinstance(method.participation, float | int):
        why = "clients that take turns or come and go"
    elif is_biased(problem, method):
        why = "clients of different weights that are drawn uniformly, whose mean shares are not p"
    if why is not None:
        raise UnsupportedError(
            f"asymptote: w_k = ŵ log(η L k) + ρ_k is not known for {why}; want the "
            f"{' or '.join(name for name, known in LOSSES.items() if known.unit_tail)} loss, a "
            "constant lr, plain local steps, the server Average() and, if only some clients take "
            "part, equal weights, shares='unbiased' or sampling='weight'"
        )
    return float(lr) * float(steps[0])  # type: ignore[arg-type]
